import { PenumbraError } from '../errors.ts';
import { checkShape, mean, type Predictions, topLabels } from './predictions.ts';

/**
 * Top-1 accuracy, (1/N) Σ 1[argmax_k p_ik = y_i], in [0, 1]. The lowest class wins a tie.
 *
 * @example
 * top1(predictions([[0.7, 0.2, 0.1], [0.3, 0.4, 0.3]], [0, 2])); // 0.5
 */
export function top1(p: Predictions): number {
  return mean(topLabels(p).correct);
}

/**
 * Top-k accuracy, (1/N) Σ 1[rank(y_i) < k], in [0, 1]; 1 by definition where k ≥ K.
 *
 * Ties go to the lower class, as a stable descending sort has it, so that k = 1 equals {@link top1}. (`torch.topk`
 * promises no order among ties; without ties both agree.)
 *
 * @example
 * topK(predictions([[0.7, 0.2, 0.1], [0.3, 0.4, 0.3]], [1, 2]), 2); // 0.5
 *
 * @throws PenumbraError `metrics/option` where k is not a positive whole number.
 */
export function topK(p: Predictions, k: number): number {
  return mean(topKHits(p, k));
}

/** 1[rank(y_i) < k] for each sample. See {@link topK}. */
export function topKHits(p: Predictions, k: number): Uint8Array {
  checkShape(p);
  if (!Number.isInteger(k) || k < 1) {
    throw new PenumbraError('metrics/option', `k must be a whole number of at least 1, got ${k}.`, {
      where: { option: 'k' },
    });
  }
  const { probabilities, labels, classes } = p;
  const hits = new Uint8Array(labels.length);
  for (let i = 0, at = 0; i < hits.length; i++, at += classes) {
    const y = labels[i]!;
    const own = probabilities[at + y]!;
    let rank = 0; // How many classes stand before the label.
    for (let j = 0; j < y; j++) rank += probabilities[at + j]! >= own ? 1 : 0;
    for (let j = y + 1; j < classes; j++) rank += probabilities[at + j]! > own ? 1 : 0;
    hits[i] = rank < k ? 1 : 0;
  }
  return hits;
}

/**
 * Confusion counts, K×K row-major: `[y * K + ŷ]` = how many samples of class y were called ŷ.
 *
 * @example
 * [...confusionMatrix(predictions([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6]], [0, 1, 1]))]; // [1, 0, 1, 1]
 */
export function confusionMatrix(p: Predictions): Float64Array {
  const counts = new Float64Array(p.classes * p.classes);
  const { predicted } = topLabels(p);
  for (let i = 0; i < predicted.length; i++) {
    const cell = p.labels[i]! * p.classes + predicted[i]!;
    counts[cell] = counts[cell]! + 1;
  }
  return counts;
}

/**
 * Recall of each class, TP_k / (TP_k + FN_k), from confusion counts; `null` where no sample has the class.
 *
 * @example
 * recalls(confusionMatrix(predictions([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6]], [0, 1, 1]))); // [1, 0.5]
 */
export function recalls(confusion: Float64Array): (number | null)[] {
  const classes = Math.sqrt(confusion.length);
  const result: (number | null)[] = [];
  for (let k = 0; k < classes; k++) {
    let support = 0;
    for (let j = 0; j < classes; j++) support += confusion[k * classes + j]!;
    result.push(support === 0 ? null : confusion[k * classes + k]! / support);
  }
  return result;
}

/**
 * Balanced accuracy: the mean recall over the classes that have a sample, in [0, 1] (Brodersen et al., ICPR 2010;
 * scikit-learn's `balanced_accuracy_score`).
 *
 * @example
 * balancedAccuracy(predictions([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6]], [0, 1, 1])); // 0.75
 */
export function balancedAccuracy(p: Predictions): number {
  return meanRecall(confusionMatrix(p));
}

/** {@link balancedAccuracy} from confusion counts. */
export function meanRecall(confusion: Float64Array): number {
  return mean(recalls(confusion).filter((r) => r !== null));
}

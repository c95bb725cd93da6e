import { checkShape, mean, type Predictions } from './predictions.ts';

/**
 * The least probability whose logarithm is taken: 2⁻¹²⁶, the smallest normal fp32 number. Only what a softmax in fp32
 * has lost to underflow is changed by it; the greatest loss of one sample is 87.34 nats.
 */
export const NLL_FLOOR = 2 ** -126;

/**
 * Negative log-likelihood in nats, (1/N) Σ −ln max(p_{i,y_i}, 2⁻¹²⁶), ≥ 0.
 *
 * @example
 * nll(predictions([[0.5, 0.5], [1, 0]], [0, 0])).toFixed(6); // '0.346574'
 */
export function nll(p: Predictions): number {
  return mean(sampleNll(p));
}

/** −ln max(p_{i,y_i}, 2⁻¹²⁶) for each sample. */
export function sampleNll(p: Predictions): Float64Array {
  checkShape(p);
  const { probabilities, labels, classes } = p;
  const result = new Float64Array(labels.length);
  for (let i = 0; i < result.length; i++) {
    const v = probabilities[i * classes + labels[i]!]!;
    // 0 − log, so that certainty gives 0 and not −0.
    result[i] = 0 - Math.log(Math.max(v, NLL_FLOOR));
  }
  return result;
}

/**
 * Brier score, (1/N) Σ_i Σ_k (p_ik − 1[y_i = k])², in [0, 2]: Brier's own multi-class sum over all classes (Monthly
 * Weather Review, 1950), not halved; for K = 2 it is twice the usual binary score.
 *
 * @example
 * brier(predictions([[0.5, 0.5], [1, 0]], [0, 0])); // 0.25
 */
export function brier(p: Predictions): number {
  return mean(sampleBrier(p));
}

/** Σ_k (p_ik − 1[y_i = k])² for each sample. */
export function sampleBrier(p: Predictions): Float64Array {
  checkShape(p);
  const { probabilities, labels, classes } = p;
  const result = new Float64Array(labels.length);
  for (let i = 0, at = 0; i < result.length; i++) {
    const truth = at + labels[i]!;
    let sum = 0;
    for (const end = at + classes; at < end; at++) {
      const d = at === truth ? probabilities[at]! - 1 : probabilities[at]!;
      sum += d * d;
    }
    result[i] = sum;
  }
  return result;
}

import { countClasses, countFindings, type Findings, type Targets } from '../data/index.ts';
import { PenumbraError } from '../errors.ts';
import { nearest } from '../nearest.ts';
import type { Tensor } from '../torch/index.ts';
import type { TargetBatch } from './task.ts';

/** `balanced`, or weights by name; a name that is left out weighs 1. */
export type ClassWeights = 'balanced' | Readonly<Record<string, number>>;

/**
 * What each class, or the presence of each finding, counts in the loss: K numbers.
 * - One of K: `balanced` is N / (K·n_k), as scikit-learn's. All weights are scaled so that their mean over the samples
 *   is 1, and the loss is divided by the number of samples, not by the sum of weights: a batch's size keeps its meaning.
 * - Findings: the weight of y = 1, as PyTorch's `pos_weight`; `balanced` is known absent / known present, and 1 where
 *   none is present.
 * @param targets of the training split
 * @throws `tasks/class-weights` for a name that is not there, or a weight that is not a number above 0
 */
export function classWeights(targets: Targets, wanted: ClassWeights): Float32Array<ArrayBuffer> {
  const weights = wanted === 'balanced' ? balanced(targets) : named(targets, wanted);
  if (targets.kind === 'findings') return Float32Array.from(weights);
  const counts = countClasses(targets);
  const mean = weights.reduce((sum, weight, k) => sum + weight * counts[k]!, 0) / targets.values.length;
  return Float32Array.from(weights, (weight) => weight / mean);
}

/** How often samples are drawn by their class; `uniform` is all alike. */
export type Sampling = 'uniform' | 'balanced' | 'sqrt';

/**
 * Weights of N samples. `balanced`: each class is drawn as often as every other. `sqrt`: as often as the square root of its
 * number says (Mahajan et al., ECCV 2018; compared by Kang et al., ICLR 2020), which is between the two: a class of one in a
 * hundred comes up in a tenth as many draws as the most common one, and none of its few images over and over. Of findings,
 * a sample counts as the rarest finding that it has (y > 1/2), and those without any as one class of their own. Probabilities
 * learnt so belong to that mix, not to the data's.
 */
export function samplingWeights(targets: Targets, how: Exclude<Sampling, 'uniform'>): Float64Array {
  const group = targets.kind === 'one-of-k' ? targets.values : rarestFinding(targets);
  const counts = new Map<number, number>();
  for (const key of group) counts.set(key, (counts.get(key) ?? 0) + 1);
  const power = how === 'sqrt' ? 0.5 : 1;
  return Float64Array.from(group, (key) => counts.get(key)! ** -power);
}

/** The number of each sample's rarest finding; K where it has none. */
function rarestFinding(targets: Findings): Int32Array {
  const { values, mask, names } = targets;
  const k = names.length;
  const positive = countFindings(targets).map((finding) => finding.positive);
  const rarest = new Int32Array(values.length / k).fill(k);
  for (let i = 0, at = 0; i < rarest.length; i++) {
    for (let c = 0; c < k; c++, at++) {
      if (values[at]! <= 0.5 || (mask !== undefined && mask[at] !== 1)) continue;
      if (rarest[i] === k || positive[c]! < positive[rarest[i]!]!) rarest[i] = c;
    }
  }
  return rarest;
}

/** The batch with its weights. @param weights [K], as `classWeights` gives them */
export function weigh(batch: TargetBatch, weights: Tensor): TargetBatch {
  if (batch.kind === 'findings') return { ...batch, positiveWeights: weights };
  return { ...batch, weights: weights.index_select(0, batch.labels) };
}

function balanced(targets: Targets): number[] {
  if (targets.kind === 'one-of-k') {
    const counts = countClasses(targets);
    return Array.from(counts, (count) => targets.values.length / (counts.length * Math.max(1, count)));
  }
  const { values, mask, names } = targets;
  const present = new Float64Array(names.length);
  const known = new Float64Array(names.length);
  for (let at = 0, k = 0; at < values.length; at++) {
    if (mask === undefined || mask[at] === 1) {
      present[k]! += values[at]!;
      known[k]!++;
    }
    if (++k === names.length) k = 0;
  }
  return names.map((_, k) => (present[k]! > 0 ? Math.max(known[k]! - present[k]!, 0) / present[k]! || 1 : 1));
}

function named({ names }: Targets, wanted: Readonly<Record<string, number>>): number[] {
  for (const [name, weight] of Object.entries(wanted)) {
    if (!names.includes(name)) {
      throw new PenumbraError('tasks/class-weights', `there is no class or finding '${name}' to weigh`, {
        hint: `did you mean '${nearest(name, names)}'?`,
      });
    }
    if (!(weight > 0 && Number.isFinite(weight))) {
      throw new PenumbraError(
        'tasks/class-weights',
        `the weight of '${name}' must be above 0, got ${weight}`,
        {
          hint: 'a weight of 1 leaves it as it is',
        },
      );
    }
  }
  return names.map((name) => (Object.hasOwn(wanted, name) ? wanted[name]! : 1));
}

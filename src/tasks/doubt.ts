import type { Targets } from '../data/index.ts';
import { aten, type Tensor } from '../torch/index.ts';
import { findings, needFindings } from './findings.ts';
import type { TargetBatch } from './task.ts';

/** at::Reduction. */
const NONE = 0;

/**
 * Whether targets say how much doubt was expressed: by rates, or by values that are probabilities.
 * @see expressedDoubt
 */
export function expressDoubt(targets: Targets): boolean {
  if (targets.kind !== 'findings') return false;
  return targets.rates !== undefined || targets.values.some((y) => y > 0 && y < 1);
}

/**
 * The doubt that was expressed of each finding, [N, K] in [0, 1]: r* = max(0, r), and of values that are probabilities
 * without rates r* = 2·min(y, 1 − y) (`methods.md`, B.2). A negative rate corrects for errors of the extractor, and
 * expresses no doubt.
 * @throws `tasks/kind` for a batch of labels
 */
export function expressedDoubt(batch: TargetBatch): Tensor {
  const { values, rates } = needFindings(batch);
  if (rates !== undefined) return rates.clamp_min(0);
  return values.minimum(values.neg().add(1)).mul(2);
}

/**
 * The mean binary cross-entropy of predicted against expressed doubt, over known values.
 * @param logits [N, K], float32
 */
export function doubtLoss(logits: Tensor, batch: TargetBatch): Tensor {
  const losses = aten.binary_cross_entropy_with_logits(logits, expressedDoubt(batch), null, null, NONE);
  // Weights are of the presence of a finding, not of doubt about it.
  const { positiveWeights: _, ...unweighted } = needFindings(batch);
  return findings.mean(losses, unweighted);
}

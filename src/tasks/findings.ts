import type { LabelErrors, Targets } from '../data/index.ts';
import { takeTargets } from '../data/index.ts';
import { aten, fromTypedArray, type Tensor } from '../torch/index.ts';
import { otherKind } from './one-of-k.ts';
import type { FindingsBatch, SoftTarget, TargetBatch, Task } from './task.ts';

/** at::Reduction. */
const NONE = 0;

/** K findings, each present or absent by itself, some of them unknown. */
export const findings: Task = {
  kind: 'findings',
  activation: 'sigmoid',

  gather(targets: Targets, rows: Int32Array | undefined, device: string): FindingsBatch {
    if (targets.kind !== 'findings') throw otherKind('findings', targets);
    const classes = targets.names.length;
    const { values, mask, rates, errors } = rows === undefined ? targets : takeTargets(targets, rows);
    const matrix = (array: Float32Array | Uint8Array) =>
      fromTypedArray(array, { shape: [array.length / classes, classes] }).to({ device, dtype: 'float32' });
    return {
      kind: 'findings',
      classes,
      values: matrix(values),
      ...(mask && { mask: matrix(mask) }),
      ...(rates && { rates: matrix(rates) }),
      ...(errors && { errors: errorMatrix(errors).to({ device }) }),
    };
  },

  probabilities: (logits) => logits.sigmoid(),

  label(batch, smoothing = 0): Tensor {
    const { values } = needFindings(batch);
    return smoothing === 0 ? values : values.mul(1 - smoothing).add(smoothing / 2);
  },

  dense: (target, batch) =>
    'smoothing' in target ? (findings.label(batch, target.smoothing) as Tensor) : target,

  crossEntropy(logits: Tensor, target: SoftTarget, batch: TargetBatch): Tensor {
    const { positiveWeights = null } = needFindings(batch);
    const wanted = findings.dense(target, batch);
    const losses = aten.binary_cross_entropy_with_logits(logits, wanted, null, positiveWeights, NONE);
    return known(losses, batch);
  },

  mean(losses, batch) {
    const { positiveWeights, values } = needFindings(batch);
    if (positiveWeights === undefined) return known(losses, batch);
    return known(losses.mul(values.mul(positiveWeights.sub(1)).add(1)), batch);
  },

  terms(batch) {
    const { mask, values } = needFindings(batch);
    return mask === undefined ? values.size : mask.sum().item();
  },

  correct(logits, batch) {
    const { mask, values } = needFindings(batch);
    const right = logits.gt(0).eq(values.gt(0.5));
    return (mask === undefined ? right : right.mul(mask)).sum().item();
  },
};

function errorMatrix(errors: readonly LabelErrors[]): Tensor {
  const row = (kind: keyof LabelErrors) => errors.map((one) => one[kind]);
  const all = [...row('falsePositive'), ...row('miss'), ...row('hedged')];
  return fromTypedArray(Float32Array.from(all), { shape: [3, errors.length] });
}

/**
 * The findings of a batch: for objectives that serve this task alone.
 * @throws `tasks/kind` for a batch of labels
 */
export function needFindings(batch: TargetBatch): FindingsBatch {
  if (batch.kind === 'findings') return batch;
  throw otherKind('findings', batch);
}

/** The mean over known values, [N, K] to a scalar; 0, with a gradient of 0, where nothing is known. */
function known(losses: Tensor, batch: TargetBatch): Tensor {
  const { mask } = needFindings(batch);
  // A product with the mask, not a choice by it: unknown values are finite, and the sizes stay those of the batch.
  return mask === undefined ? losses.mean() : losses.mul(mask).sum().div(mask.sum().clamp_min(1));
}

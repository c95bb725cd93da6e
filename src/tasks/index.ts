import type { Tensor } from '../torch/index.ts';
import { findings } from './findings.ts';
import { oneOfK } from './one-of-k.ts';
import type { TargetBatch, Task, TaskKind } from './task.ts';

export { doubtLoss, expressDoubt, expressedDoubt } from './doubt.ts';
export { findings, needFindings } from './findings.ts';
export { gatherInputs, type InputBatch } from './inputs.ts';
export { needLabels, oneOfK } from './one-of-k.ts';
export type { FindingsBatch, LabelBatch, Smoothed, SoftTarget, TargetBatch, Task, TaskKind } from './task.ts';
export { type ClassWeights, classWeights, type Sampling, samplingWeights, weigh } from './weights.ts';

const tasks = { 'one-of-k': oneOfK, findings } as const satisfies Record<TaskKind, Task>;

export function taskOf(kind: TaskKind): Task {
  return tasks[kind];
}

/** The targets of some samples of a batch, in that order. @param order [M], int64, on the batch's device */
export function reorder(batch: TargetBatch, order: Tensor): TargetBatch {
  const pick = (tensor: Tensor) => tensor.index_select(0, order);
  if (batch.kind === 'one-of-k') {
    const { labels, weights } = batch;
    return { ...batch, labels: pick(labels), ...(weights && { weights: pick(weights) }) };
  }
  const { values, mask, rates } = batch;
  return {
    ...batch,
    values: pick(values),
    ...(mask && { mask: pick(mask) }),
    ...(rates && { rates: pick(rates) }),
  };
}

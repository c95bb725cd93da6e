import type { Targets } from '../data/index.ts';
import { PenumbraError } from '../errors.ts';
import { aten, fromTypedArray, type Tensor } from '../torch/index.ts';
import type { LabelBatch, SoftTarget, TargetBatch, Task } from './task.ts';

const NO_IGNORED_LABEL = -100;

/** at::Reduction. */
const NONE = 0;
const MEAN = 1;

/** One label of K. */
export const oneOfK: Task = {
  kind: 'one-of-k',
  activation: 'softmax',

  gather(targets: Targets, rows: Int32Array | undefined, device: string): LabelBatch {
    if (targets.kind !== 'one-of-k') throw otherKind('one label of K', targets);
    const { names, values } = targets;
    const labels = rows === undefined ? values : rows.map((row) => values[row]!);
    return {
      kind: 'one-of-k',
      classes: names.length,
      labels: fromTypedArray(labels).to({ device, dtype: 'int64' }),
    };
  },

  probabilities: (logits) => logits.softmax(1),

  label: (_batch, smoothing = 0) => ({ smoothing }),

  dense(target, batch) {
    if (!('smoothing' in target)) return target;
    const { labels, classes } = needLabels(batch);
    return aten
      .one_hot(labels, classes)
      .to({ dtype: 'float32' })
      .mul(1 - target.smoothing)
      .add(target.smoothing / classes);
  },

  crossEntropy(logits: Tensor, target: SoftTarget, batch: TargetBatch): Tensor {
    const { labels, weights } = needLabels(batch);
    const smoothed = 'smoothing' in target;
    const wanted = smoothed ? labels : target;
    const smoothing = smoothed ? target.smoothing : 0;
    const loss = (reduction: number) =>
      aten.cross_entropy_loss(logits, wanted, null, reduction, NO_IGNORED_LABEL, smoothing);
    return weights === undefined ? loss(MEAN) : loss(NONE).mul(weights).mean();
  },

  mean(losses, batch) {
    const { weights } = needLabels(batch);
    return (weights === undefined ? losses : losses.mul(weights)).mean();
  },

  terms: (batch) => needLabels(batch).labels.shape[0]!,

  correct: (logits, batch) => logits.argmax(1).eq(needLabels(batch).labels).sum().item(),
};

/**
 * The labels of a one-of-K batch: for objectives that serve this task alone.
 * @throws `tasks/kind` for a batch of findings
 */
export function needLabels(batch: TargetBatch): LabelBatch {
  if (batch.kind === 'one-of-k') return batch;
  throw otherKind('one label of K', batch);
}

export function otherKind(wanted: string, found: { readonly kind: string }): PenumbraError {
  return new PenumbraError('tasks/kind', `expected targets of ${wanted}, got ${found.kind}`, {
    hint: 'the task and the data must be of one kind: taskOf(targets.kind) gives the right one',
  });
}

import type { Batch } from '../data/index.ts';
import type { Classifier } from '../models/index.ts';
import type { Objective } from '../objectives/index.ts';
import { fromTypedArray, tidy } from '../torch/index.ts';
import type { Optimizer } from '../torch/optim/index.ts';
import type { Mode } from './mode.ts';
import { inMode, toImages } from './predict.ts';

/** What a step changes, and how it computes. */
export interface Trainee {
  readonly model: Pick<Classifier, 'forward'>;
  readonly optimizer: Optimizer;
  readonly objective: Objective;
  readonly mode: Mode;
}

/**
 * One update by one batch: forward pass, loss, gradients, optimizer, and what the objective observes. Leaves no tensor
 * behind beside the gradients, which the next step forgets.
 * @returns the batch's mean loss, and how many of its images the network got right before the update
 */
export function trainStep(trainee: Trainee, batch: Batch, epoch: number): { loss: number; correct: number } {
  const { model, optimizer, objective, mode } = trainee;
  return tidy(() => {
    const images = toImages(batch, mode);
    const labels = fromTypedArray(batch.labels).to({ device: mode.device, dtype: 'int64' });
    const logits = inMode(mode, () => model.forward(images));
    const seen = { logits, labels, indices: batch.indices, images, epoch };
    const loss = objective.loss(seen);
    optimizer.zeroGrad();
    loss.backward();
    optimizer.step();
    const detached = { ...seen, logits: logits.detach() };
    objective.observe?.(detached);
    return { loss: loss.item(), correct: detached.logits.argmax(1).eq(labels).sum().item() };
  });
}

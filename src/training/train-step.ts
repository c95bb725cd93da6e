import type { Batch } from '../data/index.ts';
import type { Objective, ObjectiveBatch } from '../objectives/index.ts';
import { aten, fromTypedArray, type Generator, noGrad, type Tensor, tensor, tidy } from '../torch/index.ts';
import type { Optimizer } from '../torch/optim/index.ts';
import type { Mode } from './mode.ts';
import { type LogitsOf, logitsIn, toImages } from './predict.ts';

/** What a step changes, and how it computes. */
export interface Trainee {
  readonly model: LogitsOf;
  readonly optimizer: Optimizer;
  readonly objective: Objective;
  readonly mode: Mode;
  /** A frozen network in evaluation mode, where the objective learns from one. */
  readonly teacher?: LogitsOf | undefined;
  /** Beta's parameter; draws from `generator`. */
  readonly mixup?: { readonly alpha: number; readonly generator: Generator } | undefined;
}

/**
 * One update by one batch: forward pass, loss, gradients, optimizer, and what the objective observes. Leaves no tensor
 * behind beside the gradients, which the next step forgets. Under mixup the objective observes the mixed images with the
 * labels that they show most of.
 * @returns the batch's mean loss, and how many of its images the network got right before the update
 */
export function trainStep(trainee: Trainee, batch: Batch, epoch: number): { loss: number; correct: number } {
  const { model, optimizer, objective, mode, teacher } = trainee;
  return tidy(() => {
    const labels = fromTypedArray(batch.labels).to({ device: mode.device, dtype: 'int64' });
    const mix = trainee.mixup && drawMix(batch.labels.length, trainee.mixup, mode.device);
    const original = toImages(batch, mode);
    const images = mix ? mixed(original, mix) : original;
    const teacherLogits = teacher && noGrad(() => logitsIn(mode, teacher, images));
    const logits = logitsIn(mode, model, images);
    const seen = {
      logits,
      labels,
      indices: batch.indices,
      images,
      epoch,
      ...(teacherLogits && { teacherLogits }),
    };
    const loss = mix ? mixedLoss(objective, seen, mix) : objective.loss(seen);
    optimizer.zeroGrad();
    loss.backward();
    optimizer.step();
    const detached = { ...seen, logits: logits.detach() };
    objective.observe?.(detached);
    return { loss: loss.item(), correct: detached.logits.argmax(1).eq(labels).sum().item() };
  });
}

/** One batch's mixup: image i becomes share·x_i + (1 − share)·x_partner(i). */
interface Mix {
  /** From 1/2 to 1, so that an image's own label is the one that it shows most of. */
  readonly share: number;
  /** [N], int64, on the CPU. */
  readonly partners: Tensor;
}

function drawMix(
  samples: number,
  { alpha, generator }: { alpha: number; generator: Generator },
  device: string,
): Mix {
  // Beta(α, α) is the two-dimensional Dirichlet distribution, and symmetric about 1/2.
  const draw = aten._sample_dirichlet(tensor([alpha, alpha]).to({ device }), { generator });
  return {
    share: draw.max().item(),
    partners: aten.randperm(samples, { generator, device }).to({ device: 'cpu' }),
  };
}

function mixed(images: Tensor, { share, partners }: Mix): Tensor {
  const others = images.index_select(0, partners.to({ device: images.device }));
  return others.mul_(1 - share).add_(images, { alpha: share });
}

/** share·L(y) + (1 − share)·L(y of the partners), of the same logits. */
function mixedLoss(objective: Objective, batch: ObjectiveBatch, { share, partners }: Mix): Tensor {
  const order = partners.toTypedArray() as BigInt64Array;
  const other = {
    ...batch,
    labels: batch.labels.index_select(0, partners.to({ device: batch.labels.device })),
    indices: Int32Array.from(order, (i) => batch.indices[Number(i)]!),
    ...(batch.rates && { rates: batch.rates.index_select(0, partners.to({ device: batch.rates.device })) }),
  };
  return objective
    .loss(batch)
    .mul(share)
    .add(objective.loss(other), { alpha: 1 - share });
}

import type { Batch } from '../data/index.ts';
import { PenumbraError } from '../errors.ts';
import type { ObjectiveRun, Seen } from '../objectives/index.ts';
import {
  doubtLoss,
  gatherInputs,
  type InputBatch,
  reorder,
  type TargetBatch,
  weigh,
} from '../tasks/index.ts';
import { aten, type Generator, noGrad, type Tensor, tensor, tidy } from '../torch/index.ts';
import { type LossScale, type Optimizer, scaledLoss, stepScaled } from '../torch/optim/index.ts';
import type { Mode } from './mode.ts';
import { type LogitsOf, logitsIn, saidIn } from './predict.ts';

/** What a step changes, and how it computes. */
export interface Trainee {
  readonly model: LogitsOf;
  readonly optimizer: Optimizer;
  readonly objective: Pick<ObjectiveRun, 'task' | 'loss' | 'observe'>;
  readonly mode: Mode;
  /** A frozen network in evaluation mode, where the objective learns from one. */
  readonly teacher?: LogitsOf | undefined;
  /** Beta's parameter; draws from `generator`. */
  readonly mixup?: { readonly alpha: number; readonly generator: Generator } | undefined;
  /** What predicted doubt counts beside the objective's loss, of a network that has a head for it; 0 is nothing. */
  readonly doubtWeight?: number;
  /** [K]: what each class counts, or each finding's presence. */
  readonly classWeights?: Tensor | undefined;
  /** Of float16: what the loss is scaled by before it goes back. */
  readonly lossScale?: LossScale | undefined;
  /** Inputs of no samples, where layers compute with the other processes' batches and one without samples must take part. */
  readonly noInputs?: (() => InputBatch) | undefined;
}

/** What one batch gave. */
export interface StepResult {
  /** The batch's mean loss. */
  readonly loss: number;
  /** How many of its labels, or known findings, the network got right before the update. */
  readonly correct: number;
  /** How many labels, or known findings, it had. */
  readonly terms: number;
}

/** One update by one batch. Leaves no tensor behind beside the gradients, which the next step forgets. */
export function trainStep(trainee: Trainee, batch: Batch, epoch: number): StepResult {
  trainee.optimizer.zeroGrad();
  const result = addGradients(trainee, batch, epoch, ({ loss }) =>
    scaledLoss(loss, trainee.lossScale).backward(),
  );
  stepScaled(trainee.optimizer, trainee.lossScale);
  return result;
}

/**
 * One update by several batches whose gradients are added up, each by its number of labels or known findings: that of
 * one large batch, where the loss is a mean over them and no layer looks at the whole batch.
 */
export class AccumulatedStep {
  private readonly trainee: Trainee;
  private terms = 0;

  constructor(trainee: Trainee) {
    this.trainee = trainee;
    trainee.optimizer.zeroGrad();
  }

  add(batch: Batch, epoch: number): StepResult {
    const result = addGradients(this.trainee, batch, epoch, addSum(this.trainee));
    this.terms += result.terms;
    return result;
  }

  /** The optimizer's step by what was added. */
  update(): void {
    const { optimizer } = this.trainee;
    tidy(() => optimizer.scaleGradients(1 / Math.max(1, this.terms)));
    stepScaled(optimizer, this.trainee.lossScale);
  }
}

/** A batch after its forward pass. */
export interface Forward {
  /** The mean, with gradients. */
  readonly loss: Tensor;
  /** Labels, or known findings, of which it is the mean. */
  readonly terms: number;
  /** How many of them the network got right. */
  readonly correct: () => number;
}

/**
 * What a process without samples has to say in a step whose layers compute with the others': a loss of 0 behind a forward
 * pass of none. Undefined where no layer does.
 */
export function nothingSeen({ model, mode, noInputs }: Trainee): Tensor | undefined {
  if (noInputs === undefined) return undefined;
  const { logits, doubt } = saidIn(mode, model, noInputs());
  const sum = doubt === undefined ? logits.sum() : logits.sum().add(doubt.sum());
  return sum.mul(0);
}

/** Adds the gradients of the sum that a batch's loss is the mean of. */
export function addSum({ lossScale }: Pick<Trainee, 'lossScale'>): (forward: Forward) => void {
  return ({ loss, terms }) => scaledLoss(loss.mul(terms), lossScale).backward();
}

/**
 * Forward pass, loss, gradients (by `backward`), and what the objective observes. Under mixup it observes the mixed images
 * with the labels that they show most of.
 */
export function addGradients(
  trainee: Trainee,
  batch: Batch,
  epoch: number,
  backward: (forward: Forward) => void,
): StepResult {
  const { model, objective, mode, teacher, classWeights, doubtWeight = 0 } = trainee;
  const { task } = objective;
  return tidy(() => {
    const plain = task.gather(batch.targets, undefined, mode.device);
    const targets = classWeights === undefined ? plain : weigh(plain, classWeights);
    const mix = trainee.mixup && drawMix(batch.indices.length, trainee.mixup, mode.device);
    const original = gatherInputs(batch.inputs, mode.device);
    const inputs = mix ? mixed(original, mix) : original;
    const teacherLogits = teacher && noGrad(() => logitsIn(mode, teacher, inputs));
    const { logits, doubt } = saidIn(mode, model, inputs);
    const { indices } = batch;
    const seen: Seen = {
      logits,
      targets,
      indices,
      inputs,
      epoch,
      ...(teacherLogits && { teacherLogits }),
      ...(doubt && { doubtLogits: doubt }),
    };
    const lossOf = (of: Seen) => {
      const own = objective.loss(of);
      return doubt && doubtWeight > 0 ? own.add(doubtLoss(doubt, of.targets), { alpha: doubtWeight }) : own;
    };
    const loss = mix ? mixedLoss(lossOf, seen, mix) : lossOf(seen);
    const terms = task.terms(targets);
    let counted: number | undefined;
    const correct = () => (counted ??= task.correct(logits.detach(), targets));
    backward({ loss, terms, correct });
    const detached = { ...seen, logits: logits.detach(), ...(doubt && { doubtLogits: doubt.detach() }) };
    noGrad(() => objective.observe(detached));
    return { loss: loss.item(), correct: correct(), terms };
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

function mixed(inputs: InputBatch, { share, partners }: Mix): InputBatch {
  const { images, tokens } = inputs;
  if (images === undefined || tokens !== undefined) {
    throw new PenumbraError('training/mixup', 'mixup mixes images, and these samples have texts', {
      hint: 'leave mixup at 0',
    });
  }
  const others = images.index_select(0, partners.to({ device: images.device }));
  return { images: others.mul_(1 - share).add_(images, { alpha: share }) };
}

/** share·L(y) + (1 − share)·L(y of the partners), of the same logits. */
function mixedLoss(lossOf: (seen: Seen) => Tensor, seen: Seen, { share, partners }: Mix): Tensor {
  const order = partners.toTypedArray() as BigInt64Array;
  const other: Seen = {
    ...seen,
    targets: reorder(seen.targets, partners.to({ device: deviceOf(seen.targets) })),
    indices: Int32Array.from(order, (i) => seen.indices[Number(i)]!),
  };
  return lossOf(seen)
    .mul(share)
    .add(lossOf(other), { alpha: 1 - share });
}

function deviceOf(targets: TargetBatch): string {
  return (targets.kind === 'one-of-k' ? targets.labels : targets.values).device;
}

import type { Generator, Tensor } from '../torch/index.ts';
import type { StateDict } from '../torch/nn/index.ts';

/** What an objective sees of one batch of N samples. */
export interface ObjectiveBatch {
  /** [N, K], float32, with gradients. */
  readonly logits: Tensor;
  /** [N], int64. */
  readonly labels: Tensor;
  /** N sample numbers in the training split: what a memory per sample is indexed with. */
  readonly indices: Int32Array;
  /** [N, channels, H, W], as the network was shown them. */
  readonly images: Tensor;
  /** [N, K], float32, without gradients: what the teacher says of the same images, where there is one. */
  readonly teacherLogits?: Tensor;
  /** [N, K] smoothing rates per sample and finding, where the data has them. */
  readonly rates?: Tensor;
  /** Epochs finished before this one. */
  readonly epoch: number;
}

/** What is known when an objective is made. */
export interface ObjectiveContext {
  /** K. */
  readonly classes: number;
  /** Epochs that the run will have in all. */
  readonly epochs: number;
  /** Samples in the training split. */
  readonly samples: number;
  readonly device: string;
  /** For objectives that draw random numbers; saved with the checkpoint. */
  readonly generator: Generator;
}

/**
 * A rule that turns a label, and what is known about it, into a loss. Every method of the field is one: data, network,
 * training and measurement are the same for all. A method is one file that implements this interface.
 *
 * The trainer calls, inside a scope that releases what is not kept: `loss`, then (without gradients) `observe`, for
 * every batch; `endEpoch` after the last batch of an epoch. Whatever `stateDict` names is saved with checkpoints, and a
 * resumed run continues bit for bit.
 */
export interface Objective {
  readonly name: string;
  /** How logits become probabilities: one label of K, or K findings. */
  readonly activation: 'softmax' | 'sigmoid';
  /** The batch's mean loss, a float32 scalar with gradients. */
  loss(batch: ObjectiveBatch): Tensor;
  /** Learns from the batch just seen: the logits of the same training-mode forward pass. */
  observe?(batch: ObjectiveBatch): void;
  endEpoch?(): void;
  /** What the schedule's learning rate is multiplied with in the epoch after `epoch` finished ones. Default: 1. */
  learningRateScale?(epoch: number): number;
  /** Tensors to save, by name; none for a method without memory. */
  stateDict(): StateDict;
  loadStateDict(state: StateDict): void;
  /** Releases the memory. */
  dispose(): void;
}

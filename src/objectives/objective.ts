import { z } from 'zod';
import type { Targets } from '../data/index.ts';
import type { InputBatch, SoftTarget, TargetBatch, Task, TaskKind } from '../tasks/index.ts';
import type { Generator, Tensor } from '../torch/index.ts';
import type { StateDict } from '../torch/nn/index.ts';

/** What an objective sees of one batch of N samples. */
export interface Seen {
  /** [N, K], float32, with gradients. */
  readonly logits: Tensor;
  /** Labels of one class of K, or known findings with their mask and rates. */
  readonly targets: TargetBatch;
  /** N sample numbers in the training split: what a memory per sample is indexed with. */
  readonly indices: Int32Array;
  /** As the network was shown them. */
  readonly inputs: InputBatch;
  /** [N, K], float32, without gradients: what the teacher says of the same inputs, where there is one. */
  readonly teacherLogits?: Tensor;
  /** [N, K], float32, with gradients: of the network's head of doubt, where it has one. */
  readonly doubtLogits?: Tensor;
  /** Epochs finished before this one. */
  readonly epoch: number;
}

/** What is known when an objective is made. */
export interface ObjectiveContext {
  readonly task: Task;
  /** K: classes, or findings. */
  readonly classes: number;
  /** Epochs that the run will have in all. */
  readonly epochs: number;
  /** Samples in the training split. */
  readonly samples: number;
  /** What is known of them all, for methods that need more than a batch shows; sample numbers are its rows. */
  readonly targets: Targets;
  readonly device: string;
  /** For objectives that draw random numbers; saved with the checkpoint. */
  readonly generator: Generator;
}

/**
 * A rule that turns labels, and what is known about them, into a soft target, or, where that is not enough, into a
 * loss. Every method of the field is one: data, network, training and measurement are the same for all.
 *
 * The trainer calls, inside a scope that releases what is not kept: `loss`, or else cross-entropy against `target`, then
 * (without gradients) `observe`, for every batch; `endEpoch` after the last batch of an epoch. Tensors that outlive a
 * call are kept (`keep`) and named by `stateDict`: they are saved with checkpoints, and a resumed run continues bit for
 * bit.
 */
export interface Objective {
  /** What the network should say: cross-entropy against it is the loss. */
  target?(seen: Seen, task: Task): SoftTarget;
  /** The batch's mean loss, a float32 scalar with gradients; comes before `target` where both are there. */
  loss?(seen: Seen, task: Task): Tensor;
  /** Learns from the batch just seen: the logits of the same training-mode forward pass, without gradients. */
  observe?(seen: Seen, task: Task): void;
  /** @param reduce sums a tensor over all processes that train the run; the identity for one process */
  endEpoch?(reduce: (tensor: Tensor) => Tensor): void;
  /** What the schedule's learning rate is multiplied with in the epoch after `epoch` finished ones. Default: 1. */
  learningRateScale?(epoch: number): number;
  /** The tensors themselves, not copies, by name; left out by a method without memory. */
  stateDict?(): StateDict;
}

/** A method: its name, whom it serves, its options, and how it is made. One file defines one. */
export interface ObjectiveDefinition<Options extends z.ZodObject = z.ZodObject> {
  /** How configurations name it: letters, digits, `_`, `.` and `-`. */
  readonly name: string;
  /** For people. */
  readonly label: string;
  /** One sentence for help: what it does, and the source. */
  readonly summary: string;
  readonly tasks: readonly TaskKind[];
  /** Numbers, texts and booleans, each with what it means (`describe`) and its default: types, checks, help and documentation. */
  readonly options: Options;
  /**
   * Whether every batch must bring a teacher's logits: a copy of the network that is trained first, with hard labels, or
   * with the objective that is named.
   */
  readonly teacher?: boolean | string;
  /** Whether the network must have a head of doubt, which the method trains in its own way. */
  readonly doubt?: boolean;
  /** Whether one process must see every batch, as the method remembers more than `endEpoch` could add up. */
  readonly alone?: boolean;
  /** @throws `objectives/option` for options that do not go together */
  make(options: z.output<Options>, context: ObjectiveContext): Objective;
}

const NO_OPTIONS = z.strictObject({});

/**
 * A method with its types: `options` may be left out by one that has none, `summary` and `label` by one that needs no
 * words.
 */
export function defineObjective<Options extends z.ZodObject = typeof NO_OPTIONS>(
  definition: Omit<ObjectiveDefinition<Options>, 'options' | 'label' | 'summary'> &
    Partial<Pick<ObjectiveDefinition<Options>, 'options' | 'label' | 'summary'>>,
): ObjectiveDefinition<Options> {
  const { name } = definition;
  return { label: name, summary: '', options: NO_OPTIONS as unknown as Options, ...definition };
}

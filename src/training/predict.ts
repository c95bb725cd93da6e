import { setImmediate } from 'node:timers/promises';
import { concatenate } from '../concatenate.ts';
import { type Batch, type BatchLoader, needOneOfK, type Targets, takeTargets } from '../data/index.ts';
import { PenumbraError } from '../errors.ts';
import { type Predictions, predictions } from '../metrics/index.ts';
import type { Network } from '../models/index.ts';
import { gatherInputs, type InputBatch, type Task, taskOf } from '../tasks/index.ts';
import { autocast, noGrad, type Tensor, tidy } from '../torch/index.ts';
import { fusing, type Module } from '../torch/nn/index.ts';
import type { Mode } from './mode.ts';
import { alone, type Team } from './team.ts';

/** Runs `forward` in the mode's precision and with its kernels; its result comes back in float32. */
export function inMode(mode: Mode, forward: () => Tensor): Tensor {
  const run = () => fusing(mode.fused, forward);
  if (mode.precision === 'float32') return run();
  const result = autocast(run, { device: mode.device, dtype: mode.precision });
  const wide = result.to({ dtype: 'float32' });
  if (wide !== result) result.dispose();
  return wide;
}

/** What a network says of N samples. */
export interface Said {
  /** [N, K], float32. */
  readonly logits: Tensor;
  /** [N, K], float32: of the doubt that a report will express, where the network predicts it. */
  readonly doubt?: Tensor;
  /** [N, …]: what the last layer was given, where it was asked for. */
  readonly features?: Tensor;
}

/**
 * What a network says. Under autocast the last layers alone are computed in float32, where the network names them: in
 * bfloat16 the two largest of 165 logits would be exactly equal for one image in fifty.
 * @param options.features whether their input is wanted too, of a network that names its last layer
 */
export function saidIn(
  mode: Mode,
  model: LogitsOf,
  inputs: InputBatch,
  options: { readonly features?: boolean } = {},
): Said {
  if (model.forwardInputs !== undefined) return { logits: inMode(mode, () => model.forwardInputs!(inputs)) };
  const images = needImages(inputs);
  const head = headOf(model);
  const apart = mode.precision !== 'float32' || model.doubt !== undefined || options.features;
  if (head === null || !apart) return { logits: inMode(mode, () => model.forward(images)) };
  const features = inMode(mode, () => model.features!(images));
  const logits = head.forward(features);
  const doubt = model.doubt === undefined ? undefined : model.submodule!(model.doubt).forward(features);
  if (!options.features) features.dispose();
  return { logits, ...(doubt && { doubt }), ...(options.features && { features }) };
}

/** The logits alone, [N, K], float32. */
export function logitsIn(mode: Mode, model: LogitsOf, inputs: InputBatch): Tensor {
  const { logits, doubt } = saidIn(mode, model, inputs);
  doubt?.dispose();
  return logits;
}

/** What of a network gives logits. */
export type LogitsOf = Pick<Network, 'forward' | 'forwardInputs' | 'features' | 'head' | 'doubt'> &
  Partial<Pick<Network, 'submodule'>>;

/** The last layer, of a network that names it and gives what goes into it. */
function headOf(model: LogitsOf): Module | null {
  if (model.head === undefined || model.features === undefined) return null;
  return model.submodule?.(model.head) ?? null;
}

/** @throws `training/no-images` */
function needImages({ images }: InputBatch): Tensor {
  if (images !== undefined) return images;
  throw new PenumbraError(
    'training/no-images',
    'the samples have no images, and the network takes nothing else',
    {
      hint: 'choose a network that takes tokens (forwardInputs), or data with images',
    },
  );
}

export interface PredictOptions {
  /** Whether to keep the penultimate layer's outputs. Default: false. */
  readonly features?: boolean;
  /** Called after every batch with the number of samples done. */
  readonly onProgress?: (done: number) => void;
  /** The processes whose loaders share the split: each is told what all of them found. Default: this one alone. */
  readonly team?: Team;
}

/** What a network says of a split, and of which samples (broken files are left out). */
export interface SplitPredictions extends Predictions {
  /** N×K, row-major, in [0, 1]; rows sum to 1 for one label of K. */
  readonly probabilities: Float32Array;
  /**
   * N true classes in [0, K).
   * @throws `data/findings` where the targets are findings
   */
  readonly labels: Int32Array;
  /** K: classes, or findings. */
  readonly classes: number;
  /** What is true of the N samples. */
  readonly targets: Targets;
  /** Sample numbers in the split. */
  readonly indices: Int32Array;
}

/** The same with what the probabilities come from. */
export interface NetworkOutput extends SplitPredictions {
  /** N×K, row-major: what a calibrator is fitted on. */
  readonly logits: Float32Array;
  /** N×K in [0, 1]: the doubt that a report will express, where the network predicts it. */
  readonly doubt?: Float32Array;
  /** The penultimate layer's outputs, N×D, row-major, where they were asked for. */
  readonly features?: Float32Array;
}

/**
 * Logits and probabilities for every sample of a loader's split, in evaluation mode.
 * @param targets of that split
 * @throws `training/features` where they are asked for and the network does not give them
 */
export async function predict(
  model: Network,
  loader: BatchLoader,
  targets: Targets,
  mode: Mode,
  options: PredictOptions = {},
): Promise<NetworkOutput> {
  const probabilities: Float32Array[] = [];
  const logits: Float32Array[] = [];
  const features: Float32Array[] = [];
  const doubts: Float32Array[] = [];
  const indices: Int32Array[] = [];
  const task = taskOf(targets.kind);
  if (options.features) needHead(model);
  const training = model.training;
  model.eval();
  let done = 0;
  try {
    for await (const batch of loader.epoch(0)) {
      const rows = predictBatch(model, batch, task, mode, options);
      probabilities.push(rows.probabilities);
      logits.push(rows.logits);
      if (rows.features) features.push(rows.features);
      if (rows.doubt) doubts.push(rows.doubt);
      indices.push(batch.indices);
      done += batch.indices.length;
      batch.release();
      options.onProgress?.(done);
      await setImmediate(); // Signals and messages of decoding threads are heard between batches.
    }
  } finally {
    model.train(training);
  }
  const { shown, rows } = inOrder(concatenate(indices, Int32Array), options.team ?? alone);
  return outputOf({
    probabilities: rows(probabilities),
    logits: rows(logits),
    ...(options.features && { features: rows(features) }),
    ...(model.doubt !== undefined && { doubt: rows(doubts) }),
    targets: takeTargets(targets, shown),
    indices: shown,
  });
}

/** The sample numbers of all processes, in order, and what puts the values of all of them into it. */
function inOrder(
  indices: Int32Array,
  team: Team,
): { shown: Int32Array; rows: (parts: readonly Float32Array[]) => Float32Array } {
  if (team.size === 1) return { shown: indices, rows: (parts) => concatenate([...parts], Float32Array) };
  const all = team.concatenated(indices);
  const order = Array.from(all.keys()).sort((a, b) => all[a]! - all[b]!);
  const rows = (parts: readonly Float32Array[]) => {
    const values = team.concatenated(concatenate([...parts], Float32Array));
    const width = all.length === 0 ? 0 : values.length / all.length;
    const sorted = new Float32Array(values.length);
    for (const [to, from] of order.entries())
      sorted.set(values.subarray(from * width, (from + 1) * width), to * width);
    return sorted;
  };
  return { shown: Int32Array.from(order, (at) => all[at]!), rows };
}

/**
 * Logits and probabilities of a batch, n×K each, from a network in evaluation mode; its predicted doubt, where it has a
 * head for it, and the input of its last layer, where it is wanted.
 */
export function predictBatch(
  model: Network,
  batch: Pick<Batch, 'inputs'>,
  task: Task,
  mode: Mode,
  options: { readonly features?: boolean } = {},
): { probabilities: Float32Array; logits: Float32Array; doubt?: Float32Array; features?: Float32Array } {
  const floats = (tensor: Tensor) => tensor.toTypedArray() as Float32Array;
  return tidy(() =>
    noGrad(() => {
      // Without dropout the head sees the features as they are.
      const { logits, doubt, features } = saidIn(
        mode,
        model,
        gatherInputs(batch.inputs, mode.device),
        options,
      );
      return {
        probabilities: floats(task.probabilities(logits)),
        logits: floats(logits),
        ...(doubt && { doubt: floats(doubt.sigmoid()) }),
        ...(features && { features: floats(features) }),
      };
    }),
  );
}

/**
 * Outputs of their parts, checked.
 * @throws `metrics/probability` for what is no probability, and for one label of K what `predictions` throws
 */
export function outputOf(
  parts: Pick<NetworkOutput, 'probabilities' | 'logits' | 'doubt' | 'features' | 'targets' | 'indices'>,
): NetworkOutput {
  const { probabilities, targets } = parts;
  const output = { ...parts, classes: targets.names.length };
  if (targets.kind === 'one-of-k') {
    const { labels } = predictions(probabilities, targets.values, { classes: output.classes });
    return { ...output, labels };
  }
  const bad = probabilities.findIndex((p) => !(p >= 0 && p <= 1));
  if (bad >= 0) {
    throw new PenumbraError('metrics/probability', `${probabilities[bad]} is no probability`, {
      where: { row: Math.floor(bad / output.classes), finding: targets.names[bad % output.classes]! },
      hint: 'the network’s weights are not finite: train again with a lower learning rate',
    });
  }
  // A copy of the output does without the property, and reading it says what is wrong.
  return Object.defineProperty(output, 'labels', {
    enumerable: false,
    get: () => needOneOfK(targets, 'the labels of an output'),
  }) as unknown as NetworkOutput;
}

/** @throws `training/features` */
function needHead(model: Network): void {
  if (headOf(model) !== null) return;
  throw new PenumbraError('training/features', 'this network does not give the input of its last layer', {
    hint: 'a network with `head`, `featureSize` and `features` does',
  });
}

import { setImmediate } from 'node:timers/promises';
import { concatenate } from '../concatenate.ts';
import { type Batch, type BatchLoader, needOneOfK, type Targets, takeTargets } from '../data/index.ts';
import { PenumbraError } from '../errors.ts';
import { type Predictions, predictions } from '../metrics/index.ts';
import type { Network } from '../models/index.ts';
import { gatherInputs, type InputBatch, type Task, taskOf } from '../tasks/index.ts';
import { autocast, noGrad, type Tensor, tidy } from '../torch/index.ts';
import type { Module } from '../torch/nn/index.ts';
import type { Mode } from './mode.ts';

/** Runs `forward` in the mode's precision; its result comes back in float32. */
export function inMode(mode: Mode, forward: () => Tensor): Tensor {
  if (mode.precision === 'float32') return forward();
  const result = autocast(forward, { device: mode.device, dtype: mode.precision });
  const wide = result.to({ dtype: 'float32' });
  if (wide !== result) result.dispose();
  return wide;
}

/**
 * A network's logits [N, K], float32. Under autocast the last layer alone is computed in float32, where the network
 * names it: in bfloat16 the two largest of 165 logits would be exactly equal for one image in fifty.
 */
export function logitsIn(mode: Mode, model: LogitsOf, inputs: InputBatch): Tensor {
  if (model.forwardInputs !== undefined) return inMode(mode, () => model.forwardInputs!(inputs));
  const images = needImages(inputs);
  const head = mode.precision === 'float32' ? null : headOf(model);
  if (head === null) return inMode(mode, () => model.forward(images));
  const features = inMode(mode, () => model.features!(images));
  const logits = head.forward(features);
  features.dispose();
  return logits;
}

/** What of a network gives logits. */
export type LogitsOf = Pick<Network, 'forward' | 'forwardInputs' | 'features' | 'head'> &
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
  const indices: Int32Array[] = [];
  const task = taskOf(targets.kind);
  const head = options.features ? needHead(model) : null;
  const training = model.training;
  model.eval();
  let done = 0;
  try {
    for await (const batch of loader.epoch(0)) {
      const rows = predictBatch(model, batch, task, mode, head);
      probabilities.push(rows.probabilities);
      logits.push(rows.logits);
      if (rows.features) features.push(rows.features);
      indices.push(batch.indices);
      done += batch.indices.length;
      batch.release();
      options.onProgress?.(done);
      await setImmediate(); // Signals and messages of decoding threads are heard between batches.
    }
  } finally {
    model.train(training);
  }
  const shown = concatenate(indices, Int32Array);
  return outputOf({
    probabilities: concatenate(probabilities, Float32Array),
    logits: concatenate(logits, Float32Array),
    ...(head && { features: concatenate(features, Float32Array) }),
    targets: takeTargets(targets, shown),
    indices: shown,
  });
}

/**
 * Logits and probabilities of a batch, n×K each, from a network in evaluation mode.
 * @param head the last layer, where its input is wanted too
 */
export function predictBatch(
  model: Network,
  batch: Pick<Batch, 'inputs'>,
  task: Task,
  mode: Mode,
  head: Module | null = null,
): { probabilities: Float32Array; logits: Float32Array; features?: Float32Array } {
  return tidy(() =>
    noGrad(() => {
      const inputs = gatherInputs(batch.inputs, mode.device);
      // Without dropout the head sees the features as they are.
      const f = head && inMode(mode, () => model.features!(needImages(inputs)));
      const z = head ? head.forward(f!) : logitsIn(mode, model, inputs);
      return {
        probabilities: task.probabilities(z).toTypedArray() as Float32Array,
        logits: z.toTypedArray() as Float32Array,
        ...(f && { features: f.toTypedArray() as Float32Array }),
      };
    }),
  );
}

/**
 * Outputs of their parts, checked.
 * @throws `metrics/probability` for what is no probability, and for one label of K what `predictions` throws
 */
export function outputOf(
  parts: Pick<NetworkOutput, 'probabilities' | 'logits' | 'features' | 'targets' | 'indices'>,
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
function needHead(model: Network): Module {
  const head = headOf(model);
  if (head !== null) return head;
  throw new PenumbraError('training/features', 'this network does not give the input of its last layer', {
    hint: 'a network with `head`, `featureSize` and `features` does',
  });
}

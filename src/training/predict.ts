import { setImmediate } from 'node:timers/promises';
import type { Batch, BatchLoader } from '../data/index.ts';
import { type Predictions, predictions } from '../metrics/index.ts';
import type { Classifier } from '../models/index.ts';
import { autocast, fromTypedArray, noGrad, type Tensor, tidy } from '../torch/index.ts';
import type { Mode } from './mode.ts';

/** A batch's images as a tensor [N, channels, H, W] in the mode's device; over the batch's own memory on the CPU. */
export function toImages(batch: Batch, mode: Pick<Mode, 'device'>): Tensor {
  const images = fromTypedArray(batch.images, { shape: batch.shape });
  // N×H×W×C memory seen as [N, C, H, W] is the channels-last layout, without a copy.
  const ordered = batch.layout === 'NHWC' ? images.permute([0, 3, 1, 2]) : images;
  return mode.device === 'cpu' ? ordered : ordered.to({ device: mode.device });
}

/** Runs `forward` in the mode's precision; its result comes back in float32. */
export function inMode(mode: Mode, forward: () => Tensor): Tensor {
  if (mode.precision === 'float32') return forward();
  const result = autocast(forward, { device: mode.device, dtype: mode.precision });
  const wide = result.to({ dtype: 'float32' });
  if (wide !== result) result.dispose();
  return wide;
}

/**
 * A network's logits [N, K], float32. Under autocast the last layer alone is computed in float32: in bfloat16 the two
 * largest of 165 logits would be exactly equal for one image in fifty.
 */
export function logitsIn(mode: Mode, model: LogitsOf, images: Tensor): Tensor {
  if (mode.precision === 'float32' || !hasHead(model)) return inMode(mode, () => model.forward(images));
  const features = inMode(mode, () => model.features(images));
  const logits = model.submodule(model.head).forward(features);
  features.dispose();
  return logits;
}

/** What of a network gives logits. */
export type LogitsOf =
  | Pick<Classifier, 'forward'>
  | Pick<Classifier, 'features' | 'head' | 'submodule' | 'forward'>;

function hasHead(model: LogitsOf): model is Pick<Classifier, 'features' | 'head' | 'submodule' | 'forward'> {
  return 'head' in model;
}

export interface PredictOptions {
  readonly activation?: 'softmax' | 'sigmoid';
  /** Whether to keep the penultimate layer's outputs. Default: false. */
  readonly features?: boolean;
  /** Called after every batch with the number of samples done. */
  readonly onProgress?: (done: number) => void;
}

/** What a network says of a split, and of which samples (broken files are left out). */
export interface SplitPredictions extends Predictions {
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

/** Logits and probabilities for every sample of a loader's split, in evaluation mode. */
export async function predict(
  model: Classifier,
  loader: BatchLoader,
  classes: number,
  mode: Mode,
  options: PredictOptions = {},
): Promise<NetworkOutput> {
  const probabilities: Float32Array[] = [];
  const logits: Float32Array[] = [];
  const features: Float32Array[] = [];
  const labels: Int32Array[] = [];
  const indices: Int32Array[] = [];
  const head = options.features ? model.submodule(model.head) : null;
  const training = model.training;
  model.eval();
  let done = 0;
  try {
    for await (const batch of loader.epoch(0)) {
      tidy(() =>
        noGrad(() => {
          const images = toImages(batch, mode);
          // Without dropout the head sees the features as they are.
          const f = head && inMode(mode, () => model.features(images));
          const z = head ? head.forward(f!) : logitsIn(mode, model, images);
          const p = options.activation === 'sigmoid' ? z.sigmoid() : z.softmax(1);
          probabilities.push(p.toTypedArray() as Float32Array);
          logits.push(z.toTypedArray() as Float32Array);
          if (f) features.push(f.toTypedArray() as Float32Array);
        }),
      );
      labels.push(batch.labels);
      indices.push(batch.indices);
      done += batch.labels.length;
      batch.release();
      options.onProgress?.(done);
      await setImmediate(); // Signals and messages of decoding threads are heard between batches.
    }
  } finally {
    model.train(training);
  }
  return {
    ...predictions(join(probabilities, Float32Array), join(labels, Int32Array), { classes }),
    logits: join(logits, Float32Array),
    ...(head && { features: join(features, Float32Array) }),
    indices: join(indices, Int32Array),
  };
}

function join<A extends Float32Array | Int32Array>(parts: readonly A[], type: new (length: number) => A): A {
  const result = new type(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.length;
  }
  return result;
}

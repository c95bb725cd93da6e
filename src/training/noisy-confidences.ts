import { setImmediate } from 'node:timers/promises';
import { narrowSubset, type Subset } from '../data/index.ts';
import { PenumbraError } from '../errors.ts';
import { gatherInputs } from '../tasks/index.ts';
import { aten, Generator, noGrad, type Tensor, tidy } from '../torch/index.ts';
import { type OpenRun, openRun } from './evaluate-run.ts';
import { logitsIn } from './predict.ts';

export interface NoiseOptions {
  /** Images to sample, spread evenly over the subset; all where it has no more. */
  readonly images: number;
  /** Noisy copies of each image whose confidences are kept: m. */
  readonly samples: number;
  /** Noisy copies of each image that choose its class beforehand. Default: 100. */
  readonly selection?: number;
  /** Standard deviation of the noise in units of the network's input: [−1, 1] from black to white by default. */
  readonly sigma: number;
  /** Default: 0. */
  readonly seed?: number;
  readonly signal?: AbortSignal;
  /** Called after every image. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** What randomized smoothing certifies from, for M images. */
export interface NoisyConfidences {
  /** M×m, row-major: the chosen class's probability for each noisy copy. */
  readonly confidences: Float32Array;
  /** M classes, chosen by the mean probability over copies that are not among the m. */
  readonly chosen: Int32Array;
  /** M labels. */
  readonly labels: Int32Array;
  /** M sample numbers in the subset. */
  readonly indices: Int32Array;
}

/** Noisy copies that go through the network at once. */
const BATCH = 128;

/**
 * What a finished run's network says of images under Gaussian noise: the samples of randomized smoothing (Kumar et al.,
 * NeurIPS 2020, arXiv 2009.08061). No other images are decoded, and broken files are left out.
 * @throws `training/noise` for counts or a sigma that are not positive, and what `openRun` raises
 */
export async function noisyConfidences(
  folder: string,
  subset: Subset,
  options: NoiseOptions,
): Promise<NoisyConfidences> {
  const { images, samples, selection = 100, sigma, seed = 0, signal, onProgress } = options;
  for (const [name, value] of Object.entries({ images, samples, selection, sigma })) {
    if (value > 0) continue;
    throw new PenumbraError('training/noise', `${name} must be above 0, got ${value}`, {
      where: { argument: name },
    });
  }
  const total = Math.min(images, subset.length);
  const wanted = Uint32Array.from({ length: total }, (_, i) => Math.floor((i * subset.length) / total));
  await using run = openRun(folder, narrowSubset(subset, wanted));
  if (run.description.model.activation !== 'softmax') {
    throw new PenumbraError(
      'training/noise',
      'certified confidence is for one label per image, not for findings',
    );
  }
  const generator = new Generator(seed, run.mode.device);
  const rows: { confidences: Float32Array; chosen: number; label: number; index: number }[] = [];
  for await (const batch of run.loader.epoch(0)) {
    for (let i = 0; i < batch.labels.length; i++) {
      signal?.throwIfAborted();
      const seen = tidy(() =>
        noGrad(() => {
          const image = gatherInputs(batch.inputs, run.mode.device).images!.narrow(0, i, 1);
          const chosen = noisyProbabilities(run, image, selection, sigma, generator)
            .mean([0])
            .argmax()
            .item();
          const p = noisyProbabilities(run, image, samples, sigma, generator).select(1, chosen);
          return { chosen, confidences: p.contiguous().toTypedArray() as Float32Array };
        }),
      );
      rows.push({ ...seen, label: batch.labels[i]!, index: wanted[batch.indices[i]!]! });
      onProgress?.(rows.length, total);
      await setImmediate();
    }
    batch.release();
  }
  const confidences = new Float32Array(rows.length * samples);
  rows.forEach((row, i) => {
    confidences.set(row.confidences, i * samples);
  });
  return {
    confidences,
    chosen: Int32Array.from(rows, (row) => row.chosen),
    labels: Int32Array.from(rows, (row) => row.label),
    indices: Int32Array.from(rows, (row) => row.index),
  };
}

/** Probabilities of `copies` noisy copies of one image [1, C, H, W]: [copies, K]. */
function noisyProbabilities(
  { model, mode }: Pick<OpenRun, 'model' | 'mode'>,
  image: Tensor,
  copies: number,
  sigma: number,
  generator: Generator,
): Tensor {
  const parts: Tensor[] = [];
  for (let done = 0; done < copies; done += BATCH) {
    const shape = [Math.min(BATCH, copies - done), ...image.shape.slice(1)];
    const noise = aten.randn(shape, { generator, device: image.device });
    const noisy = noise.mul_(sigma).add_(image).contiguous({ memory_format: 'channels_last' });
    parts.push(logitsIn(mode, model, { images: noisy }).softmax(1));
  }
  return aten.cat(parts);
}

import type { BrokenFile, Dataset, SplitName } from '../data/index.ts';
import { inspectRun, splitOf } from './evaluate-run.ts';

/** The penultimate layer's outputs for N images of a split (broken files are left out). */
export interface RunFeatures {
  /** N×D, row-major. */
  readonly features: Float32Array;
  /** N classes. */
  readonly labels: Int32Array;
  /** N sample numbers in the split. */
  readonly indices: Int32Array;
  /** K class names. */
  readonly classes: readonly string[];
  readonly broken: readonly BrokenFile[];
}

/**
 * The features that a finished run's network makes of a split of a data set with the same classes: the input of its last
 * layer.
 * @throws `training/run`, `training/unfinished`, `training/no-split`, `training/classes`
 */
export async function embedRun(
  folder: string,
  dataset: Dataset,
  split: SplitName,
  options: { onProgress?: (done: number, total: number) => void } = {},
): Promise<RunFeatures> {
  const { output, broken } = await inspectRun(folder, splitOf(dataset, split), {
    ...options,
    features: true,
  });
  const { labels, indices } = output;
  return { features: output.features!, labels, indices, classes: dataset.classes, broken };
}

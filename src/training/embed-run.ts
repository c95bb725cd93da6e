import { type BrokenFile, type Dataset, type Findings, needOneOfK, type SplitName } from '../data/index.ts';
import { PenumbraError } from '../errors.ts';
import { nearest } from '../nearest.ts';
import { inspectRun, splitOf } from './evaluate-run.ts';
import { RunFolder } from './run-folder.ts';

/** The penultimate layer's outputs for N images of a split (broken files are left out). */
export interface RunFeatures {
  /** N×D, row-major. */
  readonly features: Float32Array;
  /** N classes; for a finding 0 absent, 1 present. */
  readonly labels: Int32Array;
  /** N sample numbers in the split. */
  readonly indices: Int32Array;
  /** K class names; for a finding two. */
  readonly classes: readonly string[];
  readonly broken: readonly BrokenFile[];
}

export interface EmbedOptions {
  /** For data with findings: the one that is looked at, in the samples where it is known. */
  readonly finding?: string | undefined;
  readonly onProgress?: (done: number, total: number) => void;
  /** Threads of the engine. Default: as many as the run was trained with. */
  readonly threads?: number | undefined;
}

/**
 * The features that a finished run's network makes of a split of a data set with the same classes: the input of its last
 * layer; of a network with a token for each finding, that of the finding's token.
 * @throws `training/run`, `training/unfinished`, `training/no-split`, `training/classes`, `training/features`, and
 * `training/finding` where a finding must be named, or one is named that is not there
 */
export async function embedRun(
  folder: string,
  dataset: Dataset,
  split: SplitName,
  options: EmbedOptions = {},
): Promise<RunFeatures> {
  const subset = splitOf(dataset, split);
  const column = findingNumber(dataset, subset.targets.kind, options.finding);
  const { output, broken } = await inspectRun(folder, subset, { ...options, features: true });
  const { targets, indices } = output;
  const features = output.features!;
  if (targets.kind === 'one-of-k') {
    const { values, names } = needOneOfK(targets, 'an embedding');
    return { features, labels: values, indices, classes: names, broken };
  }
  const rows = knownRows(targets, column);
  const { names, values } = targets;
  const all = features.length / indices.length;
  const tokens = new RunFolder(folder).description().config.findingTokens === true;
  const [from, width] = tokens ? [(column * all) / names.length, all / names.length] : [0, all];
  const kept = new Float32Array(rows.length * width);
  rows.forEach((row, i) => {
    const start = row * all + from;
    kept.set(features.subarray(start, start + width), i * width);
  });
  const name = names[column]!;
  return {
    features: kept,
    labels: rows.map((row) => Number(values[row * names.length + column]! > 0.5)),
    indices: rows.map((row) => indices[row]!),
    classes: [`no ${name}`, name],
    broken,
  };
}

/** @throws `training/finding` */
function findingNumber(dataset: Dataset, kind: Dataset['kind'], finding: string | undefined): number {
  const { classes, name } = dataset;
  const fail = (message: string, hint: string) =>
    new PenumbraError('training/finding', `${name} ${message}`, { hint });
  if (kind === 'one-of-k') {
    if (finding === undefined) return 0;
    throw fail('has one label of K, and no findings to choose', 'leave the finding out');
  }
  if (finding === undefined)
    throw fail(
      'has findings, and an embedding is measured by one of them',
      `name one of: ${classes.join(', ')}`,
    );
  const column = classes.indexOf(finding);
  if (column >= 0) return column;
  throw fail(`has no finding '${finding}'`, `did you mean '${nearest(finding, classes)}'?`);
}

/** Samples in which the finding is known to be present or absent. */
function knownRows({ values, mask, names }: Findings, column: number): Int32Array {
  const k = names.length;
  const rows = Int32Array.from({ length: values.length / k }, (_, row) => row);
  return rows.filter((row) => {
    const at = row * k + column;
    return (mask === undefined || mask[at] === 1) && values[at] !== 0.5;
  });
}

import { createHash } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { type Dataset, type SplitName, type Subset, takeTargets } from '../data/index.ts';
import { PenumbraError } from '../errors.ts';
import {
  compareSummaries as comparePredictions,
  FIGURES,
  type FigureName,
  holm,
  type Predictions,
  type SummaryOptions,
  summarize,
} from '../metrics/index.ts';
import {
  engineInfo,
  fromTypedArray,
  readSafetensors,
  Scope,
  type Tensor,
  writeSafetensors,
} from '../torch/index.ts';
import {
  type FitEvent,
  fingerprint,
  fit,
  inspectRun,
  type NetworkOutput,
  outputOf,
  RunFolder,
  type SplitPredictions,
  type TrainConfig,
} from '../training/index.ts';
import { knownOf } from './known.ts';
import type { StudyMethod, StudyPair, StudyResult, StudyRun } from './result.ts';

/** One training of a cell: one method from one seed. */
export interface CellRun {
  /** Tells methods apart; `objective` in results. */
  readonly method: string;
  /** For people. */
  readonly label: string;
  readonly seed: number;
  readonly folder: string;
  readonly config: TrainConfig;
}

/** One network on one data set: what a comparison is made of, and a study of many. */
export interface Cell {
  /** Where its runs and results lie. */
  readonly folder: string;
  readonly dataset: Dataset;
  /** The data set as the user named it. */
  readonly dataPath: string;
  /** The split that judges. */
  readonly split: SplitName;
}

/** The folder of a run within its cell's. */
export function runFolderName(method: string, seed: number): string {
  return join('runs', `${method.replace(/[^\w.-]+/g, '_')}-seed${seed}`);
}

/** The split that is asked for, or test where there is one, else val. @throws `study/split` */
export function judgedSplit(dataset: Dataset, wanted: SplitName | undefined): SplitName {
  const split = wanted ?? (dataset.splits.test ? 'test' : 'val');
  if (dataset.splits[split] === undefined) {
    throw new PenumbraError('study/split', `${dataset.name} has no split '${split}' to judge on`, {
      hint: `it has: ${Object.keys(dataset.splits).join(', ')}`,
    });
  }
  return split;
}

/** Trains one run, or goes on with it. @returns false where it was aborted */
export async function trainCellRun(
  cell: Cell,
  run: CellRun,
  options: { readonly signal?: AbortSignal | undefined; readonly onEvent?: (event: FitEvent) => void } = {},
): Promise<boolean> {
  // biome-ignore lint/suspicious/noFocusedTests: it trains
  const { finished } = await fit({
    config: run.config,
    dataset: cell.dataset,
    dataPath: cell.dataPath,
    folder: run.folder,
    ...(options.onEvent && { onEvent: options.onEvent }),
    ...(options.signal && { signal: options.signal }),
  });
  return finished;
}

/** What a finished run's network says of a subset; `features` where they were asked for. */
export type RunOutput = NetworkOutput;

/**
 * A finished run's outputs for a subset, from `<name>.safetensors` in its folder where they were made before by the same
 * weights for the same samples.
 */
export async function outputsOf(
  run: Pick<CellRun, 'folder'>,
  subset: Subset,
  name: string,
  options: { readonly features?: boolean } = {},
): Promise<RunOutput> {
  const path = join(run.folder, `${name}.safetensors`);
  const key = { samples: samplesKey(subset), weights: weightsKey(run.folder) };
  if (existsSync(path)) {
    using _scope = new Scope();
    const { tensors, metadata } = readSafetensors(path);
    const whole = tensors.has('logits') && (!options.features || tensors.has('features'));
    if (metadata.samples === key.samples && metadata.weights === key.weights && whole) {
      const floats = (tensor: string) => tensors.get(tensor)!.toTypedArray() as Float32Array;
      const integers = (tensor: string) => tensors.get(tensor)!.toTypedArray() as Int32Array;
      const indices = integers('indices');
      return outputOf({
        probabilities: floats('probabilities'),
        logits: floats('logits'),
        targets: takeTargets(subset.targets, indices),
        indices,
        ...(tensors.has('features') && { features: floats('features') }),
      });
    }
  }
  const { output } = await inspectRun(run.folder, subset, options);
  using _scope = new Scope();
  const rows = output.indices.length;
  const matrix = (values: Float32Array) => fromTypedArray(values, { shape: [rows, values.length / rows] });
  const tensors = new Map<string, Tensor>([
    ['probabilities', matrix(output.probabilities as Float32Array)],
    ['logits', matrix(output.logits)],
    ['indices', fromTypedArray(output.indices)],
  ]);
  if (output.features) tensors.set('features', matrix(output.features));
  writeSafetensors(path, tensors, key);
  return output;
}

/** Identifies the samples of a subset by labels, rows and some of their names, without reading the images. */
export function samplesKey(subset: Subset): string {
  const { rows, length } = subset;
  const hash = createHash('sha256').update(fingerprint(subset));
  hash.update(new Uint8Array(rows.buffer, rows.byteOffset, rows.byteLength));
  for (let i = 0; i < length; i += Math.ceil(length / 1000)) hash.update(`${subset.nameOf(i)}\0`);
  return hash.digest('hex').slice(0, 16);
}

/** Identifies a finished run by its weights. */
export function weightsKey(folder: string): string {
  const path = new RunFolder(folder).file('model.safetensors');
  const { mtimeMs, size } = statSync(path);
  const file = `${path}\0${mtimeMs}\0${size}`;
  const known = weightsKeys.get(file) ?? hashOf(readFileSync(path));
  weightsKeys.set(file, known);
  return known;
}

/** Half a gigabyte is not read again for every look. */
const weightsKeys = new Map<string, string>();

function hashOf(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex').slice(0, 16);
}

export interface ComparisonOptions {
  readonly bins?: number | undefined;
  readonly replicates?: number | undefined;
  /** The figures that get an interval and a test; default all. */
  readonly intervals?: readonly FigureName[] | undefined;
  /** The method that every other is compared with. Default: every pair is compared. */
  readonly baseline?: string | undefined;
  readonly command: string;
}

/** A run with what its network says of the judged split. */
export interface JudgedRun {
  readonly run: CellRun;
  readonly predictions: SplitPredictions;
}

/** The tables' content: every method over its seeds, and the differences of methods on the same samples. */
export function comparisonOf(
  cell: Cell,
  judged: readonly JudgedRun[],
  options: ComparisonOptions,
): StudyResult {
  const { dataset, split } = cell;
  const subset = dataset.splits[split]!;
  const { indices, labels } = judged[0]!.predictions;
  const summaryOptions = summaryOptionsOf(subset, indices, options);
  const ids = [...new Set(judged.map(({ run }) => run.method))];
  const predictions = new Map<string, Predictions[]>(
    ids.map((id) => [id, judged.filter(({ run }) => run.method === id).map((one) => one.predictions)]),
  );
  const methods: StudyMethod[] = ids.map((id) => {
    const runs = judged.filter(({ run }) => run.method === id).map(({ run }) => run);
    return {
      objective: id,
      label: runs[0]!.label,
      runs: runs.map((run) => studyRun(cell.folder, run)),
      summary: summarize(predictions.get(id)!, summaryOptions),
    };
  });
  const example = new RunFolder(judged[0]!.run.folder).description();
  const { config } = example;
  const { baseline } = options;
  return {
    version: 1,
    finished: new Date().toISOString(),
    command: options.command,
    data: {
      name: dataset.name,
      classes: dataset.classes,
      split,
      samples: indices.length,
      trainSamples: dataset.splits.train?.length ?? 0,
      support: countLabels(labels, dataset.classes.length),
      groups: subset.groups !== undefined,
      broken: subset.length - indices.length,
    },
    model: { name: config.model, ...example.model },
    settings: shownSettings(config, example.mode),
    methods,
    ...(baseline !== undefined && { baseline }),
    pairs: comparePairs(
      baseline === undefined ? allPairs(ids) : pairsWith(ids, baseline),
      predictions,
      summaryOptions,
    ),
    software: { ...example.software, libtorch: engineInfo().version },
  };
}

/** How the samples of a subset are summarised. @param indices the samples that could be read */
export function summaryOptionsOf(
  subset: Subset,
  indices: Int32Array,
  options: Pick<ComparisonOptions, 'bins' | 'replicates' | 'intervals'>,
): SummaryOptions {
  return {
    ...(options.replicates !== undefined && { replicates: options.replicates }),
    ...(options.bins !== undefined && { bins: options.bins }),
    ...(options.intervals !== undefined && { intervals: options.intervals }),
    ...knownOf(subset, indices),
  };
}

type Pair = { readonly first: string; readonly second: string };

function allPairs(ids: readonly string[]): Pair[] {
  return ids.flatMap((second, j) => ids.slice(j + 1).map((first) => ({ first, second })));
}

function pairsWith(ids: readonly string[], baseline: string): Pair[] {
  return ids.includes(baseline)
    ? ids.filter((id) => id !== baseline).map((first) => ({ first, second: baseline }))
    : [];
}

function comparePairs(
  pairs: readonly Pair[],
  predictions: ReadonlyMap<string, readonly Predictions[]>,
  options: SummaryOptions,
): StudyPair[] {
  const compared = pairs.map(({ first, second }) => ({
    first,
    second,
    comparison: comparePredictions(predictions.get(first)!, predictions.get(second)!, options),
  }));
  const corrected = new Map(
    FIGURES.map((figure) => [figure, holm(compared.map(({ comparison }) => comparison.figures[figure].p))]),
  );
  return compared.map((pair, i) => ({
    ...pair,
    corrected: Object.fromEntries(FIGURES.map((figure) => [figure, corrected.get(figure)![i]!])) as Record<
      FigureName,
      number | null
    >,
  }));
}

function studyRun(folder: string, run: CellRun): StudyRun {
  const epochs = new RunFolder(run.folder).metrics();
  return {
    seed: run.seed,
    folder: relative(folder, run.folder),
    epochs,
    seconds: epochs.reduce((sum, epoch) => sum + epoch.seconds, 0),
  };
}

function shownSettings(
  config: TrainConfig,
  mode: { precision: string; device: string; threads: number },
): [string, string][] {
  return [
    ['epochs', String(config.epochs)],
    ['batch size', String(config.batchSize)],
    [
      'optimizer',
      config.optimizer === 'sgd'
        ? `SGD, momentum ${config.momentum}${config.nesterov ? ', Nesterov' : ''}`
        : 'AdamW',
    ],
    [
      'learning rate',
      `${config.learningRate}, ${config.schedule}${config.warmUp > 0 ? `, ${config.warmUp} epoch warm-up` : ''}`,
    ],
    ['weight decay', String(config.weightDecay)],
    ['augmentation', augmentation(config)],
    ['precision', `${mode.precision} on ${mode.device}, ${mode.threads} threads`],
  ];
}

function augmentation({ cropPadding, flip }: TrainConfig): string {
  const parts = [...(cropPadding === 0 ? [] : ['random crop']), ...(flip ? ['horizontal flip'] : [])];
  return parts.length === 0 ? 'none' : parts.join(', ');
}

export function countLabels(labels: Int32Array, classes: number): number[] {
  const counts = new Array<number>(classes).fill(0);
  for (const label of labels) counts[label]!++;
  return counts;
}

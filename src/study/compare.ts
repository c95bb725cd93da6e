import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Dataset, SplitName, Subset } from '../data/index.ts';
import { PenumbraError } from '../errors.ts';
import {
  compare as comparePredictions,
  FIGURES,
  type FigureName,
  holm,
  type Predictions,
  type SummaryOptions,
  summarize,
} from '../metrics/index.ts';
import { formatObjective, objectiveLabel, parseObjective } from '../objectives/index.ts';
import { engineInfo, fromTypedArray, readSafetensors, Scope, writeSafetensors } from '../torch/index.ts';
import {
  evaluateRun,
  type FitEvent,
  fingerprint,
  fit,
  RunFolder,
  resolveConfig,
  type SplitPredictions,
  type TrainConfig,
  type TrainOptions,
  writeAtomically,
} from '../training/index.ts';
import { renderHtml } from './html/index.ts';
import { knownOf } from './known.ts';
import { renderMarkdown } from './markdown.ts';
import type { StudyMethod, StudyPair, StudyResult, StudyRun } from './result.ts';

export interface CompareOptions {
  /** Settings of every run; `objective` and `seed` are set by the comparison. */
  readonly settings: TrainOptions;
  /** As `parseObjective` reads them; the first is the baseline. */
  readonly objectives: readonly string[];
  /** Seeds 0 … seeds − 1 on top of the settings' own. */
  readonly seeds: number;
  readonly dataset: Dataset;
  readonly dataPath: string;
  /** Which split judges. Default: test where there is one, else val. */
  readonly split?: SplitName;
  /** The comparison's folder: runs, `result.json`, `result.md`, `report.html`. */
  readonly folder: string;
  /** Resamples of the intervals. Default 1,000. */
  readonly replicates?: number;
  readonly bins?: number;
  /** The command line, for the report. */
  readonly command: string;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: CompareEvent) => void;
}

export type CompareEvent =
  | {
      readonly type: 'run';
      readonly objective: string;
      readonly seed: number;
      readonly number: number;
      readonly runs: number;
      readonly state: 'start' | 'finished-before' | 'done';
    }
  | { readonly type: 'fit'; readonly event: FitEvent }
  | { readonly type: 'judge'; readonly message: string };

/** The files that a comparison writes beside its runs. */
export interface CompareFiles {
  readonly json: string;
  readonly markdown: string;
  readonly html: string;
}

interface PlannedRun {
  readonly objective: string;
  readonly seed: number;
  readonly folder: string;
  readonly config: TrainConfig;
}

/**
 * Trains the same network under every objective and seed, judges all of them on the same samples, and writes the
 * tables and the report. Runs that are finished are not run again.
 * @returns null where it was aborted; the same call goes on
 * @throws `study/option`, and whatever training and reading raise
 */
export async function compare(
  options: CompareOptions,
): Promise<{ result: StudyResult; files: CompareFiles } | null> {
  const { dataset, signal, onEvent = () => {} } = options;
  const plan = planRuns(options);
  const split = judgedSplit(dataset, options.split);
  mkdirSync(options.folder, { recursive: true });

  for (const [i, run] of plan.entries()) {
    const told = { objective: run.objective, seed: run.seed, number: i + 1, runs: plan.length };
    const before = new RunFolder(join(options.folder, run.folder)).finished;
    onEvent({ type: 'run', ...told, state: before ? 'finished-before' : 'start' });
    // biome-ignore lint/suspicious/noFocusedTests: it trains
    const { finished } = await fit({
      config: run.config,
      dataset,
      dataPath: options.dataPath,
      folder: join(options.folder, run.folder),
      onEvent: (event) => onEvent({ type: 'fit', event }),
      ...(signal && { signal }),
    });
    if (!finished) return null;
    if (!before) onEvent({ type: 'run', ...told, state: 'done' });
  }

  const judged: { run: PlannedRun; predictions: SplitPredictions }[] = [];
  for (const run of plan) {
    if (signal?.aborted) return null;
    onEvent({ type: 'judge', message: `${run.objective}, seed ${run.seed}` });
    judged.push({ run, predictions: await predictionsOf(run, options, dataset.splits[split]!, split) });
  }
  onEvent({ type: 'judge', message: 'intervals and differences' });
  const result = assemble(options, split, judged);
  const files = {
    json: join(options.folder, 'result.json'),
    markdown: join(options.folder, 'result.md'),
    html: join(options.folder, 'report.html'),
  };
  writeAtomically(files.json, `${JSON.stringify(result, null, 1)}\n`);
  writeAtomically(files.markdown, renderMarkdown(result));
  writeAtomically(files.html, renderHtml(result));
  return { result, files };
}

function planRuns(options: CompareOptions): PlannedRun[] {
  const objectives = options.objectives.map((text) => formatObjective(parseObjective(text)));
  const twice = objectives.find((objective, i) => objectives.indexOf(objective) !== i);
  if (objectives.length === 0 || twice !== undefined) {
    throw new PenumbraError(
      'study/option',
      twice === undefined ? 'no objectives were given' : `objective '${twice}' is given twice`,
    );
  }
  if (!Number.isInteger(options.seeds) || options.seeds < 1) {
    throw new PenumbraError('study/option', `seeds: expected a whole number from 1, got ${options.seeds}`);
  }
  const first = resolveConfig({ ...options.settings, objective: objectives[0]! }).seed;
  // Seeds outside, so that an interrupted comparison has every method once before it has any twice.
  return Array.from({ length: options.seeds }, (_, i) => first + i).flatMap((seed) =>
    objectives.map((objective) => ({
      objective,
      seed,
      folder: join('runs', `${objective.replace(/[^\w.-]+/g, '_')}-seed${seed}`),
      config: resolveConfig({ ...options.settings, objective, seed }),
    })),
  );
}

function judgedSplit(dataset: Dataset, wanted: SplitName | undefined): SplitName {
  const split = wanted ?? (dataset.splits.test ? 'test' : 'val');
  if (dataset.splits[split] === undefined) {
    throw new PenumbraError('study/split', `${dataset.name} has no split '${split}' to judge on`, {
      hint: `it has: ${Object.keys(dataset.splits).join(', ')}`,
    });
  }
  return split;
}

/** A finished run's predictions, from its folder where they were made before for the same samples. */
async function predictionsOf(
  run: PlannedRun,
  options: CompareOptions,
  subset: Subset,
  split: SplitName,
): Promise<SplitPredictions> {
  const folder = join(options.folder, run.folder);
  const path = join(folder, `predictions-${split}.safetensors`);
  const samples = fingerprint(subset);
  if (existsSync(path)) {
    using _scope = new Scope();
    const { tensors, metadata } = readSafetensors(path);
    if (metadata.samples === samples) {
      return {
        probabilities: tensors.get('probabilities')!.toTypedArray() as Float32Array,
        labels: tensors.get('labels')!.toTypedArray() as Int32Array,
        indices: tensors.get('indices')!.toTypedArray() as Int32Array,
        classes: subset.classes.length,
      };
    }
  }
  const { predictions } = await evaluateRun(folder, options.dataset, split);
  using _scope = new Scope();
  const shape = [predictions.labels.length, predictions.classes];
  writeSafetensors(
    path,
    new Map([
      ['probabilities', fromTypedArray(predictions.probabilities, { shape })],
      ['labels', fromTypedArray(predictions.labels)],
      ['indices', fromTypedArray(predictions.indices)],
    ]),
    { samples, split },
  );
  return predictions;
}

function assemble(
  options: CompareOptions,
  split: SplitName,
  judged: readonly { run: PlannedRun; predictions: SplitPredictions }[],
): StudyResult {
  const { dataset } = options;
  const subset = dataset.splits[split]!;
  const { indices } = judged[0]!.predictions;
  const summaryOptions: SummaryOptions = {
    ...(options.replicates !== undefined && { replicates: options.replicates }),
    ...(options.bins !== undefined && { bins: options.bins }),
    ...knownOf(subset, indices),
  };
  const objectives = [...new Set(judged.map(({ run }) => run.objective))];
  const predictions = new Map<string, Predictions[]>(
    objectives.map((objective) => [
      objective,
      judged.filter(({ run }) => run.objective === objective).map((one) => one.predictions),
    ]),
  );
  const methods: StudyMethod[] = objectives.map((objective) => ({
    objective,
    label: objectiveLabel(objective),
    runs: judged
      .filter(({ run }) => run.objective === objective)
      .map(({ run }) => studyRun(options.folder, run)),
    summary: summarize(predictions.get(objective)!, summaryOptions),
  }));
  const example = new RunFolder(join(options.folder, judged[0]!.run.folder)).description();
  const { config } = example;
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
      support: countLabels(judged[0]!.predictions.labels, dataset.classes.length),
      groups: subset.groups !== undefined,
      broken: subset.length - indices.length,
    },
    model: { name: config.model, ...example.model },
    settings: shownSettings(config, example.mode),
    methods,
    pairs: comparePairs(objectives, predictions, summaryOptions),
    software: { ...example.software, libtorch: engineInfo().version },
  };
}

function comparePairs(
  objectives: readonly string[],
  predictions: ReadonlyMap<string, readonly Predictions[]>,
  options: SummaryOptions,
): StudyPair[] {
  const pairs = objectives.flatMap((second, j) =>
    objectives.slice(j + 1).map((first) => ({ first, second })),
  );
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

function studyRun(folder: string, run: PlannedRun): StudyRun {
  const epochs = new RunFolder(join(folder, run.folder)).metrics();
  return {
    seed: run.seed,
    folder: run.folder,
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

function countLabels(labels: Int32Array, classes: number): number[] {
  const counts = new Array<number>(classes).fill(0);
  for (const label of labels) counts[label]!++;
  return counts;
}

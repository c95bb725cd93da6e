import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Dataset, SplitName } from '../data/index.ts';
import { PenumbraError } from '../errors.ts';
import { formatObjective, objectiveLabel, parseObjective } from '../objectives/index.ts';
import {
  type FitEvent,
  RunFolder,
  resolveConfig,
  type TrainOptions,
  writeAtomically,
} from '../training/index.ts';
import {
  type Cell,
  type CellRun,
  comparisonOf,
  type JudgedRun,
  judgedSplit,
  outputsOf,
  runFolderName,
  trainCellRun,
} from './cell.ts';
import { renderHtml } from './html/index.ts';
import { renderMarkdown } from './markdown.ts';
import type { StudyResult } from './result.ts';

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

/**
 * Trains the same network under every objective and seed, judges all of them on the same samples, and writes the
 * tables and the report. Runs that are finished are not run again.
 * @returns null where it was aborted; the same call goes on
 * @throws `study/option`, and whatever training and reading raise
 */
export async function compare(
  options: CompareOptions,
): Promise<{ result: StudyResult; files: CompareFiles } | null> {
  const { dataset, dataPath, folder, signal, onEvent = () => {} } = options;
  const runs = planRuns(options);
  const cell: Cell = { folder, dataset, dataPath, split: judgedSplit(dataset, options.split) };
  mkdirSync(folder, { recursive: true });

  for (const [i, run] of runs.entries()) {
    const told = { objective: run.method, seed: run.seed, number: i + 1, runs: runs.length };
    const before = new RunFolder(run.folder).finished;
    onEvent({ type: 'run', ...told, state: before ? 'finished-before' : 'start' });
    const finished = await trainCellRun(cell, run, {
      signal,
      onEvent: (event) => onEvent({ type: 'fit', event }),
    });
    if (!finished) return null;
    if (!before) onEvent({ type: 'run', ...told, state: 'done' });
  }

  const judged: JudgedRun[] = [];
  for (const run of runs) {
    if (signal?.aborted) return null;
    onEvent({ type: 'judge', message: `${run.method}, seed ${run.seed}` });
    const subset = dataset.splits[cell.split]!;
    judged.push({ run, predictions: await outputsOf(run, subset, `predictions-${cell.split}`) });
  }
  onEvent({ type: 'judge', message: 'intervals and differences' });
  const result = comparisonOf(cell, judged, {
    bins: options.bins,
    replicates: options.replicates,
    command: options.command,
  });
  return { result, files: writeComparison(folder, result) };
}

/** Writes a cell's result, its table and its report into the cell's folder. */
export function writeComparison(folder: string, result: StudyResult): CompareFiles {
  const files = {
    json: join(folder, 'result.json'),
    markdown: join(folder, 'result.md'),
    html: join(folder, 'report.html'),
  };
  writeAtomically(files.json, `${JSON.stringify(result, null, 1)}\n`);
  writeAtomically(files.markdown, renderMarkdown(result));
  writeAtomically(files.html, renderHtml(result));
  return files;
}

function planRuns(options: CompareOptions): CellRun[] {
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
      method: objective,
      label: objectiveLabel(objective),
      seed,
      folder: join(options.folder, runFolderName(objective, seed)),
      config: resolveConfig({ ...options.settings, objective, seed }),
    })),
  );
}

import { join } from 'node:path';
import { type Dataset, datasetIdentity, type OpenOptions, type SplitName } from '../data/index.ts';
import { PenumbraError } from '../errors.ts';
import { claimFolder, waitForLock } from '../files/index.ts';
import { list } from '../judgement/format.ts';
import { type Report, reportHtml, reportMarkdown, reportVerdicts } from '../judgement/index.ts';
import { formatObjective, parseObjective } from '../objectives/index.ts';
import { resolveConfig, type TrainOptions, writeAtomically } from '../training/index.ts';
import { checkRuns } from './check-runs.ts';
import { JOBS_FILE, type JobOptions } from './jobs/choose-jobs.ts';
import { type PlannedRun, planStudy } from './plan.ts';
import { type PictureFormat, runOpened, type StudyEvent, withJobs, writeFigures } from './study.ts';
import { judgedSplit, type OpenedSet } from './study-data.ts';
import { resolveStudy } from './study-file.ts';

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
  /** Settings of parts of the report, as a study file takes them: `{ images: false }`. */
  readonly parts?: Readonly<Record<string, unknown>>;
  /** What figures are written as besides SVG. Default: nothing; a PNG takes a third of a second. */
  readonly pictures?: readonly PictureFormat[] | undefined;
  /** The command line, for the report. */
  readonly command: string;
  /**
   * Trains so many runs at a time, each in a process of its own with its share of the cores; `auto` measures how many.
   * Default: one at a time, in this process, with all cores.
   */
  readonly jobs?:
    | {
        readonly count: number | 'auto';
        /** How those processes open the data set. */
        readonly open: OpenOptions;
        /** The methods and the network as they were given, where they are files of one's own. */
        readonly objectives?: readonly string[];
        readonly model?: string | undefined;
      }
    | undefined;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: StudyEvent) => void;
}

/** The files that a comparison writes beside its runs. */
export interface CompareFiles {
  readonly json: string;
  readonly markdown: string;
  readonly html: string;
  /** Folder of the figures: .svg, and what `pictures` asks for. */
  readonly figures: string;
}

export interface CompareOutcome {
  readonly report: Report;
  readonly files: CompareFiles;
  /** Runs that diverged, with the reason. */
  readonly failed: ReadonlyMap<PlannedRun, string>;
}

/** Beyond so many methods each is compared with the first alone. */
const MOST_PAIRED = 5;

/**
 * Trains the same network under every objective and seed, judges all of them on the same samples, and writes the tables
 * and the report: a study with one cell, whose folder is the study's. Runs that are finished are not run again.
 * @returns null where it was aborted; the same call goes on
 * @throws `study/option`, and whatever training and reading raise
 */
export async function compare(options: CompareOptions): Promise<CompareOutcome | null> {
  const { folder, command, signal, onEvent } = options;
  const study = studyOf(options);
  const set = setOf(options);
  const planned = (threads: number | null) => {
    const plan = planStudy(study, [set], folder, { place: () => folder, threads });
    return { study, sets: [set], plan, chosen: plan.runs };
  };
  const asked = planned(null);
  await checkRuns(asked.chosen);
  claimFolder(folder, {
    kind: 'comparison',
    names: ['result.json', 'result.md', 'report.html', 'figures', JOBS_FILE],
    known: { file: 'result.json', keys: ['methods'] },
  });
  const { opened, pool } = await withJobs(asked, {
    folder,
    jobs: jobsOf(options, set.id),
    replan: planned,
    signal,
    onEvent,
  });
  await using _pool = pool;
  const outcome = await runOpened(opened, { command, signal, onEvent, trainer: pool });
  if (outcome.state !== 'judged') return null;
  const { report, failed } = outcome;
  const title = `${options.dataset.name}: ${list(report.methods.map(({ label }) => label))}`;
  // Its only cell needs no name.
  const cells = report.cells.map((cell) => ({ ...cell, set: '', network: '' }));
  const titled = { ...report, title, cells };
  // The cell's folder is this one: whoever takes its lock clears away what looks half written.
  using _lock = await waitForLock(join(folder, 'run.lock'), { what: folder, signal });
  return { report: titled, files: await writeComparison(folder, titled, options), failed };
}

function jobsOf({ jobs, dataset, dataPath }: CompareOptions, id: string): JobOptions | undefined {
  if (jobs === undefined) return undefined;
  const { count, open, objectives = [], model } = jobs;
  const identity = datasetIdentity(dataset);
  return {
    count,
    source: { kind: 'dataset', id, path: dataPath, options: open, identity, objectives, model },
  };
}

/** Writes a comparison's result, its tables and its page into its folder. */
async function writeComparison(
  folder: string,
  report: Report,
  { pictures, onEvent }: Pick<CompareOptions, 'pictures' | 'onEvent'>,
): Promise<CompareFiles> {
  const files = {
    json: join(folder, 'result.json'),
    markdown: join(folder, 'result.md'),
    html: join(folder, 'report.html'),
    figures: join(folder, 'figures'),
  };
  await writeFigures(files.figures, report, pictures, onEvent);
  writeAtomically(
    files.json,
    `${JSON.stringify({ ...report, verdicts: reportVerdicts(report) }, null, 1)}\n`,
  );
  writeAtomically(files.markdown, reportMarkdown(report));
  writeAtomically(files.html, reportHtml(report));
  return files;
}

function studyOf({ settings, objectives, seeds, replicates, bins, parts }: CompareOptions) {
  if (!Number.isInteger(seeds) || seeds < 1) {
    throw new PenumbraError('study/option', `seeds: expected a whole number from 1, got ${seeds}`);
  }
  const named = objectives.map((text) => formatObjective(parseObjective(text)));
  const twice = named.find((objective, i) => named.indexOf(objective) !== i);
  if (objectives.length === 0 || twice !== undefined) {
    throw new PenumbraError(
      'study/option',
      twice === undefined ? 'no objectives were given' : `objective '${twice}' is given twice`,
    );
  }
  const { model, seed, mixup } = resolveConfig(settings);
  const { model: _, seed: __, mixup: ___, objective: ____, ...others } = settings;
  const study = resolveStudy(
    {
      name: 'compare',
      sets: { data: { path: '.' } },
      networks: [model],
      methods: objectives.map((objective) => ({ objective, mixup })),
      seeds: Array.from({ length: seeds }, (_seed, i) => seed + i),
      embeddings: false,
      ...parts,
      ...(replicates !== undefined && { replicates }),
      ...(bins !== undefined && { bins }),
    },
    'comparison',
  );
  return {
    ...study,
    config: { ...study.config, settings: others as Record<string, unknown> },
    baseline: study.methods[0]!.id,
    pairs: objectives.length <= MOST_PAIRED ? ('all' as const) : ('baseline' as const),
  };
}

function setOf({ dataset, dataPath, split: wanted }: CompareOptions): OpenedSet {
  if (dataset.splits.train === undefined) {
    throw new PenumbraError('training/no-train-split', `${dataset.name} has no training split`, {
      hint: 'name a split "train", or let fractions divide the data',
    });
  }
  const split = judgedSplit(dataset, wanted);
  const calibration = split === 'val' ? undefined : dataset.splits.val;
  return { id: dataset.name, path: dataPath, dataset, split, calibration, centres: [] };
}

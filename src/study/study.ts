import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { PenumbraError } from '../errors.ts';
import { type Claim, claimFolder, makeFolder, writeWhole } from '../files/index.ts';
import {
  type Judgement,
  type Report,
  reportFigures,
  reportHtml,
  reportMarkdown,
  reportTables,
  reportVerdicts,
  tableCsv,
  tableJson,
  tableLatex,
  tableMarkdown,
} from '../judgement/index.ts';
import { pdfOf } from '../page/pdf/index.ts';
import { pngOf } from '../page/png.ts';
import { engineInfo } from '../torch/index.ts';
import { RunFolder, writeAtomically } from '../training/index.ts';
import { checkRuns } from './check-runs.ts';
import './curves.ts';
import { chooseJobs, JOBS_FILE, type JobOptions } from './jobs/choose-jobs.ts';
import { JobPool } from './jobs/job-pool.ts';
import { judgeCell } from './judge-cell.ts';
import {
  isFinished,
  type PlannedCell,
  type PlannedRun,
  planStudy,
  type Selection,
  type StudyPlan,
  selectRuns,
} from './plan.ts';
import { type JudgedCell, reportOf } from './report-study.ts';
import { type OpenedSet, openStudyData } from './study-data.ts';
import type { StudySpec } from './study-file.ts';
import { type TrainEvent, type Trainer, trainStudy } from './train-study.ts';

export interface StudyOptions extends Selection {
  readonly study: StudySpec;
  /** The study's folder: runs, results, tables and pictures. */
  readonly folder: string;
  /** The command line, for the report. */
  readonly command: string;
  /** Judge what is finished, though the study is not. Default: false. */
  readonly partial?: boolean;
  /** What figures are written as besides SVG. Default: nothing; a PNG takes a third of a second. */
  readonly pictures?: readonly PictureFormat[] | undefined;
  /**
   * Trains so many runs at a time, each in a process of its own with its share of the cores; `auto` measures how many.
   * Default: one at a time, in this process, with all cores.
   */
  readonly jobs?: number | 'auto' | undefined;
  /** Looks at a set before anything is trained on it, to say what is odd about its images. `left`: its unfinished runs. */
  readonly look?: ((set: OpenedSet, left: readonly PlannedRun[]) => Promise<void>) | undefined;
  /** Files of methods and networks of one's own that the study names, for the processes of `jobs`. */
  readonly code?: readonly string[];
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: ((event: StudyEvent) => void) | undefined;
}

export type StudyEvent =
  | TrainEvent
  | { readonly type: 'judge'; readonly message: string }
  /** Before the first run, where several are trained at a time. */
  | { readonly type: 'jobs'; readonly jobs: number; readonly threads: number };

/** What a study wrote, besides runs and cells. */
export interface StudyFiles {
  readonly json: string;
  /** The reading and all tables, as Markdown. */
  readonly markdown: string;
  readonly html: string;
  /** Folder of every table as .md, .tex, .csv and .json. */
  readonly tables: string;
  /** Folder of the figures as .svg. */
  readonly figures: string;
}

export type Outcome =
  /** Aborted: the same call goes on. */
  | { readonly state: 'stopped' }
  /** The chosen runs are finished, and others of the study are not. */
  | { readonly state: 'waiting'; readonly left: readonly PlannedRun[] }
  | {
      readonly state: 'judged';
      readonly report: Report;
      /** Runs that diverged, with the reason. */
      readonly failed: ReadonlyMap<PlannedRun, string>;
    };

export type StudyOutcome =
  | Exclude<Outcome, { state: 'judged' }>
  | (Extract<Outcome, { state: 'judged' }> & { readonly files: StudyFiles });

/** A study whose data are open and whose runs are planned: everything that could be wrong was looked for. */
export interface OpenedStudy {
  readonly study: StudySpec;
  readonly sets: readonly OpenedSet[];
  readonly plan: StudyPlan;
  /** The runs of the selection, in order. */
  readonly chosen: readonly PlannedRun[];
}

/**
 * Opens every data set, plans every run and checks that each can start, without training anything.
 * @param look as in {@link StudyOptions}
 * @throws what the data, the settings, the networks and their weights raise
 */
export async function openStudy(
  study: StudySpec,
  folder: string,
  selection: Selection = {},
  look?: StudyOptions['look'],
): Promise<OpenedStudy> {
  const sets = await openStudyData(study);
  const plan = planStudy(study, sets, folder);
  const chosen = selectRuns(plan, selection);
  await checkRuns(chosen);
  for (const set of sets) {
    const left = chosen.filter((run) => run.set === set.id && !isFinished(run));
    if (left.length > 0) await look?.(set, left);
  }
  return { study, sets, plan, chosen };
}

/** What a study writes anew each time. */
const STUDY: Claim = {
  kind: 'study',
  names: ['study.json', 'result.json', 'tables.md', 'report.html', 'tables', 'figures', JOBS_FILE],
  known: { file: 'study.json', keys: ['sets', 'methods', 'runs'] },
};

/**
 * Trains what is not trained yet and judges it: every method on every network and data set from every seed. It can be
 * stopped and gone on with at any time, and several processes can share one folder. Once all runs of the study are
 * finished it writes `result.json`, the tables, the figures and the report.
 */
export async function runStudy(options: StudyOptions): Promise<StudyOutcome> {
  const { study, folder } = options;
  const asked = await openStudy(study, folder, options, options.look);
  claimFolder(folder, STUDY);
  const { opened, ...jobs } = await withJobs(asked, {
    folder,
    jobs:
      options.jobs === undefined
        ? undefined
        : { count: options.jobs, source: { kind: 'study', study, code: options.code ?? [] } },
    replan: (threads) => {
      const plan = planStudy(study, asked.sets, folder, { threads });
      return { ...asked, plan, chosen: selectRuns(plan, options) };
    },
    signal: options.signal,
    onEvent: options.onEvent,
  });
  await using _pool = jobs.pool;
  writeAtomically(join(folder, 'study.json'), `${JSON.stringify(describe(opened), null, 1)}\n`);
  const outcome = await runOpened(opened, { ...options, trainer: jobs.pool });
  return outcome.state === 'judged'
    ? { ...outcome, files: await writeStudy(folder, outcome.report, options.pictures, options.onEvent) }
    : outcome;
}

/** Chooses the number of jobs, plans the runs with their threads, and makes the processes' pool. */
export async function withJobs(
  asked: OpenedStudy,
  options: {
    readonly folder: string;
    readonly jobs: JobOptions | undefined;
    readonly replan: (threads: number) => OpenedStudy;
    readonly signal: AbortSignal | undefined;
    readonly onEvent: ((event: StudyEvent) => void) | undefined;
  },
): Promise<{ readonly opened: OpenedStudy; readonly pool: JobPool | undefined }> {
  const { jobs: given, folder, onEvent = () => {}, signal } = options;
  if (given === undefined) return { opened: asked, pool: undefined };
  const notice = (message: string) => onEvent({ type: 'notice', message });
  const { jobs, threads } = await chooseJobs(given, asked.chosen, folder, notice, signal);
  const opened = options.replan(threads);
  if (opened.chosen.every(isFinished)) return { opened, pool: undefined };
  onEvent({ type: 'jobs', jobs, threads });
  return { opened, pool: new JobPool(given.source, jobs) };
}

/** Trains and judges an opened study; what it wrote are runs and judgements alone. */
export async function runOpened(
  opened: OpenedStudy,
  options: Pick<StudyOptions, 'command' | 'partial' | 'signal' | 'onEvent'> & {
    readonly trainer?: (Trainer & AsyncDisposable) | undefined;
  },
): Promise<Outcome> {
  const { signal, onEvent = () => {}, partial = false, command, trainer } = options;
  const { finished, failed } = await trainStudy(opened.chosen, {
    signal,
    onEvent,
    ...(trainer && { trainer }),
  });
  // Processes that wait for runs hold memory, which judging needs.
  await trainer?.[Symbol.asyncDispose]();
  if (!finished) return { state: 'stopped' };
  const left = opened.plan.runs.filter(
    (run) => run.role === 'method' && !isFinished(run) && !failed.has(run),
  );
  if (left.length > 0 && !partial) return { state: 'waiting', left };
  try {
    const judged: JudgedCell[] = [];
    for (const cell of opened.plan.cells) {
      const runs = cell.runs.filter(isFinished);
      if (runs.length === 0) continue;
      judged.push({ cell, runs, judgement: await judgeAlone(opened, cell, runs, { signal, onEvent }) });
    }
    if (judged.length === 0) {
      throw new PenumbraError('study/unfinished', 'no run of the study is finished', {
        hint:
          failed.size === 0 ? 'train first: the same command without --partial' : [...failed.values()][0]!,
      });
    }
    return { state: 'judged', report: reportOf(opened, judged, command), failed };
  } catch (error) {
    if (signal?.aborted) return { state: 'stopped' };
    throw error;
  }
}

/** Only one process judges a cell; the others wait and read what it found. */
async function judgeAlone(
  { study, plan }: OpenedStudy,
  cell: PlannedCell,
  runs: readonly PlannedRun[],
  { signal, onEvent }: { signal: AbortSignal | undefined; onEvent: (event: StudyEvent) => void },
): Promise<Judgement> {
  using _lock = await cellLock(cell, signal);
  const name = plan.cells.length === 1 ? '' : `${cell.set.id}, ${cell.network}: `;
  return await judgeCell(study, cell, runs, {
    signal,
    onMessage: (message) => onEvent({ type: 'judge', message: `${name}${message}` }),
  });
}

async function cellLock(cell: PlannedCell, signal: AbortSignal | undefined): Promise<Disposable> {
  for (;;) {
    signal?.throwIfAborted();
    try {
      return new RunFolder(cell.folder).lock();
    } catch (error) {
      if (!(error instanceof PenumbraError) || error.code !== 'training/locked') throw error;
      await sleep(500);
    }
  }
}

/** Writes a study's result, tables, figures and report into its folder. */
export async function writeStudy(
  folder: string,
  report: Report,
  pictures?: readonly PictureFormat[],
  onEvent?: (event: StudyEvent) => void,
): Promise<StudyFiles> {
  const files = {
    json: join(folder, 'result.json'),
    markdown: join(folder, 'tables.md'),
    html: join(folder, 'report.html'),
    tables: join(folder, 'tables'),
    figures: join(folder, 'figures'),
  };
  makeFolder(files.tables);
  const formats = { md: tableMarkdown, tex: tableLatex, csv: tableCsv, json: tableJson };
  for (const table of reportTables(report))
    for (const [ending, text] of Object.entries(formats))
      writeAtomically(join(files.tables, `${table.id}.${ending}`), text(table));
  await writeFigures(files.figures, report, pictures, onEvent);
  writeAtomically(files.markdown, reportMarkdown(report));
  writeAtomically(files.html, reportHtml(report));
  writeAtomically(files.json, `${JSON.stringify({ ...report, verdicts: reportVerdicts(report) })}\n`);
  return files;
}

/** Every figure as SVG and, where that is asked for and this machine has fonts, as PNG. */
export async function writeFigures(
  folder: string,
  report: Report,
  pictures: readonly PictureFormat[] = [],
  onEvent: (event: StudyEvent) => void = () => {},
): Promise<void> {
  makeFolder(folder);
  const without: Record<PictureFormat, number> = { png: 0, pdf: 0 };
  for (const [name, svg] of reportFigures(report)) {
    writeAtomically(join(folder, name), svg);
    for (const format of pictures) {
      const bytes = await PICTURES[format](svg);
      if (bytes !== undefined) writeWhole(join(folder, name.replace(/\.svg$/, `.${format}`)), bytes);
      else without[format]++;
    }
  }
  const reasons = {
    png: 'this machine has no fonts',
    pdf: "they have letters that PDF's standard fonts lack",
  };
  for (const format of pictures)
    if (without[format] > 0)
      onEvent({
        type: 'notice',
        message: `${without[format]} ${without[format] === 1 ? 'figure is' : 'figures are'} SVG alone, not ${format.toUpperCase()}: ${reasons[format]}`,
      });
}

const PICTURES = { png: pngOf, pdf: pdfOf } as const;
/** What figures are written as besides SVG. */
export type PictureFormat = keyof typeof PICTURES;

/** `study.json`: the study with every default filled in, and every run with its settings. */
function describe({ study, sets, plan }: OpenedStudy): object {
  return {
    ...study.config,
    methods: study.methods,
    seeds: study.seeds,
    baseline: study.baseline,
    sets: Object.fromEntries(study.sets),
    data: sets.map(({ id, dataset, split }) => ({
      id,
      name: dataset.name,
      format: dataset.format,
      classes: dataset.classes,
      samples: Object.fromEntries(
        Object.entries(dataset.splits).map(([name, subset]) => [name, subset.length]),
      ),
      judged: split,
    })),
    runs: plan.runs.map(({ set, network, method, seed, role, config }) => ({
      set,
      network,
      method,
      seed,
      role,
      config,
    })),
    software: { node: process.version, libtorch: engineInfo().version },
  };
}

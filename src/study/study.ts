import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { defaultCalibrators } from '../calibration/index.ts';
import { PenumbraError } from '../errors.ts';
import { engineInfo } from '../torch/index.ts';
import { RunFolder, writeAtomically } from '../training/index.ts';
import { countLabels } from './cell.ts';
import { checkRuns } from './check-runs.ts';
import { writeComparison } from './compare.ts';
import { renderStudyFigures } from './draw/index.ts';
import { renderStudyHtml } from './html/index.ts';
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
import { type OpenedSet, openStudyData } from './study-data.ts';
import type { MethodSpec, StudySpec } from './study-file.ts';
import type { ReportSet, StudyCell, StudyReport } from './study-result.ts';
import { studyTables, tableCsv, tableJson, tableLatex, tableMarkdown } from './tables/index.ts';
import { type TrainEvent, trainStudy } from './train-study.ts';

export interface StudyOptions extends Selection {
  readonly study: StudySpec;
  /** The study's folder: runs, results, tables and pictures. */
  readonly folder: string;
  /** The command line, for the report. */
  readonly command: string;
  /** Judge what is finished, though the study is not. Default: false. */
  readonly partial?: boolean;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: StudyEvent) => void;
}

export type StudyEvent = TrainEvent | { readonly type: 'judge'; readonly message: string };

/** What a study wrote, besides runs and cells. */
export interface StudyFiles {
  readonly json: string;
  /** All tables, as Markdown. */
  readonly markdown: string;
  readonly html: string;
  /** Folder of every table as .md, .tex, .csv and .json. */
  readonly tables: string;
  /** Folder of the figures as .svg. */
  readonly figures: string;
}

export type StudyOutcome =
  /** Aborted: the same call goes on. */
  | { readonly state: 'stopped' }
  /** The chosen runs are finished, and others of the study are not. */
  | { readonly state: 'waiting'; readonly left: readonly PlannedRun[] }
  | {
      readonly state: 'judged';
      readonly report: StudyReport;
      readonly files: StudyFiles;
      /** Runs that diverged, with the reason. */
      readonly failed: ReadonlyMap<PlannedRun, string>;
    };

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
 * @throws what the data, the settings, the networks and their weights raise
 */
export async function openStudy(
  study: StudySpec,
  folder: string,
  selection: Selection = {},
): Promise<OpenedStudy> {
  const sets = openStudyData(study);
  const plan = planStudy(study, sets, folder);
  const chosen = selectRuns(plan, selection);
  await checkRuns(chosen);
  return { study, sets, plan, chosen };
}

/**
 * Trains what is not trained yet and judges it: every method on every network and data set from every seed. It can be
 * stopped and gone on with at any time, and several processes can share one folder. Once all runs of the study are
 * finished it writes `result.json`, the tables, the figures and the report.
 */
export async function runStudy(options: StudyOptions): Promise<StudyOutcome> {
  const { study, folder, signal, onEvent = () => {} } = options;
  const opened = await openStudy(study, folder, options);
  mkdirSync(folder, { recursive: true });
  writeAtomically(join(folder, 'study.json'), `${JSON.stringify(describe(opened), null, 1)}\n`);
  const { finished, failed } = await trainStudy(opened.chosen, { signal, onEvent });
  if (!finished) return { state: 'stopped' };

  const judged = opened.plan.runs.filter((run) => run.role === 'method');
  const left = judged.filter((run) => !isFinished(run) && !failed.has(run));
  if (left.length > 0 && options.partial !== true) return { state: 'waiting', left };
  const report = await judgeStudy(opened, options);
  if (report === null) return { state: 'stopped' };
  return { state: 'judged', report, files: writeStudy(folder, report), failed };
}

/** @returns null where it was aborted; cells that were judged by then are kept */
async function judgeStudy(
  { study, sets, plan }: OpenedStudy,
  { folder, command, signal, onEvent = () => {} }: StudyOptions,
): Promise<StudyReport | null> {
  const cells: StudyCell[] = [];
  const missing: string[] = [];
  try {
    for (const cell of plan.cells) {
      const name = `${cell.set.id}, ${cell.network}`;
      const runs = cell.runs.filter(isFinished);
      for (const { id } of study.methods) {
        const done = runs.filter(({ method }) => method === id).length;
        if (done < study.seeds.length)
          missing.push(`${name}: ${done} of ${study.seeds.length} runs of ${id} are finished.`);
      }
      if (runs.length === 0) continue;
      using _lock = await cellLock(cell, signal);
      const judged = await judgeCell(study, cell, runs, {
        command,
        signal,
        onMessage: (message) => onEvent({ type: 'judge', message: `${name}: ${message}` }),
      });
      writeComparison(cell.folder, judged.comparison);
      cells.push(judged);
    }
  } catch (error) {
    if (signal?.aborted) return null;
    throw error;
  }
  if (cells.length === 0) {
    throw new PenumbraError('study/unfinished', `no run of the study in ${folder} is finished`, {
      hint: 'train first: the same command without --partial',
    });
  }
  const { settings } = cells[0]!.comparison.methods[0]!.summary;
  return {
    version: 1,
    name: study.config.name,
    title: study.title,
    finished: new Date().toISOString(),
    command,
    baseline: study.baseline,
    methods: study.methods.map((method) => ({
      id: method.id,
      label: method.label,
      objective: method.objective,
      mixup: method.mixup,
      settings: shownSettings(method),
    })),
    sets: sets.map(describeSet),
    networks: study.config.networks.flatMap((id) => {
      const cell = cells.find(({ network }) => network === id);
      return cell === undefined ? [] : [{ id, parameters: cell.comparison.model.parameters }];
    }),
    seeds: study.seeds,
    calibrators: study.config.calibration ?? defaultCalibrators,
    level: settings.level,
    replicates: settings.replicates,
    bins: settings.bins,
    cells,
    missing,
    software: cells[0]!.comparison.software,
  };
}

/** Only one process judges a cell; the others wait and read what it found. */
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
export function writeStudy(folder: string, report: StudyReport): StudyFiles {
  const files = {
    json: join(folder, 'result.json'),
    markdown: join(folder, 'tables.md'),
    html: join(folder, 'report.html'),
    tables: join(folder, 'tables'),
    figures: join(folder, 'figures'),
  };
  for (const path of [files.tables, files.figures]) mkdirSync(path, { recursive: true });
  const tables = studyTables(report);
  for (const table of tables) {
    const file = (ending: string) => join(files.tables, `${table.id}.${ending}`);
    writeAtomically(file('md'), tableMarkdown(table));
    writeAtomically(file('tex'), tableLatex(table));
    writeAtomically(file('csv'), tableCsv(table));
    writeAtomically(file('json'), tableJson(table));
  }
  writeAtomically(files.markdown, tables.map(tableMarkdown).join('\n'));
  for (const [name, svg] of renderStudyFigures(report)) writeAtomically(join(files.figures, name), svg);
  writeAtomically(files.html, renderStudyHtml(report));
  writeAtomically(files.json, `${JSON.stringify(report)}\n`);
  return files;
}

/** `study.json`: the study with every default filled in, and every run with its settings. */
function describe({ study, sets, plan }: OpenedStudy): object {
  return {
    ...study.config,
    methods: study.methods,
    seeds: study.seeds,
    baseline: study.baseline,
    sets: Object.fromEntries(study.sets),
    data: sets.map(describeSet),
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

function describeSet({ id, dataset, split }: OpenedSet): ReportSet {
  const judged = dataset.splits[split]!;
  return {
    id,
    name: dataset.name,
    format: dataset.format,
    classes: dataset.classes,
    samples: Object.fromEntries(
      Object.entries(dataset.splits).map(([name, subset]) => [name, subset.length]),
    ),
    judged: split,
    support: countLabels(judged.labels, dataset.classes.length),
    groups: judged.groups !== undefined,
    strata: dataset.strata ?? {},
  };
}

function shownSettings({ settings }: MethodSpec): string[] {
  return Object.entries(settings).map(([name, value]) => `${name} ${JSON.stringify(value)}`);
}

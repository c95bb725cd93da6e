import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { PenumbraError } from '../errors.ts';
import { nearest } from '../nearest.ts';
import { needsTeacher, objectiveLabel, teacherObjective } from '../objectives/index.ts';
import { RunFolder, type TrainConfig, type TrainOptions } from '../training/index.ts';
import type { OpenedSet } from './study-data.ts';
import { type MethodSpec, runConfig, type StudySpec, slugOf } from './study-file.ts';

/** One network on one data set: what is judged together. */
export interface PlannedCell {
  /** Where its runs and results lie. */
  readonly folder: string;
  readonly set: OpenedSet;
  readonly network: string;
  /** The runs that are judged, methods outside in the study's order, then seeds. */
  readonly runs: readonly PlannedRun[];
}

/** One training: one method on one cell from one seed. */
export interface PlannedRun {
  readonly set: string;
  readonly network: string;
  /** Tells methods apart. */
  readonly method: string;
  /** For people. */
  readonly label: string;
  readonly seed: number;
  readonly folder: string;
  readonly config: TrainConfig;
  /** `teacher`: trained for others to learn from, and not judged. */
  readonly role: 'method' | 'teacher';
  /** The run that must be finished before this one starts. */
  readonly teacher: PlannedRun | undefined;
  readonly cell: PlannedCell;
  /** Images that it trains on: epochs × samples. */
  readonly images: number;
}

export interface StudyPlan {
  readonly folder: string;
  readonly cells: readonly PlannedCell[];
  /**
   * Every run in the order of training: seeds outside, then sets, networks and methods, so that a study that is stopped
   * early has every method once before it has any twice; teachers come before those that learn from them.
   */
  readonly runs: readonly PlannedRun[];
}

/**
 * What a study trains and where it lies: `<folder>/<set>/<network>/runs/<method>-seed<k>`.
 * @param options.place the folder of a cell; `compare` has one cell, which lies in the folder itself
 * @param options.threads of runs whose settings leave it open; one that was begun keeps the number that it has
 * @throws `training/config` for settings that no run takes
 */
export function planStudy(
  study: StudySpec,
  sets: readonly OpenedSet[],
  folder: string,
  {
    place = (set, network) => join(folder, set, network),
    threads = null,
  }: {
    readonly place?: (set: string, network: string) => string;
    readonly threads?: number | null;
  } = {},
): StudyPlan {
  const runs: PlannedRun[] = [];
  const planned = new Map<string, PlannedRun[]>();
  const cells: PlannedCell[] = [];
  for (const set of sets) {
    for (const network of study.config.networks) {
      const own: PlannedRun[] = [];
      planned.set(`${set.id}/${network}`, own);
      cells.push({ folder: place(set.id, network), set, network, runs: own });
    }
  }
  for (const seed of study.seeds) for (const cell of cells) runs.push(...runsOf(study, cell, seed, threads));
  for (const cell of cells) {
    const own = planned.get(`${cell.set.id}/${cell.network}`)!;
    for (const { id } of study.methods)
      own.push(...runs.filter((run) => run.cell === cell && run.role === 'method' && run.method === id));
  }
  return { folder, cells, runs };
}

/** A cell's runs with one seed, teachers first. */
function runsOf(study: StudySpec, cell: PlannedCell, seed: number, threads: number | null): PlannedRun[] {
  const { set, network } = cell;
  const run = (method: MethodSpec, role: PlannedRun['role'], teacher?: PlannedRun): PlannedRun => {
    const folder = join(cell.folder, 'runs', `${slugOf(method)}-seed${seed}`);
    const asked = runConfig(study, { set: set.id, network, method, seed });
    const config = { ...asked, threads: threadsOf(folder, asked.threads, threads) };
    return {
      set: set.id,
      network,
      role,
      teacher,
      cell,
      method: method.id,
      label: method.label,
      seed,
      folder,
      config: teacher === undefined ? config : { ...config, teacher: teacher.folder },
      images: config.epochs * (set.dataset.splits.train?.length ?? 0),
    };
  };
  // A teacher that the settings name is everybody's.
  const given = (study.config.settings as TrainOptions).teacher;
  const taught = given ? [] : study.methods.flatMap(({ objective }) => teacherObjective(objective) ?? []);
  const ownTeachers = new Set<MethodSpec>();
  const teachers = new Map(
    [...new Set(taught)].map((objective) => {
      const own = study.methods.find((method) => isPlain(method, objective));
      if (own !== undefined) ownTeachers.add(own);
      const teacher =
        own === undefined ? run(teacherMethod(study, objective), 'teacher') : run(own, 'method');
      return [objective, teacher] as const;
    }),
  );
  const others = study.methods.filter((method) => !ownTeachers.has(method));
  const first = others.filter(({ objective }) => !needsTeacher(objective));
  const students = others.filter(({ objective }) => needsTeacher(objective));
  return [
    ...teachers.values(),
    ...first.map((method) => run(method, 'method')),
    ...students.map((method) => run(method, 'method', teachers.get(teacherObjective(method.objective)!))),
  ];
}

/**
 * Results are bit for bit those of one number of threads: it never changes within a run.
 * @param share of each of several jobs, which is theirs where the settings leave it open or to a measurement
 */
function threadsOf(
  folder: string,
  asked: TrainConfig['threads'],
  share: number | null,
): TrainConfig['threads'] {
  if (typeof asked === 'number') return asked;
  const run = new RunFolder(folder);
  if (existsSync(run.file('config.json'))) return run.description().config.threads ?? null;
  return share ?? asked;
}

/** An objective and nothing else, such as hard labels: what a teacher is. */
function isPlain({ objective, mixup, settings }: MethodSpec, taught: string): boolean {
  return objective === taught && mixup === 0 && Object.keys(settings).length === 0;
}

/** The method of a teacher that no method of the study gives. */
function teacherMethod(study: StudySpec, objective: string): MethodSpec {
  const taken = new Set(study.methods.map(({ id }) => id));
  const id = !taken.has(objective) ? objective : objective === 'hard' ? 'teacher' : `${objective}-teacher`;
  return { id, label: `${objectiveLabel(objective)} (teacher)`, objective, mixup: 0, settings: {} };
}

/** Which part of a study's runs one call trains. */
export interface Selection {
  /** `key=value,value` with a key of set, network, method or seed; a run must fit all of them. */
  readonly only?: readonly string[] | undefined;
  /** `i/n`, i from 1 to n: every n-th group of runs, a group being one set, network and seed. */
  readonly shard?: string | undefined;
}

/**
 * The runs of a selection in the order of training, each with the teacher that it needs.
 * @throws `study/option` for a key, value or shard that the study does not have
 */
export function selectRuns(plan: StudyPlan, { only = [], shard }: Selection): PlannedRun[] {
  const filters = only.map((text) => filterOf(plan, text));
  const groups = [...new Set(plan.runs.map(groupOf))];
  const mine = shard === undefined ? undefined : shardOf(shard);
  const chosen = plan.runs.filter(
    (run) =>
      run.role === 'method' &&
      filters.every((fits) => fits(run)) &&
      (mine === undefined || groups.indexOf(groupOf(run)) % mine.of === mine.index),
  );
  const needed = new Set(chosen.flatMap((run) => (run.teacher === undefined ? [run] : [run.teacher, run])));
  return plan.runs.filter((run) => needed.has(run));
}

const FILTERS = {
  set: (run: PlannedRun) => run.set,
  network: (run: PlannedRun) => run.network,
  method: (run: PlannedRun) => run.method,
  seed: (run: PlannedRun) => String(run.seed),
} as const;

function filterOf(plan: StudyPlan, text: string): (run: PlannedRun) => boolean {
  const at = text.indexOf('=');
  const key = text.slice(0, Math.max(0, at)).trim();
  const of = Object.hasOwn(FILTERS, key) ? FILTERS[key as keyof typeof FILTERS] : undefined;
  if (of === undefined) {
    throw new PenumbraError('study/option', `--only ${text}: expected set=, network=, method= or seed=`, {
      hint: 'for example --only method=hard,ols --only seed=0',
    });
  }
  const there = [...new Set(plan.runs.filter((run) => run.role === 'method').map(of))];
  // A method's options hold commas too: the text as a whole is looked at first.
  const whole = text.slice(at + 1).trim();
  const values = there.includes(whole) ? [whole] : whole.split(',').map((value) => value.trim());
  for (const value of values) {
    if (there.includes(value)) continue;
    throw new PenumbraError('study/option', `--only ${text}: the study has no ${key} '${value}'`, {
      hint: `did you mean '${nearest(value, there)}'? There are: ${there.join(', ')}`,
    });
  }
  return (run) => values.includes(of(run));
}

function groupOf({ set, network, seed }: PlannedRun): string {
  return JSON.stringify([set, network, seed]);
}

function shardOf(text: string): { index: number; of: number } {
  const match = /^(\d+)\/(\d+)$/.exec(text.trim());
  const [index, of] = [Number(match?.[1]), Number(match?.[2])];
  if (match === null || of < 1 || index < 1 || index > of) {
    throw new PenumbraError('study/option', `--shard ${text}: expected i/n with i from 1 to n`, {
      hint: 'for example --shard 1/2 on one machine and --shard 2/2 on the other',
    });
  }
  return { index: index - 1, of };
}

export function isFinished(run: Pick<PlannedRun, 'folder'>): boolean {
  return new RunFolder(run.folder).finished;
}

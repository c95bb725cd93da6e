import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { z } from 'zod';
import type { SplitName } from '../data/index.ts';
import { PenumbraError } from '../errors.ts';
import { modelNames } from '../models/index.ts';
import { nearest } from '../nearest.ts';
import { formatObjective, objectiveLabel, objectiveNames, parseObjective } from '../objectives/index.ts';
import { resolveConfig, type TrainConfig, type TrainOptions } from '../training/index.ts';
import { type SetConfig, type StudyConfig, studySchema } from './study-schema.ts';

/** One method of a study: an objective, and what else distinguishes its runs. */
export interface MethodSpec {
  /** Tells methods apart, in tables and folders: its name, or the objective with `+mixup-0.2` where images are mixed. */
  readonly id: string;
  /** For people. */
  readonly label: string;
  /** As `formatObjective` writes it. */
  readonly objective: string;
  /** α of mixup's Beta distribution; 0 is off. */
  readonly mixup: number;
  readonly settings: TrainOptions;
}

/** A study file, read and checked as far as it can be without its data. */
export interface StudySpec {
  readonly config: StudyConfig;
  /** Absolute path of the file. */
  readonly file: string;
  readonly title: string;
  /** Data sets by name, in the file's order; paths are absolute, or `phantom`. */
  readonly sets: ReadonlyMap<string, SetConfig>;
  readonly centres: readonly {
    readonly name: string;
    readonly set: SetConfig;
    readonly split?: SplitName | undefined;
    /** Training sets whose networks are tested there. */
    readonly for: readonly string[];
  }[];
  readonly methods: readonly MethodSpec[];
  /** The id of the method that the others are compared with. */
  readonly baseline: string;
  /** Whether every pair of methods is compared, or each with the baseline. */
  readonly pairs: 'baseline' | 'all';
  readonly seeds: readonly number[];
  /** From the file's `out`. */
  readonly out: string | undefined;
}

/**
 * Reads a study file.
 * @param data paths that take the place of the file's own, by set or centre, relative to the working folder
 * @throws `study/file` where it is no JSON; `study/config` naming the key, what was expected, and for a name that is
 *   not known the nearest one; `training/config` for a setting that no training run takes
 */
export function readStudyFile(path: string, data: Readonly<Record<string, string>> = {}): StudySpec {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new PenumbraError('study/file', `${path} cannot be read`, {
      hint: 'name a study file; `penumbra study --schema` says what one holds',
      where: { file: path },
      cause,
    });
  }
  let value: unknown;
  try {
    value = JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (cause) {
    throw new PenumbraError('study/file', `${path} is no JSON: ${(cause as Error).message}`, {
      where: { file: path },
      cause,
    });
  }
  return resolveStudy(value, path, data);
}

/** A study that is already in memory. @param file where it would lie: relative paths start in its folder */
export function resolveStudy(
  value: unknown,
  file: string,
  data: Readonly<Record<string, string>> = {},
): StudySpec {
  const config = parse(value, file);
  const here = dirname(resolve(file));
  const fail = failure(file);

  const centreNames = config.centres.map((centre) => centre.name);
  const own = [...Object.keys(config.sets), ...centreNames];
  for (const name of Object.keys(data)) known(fail, name, own, 'data set', `--data ${name}`);
  unique(fail, centreNames, 'centre', 'centres');
  const located = (name: string, set: SetConfig): SetConfig => ({
    ...set,
    path: data[name] !== undefined ? locate(process.cwd(), data[name]) : locate(here, set.path),
    ...(set.root !== undefined && { root: resolve(here, set.root) }),
    ...(set.judgeBy !== undefined && { judgeBy: resolve(here, set.judgeBy) }),
  });
  const sets = new Map(Object.entries(config.sets).map(([name, set]) => [name, located(name, set)]));
  const centres = config.centres.map((centre, i) => {
    for (const name of centre.for ?? []) known(fail, name, [...sets.keys()], 'data set', `centres.${i}.for`);
    return { ...centre, set: located(centre.name, centre.set), for: centre.for ?? [...sets.keys()] };
  });

  for (const name of config.networks) known(fail, name, modelNames(), 'network', 'networks');
  unique(fail, config.networks, 'network', 'networks');
  for (const name of Object.keys(config.networkSettings))
    known(fail, name, config.networks, 'network of this study', 'networkSettings');
  for (const name of Object.keys(config.setSettings))
    known(fail, name, [...sets.keys()], 'data set of this study', 'setSettings');

  const methods = config.methods.map((method, i) => methodOf(method, here, `methods.${i}`, fail));
  unique(fail, methods.map(slugOf), 'method', 'methods');
  const ids = methods.map((method) => method.id);
  const baseline = config.baseline ?? (ids.includes('hard') ? 'hard' : ids[0]!);
  known(fail, baseline, ids, 'method of this study', 'baseline');
  const seeds = typeof config.seeds === 'number' ? [...Array(config.seeds).keys()] : config.seeds;
  unique(fail, seeds.map(String), 'seed', 'seeds');

  return {
    config: {
      ...config,
      settings: rooted(config.settings as TrainOptions, here),
      setSettings: mapValues(config.setSettings, (settings) => rooted(settings as TrainOptions, here)),
      networkSettings: mapValues(config.networkSettings, (settings) =>
        rooted(settings as TrainOptions, here),
      ),
    },
    file: resolve(file),
    title: config.title ?? config.name,
    sets,
    centres,
    methods,
    baseline,
    pairs: 'baseline',
    seeds,
    out: config.out === undefined ? undefined : resolve(here, config.out),
  };
}

/** A name as folders can carry it. */
export function slugOf({ id }: Pick<MethodSpec, 'id'>): string {
  return id.replace(/[^\w.-]+/g, '_');
}

/**
 * All settings of one run: those of the study, then of the set, the network and the method, each winning over the one
 * before.
 * @throws `training/config`
 */
export function runConfig(
  study: StudySpec,
  run: { readonly set: string; readonly network: string; readonly method: MethodSpec; readonly seed: number },
): TrainConfig {
  const { settings, setSettings, networkSettings } = study.config;
  return resolveConfig({
    ...settings,
    ...setSettings[run.set],
    ...networkSettings[run.network],
    ...run.method.settings,
    model: run.network,
    objective: run.method.objective,
    mixup: run.method.mixup,
    seed: run.seed,
  } as TrainOptions);
}

type Fail = (where: string, message: string, hint?: string) => PenumbraError;

function failure(file: string): Fail {
  return (key, message, hint) =>
    new PenumbraError('study/config', `${file}: ${key === '' ? '' : `${key}: `}${message}`, {
      ...(hint !== undefined && { hint }),
      where: { file, key },
    });
}

function parse(value: unknown, file: string): StudyConfig {
  const result = studySchema.safeParse(value, { reportInput: true });
  if (result.success) return result.data;
  const { issue, path } = deepest(telling(result.error.issues)!, []);
  const fail = failure(file);
  const where = path.join('.');
  if (issue.code === 'unrecognized_keys') {
    const key = issue.keys[0]!;
    const keys = keysAt(studySchema, path);
    throw fail(where, `there is no key '${key}'`, suggestion(key, keys));
  }
  if (issue.code === 'invalid_key') throw fail(where, issue.issues[0]?.message ?? issue.message);
  if (issue.code === 'invalid_value' && typeof issue.input === 'string')
    throw fail(where, `there is no '${issue.input}'`, suggestion(issue.input, issue.values.map(String)));
  if (issue.code === 'invalid_type' && issue.input === undefined) throw fail(where, 'it is missing');
  throw fail(where, issue.message);
}

type Issue = z.core.$ZodIssue;

/** A required key that is misspelt is also missing, and the misspelling says more. */
function telling(issues: readonly Issue[]): Issue | undefined {
  return issues.find(({ code }) => code === 'unrecognized_keys') ?? issues[0];
}

/** The issue that speaks of what was written: of a union's branches, the one that fits what is there. */
function deepest(issue: Issue, before: readonly PropertyKey[]): { issue: Issue; path: PropertyKey[] } {
  const path = [...before, ...issue.path];
  if (issue.code !== 'invalid_union') return { issue, path };
  const branches = issue.errors.flatMap((issues) => {
    const first = telling(issues);
    return first === undefined ? [] : [deepest(first, path)];
  });
  // A branch of another type fails at once, where it stands; one that fits fails inside, or at its keys.
  const fits = branches.find(
    (branch) =>
      branch.path.length > path.length ||
      (branch.issue.code !== 'invalid_type' && branch.issue.code !== 'invalid_value'),
  );
  if (fits !== undefined) return fits;
  const expected = branches.map((branch) => branch.issue.message.replace(/^Invalid input: expected /, ''));
  const message = `expected ${expected.map((text) => text.replace(/, received .*$/, '')).join(' or ')}`;
  return { issue: { ...issue, message }, path };
}

/** The keys that an object at some place of the schema may have. */
function keysAt(schema: z.core.$ZodType, path: readonly PropertyKey[]): string[] {
  const def = schema._zod.def as unknown as Readonly<Record<string, unknown>> & { type: string };
  const inner = (name: string) => def[name] as z.core.$ZodType;
  switch (def.type) {
    case 'object': {
      const shape = def.shape as Record<string, z.core.$ZodType>;
      if (path.length === 0) return Object.keys(shape);
      const next = shape[String(path[0])];
      return next === undefined ? [] : keysAt(next, path.slice(1));
    }
    case 'record':
      if (path.length > 0) return keysAt(inner('valueType'), path.slice(1));
      return [...(inner('keyType')._zod.values ?? [])].map(String);
    case 'array':
      return path.length === 0 ? [] : keysAt(inner('element'), path.slice(1));
    case 'union':
      return (def.options as z.core.$ZodType[]).flatMap((option) => keysAt(option, path));
    case 'default':
    case 'prefault':
    case 'optional':
    case 'nullable':
      return keysAt(inner('innerType'), path);
    default:
      return [];
  }
}

function methodOf(
  method: StudyConfig['methods'][number],
  here: string,
  where: string,
  fail: Fail,
): MethodSpec {
  const given = typeof method === 'string' ? { objective: method } : method;
  const bare = given.objective.split(':')[0]!.trim();
  known(fail, bare, objectiveNames(), 'method', where);
  const objective = formatObjective(parseObjective(given.objective));
  const mixup = given.mixup ?? 0;
  const mixed = mixup > 0;
  return {
    id: given.name ?? `${objective}${mixed ? `+mixup-${mixup}` : ''}`,
    label: given.name ?? `${objectiveLabel(objective)}${mixed ? `, mixup ${mixup}` : ''}`,
    objective,
    mixup,
    settings: rooted((given.settings ?? {}) as TrainOptions, here),
  };
}

/** @throws `study/config` naming the nearest of `names` where `name` is none of them */
function known(fail: Fail, name: string, names: readonly string[], what: string, where: string): void {
  if (names.includes(name)) return;
  throw fail(where, `there is no ${what} '${name}'`, suggestion(name, names));
}

function suggestion(word: string, names: readonly string[]): string | undefined {
  return names.length === 0
    ? undefined
    : `did you mean '${nearest(word, names)}'? There are: ${names.join(', ')}`;
}

function unique(fail: Fail, names: readonly string[], what: string, where: string): void {
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw fail(where, `${what} '${twice}' is there twice`);
}

function locate(folder: string, path: string): string {
  return path === 'phantom' ? path : resolve(folder, path);
}

/** Settings whose files are found from the study file's folder. */
function rooted(settings: TrainOptions, here: string): TrainOptions {
  return typeof settings.weights === 'string'
    ? { ...settings, weights: resolve(here, settings.weights) }
    : settings;
}

function mapValues<A, B>(record: Readonly<Record<string, A>>, change: (value: A) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]));
}

import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import type { SplitName } from '../data/index.ts';
import { PenumbraError } from '../errors.ts';
import { readRegular } from '../files/index.ts';
import { inWords, valueAt } from '../in-words.ts';
import { parseJsonc } from '../jsonc.ts';
import { modelNames } from '../models/index.ts';
import { nearest } from '../nearest.ts';
import {
  formatObjective,
  objectiveLabel,
  objectiveNames,
  objectiveSpec,
  parseObjective,
} from '../objectives/index.ts';
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
 * Reads a study file: JSON, with comments where somebody wrote some.
 * @param data paths that take the place of the file's own, by set or centre, relative to the working folder
 * @param parts settings of parts of the judgement that win over the file's own
 * @throws `study/file` where it is no JSON; `study/config` naming the key, what was expected, and for a name that is
 *   not known the nearest one, else an example of what belongs there
 */
export function readStudyFile(
  path: string,
  data: Readonly<Record<string, string>> = {},
  parts: Readonly<Record<string, unknown>> = {},
): StudySpec {
  let text: string;
  try {
    text = readRegular(path).toString('utf8');
  } catch (cause) {
    throw new PenumbraError('study/file', `${path} cannot be read`, {
      hint: 'name a study file; `penumbra study --schema` says what one holds',
      where: { file: path },
      cause,
    });
  }
  let value: unknown;
  try {
    value = parseJsonc(text);
  } catch (cause) {
    throw new PenumbraError('study/file', `${path} is no JSON: ${(cause as Error).message}`, {
      where: { file: path },
      cause,
    });
  }
  return resolveStudy(withParts(value, parts), path, data);
}

/** Settings join those of the file, unless one of both leaves the part out. */
function withParts(value: unknown, parts: Readonly<Record<string, unknown>>): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const file = value as Readonly<Record<string, unknown>>;
  const joined = Object.entries(parts).map(([name, own]) => {
    const there = file[name];
    const both = typeof there === 'object' && typeof own === 'object';
    return [name, there === false ? false : both ? { ...there, ...own } : own];
  });
  return { ...file, ...Object.fromEntries(joined) };
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

/** @param said what stands behind the file's name. Default: the place, a colon, and the message. */
type Fail = (where: string, message: string, hint?: string, said?: string) => PenumbraError;

function failure(file: string): Fail {
  return (key, message, hint, said = key === '' ? message : `${key}: ${message}`) =>
    new PenumbraError('study/config', `${file}: ${said}`, {
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
  const example = exampleAt(path);
  if (issue.code === 'unrecognized_keys') {
    const key = issue.keys[0]!;
    throw fail(where, `there is no key '${key}'`, suggestion(key, keysAt(studySchema, path)));
  }
  if (issue.code === 'invalid_key') throw fail(where, issue.issues[0]?.message ?? issue.message);
  if (issue.code === 'invalid_value' && typeof issue.input === 'string')
    throw fail(where, `there is no '${issue.input}'`, suggestion(issue.input, issue.values.map(String)));
  if (issue.code === 'invalid_type' && issue.input === undefined) throw fail(where, 'it is missing', example);
  const words = issue.code === 'invalid_union' ? undefined : inWords(issue, valueAt(value, path));
  if (words === undefined) throw fail(where, issue.message, example);
  throw fail(where, words, example, `${where === '' ? 'it' : where} ${words}`);
}

/** What belongs at a place, or around it: the innermost example that the schema has. */
function exampleAt(path: readonly PropertyKey[]): string | undefined {
  for (let depth = path.length; depth >= 0; depth--) {
    const found = schemasAt(studySchema, path.slice(0, depth)).flatMap(
      (schema) => (z.globalRegistry.get(schema)?.examples as unknown[] | undefined) ?? [],
    );
    // Around the whole file's keys, an example without the key in question says nothing of it.
    const says =
      depth > 0 || path.length === 0 || found.some((one) => Object.hasOwn(one as object, path[0]!));
    if (found.length === 0 || !says) continue;
    const name = path.slice(0, depth).findLast((key) => typeof key === 'string');
    const texts = found.slice(0, 2).map(oneLine);
    return `for example ${name === undefined ? '' : `"${String(name)}": `}${texts.join(', or ')}`;
  }
  return undefined;
}

/** JSON in one line, with spaces for eyes. */
function oneLine(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(oneLine).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).map(([key, inner]) => `${JSON.stringify(key)}: ${oneLine(inner)}`);
  return `{ ${entries.join(', ')} }`;
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
  return schemasAt(schema, path).flatMap((found) => {
    const def = defOf(found);
    if (def.type === 'object') return Object.keys(def.shape as object);
    return def.type === 'record' ? [...((def.keyType as z.core.$ZodType)._zod.values ?? [])].map(String) : [];
  });
}

/** Every schema that speaks of a place: wrappers, the branches of unions, and what is inside them. */
function schemasAt(schema: z.core.$ZodType, path: readonly PropertyKey[]): z.core.$ZodType[] {
  const def = defOf(schema);
  const inside = (): (z.core.$ZodType | undefined)[] => {
    switch (def.type) {
      case 'object':
        return [(def.shape as Record<string, z.core.$ZodType>)[String(path[0])]];
      case 'record':
        return [def.valueType as z.core.$ZodType];
      case 'array':
        return [def.element as z.core.$ZodType];
      default:
        return [];
    }
  };
  const own = path.length === 0 ? [schema] : [];
  switch (def.type) {
    case 'union':
      return [...own, ...(def.options as z.core.$ZodType[]).flatMap((option) => schemasAt(option, path))];
    case 'default':
    case 'prefault':
    case 'optional':
    case 'nullable':
      return [...own, ...schemasAt(def.innerType as z.core.$ZodType, path)];
    default:
      return path.length === 0
        ? own
        : inside().flatMap((next) => (next === undefined ? [] : schemasAt(next, path.slice(1))));
  }
}

function defOf(schema: z.core.$ZodType): Readonly<Record<string, unknown>> & { readonly type: string } {
  return schema._zod.def as unknown as Readonly<Record<string, unknown>> & { type: string };
}

function methodOf(
  method: StudyConfig['methods'][number],
  here: string,
  where: string,
  fail: Fail,
): MethodSpec {
  const given = typeof method === 'string' ? { objective: method, options: undefined } : method;
  const bare = given.objective.split(':')[0]!.trim();
  known(fail, bare, objectiveNames(), 'method', where);
  const objective = formatObjective(specOf(given, where, fail));
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

/** @throws `study/config` where options stand both after a colon and in `options`; `objectives/option` */
function specOf(
  { objective, options }: Exclude<StudyConfig['methods'][number], string>,
  where: string,
  fail: Fail,
) {
  if (options === undefined) return parseObjective(objective);
  if (!objective.includes(':')) return objectiveSpec(objective.trim(), options);
  throw fail(
    where,
    'options stand both after the colon and in `options`',
    `for example ${oneLine({ objective: objective.split(':')[0]!, options })}`,
  );
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

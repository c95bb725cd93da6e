import { PenumbraError } from '../errors.ts';
import type { FindingsOptions } from './findings-options.ts';
import { type ColumnNames, fileName, type Listing, type Names, type Part, sortClasses } from './part.ts';
import { pickSamples, type Samples } from './samples.ts';
import {
  checkedShares,
  checkSplits,
  type Fractions,
  type SplitParts,
  splitByFraction,
  splitOfName,
} from './split.ts';
import { splitFindings } from './split-findings.ts';
import { stringAt } from './string-table.ts';
import { makeSubset } from './subset.ts';
import type { Targets } from './targets.ts';
import { type Dataset, SPLIT_NAMES, type SplitName, type Subset } from './types.ts';

export interface DatasetOptions {
  /**
   * Which named part of the data serves as which split: `{ test: 'val' }` judges on the part that the data call val,
   * and a `fractions.val` then is taken from train. Other parts keep their own name; one whose name is taken that way
   * is left out. Default: each part is the split of its name.
   */
  readonly splits?: SplitParts;
  /**
   * Shares of `val` and `test` where names do not give the splits (then the default is val 0.1, test 0.2). Where they
   * do, a share asked for here and not named is taken from `train`.
   */
  readonly fractions?: Fractions;
  /** Names the random stream of the split by fraction. Default: 0. */
  readonly seed?: number;
  /**
   * An expression on the file name (without folders) whose first group, or whole match, names the patient. Groups are
   * never divided, and named splits that share one are an error. Default: the table's `group` or `patient` column.
   */
  readonly group?: RegExp | string;
  /**
   * An expression on a file's path whose first group, or whole match, names the site: `^([^/]+)/` is the first folder.
   * Default: the table's `site`, `centre`, `center`, `hospital` or `institution` column.
   */
  readonly site?: RegExp | string;
  /**
   * Class names in order. Default: `info.json`, else the folders or labels of the training split. Of findings: those
   * that are wanted, in order; default: all that the data have.
   */
  readonly classes?: readonly string[];
  /** Names of a table's columns, where they are not the usual ones. */
  readonly columns?: ColumnNames;
  /** The folder that a table's paths are relative to. Default: the table's own. */
  readonly root?: string;
  /** Also read files outside that folder, by `../`, by absolute paths or behind links. Default: false. */
  readonly allowOutside?: boolean;
  /**
   * What labels are, where it could be both: `findings` reads a label column as findings even if no row names two,
   * `one-of-k` makes a class of each different label even if it is `a|b`. Default: findings where a label has a `|`.
   */
  readonly kind?: Targets['kind'];
  /** Leave rows out whose files are not there, instead of an error. Default: false. */
  readonly skipMissing?: boolean;
  /** Leave rows out whose file an earlier row lists, instead of an error. Default: false. */
  readonly skipDuplicates?: boolean;
  /** Only labels are wanted: a table's files need not be there. Default: false. */
  readonly labelsOnly?: boolean;
  /** What uncertain, blank and probable values of findings become. */
  readonly findings?: FindingsOptions;
  /**
   * Only images of these views: `frontal`, `lateral`, or as the table spells them (`PA`, `AP`); a table's column is `view`,
   * `View Position` or the like. Data that name no view are an error then. Default: all.
   */
  readonly views?: readonly string[];
}

/** A data set of what a reader found: divided where it is not yet, and checked. */
export function datasetOf(name: string, listing: Listing, options: DatasetOptions = {}): Dataset {
  const { format, skipped, strata } = listing;
  const { kind, names: classes } = listing.parts[0].targets;
  if (new Set(classes).size !== classes.length) {
    const what = kind === 'one-of-k' ? 'classes' : 'findings';
    throw new PenumbraError('data/classes', `${name}: two ${what} have the same name`, {
      where: { data: name },
    });
  }
  const { parts, sites } = numberNames(assignParts(name, listing.parts, options.splits), options);
  const named = parts.filter((part) => part.split !== undefined);
  const splits: Partial<Record<SplitName, NumberedPart>> = {};
  for (const part of named) {
    if (splits[part.split!] !== undefined) throw ambiguous(name, `two parts are split ${part.split}`);
    splits[part.split!] = part;
  }
  if (named.length === 0) {
    if (parts.length !== 1)
      throw ambiguous(name, `${parts.length} parts, and no names that say which is which`);
    divide(name, splits, parts[0], options.fractions ?? { val: 0.1, test: 0.2 }, options.seed ?? 0);
  } else {
    if (named.length < parts.length) throw ambiguous(name, 'some samples have a split and some have none');
    const { val = 0, test = 0 } = options.fractions ?? listing.fractions ?? {};
    const missing = { val: splits.val ? 0 : val, test: splits.test ? 0 : test };
    if (splits.train !== undefined && (missing.val !== 0 || missing.test !== 0)) {
      divide(name, splits, splits.train, missing, options.seed ?? 0);
    }
  }
  const subsets = SPLIT_NAMES.filter((split) => splits[split] !== undefined).map((split) =>
    subsetOf(split, splits[split]!),
  );
  checkSplits(name, subsets);
  const { source } = parts[0];
  return {
    name,
    format,
    kind,
    classes,
    sites,
    strata,
    imageSize: source.kind === 'memory' ? { height: source.height, width: source.width } : undefined,
    channels: source.channels,
    splits: Object.fromEntries(subsets.map((subset) => [subset.split, subset])),
    skipped,
    notes: listing.notes ?? [],
  };
}

/**
 * The parts under the split names that they are to serve as.
 *
 * @throws {PenumbraError} `data/split-names` for a part that is not there, or one that would be two splits.
 */
export function assignParts<P extends Pick<Part, 'split'>>(
  name: string,
  parts: readonly P[],
  wanted: SplitParts = {},
): readonly P[] {
  const refuse = (split: string, what: string, hint: string) =>
    new PenumbraError('data/split-names', `${name}: split ${split} cannot be ${what}`, {
      where: { data: name, split, argument: 'splits' },
      hint,
    });
  const there = [...new Set(parts.flatMap(({ split }) => split ?? []))];
  const listed = there.length === 0 ? 'its samples have no named parts' : `its parts are ${there.join(', ')}`;
  const serves = new Map<SplitName, SplitName>();
  for (const [key, part] of Object.entries(wanted)) {
    const split = SPLIT_NAMES.find((known) => known === key);
    if (split === undefined) throw refuse(key, 'chosen', `the splits are ${SPLIT_NAMES.join(', ')}`);
    const found = splitOfName(part);
    if (found === undefined || !there.includes(found)) throw refuse(key, `part '${part}'`, listed);
    const other = serves.get(found);
    if (other !== undefined)
      throw refuse(key, `part '${part}', which is split ${other}`, 'one part serves as one split');
    serves.set(found, split);
  }
  if (serves.size === 0) return parts;
  const taken = new Set(serves.values());
  return parts.flatMap((part) => {
    const split = part.split && (serves.get(part.split) ?? (taken.has(part.split) ? undefined : part.split));
    return split === undefined && part.split !== undefined ? [] : { ...part, split };
  });
}

type NumberedPart = Omit<Part, 'groups' | 'sites'> & Samples;

/** Groups and sites become numbers that mean the same in every part; those of the sites, indices into the names. */
function numberNames(
  parts: readonly Part[],
  { group, site }: DatasetOptions,
): { parts: NumberedPart[]; sites: string[] | undefined } {
  const groups = numbering('group', parts, group, fileName);
  const sites = numbering('site', parts, site, (path) => path.replaceAll('\\', '/'));
  return {
    parts: parts.map((part, p) => ({ ...part, groups: groups?.of[p], sites: sites?.of[p] })),
    sites: sites?.names,
  };
}

/**
 * One number for each different name, over all parts, in the order of the names.
 *
 * @param expression on what `subject` makes of each file name; without it the names are those that the reader found.
 * @returns undefined where no part has any names.
 * @throws {PenumbraError} `data/site` where only some of the splits have sites.
 */
function numbering(
  role: 'group' | 'site',
  parts: readonly Part[],
  expression: RegExp | string | undefined,
  subject: (path: string) => string,
): { names: string[]; of: (Int32Array | undefined)[] } | undefined {
  const pattern = expression === undefined ? undefined : checkedExpression(role, expression);
  const found = parts.map((part) => (pattern ? matches(role, part, pattern, subject) : part[`${role}s`]));
  if (found.every((names) => names === undefined)) return undefined;
  const bare = found.indexOf(undefined);
  if (role === 'site' && bare >= 0) {
    throw new PenumbraError(
      'data/site',
      `split ${parts[bare].split} does not name its sites, and others do`,
      {
        where: { split: parts[bare].split ?? '', argument: role },
        hint: 'name the site of every sample, or of none',
      },
    );
  }
  const all = new Set(found.flatMap((part) => part?.names ?? []));
  const names = sortClasses(all);
  const numbers = new Map(names.map((name, number) => [name, number]));
  const of = found.map((part) => {
    const own = Int32Array.from(part?.names ?? [], (name) => numbers.get(name)!);
    return part?.of.map((i) => own[i]);
  });
  return { names, of };
}

/** The name that the expression finds for each sample of a part. */
function matches(
  role: 'group' | 'site',
  { names, rows }: Part,
  pattern: RegExp,
  subject: (path: string) => string,
): Names {
  if (names === undefined) {
    throw new PenumbraError(`data/${role}`, `the samples have no file names to find a ${role} in`, {
      where: { argument: role },
      hint: 'IDX files take names from a table beside them, for example train-files.csv',
    });
  }
  const numbers = new Map<string, number>();
  const of = new Int32Array(rows.length);
  for (let i = 0; i < rows.length; i++) {
    const path = stringAt(names, rows[i]);
    const match = pattern.exec(subject(path));
    if (match === null) {
      throw new PenumbraError(`data/${role}`, `the expression for the ${role} does not match ${path}`, {
        where: { file: path, argument: role },
      });
    }
    const name = match[1] ?? match[0];
    let number = numbers.get(name);
    if (number === undefined) numbers.set(name, (number = numbers.size));
    of[i] = number;
  }
  return { names: [...numbers.keys()], of };
}

/** Without the sticky and global flags, which would make a match depend on the one before. */
function checkedExpression(role: 'group' | 'site', expression: RegExp | string): RegExp {
  if (expression instanceof RegExp) {
    return new RegExp(expression.source, expression.flags.replace(/[gy]/g, ''));
  }
  try {
    return new RegExp(expression);
  } catch (cause) {
    throw new PenumbraError(
      `data/${role}`,
      `the ${role} is no regular expression: ${(cause as Error).message}`,
      { where: { argument: role }, cause },
    );
  }
}

function divide(
  name: string,
  splits: Partial<Record<SplitName, NumberedPart>>,
  part: NumberedPart,
  fractions: Fractions,
  seed: number,
): void {
  const { targets, groups } = part;
  const wanted = checkedShares(fractions).map(([split]) => split);
  const there = groups === undefined ? part.rows.length : new Set(groups).size;
  if (there < wanted.length) {
    const what = groups === undefined ? 'samples' : 'groups (patients), none of which is divided,';
    throw new PenumbraError(
      'data/empty-split',
      `${name}: ${there} ${what} are too few for the splits ${wanted.join(', ')}`,
      { where: { data: name, argument: 'fractions' }, hint: 'ask for fewer splits, or give more data' },
    );
  }
  const divided =
    targets.kind === 'one-of-k'
      ? splitByFraction(targets.values, groups, fractions, seed)
      : splitFindings(targets, groups, fractions, seed);
  for (const [split, indices] of Object.entries(divided) as [SplitName, Uint32Array][]) {
    splits[split] = { ...part, split, ...pickSamples(part, indices) };
  }
}

function subsetOf(split: SplitName, part: NumberedPart): Subset {
  const { source, rows, targets, groups, sites, posterior, names } = part;
  const nameOf = (i: number) => (names === undefined ? `${split}/${rows[i]}` : stringAt(names, rows[i]));
  return makeSubset({ split, targets, rows, source, groups, sites, posterior, nameOf });
}

function ambiguous(name: string, what: string): PenumbraError {
  return new PenumbraError('data/split-names', `${name}: ${what}`, {
    where: { data: name },
    hint: 'name the parts train, val and test',
  });
}

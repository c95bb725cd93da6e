import { PenumbraError } from '../errors.ts';
import { type ColumnNames, fileName, type Listing, type Part } from './part.ts';
import { checkSplits, type Fractions, type SplitParts, splitByFraction, splitOfName } from './split.ts';
import { stringAt } from './string-table.ts';
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
  /** Class names in order. Default: `info.json`, else the folders or labels of the training split. */
  readonly classes?: readonly string[];
  /** Names of a table's columns, where they are not the usual ones. */
  readonly columns?: ColumnNames;
  /** The folder that a table's paths are relative to. Default: the table's own. */
  readonly root?: string;
}

/** A data set of what a reader found: divided where it is not yet, and checked. */
export function datasetOf(name: string, listing: Listing, options: DatasetOptions = {}): Dataset {
  const { classes, format, skipped } = listing;
  if (new Set(classes).size !== classes.length) {
    throw new PenumbraError('data/classes', `${name}: two classes have the same name`, {
      where: { data: name },
    });
  }
  const parts = numberGroups(assignParts(name, listing.parts, options.splits), options.group);
  const named = parts.filter((part) => part.split !== undefined);
  const splits: Partial<Record<SplitName, GroupedPart>> = {};
  for (const part of named) {
    if (splits[part.split!] !== undefined) throw ambiguous(name, `two parts are split ${part.split}`);
    splits[part.split!] = part;
  }
  if (named.length === 0) {
    if (parts.length !== 1)
      throw ambiguous(name, `${parts.length} parts, and no names that say which is which`);
    divide(splits, parts[0], options.fractions ?? { val: 0.1, test: 0.2 }, options.seed ?? 0);
  } else {
    if (named.length < parts.length) throw ambiguous(name, 'some samples have a split and some have none');
    const { val = 0, test = 0 } = options.fractions ?? {};
    const missing = { val: splits.val ? 0 : val, test: splits.test ? 0 : test };
    if (splits.train !== undefined && (missing.val !== 0 || missing.test !== 0)) {
      divide(splits, splits.train, missing, options.seed ?? 0);
    }
  }
  const subsets = SPLIT_NAMES.filter((split) => splits[split] !== undefined).map((split) =>
    subsetOf(split, splits[split]!, classes),
  );
  checkSplits(name, subsets);
  const { source } = parts[0];
  return {
    name,
    format,
    classes,
    imageSize: source.kind === 'memory' ? { height: source.height, width: source.width } : undefined,
    channels: source.channels,
    splits: Object.fromEntries(subsets.map((subset) => [subset.split, subset])),
    skipped,
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

type GroupedPart = Omit<Part, 'groups'> & { readonly groups: Int32Array | undefined };

/** Group names become numbers that mean the same in every part. */
function numberGroups(parts: readonly Part[], group: RegExp | string | undefined): GroupedPart[] {
  const expression = group === undefined ? undefined : groupExpression(group);
  const numbers = new Map<string, number>();
  const numberOf = (name: string) => {
    let number = numbers.get(name);
    if (number === undefined) numbers.set(name, (number = numbers.size));
    return number;
  };
  return parts.map((part) => {
    const { names, rows } = part;
    if (expression === undefined)
      return { ...part, groups: part.groups && Int32Array.from(part.groups, numberOf) };
    if (names === undefined) {
      throw new PenumbraError('data/group', 'the samples have no file names to find a group in', {
        where: { argument: 'group' },
        hint: 'IDX files take names from a table beside them, for example train-files.csv',
      });
    }
    const groups = new Int32Array(rows.length);
    for (let i = 0; i < rows.length; i++) {
      const name = stringAt(names, rows[i]);
      const match = expression.exec(fileName(name));
      if (match === null) {
        throw new PenumbraError('data/group', `the expression for the group does not match ${name}`, {
          where: { file: name, argument: 'group' },
        });
      }
      groups[i] = numberOf(match[1] ?? match[0]);
    }
    return { ...part, groups };
  });
}

/** Without the sticky and global flags, which would make a match depend on the one before. */
function groupExpression(group: RegExp | string): RegExp {
  if (group instanceof RegExp) return new RegExp(group.source, group.flags.replace(/[gy]/g, ''));
  try {
    return new RegExp(group);
  } catch (cause) {
    throw new PenumbraError('data/group', `the group is no regular expression: ${(cause as Error).message}`, {
      where: { argument: 'group' },
      cause,
    });
  }
}

function divide(
  splits: Partial<Record<SplitName, GroupedPart>>,
  part: GroupedPart,
  fractions: Fractions,
  seed: number,
): void {
  const k = part.posterior === undefined ? 0 : part.posterior.length / part.labels.length;
  const divided = splitByFraction(part.labels, part.groups, fractions, seed);
  for (const [split, indices] of Object.entries(divided) as [SplitName, Uint32Array][]) {
    const rows = new Uint32Array(new SharedArrayBuffer(indices.length * 4));
    const posterior = part.posterior && new Float32Array(indices.length * k);
    indices.forEach((from, to) => {
      rows[to] = part.rows[from];
      posterior?.set(part.posterior!.subarray(from * k, (from + 1) * k), to * k);
    });
    splits[split] = {
      ...part,
      split,
      rows,
      labels: Int32Array.from(indices, (i) => part.labels[i]),
      groups: part.groups && Int32Array.from(indices, (i) => part.groups![i]),
      posterior,
    };
  }
}

function subsetOf(split: SplitName, part: GroupedPart, classes: readonly string[]): Subset {
  const { source, rows, labels, groups, posterior, names } = part;
  const nameOf = (i: number) => (names === undefined ? `${split}/${rows[i]}` : stringAt(names, rows[i]));
  return { split, classes, length: labels.length, labels, rows, source, groups, posterior, nameOf };
}

function ambiguous(name: string, what: string): PenumbraError {
  return new PenumbraError('data/split-names', `${name}: ${what}`, {
    where: { data: name },
    hint: 'name the parts train, val and test',
  });
}

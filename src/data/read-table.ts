import { existsSync, readdirSync } from 'node:fs';
import { dirname, join, posix, resolve } from 'node:path';
import { PenumbraError } from '../errors.ts';
import { parseCsv } from './csv.ts';
import {
  type ColumnNames,
  findColumn,
  type Listing,
  missingColumn,
  type Part,
  pickPosterior,
  probeChannels,
  readClassNames,
  readPosterior,
  readText,
  sortClasses,
} from './part.ts';
import { sharedRows } from './rows.ts';
import { splitOfName } from './split.ts';
import { type StringTable, StringTableBuilder, stringAt } from './string-table.ts';
import type { FilePixels, SplitName } from './types.ts';

/**
 * Reads tables of `file,label`, with optional columns `split` and `group` (or `patient`): one table, or one per split.
 * Paths are relative to the first table's folder, or to `root`. Labels are class names, or numbers where the classes
 * are given (by `given` or `info.json`); otherwise the classes are the training split's labels, in order.
 * `posterior.csv` beside the table may hold true posteriors, by `file`.
 */
export function readTables(
  tables: readonly { path: string; split: SplitName | undefined }[],
  given: readonly string[] | undefined,
  columns: ColumnNames,
  root = dirname(tables[0].path),
): Listing {
  const rows = new Rows();
  for (const { path, split } of tables) readTable(rows, path, split, columns);
  const paths = rows.paths.build();
  checkFiles(root, paths, rows, tables);

  const classes = given ?? readClassNames(dirname(tables[0].path)) ?? classesOf(rows, tables[0].path);
  const numbers = classNumbers(rows, classes, tables);
  const source: FilePixels = { kind: 'files', root, paths, channels: probeChannels(root, paths) };
  const posteriorPath = join(dirname(tables[0].path), 'posterior.csv');
  const posteriors = readPosterior(posteriorPath, classes);
  const groupNames = rows.groupOf.length === rows.labelOf.length ? [...rows.groups.keys()] : undefined;

  const members = new Map<SplitName | undefined, number[]>();
  for (let row = 0; row < paths.length; row++) {
    const split = rows.splitOf[row];
    const list = members.get(split);
    if (list === undefined) members.set(split, [row]);
    else list.push(row);
  }
  const parts = [...members].map(([split, list]): Part => {
    const keys = posteriors === undefined ? [] : list.map((row) => stringAt(paths, row));
    return {
      split,
      source,
      rows: sharedRows(list),
      labels: Int32Array.from(list, (row) => numbers[rows.labelOf[row]]),
      names: paths,
      groups: groupNames && list.map((row) => groupNames[rows.groupOf[row]]),
      posterior: pickPosterior(posteriors, keys, classes.length, posteriorPath),
    };
  });
  return { format: 'csv', classes, parts, skipped: [] };
}

/** The tables of a folder: `train.csv` with `val.csv` and `test.csv`, or the only `.csv` there is. */
export function findTables(folder: string): { path: string; split: SplitName | undefined }[] {
  const names = readdirSync(folder)
    .filter((name) => /\.csv$/i.test(name) && name !== 'posterior.csv')
    .sort();
  const named = names.map((name) => ({ path: join(folder, name), split: splitOfName(name.slice(0, -4)) }));
  const splits = named.filter(({ split }) => split !== undefined);
  if (splits.some(({ split }) => split === 'train')) return splits;
  return named.length === 1 ? named : [];
}

/** All rows of all tables, as numbers into short lists of different texts, so that a million rows stay small. */
class Rows {
  readonly paths = new StringTableBuilder();
  readonly labels = new Map<string, number>();
  readonly groups = new Map<string, number>();
  readonly labelOf: number[] = [];
  readonly groupOf: number[] = [];
  readonly splitOf: (SplitName | undefined)[] = [];
  readonly lineOf: number[] = [];
  readonly tableOf: number[] = [];
  tables = 0;
}

function readTable(rows: Rows, path: string, split: SplitName | undefined, columns: ColumnNames): void {
  let file: number | undefined;
  let label = 0;
  let splitColumn: number | undefined;
  let group: number | undefined;
  const table = rows.tables++;
  parseCsv(readText(path), path, (fields, line) => {
    if (file === undefined) {
      file = findColumn(fields, 'file', columns, path);
      if (file === undefined) throw missingColumn(fields, 'file', columns, path);
      const at = findColumn(fields, 'label', columns, path);
      if (at === undefined) throw missingColumn(fields, 'label', columns, path);
      label = at;
      splitColumn = split === undefined ? findColumn(fields, 'split', columns, path) : undefined;
      group = findColumn(fields, 'group', columns, path);
      return;
    }
    const name = plainPath(fields[file]);
    const text = fields[label].trim();
    if (fields[file] === '' || text === '') {
      throw new PenumbraError(
        'data/empty-field',
        `${path}, line ${line}: no ${text === '' ? 'label' : 'file'}`,
        {
          where: { file: path, line },
          hint: 'fill it in, or take the row out',
        },
      );
    }
    let rowSplit = split;
    if (splitColumn !== undefined) {
      rowSplit = splitOfName(fields[splitColumn].trim());
      if (rowSplit === undefined) {
        throw new PenumbraError(
          'data/split-names',
          `${path}, line ${line}: the split is not train, val or test`,
          {
            where: { file: path, line },
          },
        );
      }
    }
    rows.paths.add(name);
    rows.labelOf.push(numberOf(rows.labels, text));
    if (group !== undefined) rows.groupOf.push(numberOf(rows.groups, fields[group].trim()));
    rows.splitOf.push(rowSplit);
    rows.lineOf.push(line);
    rows.tableOf.push(table);
  });
  if (file === undefined) {
    throw new PenumbraError('data/columns', `${path} is empty`, {
      where: { file: path },
      hint: 'its first line must name the columns, for example file,label',
    });
  }
}

function numberOf(numbers: Map<string, number>, text: string): number {
  let number = numbers.get(text);
  if (number === undefined) numbers.set(text, (number = numbers.size));
  return number;
}

function classesOf(rows: Rows, path: string): string[] {
  const all = [...rows.labels.keys()];
  const hasTrain = rows.splitOf.includes('train');
  const used = new Set<number>();
  for (let i = 0; i < rows.labelOf.length; i++) {
    if (!hasTrain || rows.splitOf[i] === 'train') used.add(rows.labelOf[i]);
  }
  const classes = sortClasses([...used].map((number) => all[number]));
  if (classes.length >= 2) return classes;
  throw new PenumbraError('data/classes', `${path} has ${classes.length} classes; two or more are needed`, {
    where: { file: path },
  });
}

/** The class of each different label text: by name, or by number where no class has that name. */
function classNumbers(
  rows: Rows,
  classes: readonly string[],
  tables: readonly { path: string }[],
): Int32Array {
  const byName = new Map(classes.map((name, k) => [name, k]));
  const numbers = new Int32Array(rows.labels.size);
  for (const [text, label] of rows.labels) {
    const isNumber = /^-?\d+$/.test(text) && !classes.some((name) => /^\d+$/.test(name));
    const known = byName.get(text) ?? (isNumber ? Number(text) : -1);
    numbers[label] = known;
    if (known >= 0 && known < classes.length) continue;
    const row = rows.labelOf.indexOf(label);
    const { path } = tables[rows.tableOf[row]];
    const line = rows.lineOf[row];
    const where = { file: path, line };
    if (isNumber) {
      throw new PenumbraError(
        'data/label-range',
        `${path}, line ${line}: label ${text} is outside 0 to ${classes.length - 1}`,
        { where, hint: 'correct it, or name more classes' },
      );
    }
    throw new PenumbraError(
      'data/unknown-class',
      `${path}, line ${line}: the label is not one of the ${classes.length} classes`,
      { where, hint: `the classes are ${classes.slice(0, 8).join(', ')}${classes.length > 8 ? ', …' : ''}` },
    );
  }
  return numbers;
}

/** Forward slashes, and no `.` or `..` or doubled slashes inside: two names of one file become the same. */
function plainPath(path: string): string {
  return /\\|\/\/|(^|\/)\.\.?(\/|$)/.test(path) ? posix.normalize(path.replaceAll('\\', '/')) : path;
}

/**
 * Holds every listed file against its folder's listing (one system call a folder, not one a file), and against the
 * other rows.
 */
function checkFiles(root: string, paths: StringTable, rows: Rows, tables: readonly { path: string }[]): void {
  // Per folder, each file that is there and the row that named it; UNNAMED until one does.
  const UNNAMED = -1;
  const listings = new Map<string, Map<string, number>>();
  const first: string[] = [];
  let missing = 0;
  let firstRow = 0;
  for (let row = 0; row < paths.length; row++) {
    const path = stringAt(paths, row);
    const cut = path.lastIndexOf('/');
    const folder = path.slice(0, cut + 1);
    let listing = listings.get(folder);
    if (listing === undefined) {
      const full = resolve(root, folder);
      listing = new Map();
      if (existsSync(full)) for (const name of readdirSync(full)) listing.set(name, UNNAMED);
      listings.set(folder, listing);
    }
    const name = path.slice(cut + 1);
    const before = listing.get(name);
    if (before === UNNAMED) {
      listing.set(name, row);
    } else if (before === undefined) {
      if (missing++ === 0) firstRow = row;
      if (first.length < 5) first.push(path);
    } else {
      throw duplicate(path, before, row, rows, tables);
    }
  }
  if (missing === 0) return;
  const { path } = tables[rows.tableOf[firstRow]];
  throw new PenumbraError(
    'data/missing-files',
    `${path} names ${missing} of ${paths.length} files that are not under ${root}: ` +
      first.join(', ') +
      (missing > first.length ? ', …' : ''),
    {
      where: { file: path, line: rows.lineOf[firstRow], missing },
      hint: 'paths are relative to the table; give the folder that they are relative to as `root`',
    },
  );
}

function duplicate(
  name: string,
  before: number,
  row: number,
  rows: Rows,
  tables: readonly { path: string }[],
) {
  const { path } = tables[rows.tableOf[row]];
  const line = rows.lineOf[row];
  const earlier = `${tables[rows.tableOf[before]].path}, line ${rows.lineOf[before]}`;
  return new PenumbraError(
    'data/duplicate-file',
    `${path}, line ${line}: ${name} was listed before, in ${earlier}`,
    {
      where: { file: path, line },
      hint: 'a file twice in the data counts twice, or leaks from training into the test; keep one of the rows',
    },
  );
}

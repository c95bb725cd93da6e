import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { PenumbraError } from '../errors.ts';
import { nearest } from '../nearest.ts';
import {
  type ColumnNames,
  type Listing,
  type Names,
  oneOfK,
  type Part,
  pickPosterior,
  probeChannels,
  readClassNames,
  readPosterior,
  sortClasses,
} from './part.ts';
import { sharedRows } from './rows.ts';
import { indicesWhere } from './samples.ts';
import { splitOfName } from './split.ts';
import { stringAt } from './string-table.ts';
import { readRows, type TableFile, type TableRows } from './table-rows.ts';
import { type FilePixels, SPLIT_NAMES } from './types.ts';

/**
 * Reads tables of `file,label`, with optional columns `split`, `group` (or `patient`) and `site`: one table, or one per
 * split. Paths are relative to the first table's folder, or to `root`. Labels are class names, or numbers where the
 * classes are given (by `given` or `info.json`); otherwise the classes are the training split's labels, in order.
 * `posterior.csv` beside the table may hold true posteriors, by `file`.
 */
export function readTables(
  tables: readonly TableFile[],
  given: readonly string[] | undefined,
  columns: ColumnNames,
  root = dirname(tables[0].path),
): Listing {
  const rows = readRows(tables, columns, root);
  const texts = rows.labels.names.map((text) => text.trim());
  const classes = given ?? readClassNames(dirname(tables[0].path)) ?? classesOf(rows, texts, tables[0].path);
  const numbers = classNumbers(rows, texts, classes);
  const labels = rows.labels.of.map((label) => numbers[label]);
  return { format: 'csv', parts: partsOf(rows, labels, classes, tables, root), skipped: [] };
}

/** The tables of a folder: `train.csv` with `val.csv` and `test.csv`, or the only `.csv` there is. */
export function findTables(folder: string): TableFile[] {
  const names = readdirSync(folder)
    .filter((name) => /\.csv$/i.test(name) && name !== 'posterior.csv')
    .sort();
  const named = names.map((name) => ({ path: join(folder, name), split: splitOfName(name.slice(0, -4)) }));
  const splits = named.filter(({ split }) => split !== undefined);
  if (splits.some(({ split }) => split === 'train')) return splits;
  return named.length === 1 ? named : [];
}

/** The rows by their splits, with the class of each row. */
export function partsOf(
  rows: TableRows,
  labels: Int32Array,
  classes: readonly string[],
  tables: readonly TableFile[],
  root: string,
): Part[] {
  const { files, groups, sites } = rows;
  const source: FilePixels = { kind: 'files', root, paths: files, channels: probeChannels(root, files) };
  const posteriorPath = join(dirname(tables[0].path), 'posterior.csv');
  const posteriors = readPosterior(posteriorPath, classes);
  const parts = [undefined, ...SPLIT_NAMES].map((split): Part => {
    const members = indicesWhere(rows.length, (row) => rows.splitOf(row) === split);
    const pick = (names: Names | undefined) =>
      names && { names: names.names, of: Int32Array.from(members, (row) => names.of[row]) };
    const keys = posteriors === undefined ? [] : Array.from(members, (row) => stringAt(files, row));
    return {
      split,
      source,
      rows: sharedRows(members),
      targets: oneOfK(
        classes,
        Int32Array.from(members, (row) => labels[row]),
      ),
      names: files,
      groups: pick(groups),
      sites: pick(sites),
      posterior: pickPosterior(posteriors, keys, classes.length, posteriorPath),
    };
  });
  // An empty table is an empty split, and that is an error to be named later.
  const isNamed = (split: Part['split']) => split !== undefined && tables.some((t) => t.split === split);
  return parts.filter((part) => part.rows.length > 0 || isNamed(part.split));
}

/** What is wrong with the label of a row. */
export function labelError(
  rows: TableRows,
  row: number,
  code: string,
  what: string,
  hint: string,
): PenumbraError {
  const where = rows.placeOf(row);
  return new PenumbraError(code, `${where.file}, line ${where.line}: ${what}`, { where, hint });
}

function classesOf(rows: TableRows, texts: readonly string[], path: string): string[] {
  const hasTrain = rows.hasSplit('train');
  const used = new Uint8Array(texts.length);
  for (let row = 0; row < rows.length; row++) {
    if (!hasTrain || rows.splitOf(row) === 'train') used[rows.labels.of[row]] = 1;
  }
  const classes = sortClasses(new Set(texts.filter((_, label) => used[label] === 1)));
  if (classes.length >= 2) return classes;
  throw new PenumbraError('data/classes', `${path} has ${classes.length} classes; two or more are needed`, {
    where: { file: path },
  });
}

/** The class of each different label text: by name, or by number where no class has that name. */
function classNumbers(rows: TableRows, texts: readonly string[], classes: readonly string[]): Int32Array {
  const byName = new Map(classes.map((name, k) => [name, k]));
  const namesAreNumbers = classes.some((name) => /^\d+$/.test(name));
  return Int32Array.from(texts, (text, label) => {
    const isNumber = /^-?\d+$/.test(text) && !namesAreNumbers;
    const known = byName.get(text) ?? (isNumber ? Number(text) : -1);
    if (known >= 0 && known < classes.length) return known;
    const row = rows.labels.of.indexOf(label);
    if (isNumber) {
      throw labelError(
        rows,
        row,
        'data/label-range',
        `label ${text} is outside 0 to ${classes.length - 1}`,
        'correct it, or name more classes',
      );
    }
    throw labelError(
      rows,
      row,
      'data/unknown-class',
      `the label is not one of the ${classes.length} classes`,
      `the nearest is ${nearest(text, classes)}; the classes are ${classes.slice(0, 8).join(', ')}${classes.length > 8 ? ', …' : ''}`,
    );
  });
}

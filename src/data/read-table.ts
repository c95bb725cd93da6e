import { readdirSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { PenumbraError } from '../errors.ts';
import { nearest } from '../nearest.ts';
import type { DatasetOptions } from './dataset.ts';
import { FindingColumns } from './finding-columns.ts';
import type { DataFormat } from './format.ts';
import { checkAsked, isJoined, joinedFindings, joinedNames } from './joined-labels.ts';
import {
  type ColumnNames,
  findColumn,
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
import { type RowVisitor, readHeader, readRows, type TableFile, type TableRows } from './table-rows.ts';
import { type Targets, takeTargets } from './targets.ts';
import { type FilePixels, SPLIT_NAMES } from './types.ts';

/** A `.csv` of images, or a folder of them: `train.csv` with `val.csv` and `test.csv`, or the only one there is. */
export const TABLES: DataFormat = {
  name: 'csv',
  what: 'a .csv of file,label or with a column per finding',
  views: true,
  detects: ({ path, name, isFolder, names }) =>
    isFolder ? tablesIn(path, names).length > 0 : /\.csv$/i.test(name),
  read(path, options) {
    const isFolder = !/\.csv$/i.test(path) || statSync(path).isDirectory();
    const tables = isFolder ? tablesIn(path, readdirSync(path)) : [{ path, split: undefined }];
    return readTables(tables, options);
  },
};

/**
 * Reads tables with a column `file` and optional columns `split`, `group` (or `patient`) and `site`: one table, or one
 * per split. Paths are relative to the first table's folder, or to `root`.
 *
 * With a column `label`, labels are class names, or numbers where the classes are given (by `options.classes` or
 * `info.json`); otherwise the classes are the training split's labels, in order. Labels joined by `|` are findings.
 * `posterior.csv` beside the table may hold true posteriors, by `file`. Without that column each finding has one of its
 * own (`FindingColumns`).
 */
export function readTables(tables: readonly TableFile[], options: DatasetOptions): Listing {
  const { columns = {}, root = dirname(tables[0].path) } = options;
  const given = options.classes ?? readClassNames(dirname(tables[0].path));
  return hasLabels(tables[0].path, columns, given)
    ? readLabels(tables, given, columns, root, options)
    : readFindingColumns(tables, { ...options, classes: given, root });
}

function readLabels(
  tables: readonly TableFile[],
  given: readonly string[] | undefined,
  columns: ColumnNames,
  root: string,
  options: DatasetOptions,
): Listing {
  const { kind } = options;
  const rows = readRows(tables, columns, root, { skip: options, views: options.views });
  const texts = rows.labels.names.map((text) => text.trim());
  const known = new Set(given);
  const joined = texts.some((text) => isJoined(text) && !known.has(text));
  if (kind === 'findings' || (kind === undefined && joined)) {
    const { path } = tables[0];
    const there = joinedNames(texts);
    if (given !== undefined) checkAsked(given, there, path);
    if (there.length === 0) {
      throw new PenumbraError('data/columns', `${path} names no finding`, { where: { file: path } });
    }
    const findings = joinedFindings(given ?? there, texts, rows.labels.of);
    return { format: 'csv', parts: partsOf(rows, findings, tables, root), skipped: rows.skipped };
  }
  const classes = given ?? classesOf(rows, texts, tables[0].path);
  const numbers = classNumbers(rows, texts, classes);
  const labels = rows.labels.of.map((label) => numbers[label]);
  return {
    format: 'csv',
    parts: partsOf(rows, oneOfK(classes, labels), tables, root),
    skipped: rows.skipped,
  };
}

/**
 * Reads tables with a column per finding.
 *
 * @param place where a listed file is, relative to the root. Default: where it is listed.
 */
export function readFindingColumns(
  tables: readonly TableFile[],
  options: DatasetOptions & { readonly root: string },
  place?: (file: string) => string,
): Listing {
  const { columns = {}, root, classes, findings: choice } = options;
  const collected = new FindingColumns(classes, choice);
  const visit: RowVisitor = (header, path, at) =>
    collected.open(header, path, new Set(Object.values(at).filter((i) => i !== undefined)));
  const rows = readRows(tables, columns, root, {
    visit,
    place,
    skip: options,
    views: options.views,
  });
  const { path } = tables[0];
  const findings = collected.build(path);
  const { leftAside } = collected;
  const notes = [`each of these columns of ${basename(path)} is a finding: ${findings.names.join(', ')}`];
  if (leftAside.length > 0) notes.push(`columns that were not read: ${leftAside.join(', ')}`);
  return {
    format: 'csv',
    parts: partsOf(rows, findings, tables, root),
    skipped: rows.skipped,
    ...(classes === undefined && { notes }),
  };
}

/** Whether a table's labels are in one column: not where all the classes that are wanted have columns of their own. */
function hasLabels(path: string, columns: ColumnNames, wanted: readonly string[] | undefined): boolean {
  const header = readHeader(path);
  if (findColumn(header, 'label', columns, path) === undefined) return false;
  const names = new Set(header.map((name) => name.trim().toLowerCase()));
  return wanted === undefined || !wanted.every((name) => names.has(name.toLowerCase()));
}

function tablesIn(folder: string, entries: readonly string[]): TableFile[] {
  const names = entries.filter((name) => /\.csv$/i.test(name) && name !== 'posterior.csv').sort();
  const named = names.map((name) => ({ path: join(folder, name), split: splitOfName(name.slice(0, -4)) }));
  const splits = named.filter(({ split }) => split !== undefined);
  if (splits.some(({ split }) => split === 'train')) return splits;
  return named.length === 1 ? named : [];
}

/** The rows by their splits, with the targets of each row. */
export function partsOf(
  rows: TableRows,
  targets: Targets,
  tables: readonly TableFile[],
  root: string,
): Part[] {
  const { files, groups, sites } = rows;
  const source: FilePixels = { kind: 'files', root, paths: files, channels: probeChannels(root, files) };
  const posteriorPath = join(dirname(tables[0].path), 'posterior.csv');
  const classes = targets.names;
  const posteriors = targets.kind === 'one-of-k' ? readPosterior(posteriorPath, classes) : undefined;
  const parts = [undefined, ...SPLIT_NAMES].map((split): Part => {
    const members = indicesWhere(rows.length, (row) => rows.splitOf(row) === split && !rows.leftOut.has(row));
    const pick = (names: Names | undefined) =>
      names && { names: names.names, of: Int32Array.from(members, (row) => names.of[row]) };
    const keys = posteriors === undefined ? [] : Array.from(members, (row) => stringAt(files, row));
    return {
      split,
      source,
      rows: sharedRows(members),
      targets: takeTargets(targets, members),
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

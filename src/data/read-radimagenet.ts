import { existsSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { PenumbraError } from '../errors.ts';
import { nearest } from '../nearest.ts';
import type { DataFormat } from './format.ts';
import { type ColumnNames, type Listing, oneOfK } from './part.ts';
import { RADIMAGENET_CLASSES, radImageNetClassOf, radImageNetStrata } from './radimagenet.ts';
import { labelError, partsOf } from './read-table.ts';
import { splitOfName } from './split.ts';
import { readRows, type SkipOptions, type TableFile, type TableRows } from './table-rows.ts';
import { SPLIT_NAMES } from './types.ts';

const TABLE = /^RadiologyAI_(train|val|test)\.csv$/i;

/** RadImageNet's folder, or one of its three tables. */
export const RADIMAGENET: DataFormat = {
  name: 'radimagenet',
  what: "RadImageNet's tables",
  detects: ({ name, isFolder, names }) => (isFolder ? names : [name]).some((entry) => TABLE.test(entry)),
  read(path, options) {
    const { classes, columns = {}, root } = options;
    if (TABLE.test(basename(path))) {
      return readRadImageNet([{ path, split: undefined }], classes, columns, root, options);
    }
    const tables = readdirSync(path)
      .filter((name) => TABLE.test(name))
      .map((name) => ({ path: join(path, name), split: splitOfName(name.slice(0, -4)) }));
    const ordered = SPLIT_NAMES.flatMap((split) => tables.filter((table) => table.split === split));
    return readRadImageNet(ordered, classes, columns, root, options);
  },
};

/**
 * Reads RadImageNet as it is handed out: `RadiologyAI_{train,val,test}.csv` with `filename,label`, and
 * `radiology_ai/<modality>/<anatomy>/<class>/….png` beside them, around them, or under `root`. The classes are those of
 * the 165 that the training table names (all of them, in the whole set), in the order of the list, or those given; the
 * strata are their modalities and anatomies.
 *
 * @throws {PenumbraError} `data/unknown-class` with the line and the nearest name.
 */
function readRadImageNet(
  tables: readonly TableFile[],
  given: readonly string[] | undefined,
  columns: ColumnNames,
  root = usualRoot(dirname(tables[0].path)),
  skip: SkipOptions = {},
): Listing {
  const rows = readRows(tables, columns, root, { skip });
  const published = publishedClasses(rows);
  const classes = given ?? classesOf(rows, published, tables[0].path);
  const strata = radImageNetStrata(classes);
  const numbers = Int32Array.from(RADIMAGENET_CLASSES, (name) => classes.indexOf(name));
  const labels = published.map((number) => numbers[number]);
  const stray = labels.indexOf(-1);
  if (stray >= 0) {
    const name = RADIMAGENET_CLASSES[published[stray]];
    throw labelError(
      rows,
      stray,
      'data/unknown-class',
      `${name} is not one of the ${classes.length} classes of the training table`,
      'take its rows out of every table, or add some for training',
    );
  }
  const parts = partsOf(rows, oneOfK(classes, labels), tables, root);
  return { format: 'radimagenet', strata, parts, skipped: rows.skipped };
}

/** Each row's place in the list of 165. */
function publishedClasses(rows: TableRows): Int32Array {
  const { labels, folders } = rows;
  const numbers = new Map(RADIMAGENET_CLASSES.map((name, k) => [name, k]));
  // There are few different pairs of a label and a folder.
  const known = new Map<number, number>();
  const published = new Int32Array(rows.length);
  for (let row = 0; row < rows.length; row++) {
    const pair = labels.of[row] * folders.names.length + folders.of[row];
    let number = known.get(pair);
    if (number === undefined) {
      const [label, folder] = [labels.names[labels.of[row]].trim(), folders.names[folders.of[row]]];
      number = numbers.get(radImageNetClassOf(label, folder) ?? '');
      if (number === undefined) throw unknownClass(rows, row, label);
      known.set(pair, number);
    }
    published[row] = number;
  }
  return published;
}

function classesOf(rows: TableRows, published: Int32Array, path: string): string[] {
  const hasTrain = rows.hasSplit('train');
  const used = new Uint8Array(RADIMAGENET_CLASSES.length);
  for (let row = 0; row < rows.length; row++) {
    if (!hasTrain || rows.splitOf(row) === 'train') used[published[row]] = 1;
  }
  const classes = RADIMAGENET_CLASSES.filter((_, k) => used[k] === 1);
  if (classes.length >= 2) return classes;
  throw new PenumbraError('data/classes', `${path} has ${classes.length} classes; two or more are needed`, {
    where: { file: path },
  });
}

function unknownClass(rows: TableRows, row: number, label: string): PenumbraError {
  return labelError(
    rows,
    row,
    'data/unknown-class',
    `the label '${label}' is none of RadImageNet's 165 classes`,
    `the nearest is ${nearest(label, RADIMAGENET_CLASSES)}; a label is that name, or the end of it that its folder lacks`,
  );
}

/** The tables name files from `radiology_ai/` on: it lies beside them, or they lie inside it. */
function usualRoot(folder: string): string {
  const isInside = basename(folder) === 'radiology_ai' && !existsSync(join(folder, 'radiology_ai'));
  return isInside ? dirname(folder) : folder;
}

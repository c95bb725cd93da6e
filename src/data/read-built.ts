import { existsSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { PenumbraError } from '../errors.ts';
import { scanCsv } from './csv.ts';
import type { DatasetOptions } from './dataset.ts';
import { findFiles } from './find-files.ts';
import type { FindingsOptions } from './findings-options.ts';
import type { DataFormat } from './format.ts';
import { type Listing, namedColumn, readText } from './part.ts';
import { readFindingColumns } from './read-table.ts';
import { readBytes } from './table-rows.ts';

/** What `penumbra dataset build` writes: its folder, or the `labels.csv` in it. */
export const BUILT: DataFormat = {
  name: 'penumbra',
  what: 'what penumbra dataset build wrote',
  detects: ({ path, name, isFolder, names }) =>
    isFolder
      ? names.includes('dataset.json') && names.includes('labels.csv')
      : name === 'labels.csv' && existsSync(join(dirname(path), 'dataset.json')),
  read: (path, options) => readBuilt(/\.csv$/i.test(path) ? dirname(path) : path, options),
};

/**
 * Reads a data set that was built from reports: the label y of each finding (or its probability p, by
 * `findings.values`) with its smoothing rate r, unknown where the report does not speak of it; patients and splits as
 * the build gave them, and how often labels are wrong, where the build was told. Images are looked for where the build found their table, or under `root`.
 *
 * @throws {PenumbraError} `data/info` for a `dataset.json` that is none.
 */
function readBuilt(folder: string, options: DatasetOptions): Listing {
  const card = readCard(join(folder, 'dataset.json'));
  const root = options.root ?? resolve(folder, card.imageRoot);
  const table = join(folder, 'labels.csv');
  const listed = listedFiles(table);
  const find = findFiles(root, listed);
  const listing = readFindingColumns(
    [{ path: table, split: undefined }],
    {
      ...options,
      classes: options.classes ?? card.findings,
      root,
      findings: { ...(card.errors && { errors: card.errors }), ...options.findings },
    },
    (file) => find(asWritten(file)),
  );
  const [first] = listed;
  const moved = first !== undefined && find(first) !== first;
  const notes = moved
    ? [`images are in ${dirname(find(first))}, and not in ${dirname(first)} as listed`]
    : [];
  return { ...listing, format: BUILT.name, notes: [...notes, ...(listing.notes ?? [])] };
}

/** The build puts an apostrophe before a name that a spreadsheet would take for a formula. */
function asWritten(file: string): string {
  return /^'[=+\-@\t\r]/.test(file) ? file.slice(1) : file;
}

function listedFiles(table: string): string[] {
  const files: string[] = [];
  let image = -1;
  scanCsv(readBytes(table), table, (row) => {
    if (image < 0) image = namedColumn(row.texts(), 'image', table);
    else files.push(asWritten(row.text(image)));
  });
  return files;
}

interface Card {
  readonly imageRoot: string;
  readonly findings: string[];
  readonly errors: FindingsOptions['errors'];
}

function readCard(path: string): Card {
  let card: { imageRoot?: unknown; findings?: unknown; errors?: unknown } | null;
  try {
    card = JSON.parse(readText(path));
  } catch (cause) {
    if (cause instanceof PenumbraError) throw cause;
    throw new PenumbraError('data/info', `${path} is not JSON`, { where: { file: path }, cause });
  }
  const findings = Array.isArray(card?.findings)
    ? card.findings.map((entry: { finding?: unknown } | null) => entry?.finding)
    : [];
  if (findings.length === 0 || !findings.every((name) => typeof name === 'string')) {
    throw new PenumbraError('data/info', `${path} names no findings`, {
      where: { file: path },
      hint: `${basename(path)} is what penumbra dataset build writes beside labels.csv: build the data set again`,
    });
  }
  return {
    imageRoot: typeof card?.imageRoot === 'string' ? card.imageRoot : '.',
    findings,
    errors: (card?.errors ?? undefined) as FindingsOptions['errors'],
  };
}

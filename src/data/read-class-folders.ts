import { type Dirent, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { PenumbraError } from '../errors.ts';
import { nearest } from '../nearest.ts';
import { dicomHint } from './dicom.ts';
import type { DataFormat } from './format.ts';
import {
  type Listing,
  oneOfK,
  type Part,
  pickPosterior,
  probeChannels,
  readPosterior,
  sortClasses,
} from './part.ts';
import { sharedRows } from './rows.ts';
import { splitOfName } from './split.ts';
import { StringTableBuilder, stringAt } from './string-table.ts';
import type { BrokenFile, FilePixels, SplitName } from './types.ts';

/** What counts as an image by its name; whether it is one its bytes say. */
const IMAGE_NAME = /\.(png|jpe?g)$/i;

/** A folder of class folders, or of `train`/`val`/`test` folders of them. */
export const CLASS_FOLDERS: DataFormat = {
  name: 'folders',
  what: 'folders of PNG or JPEG per class',
  detects: ({ path, isFolder }) => isFolder && folders(path).length > 0,
  read: (path, { classes }) => readClassFolders(path, classes),
};

/**
 * Lists `root/class/….png` or `root/split/class/….png`, with any folders between class and file. Hidden entries are
 * passed over; files with other extensions are listed as skipped. The classes are those of the training split.
 * `root/posterior.csv` (by `file`, relative to the root) may hold true posteriors.
 */
function readClassFolders(root: string, given: readonly string[] | undefined): Listing {
  const top = folders(root);
  const splits = new Map<SplitName | undefined, string>();
  for (const name of top) {
    const split = splitOfName(name);
    if (split === undefined) continue;
    const other = splits.get(split);
    if (other !== undefined) {
      throw new PenumbraError(
        'data/split-names',
        `${root}: both ${other} and ${name} would be split ${split}`,
        {
          where: { file: join(root, name) },
        },
      );
    }
    splits.set(split, name);
  }
  if (splits.size === 0) splits.set(undefined, '.');
  else if (splits.size < top.length) {
    const odd = top.find((name) => splitOfName(name) === undefined)!;
    throw new PenumbraError(
      'data/split-names',
      `${root} holds splits (${[...splits.values()].join(', ')}) and also ${odd}, which is none`,
      {
        where: { file: join(root, odd) },
        hint: 'keep only folders named train, val and test there, or only class folders',
      },
    );
  }

  const learned = splits.has('train') ? 'train' : [...splits.keys()][0];
  const classes = [...(given ?? sortClasses(folders(join(root, splits.get(learned)!))))];
  if (classes.length < 2) {
    throw new PenumbraError(
      'data/classes',
      `${root} has ${classes.length} class folders; two or more are needed`,
      {
        where: { file: root },
        hint: 'put the images of each class into a folder of its own',
      },
    );
  }
  const numbers = new Map(classes.map((name, k) => [name, k]));

  const paths = new StringTableBuilder();
  const skipped: BrokenFile[] = [];
  // A class or a split behind a link would vanish without a word.
  for (const folder of new Set(['.', ...splits.values()]))
    for (const entry of entries(join(root, folder)))
      if (entry.isSymbolicLink())
        skipped.push({
          file: folder === '.' ? entry.name : `${folder}/${entry.name}`,
          reason: 'a link, where a folder is looked for',
        });
  const found: { split: SplitName | undefined; rows: number[]; labels: number[] }[] = [];
  for (const [split, splitFolder] of splits) {
    const rows: number[] = [];
    const labels: number[] = [];
    for (const name of folders(join(root, splitFolder))) {
      const label = numbers.get(name);
      const folder = splitFolder === '.' ? name : `${splitFolder}/${name}`;
      if (label === undefined) {
        throw new PenumbraError(
          'data/unknown-class',
          `${folder} is not one of the ${classes.length} classes`,
          {
            where: { file: join(root, folder), class: name },
            hint: `the nearest is ${nearest(name, classes)}; the classes are ${classes.slice(0, 8).join(', ')}${classes.length > 8 ? ', …' : ''}`,
          },
        );
      }
      list(root, folder, skipped, (path) => {
        rows.push(paths.length);
        labels.push(label);
        paths.addText(path);
      });
    }
    found.push({ split, rows, labels });
  }

  const table = paths.build();
  if (table.length === 0) throw noImages(root, skipped);
  const source: FilePixels = { kind: 'files', root, paths: table, channels: probeChannels(root, table) };
  const posteriorPath = join(root, 'posterior.csv');
  const posteriors = readPosterior(posteriorPath, classes);
  const parts = found.map(({ split, rows, labels }): Part => {
    const keys = posteriors === undefined ? [] : rows.map((row) => stringAt(table, row));
    return {
      split,
      source,
      rows: sharedRows(rows),
      targets: oneOfK(classes, Int32Array.from(labels)),
      names: table,
      groups: undefined,
      posterior: pickPosterior(posteriors, keys, classes.length, posteriorPath),
    };
  });
  checkClasses(root, classes, found, splits, skipped);
  return { format: 'folders', parts, skipped };
}

/** @throws {PenumbraError} `data/missing-class` for a class folder that holds files, and no image among them */
function checkClasses(
  root: string,
  classes: readonly string[],
  found: readonly { readonly split: SplitName | undefined; readonly labels: readonly number[] }[],
  splits: ReadonlyMap<SplitName | undefined, string>,
  skipped: readonly BrokenFile[],
): void {
  for (const { split, labels } of found) {
    const there = new Set(labels);
    const folder = splits.get(split)!;
    for (const [k, name] of classes.entries()) {
      if (there.has(k)) continue;
      const prefix = folder === '.' ? `${name}/` : `${folder}/${name}/`;
      const own = skipped.filter(({ file }) => file.startsWith(prefix));
      if (own.length === 0) continue;
      const hint = dicomHint(own.map(({ file }) => join(root, file)));
      throw new PenumbraError(
        'data/missing-class',
        `${prefix} holds ${own.length} files, and none is a PNG or JPEG`,
        {
          where: { file: join(root, prefix), class: name },
          hint: hint ?? 'convert them to PNG, or take the folder out',
        },
      );
    }
  }
}

function noImages(root: string, skipped: readonly BrokenFile[]): PenumbraError {
  const hint = dicomHint(skipped.map(({ file }) => join(root, file)));
  return new PenumbraError(
    'data/no-images',
    `the class folders of ${root} hold no PNG or JPEG${skipped.length > 0 ? `, but ${skipped.length} other files` : ''}`,
    { where: { file: root }, ...(hint !== undefined && { hint }) },
  );
}

function list(root: string, folder: string, skipped: BrokenFile[], onImage: (path: string) => void): void {
  for (const entry of entries(join(root, folder))) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) list(root, path, skipped, onImage);
    else if (IMAGE_NAME.test(entry.name)) onImage(path);
    else skipped.push({ file: path, reason: 'its name does not end in .png, .jpg or .jpeg' });
  }
}

function folders(path: string): string[] {
  return entries(path)
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name);
}

/** By code point, without hidden ones. A link counts as what its name looks like: a file. */
function entries(path: string): Dirent[] {
  return readdirSync(path, { withFileTypes: true })
    .filter((entry) => !entry.name.startsWith('.'))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

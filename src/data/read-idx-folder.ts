import { existsSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { PenumbraError } from '../errors.ts';
import { parseCsv } from './csv.ts';
import type { DataFormat } from './format.ts';
import { idxIntegers, readIdx } from './idx.ts';
import { checkPairs, numberedClasses } from './memory-parts.ts';
import {
  type ColumnNames,
  findColumn,
  type Listing,
  namesOf,
  oneOfK,
  type Part,
  pickPosterior,
  readClassNames,
  readPosterior,
  readText,
} from './part.ts';
import { allRows } from './rows.ts';
import { splitOfName } from './split.ts';
import { stringTable } from './string-table.ts';
import type { MemoryPixels } from './types.ts';

/** `train-images-idx3-ubyte`, `t10k-images.idx3-ubyte.gz`, `images-idx4-ubyte`: the prefix names the split. */
export const IDX_IMAGES = /^(.*?)images([-.])idx[34]([-.])ubyte(\.gz)?$/i;

/** A folder of IDX files, or one of its image files. */
export const IDX: DataFormat = {
  name: 'idx',
  what: 'IDX files (train-images-idx3-ubyte …)',
  detects: ({ name, isFolder, names }) => (isFolder ? names : [name]).some((entry) => IDX_IMAGES.test(entry)),
  read: (path, { classes, columns = {} }) => readIdxFolder(path, classes, columns),
};

/**
 * Reads the IDX files of a folder, or one pair by its image file: images N×H×W or N×H×W×C (C 1 or 3) of unsigned
 * bytes, labels N integers. Beside them may lie `info.json` (class names), `<prefix>files.csv` (a `file` and perhaps a
 * `patient` and a `site` column, in the order of the images) and `<prefix>posterior.csv` (true posteriors, by `index`).
 */
function readIdxFolder(path: string, given: readonly string[] | undefined, columns: ColumnNames): Listing {
  const one = IDX_IMAGES.test(basename(path));
  const folder = one ? dirname(path) : path;
  const files = one
    ? [basename(path)]
    : readdirSync(folder)
        .filter((name) => IDX_IMAGES.test(name))
        .sort();
  const pairs = files.map((name) => ({ file: join(folder, name), name, ...readPair(folder, name) }));
  const classes = given ?? readClassNames(folder) ?? numberedClasses(pairs);
  checkPairs(pairs, classes);
  const parts = pairs.map(({ prefix, source, labels }): Part => {
    const posteriorPath = join(folder, `${prefix}posterior.csv`);
    const keys = Array.from(labels.keys(), String);
    return {
      split: splitOfName(prefix.replace(/[-_.]$/, '')),
      source,
      rows: allRows(labels.length),
      targets: oneOfK(classes, labels),
      ...readIdxNames(join(folder, `${prefix}files.csv`), labels.length, columns),
      posterior: pickPosterior(readPosterior(posteriorPath, classes), keys, classes.length, posteriorPath),
    };
  });
  return { format: 'idx', parts, skipped: [] };
}

function readPair(
  folder: string,
  name: string,
): { prefix: string; source: MemoryPixels; labels: Int32Array } {
  const [, prefix, before, after] = name.match(IDX_IMAGES)!;
  const plain = `${prefix}labels${before}idx1${after}ubyte`;
  const labelName = [plain, `${plain}.gz`].find((candidate) => existsSync(join(folder, candidate)));
  const imagePath = join(folder, name);
  if (labelName === undefined) {
    throw new PenumbraError('data/not-found', `${name} has no labels beside it: ${plain} is missing`, {
      where: { file: imagePath },
    });
  }
  const { source, count } = readIdxImages(imagePath);
  const labelArray = readIdx(join(folder, labelName));
  if (labelArray.shape.length !== 1 || labelArray.shape[0] !== count) {
    throw new PenumbraError(
      'data/idx',
      `${labelName} holds ${labelArray.shape.join('×')} labels for ${count} images in ${name}`,
      { where: { file: join(folder, labelName) }, hint: 'take both files from the same source' },
    );
  }
  return { prefix, source, labels: idxIntegers(labelArray, labelName) };
}

/** The images of one file, N×H×W or N×H×W×C (C 1 or 3) of unsigned bytes. @throws {PenumbraError} `data/idx` */
export function readIdxImages(path: string): { readonly source: MemoryPixels; readonly count: number } {
  const images = readIdx(path);
  const [count = 0, height, width, channels = 1] = images.shape;
  const known = images.shape.length === 3 || images.shape.length === 4;
  if (
    images.type !== 'uint8' ||
    !known ||
    (channels !== 1 && channels !== 3) ||
    height === 0 ||
    width === 0
  ) {
    throw new PenumbraError(
      'data/idx',
      `${basename(path)} holds ${images.shape.join('×')} values of ${images.type}; images are N×H×W or N×H×W×C (C 1 or 3) of uint8`,
      { where: { file: path } },
    );
  }
  return { source: { kind: 'memory', pixels: images.bytes, height, width, channels }, count };
}

/** File, group and site names from the table beside the images, where there is one. */
export function readIdxNames(
  path: string,
  count: number,
  columns: ColumnNames,
): Pick<Part, 'names' | 'groups' | 'sites'> {
  if (!existsSync(path)) return { names: undefined, groups: undefined };
  const names: string[] = [];
  const groups: string[] = [];
  const sites: string[] = [];
  let file: number | undefined;
  let group: number | undefined;
  let site: number | undefined;
  let isHeader = true;
  parseCsv(readText(path), path, (fields) => {
    if (isHeader) {
      file = findColumn(fields, 'file', {}, path);
      group = findColumn(fields, 'group', { group: columns.group }, path);
      site = findColumn(fields, 'site', { site: columns.site }, path);
      isHeader = false;
      return;
    }
    names.push(file === undefined ? '' : fields[file]);
    if (group !== undefined) groups.push(fields[group]);
    if (site !== undefined) sites.push(fields[site]);
  });
  if (names.length !== count) {
    throw new PenumbraError('data/idx', `${path} has ${names.length} rows for ${count} images`, {
      where: { file: path },
    });
  }
  return {
    names: file === undefined ? undefined : stringTable(names),
    groups: group === undefined ? undefined : namesOf(groups),
    sites: site === undefined ? undefined : namesOf(sites),
  };
}

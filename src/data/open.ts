import { readdirSync, statSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { PenumbraError } from '../errors.ts';
import type { PhantomOptions } from '../phantom/index.ts';
import { assignParts, type DatasetOptions, datasetOf } from './dataset.ts';
import type { Listing } from './part.ts';
import { phantomDataset } from './phantom-dataset.ts';
import { readClassFolders } from './read-class-folders.ts';
import { idxImageFiles, readIdxFolder } from './read-idx-folder.ts';
import { readNpz } from './read-npz.ts';
import { findRadImageNet, isRadImageNetTable, readRadImageNet } from './read-radimagenet.ts';
import { findTables, readTables } from './read-table.ts';
import type { Dataset } from './types.ts';

export interface OpenOptions extends DatasetOptions {
  /** What to draw where the path is `phantom`. */
  readonly phantom?: PhantomOptions;
}

/**
 * Opens a data set and finds out its format:
 * - a folder of IDX files (`train-images-idx3-ubyte` …, also `.gz`), or one such image file;
 * - a MedMNIST file (`.npz`);
 * - RadImageNet's folder with `RadiologyAI_train.csv`, `_val` and `_test`, or one of these tables;
 * - a `.csv` of `file,label`, or a folder with `train.csv` (and `val.csv`, `test.csv`) or a single `.csv`;
 * - a folder of class folders, or of `train`/`val`/`test` folders of class folders, with PNG or JPEG files;
 * - the word `phantom`: virtual radiographs (a folder of that name is opened as `./phantom`).
 *
 * Images are not decoded here: files that turn out broken are left out and listed by the loader.
 *
 * @throws {PenumbraError} with the file, line, split or class where the data contradict themselves.
 */
export function openDataset(path: string, options: OpenOptions = {}): Dataset {
  if (path === 'phantom') {
    const { fractions, phantom, splits } = options;
    assignParts(path, [], splits); // Phantoms have no named parts: asking for one is an error.
    return phantomDataset({ ...phantom, fractions });
  }
  const full = resolve(path);
  return datasetOf(basename(full), readListing(full, options), options);
}

function readListing(path: string, options: DatasetOptions): Listing {
  const { classes, columns = {} } = options;
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) {
    throw new PenumbraError('data/not-found', `there is no ${path}`, { where: { file: path } });
  }
  if (!stat.isDirectory()) {
    const tables = [{ path, split: undefined }];
    if (isRadImageNetTable(basename(path))) return readRadImageNet(tables, classes, columns, options.root);
    if (/\.csv$/i.test(path)) return readTables(tables, classes, columns, options.root);
    if (/\.npz$/i.test(path)) return readNpz(path, classes);
    if (/images[-.]idx[34][-.]ubyte(\.gz)?$/i.test(path)) return readIdxFolder(path, classes, columns);
    throw unknownFormat(path);
  }
  if (idxImageFiles(path).length > 0) return readIdxFolder(path, classes, columns);
  const radImageNet = findRadImageNet(path);
  if (radImageNet.length > 0) return readRadImageNet(radImageNet, classes, columns, options.root);
  const tables = findTables(path);
  if (tables.length > 0) return readTables(tables, classes, columns, options.root);
  if (readdirSync(path, { withFileTypes: true }).some((entry) => entry.isDirectory())) {
    return readClassFolders(path, classes);
  }
  throw unknownFormat(path);
}

function unknownFormat(path: string): PenumbraError {
  return new PenumbraError('data/format', `${path} is no data set that Penumbra can read`, {
    where: { file: path },
    hint: 'it reads IDX files (train-images-idx3-ubyte …), MedMNIST .npz, a .csv of file,label, and folders of PNG or JPEG per class',
  });
}

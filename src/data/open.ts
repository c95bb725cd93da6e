import { readdirSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { PenumbraError } from '../errors.ts';
import { resolveInside } from '../files/index.ts';
import { assignParts, type DatasetOptions, datasetOf } from './dataset.ts';
import { dicomHint } from './dicom.ts';
import { dataFormats, registerFormat } from './format.ts';
import { judgedBy } from './judge-by.ts';
import type { Listing } from './part.ts';
import { type PhantomDatasetOptions, phantomDataset } from './phantom-dataset.ts';
import { BUILT } from './read-built.ts';
import { CHEXPERT } from './read-chexpert.ts';
import { CLASS_FOLDERS } from './read-class-folders.ts';
import { CLINIC } from './read-clinic.ts';
import { IDX } from './read-idx-folder.ts';
import { MIMIC_CXR } from './read-mimic-cxr.ts';
import { NIH } from './read-nih.ts';
import { NPZ } from './read-npz.ts';
import { RADIMAGENET } from './read-radimagenet.ts';
import { TABLES } from './read-table.ts';
import { type StringTable, stringAt } from './string-table.ts';
import type { Dataset, FilePixels } from './types.ts';
import { noViews } from './views.ts';

export interface OpenOptions extends DatasetOptions {
  /** What to draw where the path is `phantom`. */
  readonly phantom?: Omit<PhantomDatasetOptions, 'fractions'>;
  /** A data set of the same images whose labels judge the test split: see `judgedBy`. */
  readonly judgeBy?: string;
}

/**
 * Opens a data set and finds out its format:
 * - a folder of IDX files (`train-images-idx3-ubyte` …, also `.gz`), or one such image file;
 * - a MedMNIST file (`.npz`);
 * - RadImageNet's folder with `RadiologyAI_train.csv`, `_val` and `_test`, or one of these tables;
 * - a `.csv` of `file,label` or of `file` and a column per finding, or a folder with `train.csv` (and `val.csv`, `test.csv`) or a single `.csv`;
 * - a folder of class folders, or of `train`/`val`/`test` folders of class folders, with PNG or JPEG files;
 * - NIH ChestX-ray14's folder with `Data_Entry_2017.csv`, CheXpert's with `train.csv` and `valid.csv`, MIMIC-CXR-JPG's with
 *   its tables, what `penumbra dataset build` and `penumbra phantom --kind chest` wrote: K findings an image;
 * - the word `phantom`: virtual radiographs (a folder of that name is opened as `./phantom`).
 *
 * Images are not decoded here: files that turn out broken are left out and listed by the loader.
 *
 * @throws {PenumbraError} with the file, line, split or class where the data contradict themselves.
 */
export function openDataset(path: string, options: OpenOptions = {}): Dataset {
  if (path === 'phantom') {
    const { fractions, phantom, splits, views } = options;
    if (views !== undefined) throw noViews('the phantom');
    assignParts(path, [], splits); // Phantoms have no named parts: asking for one is an error.
    return phantomDataset({ ...phantom, fractions });
  }
  const full = resolve(path);
  const dataset = datasetOf(
    basename(full),
    confined(readListing(full, options), options.allowOutside ?? false),
    options,
  );
  if (options.judgeBy === undefined) return dataset;
  return judgedBy(dataset, openDataset(options.judgeBy, { labelsOnly: true }));
}

// The one that is registered last is asked first: what is particular comes after what is general.
for (const format of [CLASS_FOLDERS, TABLES, NPZ, RADIMAGENET, IDX, CHEXPERT, MIMIC_CXR, NIH, BUILT, CLINIC])
  registerFormat(format);

function readListing(path: string, options: DatasetOptions): Listing {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) {
    throw new PenumbraError('data/not-found', `there is no ${path}`, { where: { file: path } });
  }
  const isFolder = stat.isDirectory();
  const names = isFolder ? readdirSync(path).sort() : [];
  const place = { path, name: basename(path), isFolder, names };
  const format = dataFormats().find((candidate) => candidate.detects(place));
  if (format !== undefined && options.views !== undefined && !format.views) throw noViews(path);
  if (format !== undefined) return format.read(path, options);
  throw new PenumbraError('data/format', `${path} is no data set that Penumbra can read`, {
    where: { file: path },
    hint:
      dicomHint(isFolder ? names.map((entry) => join(path, entry)) : [path]) ??
      `it reads ${dataFormats()
        .map(({ what }) => what)
        .join('; ')}`,
  });
}

/**
 * The listing with its files kept inside their root, or not. What links lead to is seen when a file is opened.
 * @throws {PenumbraError} `files/outside` for a path that leaves the root, unless that is allowed
 */
function confined(listing: Listing, anywhere: boolean): Listing {
  const sources = new Map<FilePixels, FilePixels>();
  const parts = listing.parts.map((part) => {
    const { source } = part;
    if (source?.kind !== 'files') return part;
    if (!anywhere && !sources.has(source)) checkPaths(source.root, source.paths);
    const own = sources.get(source) ?? { ...source, anywhere };
    sources.set(source, own);
    return { ...part, source: own };
  });
  return { ...listing, parts };
}

/**
 * Looks at the bytes of all paths at once: a million paths take milliseconds unless one of them is odd.
 * @throws {PenumbraError} `files/outside` for a path that leaves the root
 */
export function checkPaths(root: string, paths: StringTable): void {
  const { bytes, ends } = paths;
  const slash = 0x2f;
  let odd = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).includes('..');
  for (let i = 0; i < paths.length && !odd; i++) odd = bytes[i === 0 ? 0 : ends[i - 1]] === slash;
  if (odd) for (let i = 0; i < paths.length; i++) resolveInside(root, stringAt(paths, i));
}

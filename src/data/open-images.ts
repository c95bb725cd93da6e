/** Images that nobody has labelled: what a trained network is asked about. */
import { readdirSync, statSync } from 'node:fs';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { PenumbraError } from '../errors.ts';
import { readZipEntries } from '../zip.ts';
import { dicomHint } from './dicom.ts';
import { parseNpy } from './npy.ts';
import { checkPaths } from './open.ts';
import { type ColumnNames, fileName, oneOfK, probeChannels } from './part.ts';
import { IDX_IMAGES, readIdxImages, readIdxNames } from './read-idx-folder.ts';
import { LONGEST_ARRAY, npyPixels } from './read-npz.ts';
import { allRows } from './rows.ts';
import { splitOfName } from './split.ts';
import { type StringTable, StringTableBuilder, stringAt, stringTable } from './string-table.ts';
import { makeSubset } from './subset.ts';
import { RowCollector, readBytes } from './table-rows.ts';
import type { BrokenFile, FilePixels, MemoryPixels, Subset } from './types.ts';

export interface OpenImagesOptions {
  /** Names of a table's columns `file` and `group`, where they are not the usual ones. */
  readonly columns?: Pick<ColumnNames, 'file' | 'group'>;
  /** An expression on the file name whose first group, or whole match, names the patient. Default: the table's column. */
  readonly group?: string;
  /** The folder that a table's paths are relative to. Default: the table's own. */
  readonly root?: string;
  /** Also read files outside that folder. Default: false. */
  readonly allowOutside?: boolean;
}

/** Images that lie together: their targets say nothing. */
export interface ImagePart {
  readonly subset: Subset;
  /** The patient of image i; null where it is not known. Absent where no image's is. */
  readonly groupOf?: ((i: number) => string | null) | undefined;
}

export interface Images {
  readonly name: string;
  readonly parts: readonly ImagePart[];
  /** All parts together. */
  readonly length: number;
  /** Files that are no images by their names. */
  readonly skipped: readonly BrokenFile[];
}

const IMAGE_NAME = /\.(png|jpe?g)$/i;

/**
 * Opens images without labels: a folder with any folders inside, a PNG or JPEG file or several, a `.csv` with a column of
 * files (labels are not looked at), IDX image files, or an `.npz` of uint8 arrays called `images` or `<name>_images`. Names of
 * files are relative to what was given; images without files are `<split>/<number>`, as when they are evaluated.
 *
 * @param paths one place, or several image files
 * @throws {PenumbraError} `data/not-found`, `data/no-images` where there is none, and what reading raises
 */
export function openImages(paths: readonly string[], options: OpenImagesOptions = {}): Images {
  const [path] = paths;
  for (const each of paths) {
    if (statSync(each, { throwIfNoEntry: false }) !== undefined) continue;
    throw new PenumbraError('data/not-found', `there is no ${each}`, { where: { file: each } });
  }
  if (path === undefined) throw new PenumbraError('data/no-images', 'no images were given');
  const listing = paths.length > 1 ? imageFiles(paths, options) : onePlace(resolve(path), path, options);
  const length = listing.parts.reduce((sum, { subset }) => sum + subset.length, 0);
  if (length === 0) throw noImages(path, listing.skipped);
  return { name: basename(resolve(path)), length, ...listing };
}

type Listing = Pick<Images, 'parts' | 'skipped'>;

function onePlace(full: string, given: string, options: OpenImagesOptions): Listing {
  const name = basename(full);
  if (statSync(full).isDirectory()) {
    const idx = readdirSync(full).filter((entry) => IDX_IMAGES.test(entry));
    return idx.length > 0 ? idxFiles(full, idx.sort(), options) : folder(full, options);
  }
  if (IDX_IMAGES.test(name)) return idxFiles(dirname(full), [name], options);
  if (/\.npz$/i.test(name)) return npz(full);
  if (/\.csv$/i.test(name)) return table(full, options);
  if (IMAGE_NAME.test(name)) return imageFiles([given], options);
  throw new PenumbraError('data/format', `${given} is no place of images`, {
    where: { file: given },
    hint:
      dicomHint([full]) ??
      'images are a folder, PNG or JPEG files, a .csv with a column of files, IDX image files or an .npz',
  });
}

function folder(root: string, options: OpenImagesOptions): Listing {
  const paths = new StringTableBuilder();
  const skipped: BrokenFile[] = [];
  const look = (below: string) => {
    const entries = readdirSync(join(root, below), { withFileTypes: true })
      .filter((entry) => !entry.name.startsWith('.'))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const entry of entries) {
      const path = below === '' ? entry.name : `${below}/${entry.name}`;
      if (entry.isDirectory()) look(path);
      else if (IMAGE_NAME.test(entry.name)) paths.addText(path);
      else skipped.push({ file: path, reason: 'its name does not end in .png, .jpg or .jpeg' });
    }
  };
  look('');
  const files = paths.build();
  if (files.length === 0) throw noImages(root, skipped);
  return { parts: [filePart(root, files, files, options)], skipped };
}

/** Files that the user named one by one, wherever they lie. */
function imageFiles(given: readonly string[], options: OpenImagesOptions): Listing {
  const odd = given.find((path) => !IMAGE_NAME.test(path) || statSync(path).isDirectory());
  if (odd !== undefined) {
    throw new PenumbraError('data/format', `${odd} is no PNG or JPEG file`, {
      where: { file: odd },
      hint: 'several places at once can only be image files; runs come before them',
    });
  }
  const paths = stringTable(given.map((path) => resolve(path)));
  return {
    parts: [filePart('/', paths, stringTable(given), { ...options, allowOutside: true })],
    skipped: [],
  };
}

function table(path: string, options: OpenImagesOptions): Listing {
  const { columns = {}, root = dirname(path), allowOutside = false } = options;
  const collector = new RowCollector([{ path, split: undefined }]);
  collector.addTable(0, readBytes(path), undefined, columns, { roles: ['file', 'group'] });
  const { files, groups } = collector.build();
  if (files.length === 0) throw noImages(path, []);
  if (!allowOutside) checkPaths(root, files);
  const groupOf = groups && ((i: number) => groups.names[groups.of[i]!] || null);
  const part = filePart(root, files, files, options);
  return { parts: [{ subset: part.subset, groupOf: part.groupOf ?? groupOf }], skipped: [] };
}

function idxFiles(
  root: string,
  names: readonly string[],
  { columns = {}, group }: OpenImagesOptions,
): Listing {
  const parts = names.map((name): ImagePart => {
    const prefix = IDX_IMAGES.exec(name)![1]!;
    const { source, count } = readIdxImages(join(root, name));
    const beside = readIdxNames(join(root, `${prefix}files.csv`), count, columns);
    const { groups } = beside;
    const word = prefix.replace(/[-_.]$/, '');
    const subset = memorySubset(source, count, splitOfName(word) ?? (word || 'images'), beside.names);
    return {
      subset,
      groupOf:
        matched(group, (i) => subset.nameOf(i)) ?? (groups && ((i: number) => groups.names[groups.of[i]!]!)),
    };
  });
  return { parts, skipped: [] };
}

/** Arrays of images; of `train_images` and the like the first word is the split. */
const IMAGE_ARRAY = /^(?:(\w+)_)?images\.npy$/;

function npz(path: string): Listing {
  const parts: ImagePart[] = [];
  const options = {
    longest: LONGEST_ARRAY,
    mostInflation: 64,
    wanted: (name: string) => IMAGE_ARRAY.test(name),
    code: 'data/npz',
  };
  for (const entry of readZipEntries(path, options)) {
    const where = `${path}, ${entry.name}`;
    if ('failure' in entry) {
      throw new PenumbraError('data/npz', `${where}: ${entry.failure}`, { where: { file: path } });
    }
    const source = npyPixels(parseNpy(entry.bytes, where), where);
    const count = source.pixels.length / (source.height * source.width * source.channels);
    parts.push({
      subset: memorySubset(source, count, IMAGE_ARRAY.exec(entry.name)![1] ?? 'images', undefined),
    });
  }
  if (parts.length > 0) return { parts, skipped: [] };
  throw new PenumbraError('data/npz', `${path} holds no array called images`, {
    where: { file: path },
    hint: 'np.savez("new.npz", images=array), N×H×W or N×H×W×3 of uint8',
  });
}

function memorySubset(
  source: MemoryPixels,
  count: number,
  word: string,
  names: StringTable | undefined,
): Subset {
  return unlabelled(source, count, (i) => (names === undefined ? `${word}/${i}` : stringAt(names, i)));
}

function filePart(
  root: string,
  paths: StringTable,
  names: StringTable,
  { group, allowOutside = false }: OpenImagesOptions,
): ImagePart {
  const source: FilePixels = {
    kind: 'files',
    root,
    anywhere: allowOutside,
    paths,
    channels: probeChannels(root, paths),
  };
  const nameOf = (i: number) => stringAt(names, i);
  return { subset: unlabelled(source, paths.length, nameOf), groupOf: matched(group, nameOf) };
}

function unlabelled(source: FilePixels | MemoryPixels, count: number, nameOf: (i: number) => string): Subset {
  return makeSubset({
    split: 'test',
    targets: oneOfK([], new Int32Array(count)),
    rows: allRows(count),
    source,
    groups: undefined,
    posterior: undefined,
    nameOf,
  });
}

function matched(
  group: string | undefined,
  nameOf: (i: number) => string,
): ((i: number) => string | null) | undefined {
  if (group === undefined) return undefined;
  let pattern: RegExp;
  try {
    pattern = new RegExp(group);
  } catch (cause) {
    throw new PenumbraError('data/group', `the group is no regular expression: ${(cause as Error).message}`, {
      where: { argument: 'group' },
      cause,
    });
  }
  return (i) => {
    const match = pattern.exec(fileName(nameOf(i)));
    return match === null ? null : (match[1] ?? match[0]);
  };
}

function noImages(path: string, skipped: readonly BrokenFile[]): PenumbraError {
  const endings = new Set(skipped.map(({ file }) => extname(file).toLowerCase() || 'no ending'));
  const listed = [...endings].slice(0, 5).join(', ');
  const hint = dicomHint(skipped.map(({ file }) => join(path, file)));
  return new PenumbraError(
    'data/no-images',
    `${path} holds no PNG or JPEG${skipped.length > 0 ? `, but ${skipped.length} other files (${listed})` : ''}`,
    { where: { file: path }, ...(hint !== undefined && { hint }) },
  );
}

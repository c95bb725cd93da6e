/** A quick look at a data set's images before training: what cannot be read, what is there twice, what is nearly black. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { PenumbraError } from '../errors.ts';
import { fileIdentity } from '../files/index.ts';
import { BrokenImage, readHead } from './decode.ts';
import { stringAt } from './string-table.ts';
import { narrowSubset } from './subset.ts';
import type { BrokenFile, Dataset, SplitName, Subset } from './types.ts';
import { usedRange } from './window.ts';

export interface CheckOptions {
  /** Images that are looked at, spread evenly over each split. Default: 20,000. */
  readonly most?: number;
  /** Whether contents are compared. Default: true. */
  readonly contents?: boolean;
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** An image whose file, or whose pixels in memory, are those of another that was looked at before. */
export interface DuplicateImage {
  readonly split: SplitName;
  readonly index: number;
  readonly name: string;
  readonly other: { readonly split: SplitName; readonly name: string };
}

export interface DataCheck {
  /** Images that were looked at, of how many. */
  readonly looked: number;
  readonly images: number;
  /** By their headers, and the ends of PNG files. */
  readonly broken: readonly BrokenFile[];
  /** Test images are looked at first, then validation, then training: it is the training image that is the copy. */
  readonly duplicates: readonly DuplicateImage[];
  /** Where 16-bit images use no more than a quarter of their range: the greatest value of a sample of them. */
  readonly unused: { readonly greatest: number; readonly images: number } | undefined;
}

const ORDER: readonly SplitName[] = ['test', 'val', 'train'];
/** Above so many bytes pixels in memory are not compared unless all is asked for. */
const MOST_MEMORY = 2 ** 28;

/** Looks at headers and contents; decodes a few dozen images. Reads at most 64 KiB of a file, unless two look alike. */
export async function checkImages(dataset: Dataset, options: CheckOptions = {}): Promise<DataCheck> {
  const { most = 20_000, contents = true, onProgress, signal } = options;
  const splits = ORDER.flatMap((split) => dataset.splits[split] ?? []);
  const images = splits.reduce((sum, { length }) => sum + length, 0);
  const share = Math.min(1, most / Math.max(1, images));
  const total = splits.reduce((sum, { length }) => sum + Math.floor(length * share), 0);
  const broken: BrokenFile[] = [];
  const duplicates: DuplicateImage[] = [];
  const seen = new Map<string, { subset: Subset; index: number }>();
  let looked = 0;
  let done = 0;
  for (const subset of splits) {
    const few = Math.floor(subset.length * share);
    for (let n = 0; n < few; n++, done++) {
      if (done % 256 === 0) {
        signal?.throwIfAborted();
        onProgress?.(done, total);
        await setImmediate();
      }
      const index = Math.floor(n / share);
      let key: string | undefined;
      try {
        key = contentKey(subset, index, contents, most);
      } catch (error) {
        if (!(error instanceof BrokenImage)) throw error;
        broken.push({ file: subset.nameOf(index), reason: error.message });
      }
      looked++;
      if (key === undefined) continue;
      const before = seen.get(key);
      if (before === undefined) seen.set(key, { subset, index });
      else if (isSame(before, { subset, index })) {
        duplicates.push({
          split: subset.split,
          index,
          name: subset.nameOf(index),
          other: { split: before.subset.split, name: before.subset.nameOf(before.index) },
        });
      }
    }
  }
  onProgress?.(done, total);
  const range = dataset.splits.train && (await usedRange(dataset.splits.train));
  return {
    looked,
    images,
    broken,
    duplicates,
    unused: range !== undefined && range.greatest < 2 ** 14 ? range : undefined,
  };
}

/** The data set without the images that are copies of others. @param all what `checkImages` found of all images */
export function withoutDuplicates(dataset: Dataset, { duplicates }: Pick<DataCheck, 'duplicates'>): Dataset {
  const splits = Object.fromEntries(
    Object.entries(dataset.splits).map(([name, subset]) => {
      const gone = new Set(duplicates.filter(({ split }) => split === name).map(({ index }) => index));
      const kept = Uint32Array.from({ length: subset.length }, (_, i) => i).filter((i) => !gone.has(i));
      return [name, gone.size === 0 ? subset : narrowSubset(subset, kept)];
    }),
  );
  return { ...dataset, splits };
}

/** @throws {PenumbraError} `data/empty-split` where leaving copies out left a split without an image */
export function checkNotEmpty({ splits }: Dataset): void {
  const empty = Object.values(splits).find(({ length }) => length === 0);
  if (empty === undefined) return;
  throw new PenumbraError('data/empty-split', `without copies the split ${empty.split} has no image`, {
    hint: 'its images are all in another split too: divide the data anew',
  });
}

/** What equal images share: a hash of the pixels in memory, or of a file's size and first bytes. */
function contentKey(subset: Subset, index: number, contents: boolean, most: number): string | undefined {
  const { source, rows } = subset;
  if (source === undefined) return undefined;
  const hash = createHash('sha1');
  if (source.kind === 'memory') {
    const length = source.height * source.width * source.channels;
    if (!contents || (source.pixels.length > MOST_MEMORY && most < Number.POSITIVE_INFINITY))
      return undefined;
    const row = rows[index]!;
    hash.update(source.pixels.slice(row * length, (row + 1) * length));
    return hash.digest('base64');
  }
  const within = source.anywhere === true ? undefined : source.root;
  const { size, bytes } = readHead(join(source.root, stringAt(source.paths, rows[index]!)), within);
  return contents ? hash.update(`${size}:`).update(bytes).digest('base64') : undefined;
}

/** Files larger than the part that was read are compared by a hash of more of them. */
function isSame(a: { subset: Subset; index: number }, b: { subset: Subset; index: number }): boolean {
  const hashes = [a, b].map(({ subset, index }) => {
    const { source, rows } = subset;
    if (source?.kind !== 'files') return '';
    return fileIdentity(join(source.root, stringAt(source.paths, rows[index]!))).hash;
  });
  return hashes[0] === hashes[1];
}

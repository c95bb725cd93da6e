import { createHash } from 'node:crypto';
import { readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Identity, openRegular } from '../files/index.ts';
import { stringAt } from './string-table.ts';
import { type Dataset, type FilePixels, type PixelSource, SPLIT_NAMES, type Subset } from './types.ts';

/** Files whose content is looked at, spread evenly over all. */
const LOOKED_AT = 256;
/** Bytes from the beginning, the middle and the end of each. */
const PIECE = 1 << 14;

/**
 * What tells data from other data: of every split the targets, patients and rows, and of the images every pixel where
 * they are in memory, else the name and size of every file and a hash of parts of 256 of them. Where the data lie does
 * not count. Labels alone would take other images for the same.
 */
export function datasetIdentity(dataset: Pick<Dataset, 'splits'>): string {
  const identity = new Identity();
  for (const split of SPLIT_NAMES) {
    const subset = dataset.splits[split];
    identity.add(split).add(subset === undefined ? undefined : subsetIdentity(subset));
  }
  return identity.digest();
}

/** The same for one split. */
export function subsetIdentity(
  subset: Pick<Subset, 'length' | 'targets' | 'rows' | 'source' | 'tokens' | 'groups'>,
): string {
  const { targets, tokens } = subset;
  const identity = new Identity().add(subset.length).add(targets.kind);
  for (const name of targets.names) identity.add(name);
  identity.add(targets.values);
  if (targets.kind === 'findings')
    identity
      .add(targets.mask)
      .add(targets.rates)
      .add(targets.errors && JSON.stringify(targets.errors));
  identity.add(subset.rows).add(subset.groups).add(sourceIdentity(subset.source));
  identity.add(tokens?.length).add(tokens?.ids).add(tokens?.mask);
  return identity.digest();
}

function sourceIdentity(source: PixelSource | undefined): string | undefined {
  if (source === undefined) return undefined;
  const known = identities.get(source);
  if (known !== undefined) return known;
  const identity = source.kind === 'memory' ? memoryIdentity(source) : filesIdentity(source);
  identities.set(source, identity);
  return identity;
}

/** Splits share their source, and runs of a study their data set: gigabytes are hashed once. */
const identities = new WeakMap<PixelSource, string>();

function memoryIdentity({
  pixels,
  height,
  width,
  channels,
}: Extract<PixelSource, { kind: 'memory' }>): string {
  return new Identity().add(height).add(width).add(channels).add(pixels).digest();
}

function filesIdentity({ root, paths, channels }: FilePixels): string {
  const n = paths.length;
  const sizes = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    sizes[i] = statSync(join(root, stringAt(paths, i)), { throwIfNoEntry: false })?.size ?? -1;
  }
  const used = n === 0 ? 0 : paths.ends[n - 1];
  const identity = new Identity()
    .add(channels)
    .add(paths.bytes.subarray(0, used))
    .add(paths.ends.subarray(0, n))
    .add(sizes);
  const step = Math.max(1, n / LOOKED_AT);
  for (let at = 0; at < n; at += step) identity.add(partsOf(join(root, stringAt(paths, Math.floor(at)))));
  return identity.digest();
}

/** A file that cannot be read is as good as any other that cannot. */
function partsOf(path: string): string {
  try {
    using file = openRegular(path);
    const { size } = file.stat;
    const hash = createHash('sha256');
    const buffer = Buffer.allocUnsafe(PIECE);
    for (const from of new Set([0, Math.max(0, (size - PIECE) >> 1), Math.max(0, size - PIECE)])) {
      hash.update(buffer.subarray(0, readSync(file.descriptor, buffer, 0, PIECE, from)));
    }
    return hash.digest('hex');
  } catch {
    return 'unreadable';
  }
}

import { join } from 'node:path';
import { BrokenImage, decodeFile, type Pixels, readHead } from './decode.ts';
import { stringAt } from './string-table.ts';
import type { IntensityWindow, PixelSource, Subset } from './types.ts';

/** Windows that are made from the data before anything is shown: they become numbers. */
export type WindowRequest =
  | IntensityWindow
  | 'auto'
  | { readonly percentile: readonly [number, number]; readonly per: 'set' };

/** Images that a window of a whole set is made from, spread evenly over it. */
const SAMPLE = 256;
const MAX_PIXELS = 2 ** 27;

/**
 * The window of a request, from a sample of the training images:
 * - `auto`: 0 to the least 2^b − 1 (b from 8) that holds every value of the 16-bit images, so that 12-bit data fill the range;
 *   none where they fill 16 bits, or there are 8-bit images only;
 * - percentiles of the set: of all pixels of the sample.
 * @returns undefined where there is nothing to change
 */
export async function resolveWindow(
  request: WindowRequest | null | undefined,
  train: Pick<Subset, 'source' | 'rows'>,
): Promise<IntensityWindow | undefined> {
  if (request === null || request === undefined) return undefined;
  if (request === 'auto') {
    const seen = await valuesOf(train, 16);
    if (seen === undefined) return undefined;
    const bits = Math.max(8, Math.ceil(Math.log2(seen.greatest + 1)));
    return bits >= 16 ? undefined : { low: 0, high: 2 ** bits - 1 };
  }
  if (!('per' in request) || request.per !== 'set') return request;
  const seen = await valuesOf(train);
  if (seen === undefined) return undefined;
  const [low, high] = request.percentile.map((p) => valueAt(seen.counts, seen.total, p)) as [number, number];
  return { low, high: Math.max(high, low + 1) };
}

/** How much of their range 16-bit images use, by a sample; undefined where there are none that can be read. */
export async function usedRange(
  subset: Pick<Subset, 'source' | 'rows'>,
  images = 24,
): Promise<{ readonly greatest: number; readonly images: number } | undefined> {
  return valuesOf(subset, 16, images);
}

/** How often each value occurs in a sample of images, of a depth where one is given. */
async function valuesOf(
  { source, rows }: Pick<Subset, 'source' | 'rows'>,
  depth?: 8 | 16,
  most = SAMPLE,
): Promise<{ counts: Float64Array; total: number; greatest: number; images: number } | undefined> {
  if (source === undefined || (source.kind === 'memory' && depth === 16)) return undefined;
  const counts = new Float64Array(65536);
  let total = 0;
  let images = 0;
  const step = Math.max(1, rows.length / most);
  for (let at = 0; at < rows.length; at += step) {
    const pixels = await pixelsOf(source, rows[Math.floor(at)]!, depth);
    if (pixels === undefined) continue;
    for (const value of pixels.data) counts[value]!++;
    total += pixels.data.length;
    images++;
  }
  if (images === 0) return undefined;
  let greatest = 65535;
  while (greatest > 0 && counts[greatest] === 0) greatest--;
  return { counts, total, greatest, images };
}

/** Undefined for what cannot be read, or has another depth. */
async function pixelsOf(
  source: PixelSource,
  row: number,
  depth: 8 | 16 | undefined,
): Promise<Pick<Pixels, 'data'> | undefined> {
  if (source.kind === 'memory') {
    const length = source.height * source.width * source.channels;
    return { data: source.pixels.subarray(row * length, (row + 1) * length) };
  }
  const path = join(source.root, stringAt(source.paths, row));
  const within = source.anywhere === true ? undefined : source.root;
  try {
    if (depth !== undefined && readHead(path, within).header.depth !== depth) return undefined;
    return await decodeFile(path, { size: undefined, fit: 'fill', maxPixels: MAX_PIXELS, within });
  } catch (error) {
    if (error instanceof BrokenImage) return undefined;
    throw error;
  }
}

/** The least value at or below which `percent` of all are (the inverse of the empirical distribution). */
function valueAt(counts: Float64Array, total: number, percent: number): number {
  const wanted = Math.max(1, Math.ceil((percent / 100) * total));
  let sum = 0;
  for (let value = 0; value < counts.length; value++) {
    sum += counts[value]!;
    if (sum >= wanted) return value;
  }
  return counts.length - 1;
}

const scratch = new Float64Array(65536);

/**
 * The window's values stretched over all 16 bits, what is below it black and what is above it white. An image whose depth
 * cannot hold the upper end of a fixed window is left as it is: it was not what the window was made for.
 */
export function windowed(pixels: Pixels, window: IntensityWindow): Pixels {
  const { data, max } = pixels;
  let { low, high } = 'percentile' in window ? { low: 0, high: 0 } : window;
  if ('percentile' in window) {
    scratch.fill(0, 0, max + 1);
    for (let i = 0; i < data.length; i++) scratch[data[i]!]!++;
    low = valueAt(scratch.subarray(0, max + 1), data.length, window.percentile[0]);
    high = valueAt(scratch.subarray(0, max + 1), data.length, window.percentile[1]);
  } else if (high > max) return pixels;
  // An image of one value is black.
  const factor = high > low ? 65535 / (high - low) : 0;
  const stretched = new Uint16Array(data.length);
  for (let i = 0; i < data.length; i++)
    stretched[i] = Math.round(Math.min(65535, Math.max(0, (data[i]! - low) * factor)));
  return { ...pixels, data: stretched, max: 65535 };
}

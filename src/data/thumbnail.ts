import { join } from 'node:path';
import sharp from 'sharp';
import { PenumbraError } from '../errors.ts';
import { BrokenImage, decodeFile, type Pixels } from './decode.ts';
import { stringAt } from './string-table.ts';
import type { Subset } from './types.ts';

/**
 * A sample's image, small, for people to look at: as it is stored, without what a network does to it.
 * @param side the longer side at most, in px
 * @returns the bytes of a JPEG; undefined where there is no image or it cannot be read
 */
export async function thumbnail(subset: Subset, sample: number, side = 160): Promise<Uint8Array | undefined> {
  const { source, rows } = subset;
  if (source === undefined) return undefined;
  const row = rows[sample]!;
  let pixels: Pixels;
  if (source.kind === 'memory') {
    const { height, width, channels } = source;
    const length = height * width * channels;
    const data = Uint8Array.from(source.pixels.subarray(row * length, (row + 1) * length));
    pixels = { data, height, width, channels, max: 255 };
  } else {
    return await imageThumbnail(source.root, stringAt(source.paths, row), {
      side,
      anywhere: source.anywhere === true,
    });
  }
  return await small(pixels, side);
}

/** The same of an image file inside a folder. @param options `anywhere`: also where the path leaves the folder */
export async function imageThumbnail(
  root: string,
  path: string,
  { side = 160, anywhere = false }: { readonly side?: number; readonly anywhere?: boolean } = {},
): Promise<Uint8Array | undefined> {
  try {
    const within = anywhere ? undefined : root;
    const pixels = await decodeFile(join(root, path), {
      size: undefined,
      fit: 'contain',
      maxPixels: MOST_PIXELS,
      within,
    });
    return await small(pixels, side);
  } catch (error) {
    if (error instanceof BrokenImage || error instanceof PenumbraError) return undefined;
    throw error;
  }
}

async function small(pixels: Pixels, side: number): Promise<Uint8Array> {
  const { height, width, channels } = pixels;
  const raw = { height, width, channels: channels as 1 | 3 };
  return await sharp(bytesOf(pixels), { raw })
    .resize(side, side, { fit: 'inside', kernel: Math.max(height, width) < side ? 'cubic' : 'lanczos3' })
    .jpeg({ quality: 82 })
    .toBuffer();
}

const MOST_PIXELS = 100e6;

/** 16 bits stretched over what an image uses: few use them all, and a black square shows nothing. */
function bytesOf({ data, max }: Pixels): Uint8Array {
  if (max === 255) return data as Uint8Array;
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of data) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  const scale = high > low ? 255 / (high - low) : 0;
  return Uint8Array.from(data, (value) => (value - low) * scale);
}

import { readFileSync, readSync } from 'node:fs';
import sharp, { type Sharp } from 'sharp';
import { PenumbraError } from '../errors.ts';
import { openRegular, type RegularFile, systemCode } from '../files/index.ts';
import { decodePlainPng } from './png.ts';

// One decode uses one thread: the loader's workers are the parallelism. No cache: a file is read once an epoch.
sharp.concurrency(1);
sharp.cache(false);

/** Interleaved pixels, rows from the top: `data[(y * width + x) * channels + c]`, from 0 to `max`. */
export interface Pixels {
  readonly data: Uint8Array | Uint16Array;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly max: 255 | 65535;
}

/** What an image file's first bytes say of it. `channels` counts colours, without alpha. */
export interface ImageHeader {
  readonly format: 'png' | 'jpeg';
  readonly width: number;
  readonly height: number;
  readonly depth: 8 | 16;
  readonly channels: 1 | 3;
}

export interface DecodeOptions {
  /** Sides of the result in pixels; undefined keeps the file's own. */
  readonly size: { readonly height: number; readonly width: number } | undefined;
  readonly fit: 'fill' | 'cover' | 'contain';
  /** The folder that the file must lie in, in truth; undefined allows any. */
  readonly within?: string | undefined;
  /** More pixels than this are refused before anything is allocated. */
  readonly maxPixels: number;
}

/** A file that cannot be used; the message is the reason, for a list of broken files. */
export class BrokenImage extends Error {
  override readonly name = 'BrokenImage';
}

/**
 * Decodes one PNG or JPEG file. The format is what the bytes say, whatever the extension. Grey stays grey and colour
 * stays colour; 16-bit files keep their 16 bits; alpha and colour profiles are ignored, as torchvision does.
 * Resizing is the triangle filter over the whole footprint (Pillow's antialiased bilinear).
 *
 * @throws {BrokenImage} for a file that is missing, empty, neither PNG nor JPEG, truncated, damaged or too large.
 */
export async function decodeFile(path: string, options: DecodeOptions): Promise<Pixels> {
  const bytes = readBytes(path, options);
  const header = readHeader(bytes);
  if (header.width * header.height > options.maxPixels) {
    throw new BrokenImage(
      `its header claims ${header.width}×${header.height} pixels, over the limit of ${options.maxPixels}`,
    );
  }
  const { size } = options;
  const asStored = size === undefined || (size.height === header.height && size.width === header.width);
  // The library takes some 0.4 ms for any image before it reads one, and needs them for what is resized anyway.
  const plain = header.format === 'png' && asStored ? decodePlainPng(bytes) : undefined;
  if (plain !== undefined) return plain;
  // `error` stops at truncated and damaged data, and lets harmless warnings (an odd metadata chunk) pass.
  const input = { failOn: 'error', limitInputPixels: options.maxPixels, ignoreIcc: true } as const;
  const grey = header.channels === 1;
  const space = header.depth === 16 ? (grey ? 'grey16' : 'rgb16') : grey ? 'b-w' : 'srgb';
  let pipeline = sharp(bytes, input).removeAlpha().toColourspace(space);
  if (header.depth === 16) pipeline = pipeline.pipelineColourspace(space);
  return finish(pipeline, header.depth, options);
}

/** Resizes pixels that are already in memory, with the same filter as `decodeFile`. 8-bit. */
export async function resizePixels(pixels: Pixels, options: DecodeOptions): Promise<Pixels> {
  const raw = { height: pixels.height, width: pixels.width, channels: pixels.channels as 1 | 3 };
  // A copy, since sharp does not take shared memory.
  const pipeline = sharp(Uint8Array.from(pixels.data), { raw }).toColourspace(
    raw.channels === 1 ? 'b-w' : 'srgb',
  );
  return finish(pipeline, 8, options);
}

async function finish(pipeline: Sharp, depth: 8 | 16, options: DecodeOptions): Promise<Pixels> {
  if (options.size !== undefined) {
    pipeline = pipeline.resize({
      ...options.size,
      fit: options.fit,
      kernel: 'linear',
      background: '#000',
      fastShrinkOnLoad: false,
    });
  }
  try {
    const { data, info } = await pipeline
      .timeout({ seconds: 60 })
      .raw({ depth: depth === 16 ? 'ushort' : 'uchar' })
      .toBuffer({ resolveWithObject: true });
    const { height, width, channels } = info;
    if (depth === 8) return { data, height, width, channels, max: 255 };
    // Buffers from sharp start on an allocation of their own; a slice makes sure of the alignment.
    const aligned = data.byteOffset % 2 === 0 ? data : Buffer.from(data);
    const wide = new Uint16Array(aligned.buffer, aligned.byteOffset, data.length / 2);
    return { data: wide, height, width, channels, max: 65535 };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new BrokenImage(`cannot be decoded: ${reason.replace(/\s+/g, ' ').trim().slice(0, 160)}`);
  }
}

/**
 * Reads size, depth and channels from the bytes of a PNG (ISO/IEC 15948, IHDR) or JPEG (ITU-T T.81, the first
 * start-of-frame segment).
 *
 * @throws {BrokenImage} where they are neither, or end too early.
 */
export function readHeader(bytes: Uint8Array): ImageHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length >= 4 && view.getUint32(0) === 0x89504e47) {
    if (bytes.length < 33) throw new BrokenImage('truncated: the PNG header is not complete');
    const colourType = bytes[25];
    const header: ImageHeader = {
      format: 'png',
      width: view.getUint32(16),
      height: view.getUint32(20),
      depth: bytes[24] === 16 ? 16 : 8,
      channels: colourType === 0 || colourType === 4 ? 1 : 3,
    };
    return withArea(header);
  }
  if (bytes.length >= 3 && bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff) {
    for (let at = 2; at + 9 < bytes.length && bytes[at] === 0xff; ) {
      const marker = bytes[at + 1];
      const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
      if (isFrame) {
        const [height, width] = [view.getUint16(at + 5), view.getUint16(at + 7)];
        return withArea({ format: 'jpeg', width, height, depth: 8, channels: bytes[at + 9] === 1 ? 1 : 3 });
      }
      // A fill byte, a marker without a body, or a segment with its length.
      if (marker === 0xff) at += 1;
      else if (marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8)) at += 2;
      else at += 2 + view.getUint16(at + 2);
    }
    throw new BrokenImage('truncated: the JPEG has no frame header');
  }
  throw new BrokenImage('neither PNG nor JPEG, by its first bytes');
}

function withArea(header: ImageHeader): ImageHeader {
  if (header.width === 0 || header.height === 0) throw new BrokenImage('its header claims no pixels');
  return header;
}

/** A file's size, its first bytes and what these say. */
export interface FileHead {
  readonly header: ImageHeader;
  readonly size: number;
  /** At most 64 KiB. */
  readonly bytes: Uint8Array;
}

const HEAD = 1 << 16;
const LONGEST_METADATA = 1 << 24;
/** A PNG ends with this chunk; a little may stand behind it. */
const TAIL = 4096;

/**
 * Reads the beginning of an image file, and the end of a PNG.
 * @throws {BrokenImage} where the header is not one, or a PNG was cut off
 */
export function readHead(path: string, within: string | undefined): FileHead {
  using file = openImage(path, within);
  const { size } = file.stat;
  if (size === 0) throw new BrokenImage('empty (0 bytes)');
  const head = Buffer.alloc(Math.min(size, HEAD));
  try {
    const bytes = head.subarray(0, readSync(file.descriptor, head, 0, head.length, 0));
    const header = headerOf(bytes, file);
    if (header.format === 'png') {
      const tail = Buffer.alloc(Math.min(size, TAIL));
      readSync(file.descriptor, tail, 0, tail.length, size - tail.length);
      if (!tail.includes('IEND')) throw new BrokenImage('truncated: the PNG has no end');
    }
    return { header, size, bytes };
  } catch (error) {
    if (error instanceof BrokenImage) throw error;
    throw new BrokenImage(`cannot be read (${systemCode(error) ?? 'unknown'})`);
  }
}

/** A JPEG's header may stand behind more metadata than was read. */
function headerOf(bytes: Uint8Array, file: RegularFile): ImageHeader {
  try {
    return readHeader(bytes);
  } catch (error) {
    if (bytes[0] !== 0xff || file.stat.size <= bytes.length) throw error;
    const more = Buffer.alloc(Math.min(file.stat.size, LONGEST_METADATA));
    return readHeader(more.subarray(0, readSync(file.descriptor, more, 0, more.length, 0)));
  }
}

/** The whole file, refused where it is larger than any image within the limit could be. */
function readBytes(path: string, { maxPixels, within }: DecodeOptions): Buffer {
  const file = openImage(path, within);
  try {
    const { size } = file.stat;
    if (size === 0) throw new BrokenImage('empty (0 bytes)');
    // 8 bytes hold the widest pixel (16-bit RGBA); metadata may add a little.
    if (size > maxPixels * 8 + 2 ** 24) throw new BrokenImage(`${size} bytes, over any image's size`);
    return readFileSync(file.descriptor);
  } catch (error) {
    if (error instanceof BrokenImage) throw error;
    throw new BrokenImage(`cannot be read (${systemCode(error) ?? 'unknown'})`);
  } finally {
    file[Symbol.dispose]();
  }
}

function openImage(path: string, within: string | undefined): RegularFile {
  try {
    return openRegular(path, { within });
  } catch (error) {
    const code = error instanceof PenumbraError ? error.code : '';
    if (code === 'files/not-regular') throw new BrokenImage('not a file');
    if (code === 'files/outside')
      throw new BrokenImage('a link out of the folder (--allow-outside reads it)');
    throw new BrokenImage(`cannot be opened (${systemCode(error) ?? 'unknown'})`);
  }
}

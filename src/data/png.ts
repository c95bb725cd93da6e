/** The common kind of PNG, read without an image library: a third of the time for a small picture. */
import { crc32, inflateSync } from 'node:zlib';
import type { Pixels } from './decode.ts';

/**
 * The pixels of a plain PNG (ISO/IEC 15948): grey or RGB, 8 or 16 bits, not interlaced, without transparency. Undefined for any
 * other, and for one in which anything is odd: whoever reads all kinds of PNG says what it is.
 *
 * @param bytes the whole file, whose first header claims no more pixels than may be allocated
 */
export function decodePlainPng(bytes: Buffer): Pixels | undefined {
  const found = readChunks(bytes);
  if (found === undefined) return undefined;
  const { width, height, depth, channels, data } = found;
  const pixel = (channels * depth) / 8;
  const row = width * pixel;
  const length = (row + 1) * height;
  // No stream of deflate grows more than 1032 times: what claims to is not worth its memory.
  if (length > data.length * 1032 + 1024) return undefined;
  let lines: Buffer;
  try {
    lines = inflateSync(data, { maxOutputLength: length, chunkSize: length + 64 });
  } catch {
    return undefined;
  }
  if (lines.length !== length) return undefined;
  const pixels = Buffer.allocUnsafeSlow(row * height);
  for (let y = 0; y < height; y++) {
    if (!unfilter(lines, y * (row + 1), pixels, y * row, row, pixel, y === 0)) return undefined;
  }
  if (depth === 8) return { data: pixels, height, width, channels, max: 255 };
  if (!bigEndian) pixels.swap16();
  const wide = new Uint16Array(pixels.buffer, pixels.byteOffset, pixels.length / 2);
  return { data: wide, height, width, channels, max: 65535 };
}

const bigEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 0;
const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

/** Chunks that may stand beside the pixels and change none of them here, where colour profiles are ignored. */
const harmless = new Set(['pHYs', 'tEXt', 'zTXt', 'iTXt', 'tIME', 'gAMA', 'cHRM', 'sRGB']);

interface PlainPng {
  readonly width: number;
  readonly height: number;
  readonly depth: 8 | 16;
  readonly channels: 1 | 3;
  /** What is packed. */
  readonly data: Buffer;
}

function readChunks(bytes: Buffer): PlainPng | undefined {
  if (bytes.length < 33 || !bytes.subarray(0, 8).equals(signature)) return undefined;
  if (bytes.readUInt32BE(8) !== 13 || bytes.toString('latin1', 12, 16) !== 'IHDR') return undefined;
  const depth = bytes[24];
  const colour = bytes[25];
  if ((depth !== 8 && depth !== 16) || (colour !== 0 && colour !== 2)) return undefined;
  // Compression and filter methods, interlacing.
  if (bytes[26] !== 0 || bytes[27] !== 0 || bytes[28] !== 0) return undefined;
  const width = bytes.readUInt32BE(16);
  const height = bytes.readUInt32BE(20);
  const parts: Buffer[] = [];
  let ended = false; // the chunks of pixels stand together
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = bytes.readUInt32BE(at);
    const end = at + 8 + length;
    if (end + 4 > bytes.length) return undefined;
    if (crc32(bytes.subarray(at + 4, end)) !== bytes.readUInt32BE(end)) return undefined;
    const type = bytes.toString('latin1', at + 4, at + 8);
    if (type === 'IDAT') {
      if (ended) return undefined;
      parts.push(bytes.subarray(at + 8, end));
    } else if (type === 'IEND') {
      if (parts.length === 0) return undefined;
      const data = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
      return { width, height, depth, channels: colour === 0 ? 1 : 3, data };
    } else {
      ended = parts.length > 0;
      if (!harmless.has(type) && at !== 8) return undefined;
    }
    at = end + 4;
  }
  return undefined;
}

/** Takes the filter (ISO/IEC 15948, 9.2) of one row away; false for a filter that there is none of. */
function unfilter(
  from: Uint8Array,
  begin: number,
  to: Uint8Array,
  out: number,
  length: number,
  pixel: number,
  first: boolean,
): boolean {
  const filter = from[begin];
  const source = begin + 1;
  const above = out - length;
  if (filter === 0 || (filter === 2 && first)) {
    to.set(from.subarray(source, source + length), out);
  } else if (filter === 1 || (filter === 4 && first)) {
    for (let i = 0; i < pixel; i++) to[out + i] = from[source + i]!;
    for (let i = pixel; i < length; i++) to[out + i] = from[source + i]! + to[out + i - pixel]!;
  } else if (filter === 2) {
    for (let i = 0; i < length; i++) to[out + i] = from[source + i]! + to[above + i]!;
  } else if (filter === 3) {
    for (let i = 0; i < length; i++) {
      const left = i < pixel ? 0 : to[out + i - pixel]!;
      const up = first ? 0 : to[above + i]!;
      to[out + i] = from[source + i]! + ((left + up) >> 1);
    }
  } else if (filter === 4) {
    for (let i = 0; i < pixel; i++) to[out + i] = from[source + i]! + to[above + i]!;
    for (let i = pixel; i < length; i++) {
      const a = to[out + i - pixel]!;
      const b = to[above + i]!;
      const c = to[above + i - pixel]!;
      // Which of a, b, c is nearest to a + b − c.
      const pa = Math.abs(b - c);
      const pb = Math.abs(a - c);
      const pc = Math.abs(a + b - c - c);
      to[out + i] = from[source + i]! + (pa <= pb && pa <= pc ? a : pb <= pc ? b : c);
    }
  } else return false;
  return true;
}

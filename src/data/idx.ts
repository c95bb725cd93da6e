import { readFileSync, readSync } from 'node:fs';
import { constants, gunzipSync } from 'node:zlib';
import { PenumbraError } from '../errors.ts';
import { openRegular, type RegularFile } from '../files/index.ts';

/** The value types of the format (Y. LeCun, the MNIST database: the third byte of a file). */
const VALUE_TYPES: Readonly<Record<number, { name: string; bytes: number }>> = {
  8: { name: 'uint8', bytes: 1 },
  9: { name: 'int8', bytes: 1 },
  11: { name: 'int16', bytes: 2 },
  12: { name: 'int32', bytes: 4 },
  13: { name: 'float32', bytes: 4 },
  14: { name: 'float64', bytes: 8 },
};

/** DEFLATE cannot shrink more than this (RFC 1951; zlib's technical notes give 1032:1). */
const MOST_INFLATION = 1032;

/** An IDX array: its shape, and its values as the file's big-endian bytes. */
export interface IdxArray {
  readonly type: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array<SharedArrayBuffer>;
}

/**
 * Reads an IDX file (plain, or gzip by its content) into shared memory. The header is held against the length of the
 * file before anything of the claimed size is allocated, and a gzip stream is inflated no further than its header says.
 *
 * @throws {PenumbraError} `data/idx` for anything but a whole IDX file.
 */
export function readIdx(path: string): IdxArray {
  const opened = openFile(path);
  try {
    const { descriptor: file } = opened;
    const length = opened.stat.size;
    const head = Buffer.alloc(Math.min(length, 4 + 4 * 255));
    readSync(file, head, 0, head.length, 0);
    if (head.length >= 2 && head[0] === 0x1f && head[1] === 0x8b) return parseGzip(readFileSync(file), path);
    const header = parseIdxHeader(head, path);
    checkLength(header, length, path);
    const bytes = new Uint8Array(new SharedArrayBuffer(header.length));
    // At most 1 GiB a call: the system reads no more than 2 GiB at once.
    for (let at = 0; at < bytes.length; ) {
      const part = readSync(file, bytes, at, Math.min(bytes.length - at, 2 ** 30), header.offset + at);
      if (part === 0) throw idxError(path, 'it became shorter while it was read');
      at += part;
    }
    return { type: header.type, shape: header.shape, bytes };
  } finally {
    opened[Symbol.dispose]();
  }
}

/** Parses a whole IDX file in memory, plain or gzip. `where` names it in errors. */
export function parseIdx(file: Uint8Array, where: string): IdxArray {
  if (file.length >= 2 && file[0] === 0x1f && file[1] === 0x8b) return parseGzip(file, where);
  const header = parseIdxHeader(file, where);
  checkLength(header, file.length, where);
  const bytes = new Uint8Array(new SharedArrayBuffer(header.length));
  bytes.set(file.subarray(header.offset));
  return { type: header.type, shape: header.shape, bytes };
}

/** The file of an unsigned 8-bit array. */
export function encodeIdx(shape: readonly number[], values: Uint8Array): Buffer {
  const head = Buffer.alloc(4 + 4 * shape.length);
  head[2] = 0x08;
  head[3] = shape.length;
  for (let i = 0; i < shape.length; i++) head.writeUInt32BE(shape[i], 4 + 4 * i);
  return Buffer.concat([head, values]);
}

/** The values of an array of an integer type. */
export function idxIntegers(array: IdxArray, where: string): Int32Array {
  const { type, bytes } = array;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (type === 'uint8') return Int32Array.from(bytes);
  if (type === 'int8') return Int32Array.from(new Int8Array(bytes.buffer));
  if (type === 'int16') return Int32Array.from({ length: bytes.length / 2 }, (_, i) => view.getInt16(2 * i));
  if (type === 'int32') return Int32Array.from({ length: bytes.length / 4 }, (_, i) => view.getInt32(4 * i));
  throw idxError(where, `its values are ${type}, and labels must be integers`);
}

interface IdxHeader {
  readonly type: string;
  readonly shape: readonly number[];
  /** Where the values start, and how many bytes they take. */
  readonly offset: number;
  readonly length: number;
}

function parseIdxHeader(bytes: Uint8Array, where: string): IdxHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length < 4) throw idxError(where, `it has ${bytes.length} bytes, fewer than any header`);
  const type = VALUE_TYPES[bytes[2]];
  if (bytes[0] !== 0 || bytes[1] !== 0 || type === undefined || bytes[3] === 0) {
    throw idxError(where, 'it does not start with two zero bytes, a value type and a number of dimensions');
  }
  const offset = 4 + 4 * bytes[3];
  if (bytes.length < offset) throw idxError(where, `its header of ${bytes[3]} dimensions is not complete`);
  const shape = Array.from({ length: bytes[3] }, (_, i) => view.getUint32(4 + 4 * i));
  const length = shape.reduce((product, side) => product * side, type.bytes);
  return { type: type.name, shape, offset, length };
}

function checkLength(header: IdxHeader, length: number, where: string): void {
  const expected = header.offset + header.length;
  if (length === expected) return;
  const claim = `its header claims ${header.shape.join('×')} values of ${header.type}, ${expected} bytes in all`;
  throw idxError(where, `${claim}, but it has ${length}`);
}

function parseGzip(file: Uint8Array, where: string): IdxArray {
  // The header first, from a small part of the stream; it then bounds the whole.
  const head = gunzip(file.subarray(0, 4096), where, 4096 * MOST_INFLATION, constants.Z_SYNC_FLUSH);
  const header = parseIdxHeader(head, where);
  const expected = header.offset + header.length;
  if (expected > file.length * MOST_INFLATION) {
    throw idxError(
      where,
      `its header claims ${expected} bytes, more than ${file.length} compressed ones can hold`,
    );
  }
  const whole = gunzip(file, where, expected, constants.Z_FINISH);
  checkLength(header, whole.length, where);
  const bytes = new Uint8Array(new SharedArrayBuffer(header.length));
  bytes.set(whole.subarray(header.offset));
  return { type: header.type, shape: header.shape, bytes };
}

function gunzip(bytes: Uint8Array, where: string, most: number, finishFlush: number): Buffer {
  try {
    return gunzipSync(bytes, { maxOutputLength: Math.max(most, 1), finishFlush });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const what =
      code === 'ERR_BUFFER_TOO_LARGE'
        ? `it inflates to more than the ${most} bytes that its header claims`
        : `its gzip stream is damaged or cut short (${code ?? 'unknown'})`;
    throw idxError(where, what);
  }
}

function openFile(path: string): RegularFile {
  try {
    return openRegular(path);
  } catch (cause) {
    throw new PenumbraError('data/not-found', `${path} cannot be opened`, { where: { file: path }, cause });
  }
}

function idxError(where: string, what: string): PenumbraError {
  return new PenumbraError('data/idx', `${where} is not a whole IDX file: ${what}`, {
    where: { file: where },
    hint: 'get the file again from where it came, and compare its size',
  });
}

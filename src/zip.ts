import { readSync } from 'node:fs';
import { crc32, inflateRawSync } from 'node:zlib';
import { PenumbraError } from './errors.ts';
import { openRegular } from './files/index.ts';

/** A file of an archive, or why it cannot be had. */
export type ZipEntry =
  | { readonly name: string; readonly bytes: Buffer }
  | { readonly name: string; readonly failure: string };

export interface ZipOptions {
  /** Bytes that a file may have; less than 4 GiB. */
  readonly longest: number;
  /**
   * How many times its packed bytes a file may have, above 64 MiB. Default: as many as DEFLATE can do, 1032. A picture
   * or a text that is so empty is none.
   */
  readonly mostInflation?: number;
  /** Which files are read, by name. Default: all. */
  readonly wanted?: (name: string) => boolean;
  /** Of the error for an archive that cannot be read. */
  readonly code: string;
}

const endSignature = 0x06054b50;
const end64Signature = 0x06064b50;
const locator64Signature = 0x07064b50;
const centralSignature = 0x02014b50;
const localSignature = 0x04034b50;

/**
 * The files of a zip archive (APPNOTE 6.3; with ZIP64, stored or deflated), in the order of its directory, one in
 * memory at a time. Nothing that the archive claims is believed: offsets must lie inside the file, a file may not grow
 * past the size it claims nor past `longest` bytes, its checksum must fit, and no two files may lie over each other (so
 * that all together are bounded by the archive's size). Such files are entries with a `failure`; names are only names,
 * nothing is written.
 * @throws PenumbraError with `code` where the directory itself cannot be read.
 */
export function* readZipEntries(
  path: string,
  { longest, mostInflation = deflateLimit, wanted = () => true, code }: ZipOptions,
): Generator<ZipEntry> {
  const file = openRegular(path);
  try {
    const { size } = file.stat;
    const bad = (what: string): PenumbraError =>
      new PenumbraError(code, `${path} is not a zip archive that can be read: ${what}.`, {
        hint: 'Compare it with its checksum and fetch it again.',
        where: { file: path },
      });
    const read = (position: number, length: number): Buffer => {
      if (position < 0 || length < 0 || position + length > size) throw bad('it points outside itself');
      const buffer = Buffer.allocUnsafe(length);
      let done = 0;
      while (done < length) {
        const n = readSync(file.descriptor, buffer, done, length - done, position + done);
        if (n === 0) throw bad('it ends early');
        done += n;
      }
      return buffer;
    };
    const { offset, length, count } = directoryOf(read, size, bad);
    if (length > 1 << 30) throw bad('its directory claims more than 1 GiB');
    const directory = read(offset, length);
    const starts = startsOf(directory, Math.min(count, Math.floor(length / 46)));
    let at = 0;
    for (let i = 0; i < count; i++) {
      if (at + 46 > length || directory.readUInt32LE(at) !== centralSignature) {
        throw bad(`its directory claims ${count} files and ends after ${i}`);
      }
      const flags = directory.readUInt16LE(at + 8);
      const method = directory.readUInt16LE(at + 10);
      const checksum = directory.readUInt32LE(at + 16);
      const nameLength = directory.readUInt16LE(at + 28);
      const extraLength = directory.readUInt16LE(at + 30);
      const commentLength = directory.readUInt16LE(at + 32);
      const next = at + 46 + nameLength + extraLength + commentLength;
      if (next > length) throw bad('an entry of its directory is cut off');
      const name = directory.toString('utf8', at + 46, at + 46 + nameLength);
      const sizes = sizesOf(directory, at, nameLength, extraLength);
      at = next;
      if (name.endsWith('/') || !wanted(name)) continue;
      const fail = (failure: string): ZipEntry => ({ name, failure });
      if (flags & 1) {
        yield fail('the file is encrypted');
      } else if (method !== 0 && method !== 8) {
        yield fail(`the file is compressed by method ${method}, which is not known`);
      } else if (sizes.plain > longest) {
        yield fail(`the file has ${sizes.plain} bytes; the limit is ${longest}`);
      } else if (sizes.packed > size) {
        yield fail('the archive lies about the size of the file');
      } else if (sizes.plain > Math.max(1 << 26, sizes.packed * mostInflation)) {
        yield fail(`the file unpacks to ${Math.floor(sizes.plain / sizes.packed)} times its size`);
      } else {
        yield entryBytes(name, method, checksum, sizes, read, endOf(starts, sizes.offset));
      }
    }
  } finally {
    file[Symbol.dispose]();
  }
}

/** Where the files of the directory begin, in order. Entries that are cut off are for the reader to find. */
function startsOf(directory: Buffer, count: number): Float64Array {
  const starts = new Float64Array(count).fill(Number.POSITIVE_INFINITY);
  for (let i = 0, at = 0; i < count && at + 46 <= directory.length; i++) {
    const nameLength = directory.readUInt16LE(at + 28);
    const extraLength = directory.readUInt16LE(at + 30);
    const next = at + 46 + nameLength + extraLength + directory.readUInt16LE(at + 32);
    if (next > directory.length) break;
    starts[i] = sizesOf(directory, at, nameLength, extraLength).offset;
    at = next;
  }
  return starts.sort();
}

/** Where the file behind the one at `offset` begins; the same place where two claim it. */
function endOf(starts: Float64Array, offset: number): number {
  let [low, high] = [0, starts.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (starts[middle]! < offset) low = middle + 1;
    else high = middle;
  }
  return starts[low + 1] ?? Number.POSITIVE_INFINITY;
}

interface Sizes {
  readonly packed: number;
  readonly plain: number;
  readonly offset: number;
}

function entryBytes(
  name: string,
  method: number,
  checksum: number,
  sizes: Sizes,
  read: (position: number, length: number) => Buffer,
  /** Where the next file begins. */
  end: number,
): ZipEntry {
  const fail = (failure: string): ZipEntry => ({ name, failure });
  let packed: Buffer;
  try {
    const local = read(sizes.offset, 30);
    if (local.readUInt32LE(0) !== localSignature) return fail('the archive lies about where the file begins');
    const begin = sizes.offset + 30 + local.readUInt16LE(26) + local.readUInt16LE(28);
    if (begin + sizes.packed > end) return fail('it lies over another file of the archive');
    packed = read(begin, sizes.packed);
  } catch (error) {
    if (error instanceof PenumbraError) return fail('the archive lies about where the file is');
    throw error;
  }
  let bytes: Buffer;
  try {
    bytes = method === 0 ? packed : inflate(packed, sizes.plain);
  } catch (error) {
    const grown = (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE';
    return fail(
      grown ? 'the file unpacks to more than the archive claims' : 'the compressed data are damaged',
    );
  }
  if (bytes.length !== sizes.plain) {
    return fail(
      `the file unpacks to ${bytes.length > sizes.plain ? 'more' : 'less'} than the archive claims`,
    );
  }
  if (crc32(bytes) !== checksum) return fail('the checksum does not fit');
  return { name, bytes };
}

/** DEFLATE cannot shrink more than this (RFC 1951; zlib's technical notes give 1032:1). */
const deflateLimit = 1032;

function inflate(packed: Buffer, plain: number): Buffer {
  // One byte more than claimed is enough to tell a lie.
  const maxOutputLength = Math.max(plain, 1) + 1;
  // In one piece, not in many that are copied together, unless the claim cannot be true.
  const chunkSize = Math.max(64, Math.min(maxOutputLength, packed.length * deflateLimit));
  return inflateRawSync(packed, { maxOutputLength, chunkSize });
}

function directoryOf(
  read: (position: number, length: number) => Buffer,
  size: number,
  bad: (what: string) => PenumbraError,
): { offset: number; length: number; count: number } {
  const tailLength = Math.min(size, 65_557);
  if (tailLength < 22) throw bad('it is too short');
  const tail = read(size - tailLength, tailLength);
  let end = tailLength - 22;
  while (
    end >= 0 &&
    !(tail.readUInt32LE(end) === endSignature && end + 22 + tail.readUInt16LE(end + 20) <= tailLength)
  )
    end--;
  if (end < 0) throw bad('it has no directory');
  let count = tail.readUInt16LE(end + 10);
  let length = tail.readUInt32LE(end + 12);
  let offset = tail.readUInt32LE(end + 16);
  const locator = end - 20;
  if ((count === 0xffff || offset === 0xffffffff || length === 0xffffffff) && locator >= 0) {
    if (tail.readUInt32LE(locator) === locator64Signature) {
      const record = read(Number(tail.readBigUInt64LE(locator + 8)), 56);
      if (record.readUInt32LE(0) !== end64Signature) throw bad('its ZIP64 directory is not where it says');
      count = Number(record.readBigUInt64LE(32));
      length = Number(record.readBigUInt64LE(40));
      offset = Number(record.readBigUInt64LE(48));
    }
  }
  return { offset, length, count };
}

function sizesOf(directory: Buffer, at: number, nameLength: number, extraLength: number): Sizes {
  let packed = directory.readUInt32LE(at + 20);
  let plain = directory.readUInt32LE(at + 24);
  let offset = directory.readUInt32LE(at + 42);
  if (packed === 0xffffffff || plain === 0xffffffff || offset === 0xffffffff) {
    const stop = at + 46 + nameLength + extraLength;
    for (
      let extra = at + 46 + nameLength;
      extra + 4 <= stop;
      extra += 4 + directory.readUInt16LE(extra + 2)
    ) {
      if (directory.readUInt16LE(extra) !== 1) continue;
      const fieldEnd = Math.min(stop, extra + 4 + directory.readUInt16LE(extra + 2));
      let field = extra + 4;
      const long = (value: number): number => {
        if (value !== 0xffffffff || field + 8 > fieldEnd) return value;
        field += 8;
        return Number(directory.readBigUInt64LE(field - 8));
      };
      plain = long(plain);
      packed = long(packed);
      offset = long(offset);
      break;
    }
  }
  return { packed, plain, offset };
}

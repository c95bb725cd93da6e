import { isUtf8 } from 'node:buffer';
import { createReadStream } from 'node:fs';
import { createGunzip } from 'node:zlib';
import { PenumbraError } from '../../errors.ts';
import { openRegular } from '../../files/index.ts';

/** Stands in decoded text for bytes that were no UTF-8: half of a pair of surrogates, which no decoder makes. */
export const damage = '\uDFFF';

/**
 * A decoder for a text. A byte order mark says what the bytes are, whatever was assumed; without an encoding and a mark,
 * UTF-16 is known by its zero bytes.
 * @throws PenumbraError `reports/encoding` for a name that no decoder has.
 */
export function decoderOf(
  encoding: string | undefined,
  bytes?: Buffer,
  fatal = false,
): InstanceType<typeof TextDecoder> {
  try {
    return new TextDecoder(
      (bytes === undefined ? undefined : utf16In(bytes, encoding)) ?? encoding ?? 'utf-8',
      {
        fatal,
      },
    );
  } catch (cause) {
    throw new PenumbraError('reports/encoding', `The encoding "${encoding}" is not known.`, {
      hint: 'Use a name such as utf-8, windows-1252, iso-8859-1 or utf-16le.',
      cause,
    });
  }
}

/** The form of UTF-16 that the bytes are in, by their mark or, where no encoding is named, by their zeros. */
function utf16In(bytes: Buffer, encoding?: string): 'utf-16le' | 'utf-16be' | undefined {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return 'utf-16le';
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return 'utf-16be';
  if (encoding !== undefined) return undefined;
  const head = bytes.subarray(0, 512 - (bytes.length % 2));
  const zeros = [0, 0];
  for (let i = 0; i + 1 < head.length; i += 2) {
    if (head[i] === 0) zeros[0]!++;
    if (head[i + 1] === 0) zeros[1]!++;
  }
  // Latin text has a zero in every character; a text in UTF-8 has none at all.
  const enough = head.length / 4;
  if (zeros[1]! > enough && zeros[0] === 0) return 'utf-16le';
  if (zeros[0]! > enough && zeros[1] === 0) return 'utf-16be';
  return undefined;
}

/** A text file piece by piece as UTF-8, whatever it is written in; a byte order mark is left out. */
export async function* utf8Chunks(path: string, encoding: string | undefined): AsyncGenerator<Buffer> {
  let decoder: InstanceType<typeof TextDecoder> | undefined;
  let first = true;
  for await (let chunk of chunks(path)) {
    if (first) {
      const form = utf16In(chunk, encoding) ?? encoding;
      if (form !== undefined && !/^utf-?8$/i.test(form)) decoder = decoderOf(form);
      else if (chunk[0] === 0xef && chunk[1] === 0xbb && chunk[2] === 0xbf) chunk = chunk.subarray(3);
      first = false;
    }
    yield decoder === undefined ? chunk : Buffer.from(decoder.decode(chunk, { stream: true }), 'utf8');
  }
  const rest = decoder?.decode() ?? '';
  if (rest !== '') yield Buffer.from(rest, 'utf8');
}

/** The same as text. Bytes that are no UTF-8 become `damage`; a replacement mark that stands in the file stays one. */
export async function* textChunks(path: string, encoding: string | undefined): AsyncGenerator<string> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of utf8Chunks(path, encoding)) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const end = endOfWhole(bytes);
    rest = Buffer.from(bytes.subarray(end));
    yield decodeUtf8(bytes.subarray(0, end));
  }
  yield decodeUtf8(rest);
}

/** Where the last whole character ends: up to three bytes may belong to one that the next piece completes. */
function endOfWhole(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back]!;
    if (byte < 0x80) return bytes.length;
    if (byte >= 0xc0) {
      const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
      return length > back ? bytes.length - back : bytes.length;
    }
  }
  return bytes.length;
}

function decodeUtf8(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString('utf8');
  const mark = Buffer.from('\uFFFD');
  const parts: string[] = [];
  for (let from = 0; ; ) {
    const at = bytes.indexOf(mark, from);
    parts.push(bytes.toString('utf8', from, at < 0 ? bytes.length : at).replaceAll('\uFFFD', damage));
    if (at < 0) return parts.join('\uFFFD');
    from = at + mark.length;
  }
}

/** A file piece by piece, unpacked where it ends in .gz. */
async function* chunks(path: string): AsyncGenerator<Buffer> {
  // The stream closes it.
  const { descriptor } = openRegular(path);
  const file = createReadStream(path, { fd: descriptor, start: 0, highWaterMark: 1 << 20 });
  if (!path.toLowerCase().endsWith('.gz')) {
    yield* file as AsyncIterable<Buffer>;
    return;
  }
  const unpacked = createGunzip({ chunkSize: 1 << 20 });
  file.on('error', (error) => unpacked.destroy(error));
  try {
    yield* file.pipe(unpacked) as AsyncIterable<Buffer>;
  } catch (cause) {
    throw new PenumbraError('reports/damaged', `${path} cannot be unpacked: it is damaged or cut off.`, {
      hint: 'Compare it with its checksum and fetch it again.',
      where: { file: path },
      cause,
    });
  } finally {
    file.destroy();
  }
}

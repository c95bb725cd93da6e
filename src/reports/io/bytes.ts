import { createReadStream } from 'node:fs';
import { createGunzip } from 'node:zlib';
import { PenumbraError } from '../../errors.ts';
import { openRegular } from '../../files/index.ts';

/** @throws PenumbraError `reports/encoding` for a name that no decoder has. */
export function decoderOf(
  encoding: string | undefined,
  bytes?: Buffer,
  fatal = false,
): InstanceType<typeof TextDecoder> {
  // A byte order mark says what the bytes are, whatever was assumed.
  const marked =
    bytes !== undefined && bytes.length > 1 && bytes[0] === 0xff && bytes[1] === 0xfe
      ? 'utf-16le'
      : undefined;
  try {
    return new TextDecoder(marked ?? encoding ?? 'utf-8', { fatal });
  } catch (cause) {
    throw new PenumbraError('reports/encoding', `The encoding "${encoding}" is not known.`, {
      hint: 'Use a name such as utf-8, windows-1252, iso-8859-1 or utf-16le.',
      cause,
    });
  }
}

/** A file piece by piece, unpacked where it ends in .gz. */
export async function* chunks(path: string): AsyncGenerator<Buffer> {
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

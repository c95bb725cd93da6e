import { createHash, type Hash } from 'node:crypto';
import { readSync } from 'node:fs';
import { openRegular, type RegularFile } from './open.ts';

/** Bytes that are hashed of a large file, in {@link PIECES} pieces. */
const PIECE = 1 << 16;
const PIECES = 16;

/** Size and content of a file. */
export interface FileIdentity {
  readonly bytes: number;
  /** Hexadecimal digits of a SHA-256; see {@link fileIdentity}. */
  readonly hash: string;
}

/**
 * What tells a file from another of the same name: its size and a hash, of all of it up to 1 MiB, else of 16 pieces of
 * 64 KiB that are spread evenly from its first byte to its last. So large files cost as little as small ones, and a
 * change between the pieces that leaves the size as it was goes unseen.
 */
export function fileIdentity(path: string): FileIdentity {
  using file = openRegular(path);
  return { bytes: file.stat.size, hash: hashPieces(createHash('sha256'), file).digest('hex').slice(0, 32) };
}

/** A hash over parts that cannot run together: each is preceded by its length. */
export class Identity {
  private readonly hash = createHash('sha256');

  add(part: string | number | ArrayBufferView | undefined | null): this {
    if (part === undefined || part === null) this.hash.update('-');
    else if (typeof part === 'object') {
      this.hash.update(`b${part.byteLength}:`);
      // In pieces: crypto copies what lies in shared memory, and takes at most 2 GiB at once.
      const most = 1 << 26;
      for (let at = 0; at < part.byteLength; at += most) {
        const length = Math.min(most, part.byteLength - at);
        this.hash.update(new Uint8Array(part.buffer, part.byteOffset + at, length));
      }
    } else {
      const text = String(part);
      this.hash.update(`${typeof part === 'number' ? 'n' : 's'}${Buffer.byteLength(text)}:`).update(text);
    }
    return this;
  }

  /** @returns 32 hexadecimal digits */
  digest(): string {
    return this.hash.digest('hex').slice(0, 32);
  }
}

function hashPieces(hash: Hash, file: RegularFile): Hash {
  const { size } = file.stat;
  hash.update(`${size}:`);
  const buffer = Buffer.allocUnsafe(Math.min(size, PIECE));
  const whole = size <= PIECE * PIECES;
  const count = whole ? Math.ceil(size / PIECE) : PIECES;
  for (let i = 0; i < count; i++) {
    const at = whole ? i * PIECE : Math.floor(((size - PIECE) * i) / (PIECES - 1));
    const length = Math.min(buffer.length, size - at);
    const read = readSync(file.descriptor, buffer, 0, length, at);
    hash.update(buffer.subarray(0, read));
  }
  return hash;
}

import { readSync } from 'node:fs';
import type { RegularFile } from '../../files/index.ts';

/** A header may have so many bytes. The largest vocabularies take some ten million. */
const LONGEST_HEADER = 1 << 28;
/** The format's own limits (GGML_MAX_DIMS; keys by its specification). */
const MOST_DIMENSIONS = 4;
const LONGEST_KEY = 65_535;
/** Bytes of a weight, by the number of its type. Quantized ones take an eighth of a byte at least. */
const weightBytes: Readonly<Record<number, number>> = {
  0: 4,
  1: 2,
  24: 1,
  25: 2,
  26: 4,
  27: 8,
  28: 8,
  30: 2,
};
const LEAST_BYTES = 1 / 8;

/** Bytes of a value, by the number of its type; 0 for a text, -1 for an array. */
const valueBytes = [1, 1, 2, 2, 4, 4, 4, 1, 0, -1, 8, 8, 8];
const TEXT = 8;
const ARRAY = 9;

/**
 * Checks the header of a GGUF file (version 2 or 3, little-endian) before a library believes it: every count, length
 * and offset must fit into the file, so that nothing has to be tried that cannot be.
 * https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 * @returns what is wrong with it, in a few words; undefined where nothing is
 */
export function checkGguf(file: RegularFile): string | undefined {
  try {
    new Header(file).read();
    return undefined;
  } catch (error) {
    if (error instanceof Wrong) return error.message;
    throw error;
  }
}

class Wrong extends Error {}

class Header {
  private readonly file: RegularFile;
  private readonly size: number;
  private window = Buffer.alloc(0);
  /** Where the window begins in the file, and where the next byte is read in it. */
  private begin = 0;
  private at = 0;

  constructor(file: RegularFile) {
    this.file = file;
    this.size = file.stat.size;
  }

  read(): void {
    if (this.take(4).toString('latin1') !== 'GGUF') throw new Wrong('is no GGUF file');
    const version = this.take(4).readUInt32LE();
    if (version !== 2 && version !== 3) throw new Wrong(`has version ${version} of the format, not 2 or 3`);
    const tensors = this.count('tensors', 24);
    const settings = this.count('settings', 13);
    let alignment = 32;
    let blocks = 0;
    for (let i = 0; i < settings; i++) {
      const length = this.length('a key');
      if (length > LONGEST_KEY) throw new Wrong(`claims a key of ${length} bytes`);
      const key = this.take(length).toString('latin1');
      const type = this.take(4).readUInt32LE();
      if (type === 4 && (key === 'general.alignment' || key.endsWith('.block_count'))) {
        const value = this.take(4).readUInt32LE();
        if (key === 'general.alignment') alignment = value;
        else blocks = Math.max(blocks, value);
      } else this.value(type);
    }
    if (alignment < 8 || alignment > 1 << 20 || alignment % 8 !== 0)
      throw new Wrong(`claims an alignment of ${alignment}`);
    if (blocks > tensors) throw new Wrong(`claims ${blocks} blocks in ${tensors} tensors`);
    const places: [number, number][] = [];
    for (let i = 0; i < tensors; i++) {
      this.skip(this.length('the name of a tensor'));
      const dimensions = this.take(4).readUInt32LE();
      if (dimensions > MOST_DIMENSIONS) throw new Wrong(`claims a tensor of ${dimensions} dimensions`);
      let weights = 1;
      for (let d = 0; d < dimensions; d++) weights *= Number(this.take(8).readBigUInt64LE());
      const each = weightBytes[this.take(4).readUInt32LE()] ?? LEAST_BYTES;
      places.push([Number(this.take(8).readBigUInt64LE()), weights * each]);
    }
    const data = Math.ceil((this.begin + this.at) / alignment) * alignment;
    for (const [offset, bytes] of places) {
      if (data + offset + bytes > this.size) {
        throw new Wrong('claims tensors that lie behind its end: it is damaged or cut off');
      }
    }
  }

  private value(type: number): void {
    const bytes = valueBytes[type];
    if (bytes === undefined) throw new Wrong(`claims a value of the unknown type ${type}`);
    if (type === TEXT) this.skip(this.length('a text'));
    else if (type !== ARRAY) this.skip(bytes);
    else {
      const of = this.take(4).readUInt32LE();
      const each = valueBytes[of];
      if (each === undefined || of === ARRAY) throw new Wrong(`claims an array of the type ${of}`);
      const length = this.count('values of an array', of === TEXT ? 8 : each);
      if (of !== TEXT) this.skip(length * each);
      else for (let i = 0; i < length; i++) this.skip(this.length('a text'));
    }
  }

  /** A number of things that take at least so many bytes each. */
  private count(what: string, bytes: number): number {
    const count = this.take(8).readBigUInt64LE();
    if (count > BigInt(Math.floor(this.left / bytes)))
      throw new Wrong(`claims ${count} ${what}, which it cannot hold`);
    return Number(count);
  }

  private length(what: string): number {
    const length = this.take(8).readBigUInt64LE();
    if (length > BigInt(this.left))
      throw new Wrong(`claims ${length} bytes for ${what}, which it does not have`);
    return Number(length);
  }

  private get left(): number {
    return this.size - this.begin - this.at;
  }

  private take(bytes: number): Buffer {
    if (bytes > this.left) throw new Wrong('ends inside its header: it is damaged or cut off');
    if (this.at + bytes > this.window.length) this.fill(bytes);
    this.at += bytes;
    return this.window.subarray(this.at - bytes, this.at);
  }

  private skip(bytes: number): void {
    if (bytes > this.left) throw new Wrong('ends inside its header: it is damaged or cut off');
    this.at += bytes;
  }

  private fill(bytes: number): void {
    this.begin += this.at;
    this.at = 0;
    if (this.begin > LONGEST_HEADER) throw new Wrong(`claims a header of more than ${LONGEST_HEADER} bytes`);
    this.window = Buffer.allocUnsafe(Math.min(this.size - this.begin, Math.max(bytes, 1 << 20)));
    for (let done = 0; done < this.window.length; ) {
      const n = readSync(
        this.file.descriptor,
        this.window,
        done,
        this.window.length - done,
        this.begin + done,
      );
      if (n === 0) throw new Wrong('became shorter while it was read');
      done += n;
    }
  }
}

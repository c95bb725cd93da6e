import { PenumbraError } from '../errors.ts';
import { writeAll, writeWith } from '../files/index.ts';
import { noGrad } from './autograd.ts';
import { type FileMap, native } from './native.ts';
import { aten } from './operators.ts';
import { Tensor, tidy } from './tensor.ts';
import type { DType } from './types.ts';

/** What a safetensors file holds. */
export interface Safetensors {
  /** By name, in the order of the file's header. */
  tensors: Map<string, Tensor>;
  /** The file's `__metadata__`; empty where it has none. */
  metadata: Record<string, string>;
}

/**
 * Reads a safetensors file (https://github.com/huggingface/safetensors#format). The file is memory-mapped: only the
 * header is read now, a tensor's bytes when they are first touched. The mapping is copy-on-write, so the tensors may
 * be written and the file never changes. It lives as long as any of the tensors; meanwhile the file may be replaced
 * by renaming another over it, but not truncated in place.
 *
 * The tensors belong to the caller's scope, as every new tensor does.
 * @throws `torch/file` where the file cannot be opened
 * @throws `torch/safetensors` for every departure from the format; the message names the file and the tensor
 */
export function readSafetensors(path: string): Safetensors {
  const { map, size } = native.mapFile(path);
  const fail: Fail = (problem) => {
    throw new PenumbraError('torch/safetensors', `${path}: ${problem}`, {
      hint: 'the file is damaged, incomplete or no safetensors file: fetch or write it again',
      where: { file: path },
    });
  };
  const { header, dataBegin } = readHeader(map, size, fail);
  checkLayout(header.entries, size - dataBegin, fail);
  checkBooleans(map, header.entries, dataBegin, fail);
  const tensors = new Map<string, Tensor>();
  for (const { name, dtype, shape, begin } of header.entries)
    tensors.set(
      name,
      new Tensor(native.mappedTensor(map, dataBegin + begin, shape, DTYPES.get(dtype)!.dtype)),
    );
  return { tensors, metadata: header.metadata };
}

/**
 * Writes tensors of any device and stride as a safetensors file. Equal contents give equal bytes, the same that
 * the format's reference implementation writes: wide element types first, then by name, so that all data is aligned.
 *
 * Atomic and durable: readers see the old file or the whole new one. One tensor at a time is brought to the CPU or
 * made contiguous where it is not; nothing else is copied.
 * @param tensors by name; `__metadata__` is no name
 * @throws `torch/safetensors` for what the format cannot hold, before anything is written
 */
export function writeSafetensors(
  path: string,
  tensors: ReadonlyMap<string, Tensor>,
  metadata: Readonly<Record<string, string>> = {},
): void {
  const fail: Fail = (problem) => {
    throw new PenumbraError('torch/safetensors', `${path}: ${problem}`, { where: { file: path } });
  };
  const { header, order } = makeHeader(tensors, metadata, fail);
  try {
    writeWith(path, (file) => {
      writeAll(file, header);
      for (const name of order) writeTensor(file, tensors.get(name)!);
    });
  } catch (cause) {
    if (!(cause instanceof PenumbraError) || !cause.code.startsWith('files/')) throw cause;
    const hint = cause.hint === undefined ? {} : { hint: cause.hint };
    throw new PenumbraError('torch/file', cause.message, { ...hint, where: { file: path }, cause });
  }
}

/** The format's own limit. */
const MAX_HEADER = 100_000_000;
/** LibTorch's iterators hold no more. */
const MAX_DIMENSIONS = 64;
/** In the order in which the reference implementation ranks them: data is written from the last to the first. */
const DTYPES = new Map<string, { dtype: DType; bytes: number }>([
  ['BOOL', { dtype: 'bool', bytes: 1 }],
  ['U8', { dtype: 'uint8', bytes: 1 }],
  ['I8', { dtype: 'int8', bytes: 1 }],
  ['F8_E5M2', { dtype: 'float8_e5m2', bytes: 1 }],
  ['F8_E4M3', { dtype: 'float8_e4m3fn', bytes: 1 }],
  ['I16', { dtype: 'int16', bytes: 2 }],
  ['U16', { dtype: 'uint16', bytes: 2 }],
  ['F16', { dtype: 'float16', bytes: 2 }],
  ['BF16', { dtype: 'bfloat16', bytes: 2 }],
  ['I32', { dtype: 'int32', bytes: 4 }],
  ['U32', { dtype: 'uint32', bytes: 4 }],
  ['F32', { dtype: 'float32', bytes: 4 }],
  ['C64', { dtype: 'complex64', bytes: 8 }],
  ['F64', { dtype: 'float64', bytes: 8 }],
  ['I64', { dtype: 'int64', bytes: 8 }],
  ['U64', { dtype: 'uint64', bytes: 8 }],
]);

type Fail = (problem: string) => never;

interface Entry {
  name: string;
  /** The format's name of it, a key of `DTYPES`. */
  dtype: string;
  shape: number[];
  /** Bytes [begin, end) behind the header. */
  begin: number;
  end: number;
}

interface Header {
  entries: Entry[];
  metadata: Record<string, string>;
}

function readHeader(map: FileMap, size: number, fail: Fail): { header: Header; dataBegin: number } {
  if (size < 8) fail(`the file of ${size} bytes is too short to hold the 8 bytes of its header's length`);
  const length = native.mappedBytes(map, 0, 8).readBigUInt64LE(0);
  if (length > BigInt(MAX_HEADER))
    fail(`the header claims ${length} bytes, the format allows at most ${MAX_HEADER}`);
  const dataBegin = 8 + Number(length);
  if (dataBegin > size) fail(`the header claims ${length} bytes, the file has ${size - 8} left for it`);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
      native.mappedBytes(map, 8, Number(length)),
    );
  } catch {
    return fail('the header is not valid UTF-8');
  }
  return { header: new HeaderParser(text, fail).parse(), dataBegin };
}

/** The data must cover the rest of the file, each byte once: no hole, no overlap, nothing behind. */
function checkLayout(entries: readonly Entry[], dataBytes: number, fail: Fail): void {
  let position = 0;
  const byOffset = entries.toSorted((a, b) => a.begin - b.begin || a.end - b.end);
  for (const { name, dtype, shape, begin, end } of byOffset) {
    const tensor = `tensor ${JSON.stringify(name)}`;
    if (begin < position) fail(`${tensor} begins at byte ${begin}, inside the tensor before it`);
    if (begin > position) fail(`${tensor} begins at byte ${begin}, behind a hole from byte ${position}`);
    if (end < begin) fail(`${tensor} ends at byte ${end}, before it begins at byte ${begin}`);
    // Sizes of 0 count as 1: LibTorch multiplies the others even where there is no element.
    let limit = DTYPES.get(dtype)!.bytes;
    for (const size of shape) limit *= Math.max(size, 1);
    if (limit > Number.MAX_SAFE_INTEGER)
      fail(`${tensor} has the shape [${shape.join(', ')}], which is too large`);
    const bytes = shape.includes(0) ? 0 : limit;
    if (end - begin !== bytes)
      fail(`${tensor} takes ${end - begin} bytes, but ${dtype} [${shape.join(', ')}] takes ${bytes}`);
    if (end > dataBytes) fail(`${tensor} ends at byte ${end}, the file has ${dataBytes} bytes of data`);
    position = end;
  }
  if (position !== dataBytes) fail(`${dataBytes - position} bytes follow behind the last tensor`);
}

/** A bool that is neither 0 nor 1 is undefined behaviour in C++: operators count with it and write out of bounds. */
function checkBooleans(map: FileMap, entries: readonly Entry[], dataBegin: number, fail: Fail): void {
  for (const { name, dtype, begin, end } of entries) {
    if (dtype !== 'BOOL' || begin === end) continue;
    const largest = tidy(() =>
      aten.max(new Tensor(native.mappedTensor(map, dataBegin + begin, [end - begin], 'uint8'))).item(),
    );
    if (largest > 1)
      fail(`tensor ${JSON.stringify(name)} has a BOOL of value ${largest}, which is neither 0 nor 1`);
  }
}

/**
 * The JSON of a header, and nothing else: JSON.parse would let duplicate keys pass, and build whatever a hostile
 * header of 100 MB asks for before anything can be checked.
 */
class HeaderParser {
  readonly #text: string;
  readonly #fail: Fail;
  #at = 0;

  constructor(text: string, fail: Fail) {
    this.#text = text;
    this.#fail = fail;
  }

  parse(): Header {
    if (this.#text[0] !== '{') this.#fail('the header does not begin with "{"');
    const entries: Entry[] = [];
    let metadata: Record<string, string> = {};
    this.#object('the header', (name) => {
      if (name === '__metadata__') metadata = this.#metadata();
      else entries.push(this.#entry(name));
    });
    this.#space();
    if (this.#at < this.#text.length)
      this.#fail(`the header goes on behind its end, at character ${this.#at}`);
    return { entries, metadata };
  }

  #metadata(): Record<string, string> {
    // fromEntries, because assigning to `__proto__` would lose it.
    const pairs: [string, string][] = [];
    this.#object('__metadata__', (key) => {
      pairs.push([key, this.#string(`the metadata ${JSON.stringify(key)}`)]);
    });
    return Object.fromEntries(pairs);
  }

  #entry(name: string): Entry {
    const tensor = `tensor ${JSON.stringify(name)}`;
    let dtype: string | undefined;
    let shape: number[] | undefined;
    let offsets: number[] | undefined;
    this.#object(tensor, (key) => {
      if (key === 'dtype') dtype = this.#string(`the dtype of ${tensor}`);
      else if (key === 'shape') shape = this.#integers(`the shape of ${tensor}`, MAX_DIMENSIONS);
      else if (key === 'data_offsets') offsets = this.#integers(`the data_offsets of ${tensor}`, 2);
      else
        this.#fail(
          `${tensor} has a field ${JSON.stringify(key)}; dtype, shape and data_offsets are all there are`,
        );
    });
    if (dtype === undefined) return this.#fail(`${tensor} has no dtype`);
    if (!DTYPES.has(dtype))
      return this.#fail(
        `${tensor} has the dtype ${JSON.stringify(dtype)}; known are ${[...DTYPES.keys()].join(', ')}`,
      );
    if (shape === undefined) return this.#fail(`${tensor} has no shape`);
    if (offsets?.length !== 2) return this.#fail(`${tensor} has no data_offsets [begin, end]`);
    return { name, dtype, shape, begin: offsets[0]!, end: offsets[1]! };
  }

  /** Calls `field` with each key, in front of its value. */
  #object(what: string, field: (key: string) => void): void {
    this.#expect('{', what);
    if (this.#take('}')) return;
    const seen = new Set<string>();
    do {
      const key = this.#string(`a name in ${what}`);
      if (seen.has(key)) this.#fail(`${what} has the name ${JSON.stringify(key)} twice`);
      seen.add(key);
      this.#expect(':', what);
      field(key);
    } while (this.#take(','));
    this.#expect('}', what);
  }

  #integers(what: string, most: number): number[] {
    const values: number[] = [];
    this.#expect('[', what);
    if (this.#take(']')) return values;
    do {
      if (values.length === most) this.#fail(`${what} has more than ${most} numbers`);
      this.#space();
      INTEGER.lastIndex = this.#at;
      const digits = INTEGER.exec(this.#text)?.[0];
      if (digits === undefined)
        return this.#fail(`${what}: expected an integer of at least 0 ${this.#here()}`);
      const value = Number(digits);
      if (!Number.isSafeInteger(value)) this.#fail(`${what}: ${digits} is too large`);
      this.#at += digits.length;
      values.push(value);
    } while (this.#take(','));
    this.#expect(']', what);
    return values;
  }

  #string(what: string): string {
    this.#space();
    const begin = this.#at;
    if (this.#text[begin] !== '"') this.#fail(`${what}: expected a string ${this.#here()}`);
    let end = begin + 1;
    for (; end < this.#text.length && this.#text[end] !== '"'; end++) if (this.#text[end] === '\\') end++;
    this.#at = end + 1;
    try {
      return JSON.parse(this.#text.slice(begin, end + 1)) as string;
    } catch {
      return this.#fail(`${what} is no valid JSON string`);
    }
  }

  #expect(character: string, what: string): void {
    if (!this.#take(character)) this.#fail(`${what}: expected "${character}" ${this.#here()}`);
  }

  #take(character: string): boolean {
    this.#space();
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #space(): void {
    for (;;) {
      const c = this.#text.charCodeAt(this.#at);
      if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) return;
      this.#at++;
    }
  }

  #here(): string {
    return this.#at < this.#text.length ? `at character ${this.#at} of the header` : 'but the header ends';
  }
}

/** Followed by what would make it another number: a digit behind a leading zero, a fraction, an exponent. */
const INTEGER = /(?:0|[1-9]\d{0,19})(?![\d.eE])/y;

function makeHeader(
  tensors: ReadonlyMap<string, Tensor>,
  metadata: Readonly<Record<string, string>>,
  fail: Fail,
): { header: Uint8Array; order: string[] } {
  const ranks = new Map([...DTYPES].map(([name, { dtype }], rank) => [dtype, { name, rank }]));
  const rows = [...tensors].map(([name, tensor]) => {
    if (name === '__metadata__') fail('a tensor may not have the name "__metadata__"');
    if (!name.isWellFormed()) fail(`the tensor name ${JSON.stringify(name)} is no valid Unicode`);
    const type = ranks.get(tensor.dtype);
    if (type === undefined)
      return fail(`tensor ${JSON.stringify(name)}: the format has no dtype ${tensor.dtype}`);
    return {
      name,
      key: Buffer.from(name),
      type,
      shape: tensor.shape,
      bytes: tensor.size * DTYPES.get(type.name)!.bytes,
    };
  });
  rows.sort((a, b) => b.type.rank - a.type.rank || Buffer.compare(a.key, b.key));

  const fields: string[] = [];
  const pairs = Object.entries(metadata);
  for (const [key, value] of pairs)
    if (typeof value !== 'string' || !value.isWellFormed() || !key.isWellFormed())
      fail(`the metadata ${JSON.stringify(key)} is no valid string`);
  if (pairs.length > 0) fields.push(`"__metadata__":${JSON.stringify(metadata)}`);
  let end = 0;
  for (const { name, type, shape, bytes } of rows) {
    const begin = end;
    end += bytes;
    fields.push(
      `${JSON.stringify(name)}:{"dtype":"${type.name}","shape":[${shape.join()}],"data_offsets":[${begin},${end}]}`,
    );
  }
  const text = Buffer.from(`{${fields.join()}}`);
  const length = Math.ceil(text.length / 8) * 8;
  if (length > MAX_HEADER) fail(`the header takes ${length} bytes, the format allows at most ${MAX_HEADER}`);
  const header = Buffer.alloc(8 + length, ' ');
  header.writeBigUInt64LE(BigInt(length), 0);
  text.copy(header, 8);
  return { header, order: rows.map(({ name }) => name) };
}

function writeTensor(file: number, tensor: Tensor): void {
  tidy(() =>
    noGrad(() => {
      // Complex numbers have no typed array, their two halves have.
      const plain = tensor.dtype === 'complex64' ? aten.view_as_real(aten.resolve_conj(tensor)) : tensor;
      const host = plain.device === 'cpu' ? plain : plain.to({ device: 'cpu' });
      const { buffer, byteOffset, byteLength } = aten.resolve_neg(host.contiguous()).data();
      writeAll(file, new Uint8Array(buffer, byteOffset, byteLength));
    }),
  );
}

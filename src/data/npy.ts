import { PenumbraError } from '../errors.ts';

/** An array of NumPy's `.npy` format: its values are the file's bytes. */
export interface NpyArray {
  readonly type: NpyType;
  readonly littleEndian: boolean;
  /** Whether the first axis varies fastest (column-major), not the last. */
  readonly fortranOrder: boolean;
  readonly shape: readonly number[];
  readonly bytes: Buffer;
}

/** Kind and bytes of a value, as NumPy spells them without the byte order. */
export type NpyType = keyof typeof VALUE_BYTES;

const VALUE_BYTES = { b1: 1, i1: 1, u1: 1, i2: 2, u2: 2, i4: 4, u4: 4, i8: 8, u8: 8, f2: 2, f4: 4, f8: 8 };

/** NumPy itself reads no longer header unless it is told to trust the file. */
const LONGEST_HEADER = 10_000;

/**
 * Parses a whole `.npy` file (versions 1.0, 2.0 and 3.0; NumPy Enhancement Proposal 1 and `numpy.lib.format`). The
 * header is a Python literal, of which only the one dictionary that NumPy writes is understood; nothing is evaluated,
 * and pickled values (type `O`) and records are refused. The shape is held against the length of the file.
 *
 * @param where names it in errors.
 * @throws {PenumbraError} `data/npy` for anything else.
 */
export function parseNpy(file: Buffer, where: string): NpyArray {
  if (file.length < 10 || file.toString('latin1', 0, 6) !== '\x93NUMPY') {
    throw npyError(where, 'it does not start as one');
  }
  const version = file[6];
  if (version < 1 || version > 3)
    throw npyError(where, `its version is ${version}.${file[7]}, not 1.0 to 3.0`);
  const start = version === 1 ? 10 : 12;
  if (file.length < start) throw npyError(where, 'it ends inside its header');
  const length = version === 1 ? file.readUInt16LE(8) : file.readUInt32LE(8);
  if (length > LONGEST_HEADER) throw npyError(where, `its header claims ${length} bytes`);
  if (file.length < start + length) throw npyError(where, 'it ends inside its header');
  const header = file.toString(version === 3 ? 'utf8' : 'latin1', start, start + length);
  const { descr, fortranOrder, shape } = parseHeader(header, where);
  const type = descr.slice(1);
  if (!isKnownType(type)) {
    throw npyError(
      where,
      `its values are ${JSON.stringify(descr.slice(0, 20))}, and only plain numbers are read`,
    );
  }
  const bytes = file.subarray(start + length);
  const expected = shape.reduce((product, side) => product * side, VALUE_BYTES[type]);
  if (bytes.length !== expected) {
    throw npyError(
      where,
      `its header claims ${shape.join('×')} values of ${type}, ${expected} bytes, but it has ${bytes.length}`,
    );
  }
  return { type, littleEndian: descr[0] !== '>', fortranOrder, shape, bytes };
}

/** Unsigned bytes in C order (the last axis varies fastest), on shared memory. */
export function npyBytes(array: NpyArray, where: string): Uint8Array<SharedArrayBuffer> {
  if (array.type !== 'u1') throw npyError(where, `its values are ${array.type}, and pixels are u1 (uint8)`);
  const { bytes, shape } = array;
  const values = new Uint8Array(new SharedArrayBuffer(bytes.length));
  if (!array.fortranOrder) values.set(bytes);
  else forEachInC(shape, (to, from) => (values[to] = bytes[from]));
  return values;
}

/** The values of an array of integers or booleans, in C order. */
export function npyIntegers(array: NpyArray, where: string): Int32Array {
  const { type, bytes, littleEndian, shape } = array;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const read: Partial<Record<NpyType, (at: number) => number>> = {
    b1: (at) => view.getUint8(at),
    u1: (at) => view.getUint8(at),
    i1: (at) => view.getInt8(at),
    u2: (at) => view.getUint16(at, littleEndian),
    i2: (at) => view.getInt16(at, littleEndian),
    u4: (at) => view.getUint32(at, littleEndian),
    i4: (at) => view.getInt32(at, littleEndian),
    u8: (at) => Number(view.getBigUint64(at, littleEndian)),
    i8: (at) => Number(view.getBigInt64(at, littleEndian)),
  };
  const valueAt = read[type];
  if (valueAt === undefined) throw npyError(where, `its values are ${type}, and labels must be integers`);
  const size = VALUE_BYTES[type];
  const values = new Int32Array(bytes.length / size);
  const put = (to: number, from: number) => {
    const value = valueAt(from * size);
    if (value !== (value | 0)) throw npyError(where, `value ${to} is ${value}, which is no label`);
    values[to] = value;
  };
  if (array.fortranOrder) forEachInC(shape, put);
  else for (let i = 0; i < values.length; i++) put(i, i);
  return values;
}

/** Calls with each value's place in C order and its place in Fortran order. */
function forEachInC(shape: readonly number[], visit: (c: number, fortran: number) => void): void {
  const strides = shape.map((_, axis) => shape.slice(0, axis).reduce((product, side) => product * side, 1));
  const count = shape.reduce((product, side) => product * side, 1);
  const index = new Int32Array(shape.length);
  for (let c = 0, fortran = 0; c < count; c++) {
    visit(c, fortran);
    // One step on, the last axis first, as an odometer counts.
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      fortran += strides[axis];
      if (++index[axis] < shape[axis]) break;
      fortran -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
}

/** The three entries of the header, each once, in any order, with nothing beside them. */
function parseHeader(
  header: string,
  where: string,
): { descr: string; fortranOrder: boolean; shape: number[] } {
  const malformed = () => npyError(where, 'its header is not the dictionary that NumPy writes');
  const literal = header.trim();
  if (!literal.startsWith('{') || !literal.endsWith('}')) throw malformed();
  const entries = new Map<string, string>();
  let rest = literal.slice(1, -1).trim();
  while (rest !== '') {
    const entry =
      /^(['"])(\w+)\1\s*:\s*(\([^()]*\)|\[[^[\]]*\]|'[^'\\]*'|"[^"\\]*"|True|False)\s*(?:,\s*|$)/s.exec(rest);
    if (entry === null || entries.has(entry[2])) {
      // Records are lists of tuples.
      if (/^(['"])descr\1\s*:\s*\[/.test(rest))
        throw npyError(where, 'its values are records, not plain numbers');
      throw malformed();
    }
    entries.set(entry[2], entry[3]);
    rest = rest.slice(entry[0].length);
  }
  const descr = /^['"]([<>|=].+)['"]$/s.exec(entries.get('descr') ?? '')?.[1];
  const order = entries.get('fortran_order');
  const shape = parseTuple(entries.get('shape') ?? '');
  if (entries.size !== 3 || descr === undefined || shape === undefined) throw malformed();
  if (order !== 'True' && order !== 'False') throw malformed();
  return { descr, fortranOrder: order === 'True', shape };
}

/** `(2, 3)`, `(2,)` or `()`; Python 2 wrote `2L`. */
function parseTuple(text: string): number[] | undefined {
  if (!text.startsWith('(')) return undefined;
  const sides = text
    .slice(1, -1)
    .split(',')
    .map((side) => side.trim());
  const isTuple = sides.length > 1 || sides[0] === '';
  if (sides.at(-1) === '') sides.pop();
  if (!isTuple || !sides.every((side) => /^\d{1,15}L?$/.test(side))) return undefined;
  return sides.map((side) => Number.parseInt(side, 10));
}

function isKnownType(type: string): type is NpyType {
  return Object.hasOwn(VALUE_BYTES, type);
}

function npyError(where: string, what: string): PenumbraError {
  return new PenumbraError('data/npy', `${where} is no NumPy array that can be used: ${what}`, {
    where: { file: where },
    hint: 'get the file again from where it came, or write the array anew with numpy.save',
  });
}

import { PenumbraError } from '../errors.ts';
import { readZipEntries, type ZipEntry } from '../zip.ts';
import { type Coded, type ColumnProfile, emptyFile, placeOf, type Table } from './table.ts';

/** An array of an `.npz`: numbers as doubles (or floats), or texts. */
interface Member {
  readonly shape: readonly number[];
  readonly numbers: Float32Array | Float64Array | undefined;
  readonly texts: readonly string[] | undefined;
}

const LONGEST = 2 ** 32 - 1;

/** What arrays are called. */
const NAMES = {
  probabilities: [
    'probabilities',
    'probs',
    'probability',
    'p',
    'y_prob',
    'y_score',
    'y_pred',
    'predictions',
    'preds',
    'scores',
    'outputs',
    'softmax',
    'sigmoid',
  ],
  logits: ['logits', 'logit', 'z'],
  labels: ['labels', 'label', 'targets', 'target', 'y_true', 'y', 'truth', 'ground_truth', 'gt'],
  mask: ['mask', 'known', 'weights'],
  ids: ['ids', 'id', 'names', 'filenames', 'files', 'image_ids', 'image_id', 'paths', 'sample_ids'],
  classes: ['classes', 'class_names', 'label_names', 'finding_names', 'findings', 'columns'],
} as const;

/**
 * NumPy's archive as a table: `probabilities` (or `logits`) N×K with `labels` N or N×K (NaN, or 0 in `mask`, where not
 * known), and where they are there `ids` N and `classes` K; any other array of N numbers or texts is a column of its
 * name. Pickled arrays are refused.
 * @throws `judge/npz`, `judge/empty`
 */
export function openNpz(path: string): Table {
  const members = new Map<string, Member>();
  for (const entry of readZipEntries(path, { longest: LONGEST, code: 'judge/npz' })) {
    members.set(entry.name.replace(/\.npy$/, ''), memberOf(entry, path));
  }
  const find = (names: readonly string[]): [string, Member] | undefined => {
    for (const name of names) {
      const key = [...members.keys()].find((one) => one.toLowerCase() === name);
      if (key !== undefined) return [key, members.get(key)!];
    }
    return undefined;
  };
  const isScores = find(NAMES.logits) ?? find(NAMES.probabilities);
  const isLogits = isScores !== undefined && find(NAMES.logits)?.[0] === isScores[0];
  const truth = find(NAMES.labels);
  const first = isScores ?? truth;
  if (first === undefined) {
    throw npzError(
      path,
      'it holds neither probabilities nor labels',
      'name the arrays probabilities (or logits), labels, ids, classes',
    );
  }
  const rows = first[1].shape[0] ?? 0;
  if (rows === 0) throw emptyFile(path);
  const columns = new Map<string, Float32Array | Float64Array | readonly string[]>();
  const matrices = new Map<string, { member: Member; c: number; width: number }>();
  const classes = find(NAMES.classes)?.[1].texts;
  const width = isScores === undefined ? undefined : widthOf(isScores[1], path, isScores[0]);
  const names = namesOf(classes, width ?? widthOf(truth![1], path, truth![0]), path);
  const spread = (member: Member, prefix: string) => {
    if (member.numbers === undefined) {
      throw npzError(path, 'its matrices hold texts', 'probabilities, logits and findings are numbers');
    }
    for (const [c, name] of names.entries())
      matrices.set(`${prefix}${name}`, { member, c, width: names.length });
  };
  if (isScores !== undefined) {
    sized(isScores[1], rows, path, isScores[0]);
    spread(isScores[1], isLogits ? 'logit_' : 'p_');
  }
  if (truth !== undefined) {
    sized(truth[1], rows, path, truth[0]);
    const own = widthOf(truth[1], path, truth[0]);
    const wide = truth[1].shape.length === 2 && (own > 1 || width === 1);
    if (wide && own !== names.length) {
      throw npzError(
        path,
        `${truth[0]} has ${own} columns, ${isScores?.[0] ?? 'classes'} ${names.length}`,
        'labels are N, or N×K',
      );
    }
    if (wide) spread(masked(truth[1], find(NAMES.mask)?.[1], path), 'y_');
    else columns.set('label', truth[1].numbers ?? truth[1].texts!);
  }
  const ids = find(NAMES.ids);
  if (ids !== undefined) {
    sized(ids[1], rows, path, ids[0]);
    columns.set('id', ids[1].texts ?? ids[1].numbers!);
  }
  const taken = new Set([isScores?.[0], truth?.[0], ids?.[0]]);
  for (const [name, member] of members) {
    if (taken.has(name) || columns.has(name) || member.shape.length !== 1 || member.shape[0] !== rows)
      continue;
    columns.set(name, member.texts ?? member.numbers!);
  }
  return tableOf(path, rows, columns, matrices);
}

function tableOf(
  path: string,
  rows: number,
  columns: ReadonlyMap<string, Float32Array | Float64Array | readonly string[]>,
  matrices: ReadonlyMap<string, { member: Member; c: number; width: number }>,
): Table {
  const isTexts = (values: unknown): values is readonly string[] => Array.isArray(values);
  const isText = (value: string) => value.trim() !== '' && !/^(nan|na|none|null)$/i.test(value.trim());
  const profiles: ColumnProfile[] = [
    ...[...columns].map(([name, values]) => {
      let filled = 0;
      let numeric = 0;
      for (let i = 0; i < rows; i++) {
        const value = values[i]!;
        if (typeof value === 'string' ? !isText(value) : Number.isNaN(value)) continue;
        filled++;
        if (typeof value === 'number' || Number.isFinite(Number(value))) numeric++;
      }
      return { name, filled, numeric };
    }),
    ...[...matrices].map(([name, { member, c, width }]) => {
      let filled = 0;
      for (let i = 0, at = c; i < rows; i++, at += width)
        filled += Number.isNaN(member.numbers![at]!) ? 0 : 1;
      return { name, filled, numeric: filled };
    }),
  ];
  const textAt = (name: string): ((row: number) => string) => {
    const values = columns.get(name);
    if (values === undefined) {
      const { member, c, width } = matrices.get(name)!;
      return (row) => numberText(member.numbers![row * width + c]!);
    }
    return isTexts(values) ? (row) => values[row]!.trim() : (row) => numberText(values[row]!);
  };
  return {
    file: path,
    rows,
    columns: profiles,
    async numbers(wanted) {
      const parts = wanted.map((name) => matrices.get(name));
      const [first] = parts;
      // All of a matrix in its own order: as it is.
      if (
        first !== undefined &&
        wanted.length === first.width &&
        parts.every((part, c) => part?.member === first.member && part.c === c)
      ) {
        return first.member.numbers!;
      }
      const single = parts.every((part) => part?.member.numbers instanceof Float32Array);
      const values = new (single ? Float32Array : Float64Array)(rows * wanted.length);
      wanted.forEach((name, c) => {
        const part = parts[c];
        const own = columns.get(name);
        for (let i = 0, to = c; i < rows; i++, to += wanted.length) {
          if (part !== undefined) values[to] = part.member.numbers![i * part.width + part.c]!;
          else if (isTexts(own)) values[to] = isText(own[i]!) ? Number(own[i]) : Number.NaN;
          else values[to] = own![i]!;
        }
      });
      return values;
    },
    async texts(name) {
      const text = textAt(name);
      return Array.from({ length: rows }, (_, row) => text(row));
    },
    async coded(name): Promise<Coded> {
      const text = textAt(name);
      const places = new Map<string, number>();
      const codes = new Int32Array(rows);
      for (let row = 0; row < rows; row++) {
        const one = text(row);
        if (one === '') {
          codes[row] = -1;
          continue;
        }
        codes[row] = placeOf(places, one);
      }
      return { codes, values: [...places.keys()] };
    },
    async distinct(name) {
      const text = textAt(name);
      const seen = new Set<string>();
      let blank = 0;
      for (let row = 0; row < rows; row++) {
        const one = text(row);
        if (one === '') blank++;
        else seen.add(one);
      }
      return { blank, repeated: rows - blank - seen.size };
    },
    [Symbol.dispose]() {},
  };
}

function numberText(value: number): string {
  return Number.isNaN(value) ? '' : String(value);
}

function masked(member: Member, mask: Member | undefined, path: string): Member {
  if (mask === undefined) return member;
  const { numbers } = member;
  if (numbers === undefined || mask.numbers === undefined || mask.numbers.length !== numbers.length) {
    throw npzError(
      path,
      'its mask has another shape than its labels',
      'a mask is N×K, 1 where the label is known',
    );
  }
  const known = mask.numbers;
  return {
    ...member,
    numbers: Float64Array.from(numbers, (value, at) => (known[at] === 0 ? Number.NaN : value)),
  };
}

function sized(member: Member, rows: number, path: string, name: string): void {
  if (member.shape[0] === rows) return;
  throw npzError(
    path,
    `${name} has ${member.shape[0] ?? 0} rows, other arrays ${rows}`,
    'every array has a row for each sample',
  );
}

function widthOf({ shape, numbers, texts }: Member, path: string, name: string): number {
  const good = (shape.length === 1 || shape.length === 2) && (numbers !== undefined || texts !== undefined);
  if (!good)
    throw npzError(
      path,
      `${name} has the shape ${shape.join('×')}`,
      'probabilities are N×K, labels N or N×K',
    );
  return shape[1] ?? 1;
}

function namesOf(classes: readonly string[] | undefined, width: number, path: string): string[] {
  if (classes === undefined) return Array.from({ length: width }, (_, k) => String(k));
  if (classes.length !== width || new Set(classes).size !== width) {
    throw npzError(
      path,
      `it names ${classes.length} classes and has ${width} columns`,
      'name every column once',
    );
  }
  return [...classes];
}

/** A `.npy` of plain numbers, or of texts of fixed length (`U`, `S`), which `parseNpy` of the data room does not read. */
function memberOf(entry: ZipEntry, path: string): Member {
  if ('failure' in entry)
    throw npzError(path, `${entry.name}: ${entry.failure}`, 'write it anew with numpy.savez');
  const { name, bytes } = entry;
  const bad = (what: string) =>
    npzError(path, `${name}: ${what}`, 'write it anew with numpy.savez; arrays of objects are not read');
  if (bytes.length < 12 || bytes.toString('latin1', 0, 6) !== '\x93NUMPY') throw bad('it is no NumPy array');
  const start = bytes[6] === 1 ? 10 : 12;
  const length = bytes[6] === 1 ? bytes.readUInt16LE(8) : bytes.readUInt32LE(8);
  if (length > 10_000 || start + length > bytes.length) throw bad('its header is damaged');
  const header = bytes.toString('latin1', start, start + length);
  const descr = /'descr':\s*'([<>|=])([a-zA-Z])(\d+)'/.exec(header);
  const shapeText = /'shape':\s*\(([\d,\s]*)\)/.exec(header)?.[1];
  if (shapeText === undefined) throw bad('its header is damaged');
  if (descr === null) throw bad('its values are objects or records');
  const shape = shapeText
    .split(',')
    .map((side) => side.trim())
    .filter((side) => side !== '')
    .map(Number);
  const count = shape.reduce((product, side) => product * side, 1);
  const fortran = /'fortran_order':\s*True/.test(header);
  const [, order, kind, sizeText] = descr;
  const size = Number(sizeText) * (kind === 'U' ? 4 : 1);
  const data = bytes.subarray(start + length);
  if (data.length !== count * size) throw bad(`it has ${data.length} bytes instead of ${count * size}`);
  if (kind === 'U' || kind === 'S')
    return { shape, numbers: undefined, texts: textsOf(data, count, size, kind, order === '>') };
  const numbers = numbersOf(data, count, `${kind}${sizeText}`, order === '>');
  if (numbers === undefined)
    throw bad(`its values are ${kind}${sizeText}, and only plain numbers and texts are read`);
  return {
    shape,
    numbers: fortran && shape.length === 2 ? transposed(numbers, shape) : numbers,
    texts: undefined,
  };
}

function numbersOf(
  data: Buffer,
  count: number,
  type: string,
  big: boolean,
): Float32Array | Float64Array | undefined {
  const copy = Uint8Array.from(data); // Aligned.
  const view = new DataView(copy.buffer);
  const little = !big;
  if (little && type === 'f4') return new Float32Array(copy.buffer, 0, count);
  if (little && type === 'f8') return new Float64Array(copy.buffer, 0, count);
  const read: Record<string, (at: number) => number> = {
    f2: (at) => view.getFloat16?.(2 * at, little) ?? half(view.getUint16(2 * at, little)),
    f4: (at) => view.getFloat32(4 * at, little),
    f8: (at) => view.getFloat64(8 * at, little),
    b1: (at) => view.getUint8(at),
    u1: (at) => view.getUint8(at),
    i1: (at) => view.getInt8(at),
    u2: (at) => view.getUint16(2 * at, little),
    i2: (at) => view.getInt16(2 * at, little),
    u4: (at) => view.getUint32(4 * at, little),
    i4: (at) => view.getInt32(4 * at, little),
    u8: (at) => Number(view.getBigUint64(8 * at, little)),
    i8: (at) => Number(view.getBigInt64(8 * at, little)),
  };
  const valueAt = read[type];
  if (valueAt === undefined) return undefined;
  const values = type === 'f2' || type === 'f4' ? new Float32Array(count) : new Float64Array(count);
  for (let at = 0; at < count; at++) values[at] = valueAt(at);
  return values;
}

/** IEEE 754 binary16, where the engine has no `getFloat16`. */
function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15));
}

function textsOf(data: Buffer, count: number, size: number, kind: string, big: boolean): string[] {
  const result = new Array<string>(count);
  for (let i = 0; i < count; i++) {
    const cell = data.subarray(i * size, (i + 1) * size);
    if (kind === 'S') {
      const end = cell.indexOf(0);
      result[i] = cell.toString('utf8', 0, end < 0 ? size : end);
      continue;
    }
    let text = '';
    for (let at = 0; at < size; at += 4) {
      const code = big ? cell.readUInt32BE(at) : cell.readUInt32LE(at);
      if (code === 0) break;
      text += code <= 0x10ffff ? String.fromCodePoint(code) : '\ufffd';
    }
    result[i] = text;
  }
  return result;
}

function transposed(values: Float32Array | Float64Array, [rows, columns]: readonly number[]) {
  const result = new (values.constructor as Float64ArrayConstructor)(values.length) as typeof values;
  for (let i = 0; i < rows!; i++)
    for (let c = 0; c < columns!; c++) result[i * columns! + c] = values[c * rows! + i]!;
  return result;
}

function npzError(path: string, what: string, hint: string): PenumbraError {
  return new PenumbraError('judge/npz', `${path} cannot be read: ${what}.`, { hint, where: { file: path } });
}

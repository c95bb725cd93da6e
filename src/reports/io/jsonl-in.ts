import { isUtf8 } from 'node:buffer';
import { utf8Chunks } from './bytes.ts';
import { type Columns, findColumns, fromCells } from './columns.ts';
import { type InputItem, type InputOptions, notUtf8 } from './item.ts';

/** Reports in JSON lines, also packed (.gz): one object each. */
export async function* fromJsonLines(
  path: string,
  options: InputOptions,
  longest: number,
): AsyncGenerator<InputItem[]> {
  // A character may take six bytes as \uXXXX; more than that, and the line holds more than a report.
  const longestLine = longest * 6 + 65_536;
  let rest: Buffer = Buffer.alloc(0);
  let dropping = false;
  let dropped = 0;
  let row = 0;
  let keys: string[] | undefined;
  let columns: Columns | undefined;
  /** One line as bytes, where the piece it lies in is no UTF-8 as a whole. */
  const readBytes = (bytes: Buffer): InputItem | undefined => {
    if (isUtf8(bytes)) return read(bytes.toString('utf8'));
    row++;
    return { id: `row-${row}`, failure: notUtf8 };
  };
  const read = (line: string): InputItem | undefined => {
    const text = line.endsWith('\r') ? line.slice(0, -1) : line;
    if (text === '' || text === '\uFEFF' || text.trim() === '') return undefined;
    row++;
    let value: unknown;
    try {
      value = JSON.parse(row === 1 ? text.replace(/^\uFEFF/, '') : text);
    } catch {
      return { id: `row-${row}`, failure: 'the line is not JSON' };
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      return { id: `row-${row}`, failure: 'the line is no JSON object' };
    }
    const object = value as Record<string, unknown>;
    const own = Object.keys(object);
    if (keys === undefined || !sameKeys(own, keys, object)) {
      keys = own;
      try {
        columns = findColumns(keys, options, path);
      } catch (error) {
        if (row === 1) throw error;
        keys = undefined;
        return { id: `row-${row}`, failure: 'the line lacks the fields of a report' };
      }
    }
    const cells: unknown[] = [];
    for (const key of keys) cells.push(object[key]);
    for (const index of columns!.texts) {
      if (cells[index] === null || typeof cells[index] === 'string') continue;
      const item = fromCells(cells, columns!, row, longest);
      return {
        id: 'report' in item ? item.report.id : item.id,
        failure: `field ${index + 1} of the line is no text`,
      };
    }
    return fromCells(cells, columns!, row, longest);
  };
  for await (const chunk of utf8Chunks(path, options.encoding)) {
    const last = chunk.lastIndexOf(10);
    let from = 0;
    if (last >= 0) {
      const end = chunk.indexOf(10);
      if (dropping) {
        row++;
        const failure = `the line has more than ${dropped + end} bytes; the limit is ${longestLine}`;
        yield [{ id: `row-${row}`, failure }];
        dropping = false;
        dropped = 0;
      } else {
        const item = readBytes(Buffer.concat([rest, chunk.subarray(0, end)]));
        if (item !== undefined) yield [item];
      }
      rest = Buffer.alloc(0);
      from = end + 1;
    }
    // Whole lines are decoded at once, and read in small batches: what has been judged need not be kept.
    const whole = chunk.subarray(from, last + 1);
    from = Math.max(from, last + 1);
    for (const batch of isUtf8(whole)
      ? inBatches(linesOfText(whole.toString('utf8')), read)
      : inBatches(linesOfBytes(whole), readBytes)) {
      yield batch;
    }
    const tail = chunk.subarray(from);
    if (dropping) dropped += tail.length;
    else if (rest.length + tail.length > longestLine) {
      dropping = true;
      dropped = rest.length + tail.length;
      rest = Buffer.alloc(0);
    } else rest = rest.length === 0 ? Buffer.from(tail) : Buffer.concat([rest, tail]);
  }
  if (dropping)
    yield [{ id: `row-${row + 1}`, failure: `the line has ${dropped} bytes; the limit is ${longestLine}` }];
  else {
    const item = readBytes(rest);
    yield item === undefined ? [] : [item];
  }
}

const batchSize = 64;

function* inBatches<T>(lines: Iterable<T>, read: (line: T) => InputItem | undefined): Generator<InputItem[]> {
  let batch: InputItem[] = [];
  for (const line of lines) {
    const item = read(line);
    if (item === undefined || batch.push(item) < batchSize) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

/** The lines of a text that ends with a line break. */
function* linesOfText(text: string): Generator<string> {
  for (let from = 0, end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', from)) {
    yield text.slice(from, end);
    from = end + 1;
  }
}

function* linesOfBytes(bytes: Buffer): Generator<Buffer> {
  for (let from = 0, end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, from)) {
    yield bytes.subarray(from, end);
    from = end + 1;
  }
}

/** Has the object these keys, in whatever order? */
function sameKeys(own: readonly string[], keys: readonly string[], object: object): boolean {
  if (own.length !== keys.length) return false;
  for (let i = 0; i < own.length; i++)
    if (own[i] !== keys[i] && !Object.hasOwn(object, keys[i]!)) return false;
  return true;
}

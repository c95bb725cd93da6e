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
  const read = (bytes: Buffer): InputItem | undefined => {
    if (bytes.length > 0 && bytes[bytes.length - 1] === 13) bytes = bytes.subarray(0, -1);
    if (bytes.length === 0) return undefined;
    row++;
    if (!isUtf8(bytes)) return { id: `row-${row}`, failure: notUtf8 };
    const text = bytes.toString('utf8');
    if (text.trim() === '' || text === '\uFEFF') {
      row--;
      return undefined;
    }
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
    if (keys === undefined || own.length !== keys.length || !keys.every((key) => key in object)) {
      keys = own;
      try {
        columns = findColumns(keys, options, path);
      } catch (error) {
        if (row === 1) throw error;
        keys = undefined;
        return { id: `row-${row}`, failure: 'the line lacks the fields of a report' };
      }
    }
    const cells = keys.map((key) => object[key]);
    const bad = [...(columns!.text >= 0 ? [columns!.text] : columns!.sections.map((s) => s.index))].find(
      (index) => cells[index] !== null && typeof cells[index] !== 'string',
    );
    const item = fromCells(cells, columns!, row, longest);
    if (bad !== undefined) {
      return {
        id: 'report' in item ? item.report.id : item.id,
        failure: `field ${bad + 1} of the line is no text`,
      };
    }
    return item;
  };
  for await (const chunk of utf8Chunks(path, options.encoding)) {
    const found: InputItem[] = [];
    let from = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      const piece = chunk.subarray(from, end);
      from = end + 1;
      if (dropping) {
        row++;
        found.push({
          id: `row-${row}`,
          failure: `the line has more than ${dropped + piece.length} bytes; the limit is ${longestLine}`,
        });
        dropping = false;
        dropped = 0;
        continue;
      }
      const item = read(rest.length === 0 ? piece : Buffer.concat([rest, piece]));
      rest = Buffer.alloc(0);
      if (item !== undefined) found.push(item);
    }
    const tail = chunk.subarray(from);
    if (dropping) dropped += tail.length;
    else if (rest.length + tail.length > longestLine) {
      dropping = true;
      dropped = rest.length + tail.length;
      rest = Buffer.alloc(0);
    } else rest = rest.length === 0 ? Buffer.from(tail) : Buffer.concat([rest, tail]);
    yield found;
  }
  if (dropping)
    yield [{ id: `row-${row + 1}`, failure: `the line has ${dropped} bytes; the limit is ${longestLine}` }];
  else {
    const item = read(rest);
    yield item === undefined ? [] : [item];
  }
}

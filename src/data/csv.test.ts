import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PenumbraError } from '../errors.ts';
import { csvLine, parseCsv } from './csv.ts';

function rowsOf(text: string): string[][] {
  const rows: string[][] = [];
  parseCsv(text, 'table.csv', (fields) => rows.push([...fields]));
  return rows;
}

test('what was written reads back, whatever the fields hold', () => {
  const field = fc.oneof(fc.string(), fc.stringMatching(/^[a",\r\n]*$/));
  const table = fc
    .integer({ min: 1, max: 5 })
    .chain((n) => fc.array(fc.array(field, { minLength: n, maxLength: n })));
  fc.assert(
    fc.property(table, fc.boolean(), (rows, crlf) => {
      const text = rows.map((row) => (crlf ? csvLine(row).replace(/\n$/, '\r\n') : csvLine(row))).join('');
      // A byte-order mark is no part of the first field; the writer makes none.
      fc.pre(!text.startsWith('\ufeff'));
      expect(rowsOf(text)).toEqual(rows);
      if (rows.length > 0) expect(rowsOf('\ufeff' + text)).toEqual(rows);
    }),
    { numRuns: 500 },
  );
});

test('any text is read or refused with its line, never anything else', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[ab",\r\n]*$/), (text) => {
      try {
        rowsOf(text);
      } catch (error) {
        expect(error).toBeInstanceOf(PenumbraError);
        expect((error as PenumbraError).where.line).toBeGreaterThan(0);
      }
    }),
    { numRuns: 2000 },
  );
});

test('rows carry the line they start on', () => {
  const lines: number[] = [];
  parseCsv('a,b\r\n\r\n"x\ny",1\nz,2', 't', (_, line) => lines.push(line));
  expect(lines).toEqual([1, 3, 5]);
});

test.each([
  ['a,b\n1\n', 2, 'fields'],
  ['a,b\n1,"2\n', 2, 'does not end'],
  ['a,b\n1,2"\n', 2, 'quote inside'],
  ['a\n"1"2\n', 2, 'closing quote'],
])('%j is refused', (text, line, what) => {
  expect(() => rowsOf(text)).toThrow(
    expect.objectContaining({ code: 'data/csv', where: { file: 'table.csv', line } }),
  );
  expect(() => rowsOf(text)).toThrow(what);
});

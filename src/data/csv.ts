import { PenumbraError } from '../errors.ts';

const COMMA = 0x2c;
const QUOTE = 0x22;
const CR = 0x0d;
const LF = 0x0a;

/**
 * Reads comma-separated values (RFC 4180: quoted fields may hold commas, line breaks and doubled quotes). LF and CRLF
 * end a line, a byte-order mark and blank lines are passed over, and every row must have as many fields as the first.
 *
 * @param onRow gets each row's fields, in an array that the next row overwrites, and the line that the row starts on,
 * from 1.
 * @throws {PenumbraError} `data/csv` with the file and the line.
 */
export function parseCsv(text: string, where: string, onRow: (fields: string[], line: number) => void): void {
  const fail = (line: number, what: string) => {
    throw new PenumbraError('data/csv', `${where}, line ${line}: ${what}`, { where: { file: where, line } });
  };
  const fields: string[] = [];
  const end = text.length;
  let at = text.charCodeAt(0) === 0xfeff ? 1 : 0;
  let line = 1;
  let columns = -1;
  while (at < end) {
    const first = text.charCodeAt(at);
    if (first === LF || (first === CR && text.charCodeAt(at + 1) === LF)) {
      at += first === LF ? 1 : 2;
      line++;
      continue;
    }
    const start = line;
    let count = 0;
    for (let more = true; more; ) {
      let field: string;
      if (text.charCodeAt(at) === QUOTE) {
        const from = ++at;
        let doubled = false;
        for (; ; at++) {
          if (at >= end) fail(start, 'a quoted field does not end');
          const code = text.charCodeAt(at);
          if (code === LF) line++;
          if (code !== QUOTE) continue;
          if (text.charCodeAt(at + 1) !== QUOTE) break;
          doubled = true;
          at++;
        }
        field = doubled ? text.slice(from, at).replaceAll('""', '"') : text.slice(from, at);
        at++;
      } else {
        const from = at;
        let code = text.charCodeAt(at);
        while (at < end && code !== COMMA && code !== LF && !(code === CR && isLineEnd(text, at))) {
          if (code === QUOTE) fail(line, 'a quote inside a field that is not quoted');
          code = text.charCodeAt(++at);
        }
        field = text.slice(from, at);
      }
      fields[count++] = field;
      const code = text.charCodeAt(at);
      if (at < end && code !== COMMA && code !== LF && !(code === CR && isLineEnd(text, at))) {
        fail(line, 'something follows the closing quote of a field');
      }
      more = code === COMMA;
      if (more) at++;
    }
    if (text.charCodeAt(at) === CR) at++;
    if (text.charCodeAt(at) === LF) at++;
    if (columns === -1) columns = count;
    if (count !== columns) fail(start, `${count} fields, where the first row has ${columns}`);
    fields.length = count;
    onRow(fields, start);
    line++;
  }
}

/** One row of CSV, quoted where it has to be, with its line end. */
export function csvLine(fields: readonly (string | number)[]): string {
  const quoted = fields.map((field) => {
    const text = String(field);
    // A row of one empty field would read as a blank line.
    const plain = !/[",\r\n]/.test(text) && !(text === '' && fields.length === 1);
    return plain ? text : `"${text.replaceAll('"', '""')}"`;
  });
  return quoted.join(',') + '\n';
}

/** A CR counts as part of a line end before LF or at the end of the text. */
function isLineEnd(text: string, at: number): boolean {
  return at + 1 === text.length || text.charCodeAt(at + 1) === LF;
}

import { PenumbraError } from '../errors.ts';

const COMMA = 0x2c;
const QUOTE = 0x22;
const CR = 0x0d;
const LF = 0x0a;

/** One row as byte ranges of the table that it lies in. The next row overwrites it. */
export class CsvRow {
  /** Fields in the row. */
  length = 0;
  /** The line that the row starts on, from 1. */
  line = 0;
  readonly bytes: Buffer;
  /** Field i is the bytes from `starts[i]` to `ends[i]`, without the quotes around it. */
  readonly starts: number[] = [];
  readonly ends: number[] = [];
  /** Whether field i holds doubled quotes: then its bytes are not yet its text. */
  readonly doubled: boolean[] = [];

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  text(i: number): string {
    const text = this.bytes.toString('utf8', this.starts[i], this.ends[i]);
    return this.doubled[i] ? text.replaceAll('""', '"') : text;
  }

  texts(): string[] {
    return Array.from({ length: this.length }, (_, i) => this.text(i));
  }
}

/**
 * Reads comma-separated values (RFC 4180: quoted fields may hold commas, line breaks and doubled quotes) in UTF-8. LF
 * and CRLF end a line, a byte-order mark and blank lines are passed over, and every row must have as many fields as the
 * first. Nothing is allocated per row: what a caller needs as text it asks for.
 *
 * @throws {PenumbraError} `data/csv` with the file and the line.
 */
export function scanCsv(bytes: Buffer, where: string, onRow: (row: CsvRow) => void): void {
  const fail = (line: number, what: string) => {
    throw new PenumbraError('data/csv', `${where}, line ${line}: ${what}`, { where: { file: where, line } });
  };
  const row = new CsvRow(bytes);
  const { starts, ends, doubled } = row;
  const end = bytes.length;
  let at = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
  let line = 1;
  let columns = -1;
  while (at < end) {
    if (bytes[at] === LF || (bytes[at] === CR && bytes[at + 1] === LF)) {
      at += bytes[at] === LF ? 1 : 2;
      line++;
      continue;
    }
    row.line = line;
    let count = 0;
    for (let more = true; more; count++) {
      doubled[count] = false;
      if (bytes[at] === QUOTE) {
        starts[count] = ++at;
        for (; ; at++) {
          if (at >= end) fail(row.line, 'a quoted field does not end');
          if (bytes[at] === LF) line++;
          if (bytes[at] !== QUOTE) continue;
          if (bytes[at + 1] !== QUOTE) break;
          doubled[count] = true;
          at++;
        }
        ends[count] = at++;
      } else {
        starts[count] = at;
        for (; at < end && bytes[at] !== COMMA && !endsLine(bytes, at); at++) {
          if (bytes[at] === QUOTE) fail(line, 'a quote inside a field that is not quoted');
        }
        ends[count] = at;
      }
      more = bytes[at] === COMMA;
      if (more) at++;
      else if (at < end && !endsLine(bytes, at)) fail(line, 'something follows the closing quote of a field');
    }
    if (bytes[at] === CR) at++;
    if (bytes[at] === LF) at++;
    if (columns === -1) columns = count;
    if (count !== columns) fail(row.line, `${count} fields, where the first row has ${columns}`);
    row.length = count;
    onRow(row);
    line++;
  }
}

/**
 * The same for a table in a string; small ones.
 *
 * @param onRow gets each row's fields, and the line that the row starts on, from 1.
 * @throws {PenumbraError} `data/csv` with the file and the line.
 */
export function parseCsv(text: string, where: string, onRow: (fields: string[], line: number) => void): void {
  scanCsv(Buffer.from(text), where, (row) => onRow(row.texts(), row.line));
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

/** LF, CRLF, or a CR that ends the table. */
function endsLine(bytes: Buffer, at: number): boolean {
  if (bytes[at] === LF) return true;
  return bytes[at] === CR && (at + 1 === bytes.length || bytes[at + 1] === LF);
}

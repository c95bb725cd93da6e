/**
 * A CSV reader (RFC 4180) that takes text piece by piece. Quoted fields may hold commas, quotes ("") and line breaks;
 * lines may end with LF or CRLF. A quote inside an unquoted field is an ordinary character.
 */
export class CsvReader {
  private readonly separator: string;
  private readonly longestField: number;
  private row: string[] = [];
  private field = '';
  private quoted = false;
  private afterQuote = false;
  private started = false;
  private pendingReturn = false;
  /** The field grew past the limit; the rest of it is dropped. */
  private overlong = false;

  constructor(options: { separator?: string; longestField?: number } = {}) {
    this.separator = options.separator ?? ',';
    this.longestField = options.longestField ?? Number.POSITIVE_INFINITY;
  }

  /** The rows that `text` completes. A field that is too long is cut at the limit plus one character. */
  push(text: string): string[][] {
    const rows: string[][] = [];
    const separator = this.separator.charCodeAt(0);
    let from = 0;
    const take = (to: number): void => {
      if (to > from && !this.overlong) {
        this.field += text.slice(from, to);
        if (this.field.length > this.longestField) {
          this.field = this.field.slice(0, this.longestField + 1);
          this.overlong = true;
        }
      }
    };
    for (let i = 0; i < text.length; i++) {
      if (this.quoted) {
        i = text.indexOf('"', i);
        if (i < 0) break;
        take(i);
        this.quoted = false;
        this.afterQuote = true;
        from = i + 1;
        continue;
      }
      const c = text.charCodeAt(i);
      if (c === 34 && this.afterQuote) {
        this.field += '"';
        this.quoted = true;
        this.afterQuote = false;
        from = i + 1;
        continue;
      }
      if (c === 34 && this.field === '' && from === i && !this.started) {
        this.quoted = this.started = true;
        this.pendingReturn = false;
        from = i + 1;
        continue;
      }
      if (c === separator) {
        take(i);
        this.endField();
        from = i + 1;
      } else if (c === 10) {
        if (this.pendingReturn && from === i && !this.started && this.row.length === 0 && this.field === '') {
          this.pendingReturn = false; // the second half of a CRLF that was split or already ended the row
          from = i + 1;
          continue;
        }
        take(i);
        this.endField();
        rows.push(this.row);
        this.row = [];
        from = i + 1;
      } else if (c === 13) {
        take(i);
        this.endField();
        rows.push(this.row);
        this.row = [];
        from = i + 1;
        this.pendingReturn = true;
        continue;
      } else {
        this.started = true;
        this.afterQuote = false;
      }
      this.pendingReturn = false;
    }
    take(text.length);
    return rows;
  }

  /** The last row, if the text did not end with a line break. `unclosed` says that a quoted field never ended. */
  end(): { row: string[] | undefined; unclosed: boolean } {
    const unclosed = this.quoted;
    if (!this.started && this.field === '' && this.row.length === 0) return { row: undefined, unclosed };
    this.endField();
    const row = this.row;
    this.row = [];
    this.quoted = false;
    return { row, unclosed };
  }

  private endField(): void {
    this.row.push(this.field);
    this.field = '';
    this.started = this.afterQuote = this.overlong = false;
  }
}

const separators = [',', ';', '\t', '|'] as const;

/** What parts the fields of a table: the commonest of comma, semicolon, tab and bar in its first line, outside quotes. */
export function separatorOf(text: string): string {
  const counts = new Map<string, number>();
  let quoted = false;
  for (const c of text) {
    if (c === '"') quoted = !quoted;
    else if (!quoted && (c === '\n' || c === '\r') && counts.size > 0) break;
    else if (!quoted && (separators as readonly string[]).includes(c))
      counts.set(c, (counts.get(c) ?? 0) + 1);
  }
  return separators.reduce(
    (best, c) => ((counts.get(c) ?? 0) > (counts.get(best) ?? 0) ? c : best),
    ',' as string,
  );
}

/** All rows of a CSV text. */
export function parseCsv(text: string, separator = ','): string[][] {
  const reader = new CsvReader({ separator });
  const rows = reader.push(text);
  const { row } = reader.end();
  if (row !== undefined) rows.push(row);
  return rows;
}

/** One field as CSV writes it. */
export function csvField(value: string): string {
  return /[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
}

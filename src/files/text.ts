/**
 * A name or a text from a user's file as it may be printed: control characters (a terminal would obey them) and what
 * reverses the direction of writing become `\xNN` or `\uNNNN`. Everything else stays.
 */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (character) => {
    const code = character.charCodeAt(0);
    return code < 256
      ? `\\x${code.toString(16).padStart(2, '0')}`
      : `\\u${code.toString(16).padStart(4, '0')}`;
  });
}

// C0 without tab and line feed, DEL, C1, and the Unicode controls of direction and of lines.
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const UNPRINTABLE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/**
 * A text as a cell of a table that people open in a spreadsheet: one that would be taken for a formula gets an
 * apostrophe in front, as OWASP advises against CSV injection. Numbers, also negative ones, stay what they are.
 */
export function spreadsheetCell(text: string): string {
  return /^[=+\-@\t\r]/.test(text) && !/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? `'${text}` : text;
}

/** The same as an SQL expression of DuckDB, for a column of texts. */
export function spreadsheetCellSql(expression: string): string {
  return `CASE WHEN regexp_matches(${expression}, '^[=+\\-@\\t\\r]') AND NOT regexp_full_match(${expression}, '[+-]?([0-9]+\\.?[0-9]*|\\.[0-9]+)([eE][+-]?[0-9]+)?') THEN '''' || ${expression} ELSE ${expression} END`;
}

/** A text in Markdown that is not to be markup: HTML, emphasis, links and the bars of tables lose their meaning. */
export function markdownText(text: string): string {
  return printable(text)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replace(/[\\`*_[\]|]/g, '\\$&')
    .replace(/\s+/g, ' ');
}

/** What an identifier looks like without saying what it is: letters become `a` or `A`, digits `9`. */
export function shapeOf(id: string): string {
  const shape = id
    .slice(0, 40)
    .replace(/\p{Lu}/gu, 'A')
    .replace(/\p{L}/gu, (letter) => (letter === 'A' ? 'A' : 'a'))
    .replace(/\p{N}/gu, '9');
  return printable(id.length > 40 ? `${shape}…` : shape);
}

import { parseCsv } from '../data/csv.ts';
import { PenumbraError } from '../errors.ts';
import { readRegular } from '../files/index.ts';
import { reportKey } from '../reports/index.ts';

/** A CSV with a header: rows of texts, and where a column stands. */
export interface Table {
  readonly path: string;
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** The number of the first of these columns that the table has; undefined where it has none. */
  column(...names: readonly string[]): number | undefined;
  /** @throws `rates/columns` where there is none of them */
  needColumn(...names: readonly string[]): number;
}

/** A column and some of its values: `reader=R5,R6`. */
export interface Choice {
  readonly column: string;
  readonly values: readonly string[];
}

/** @throws `usage/choice` for a text that is none */
export function readChoice(text: string): Choice {
  const at = text.indexOf('=');
  const values = text
    .slice(at + 1)
    .split(',')
    .map((value) => value.trim());
  const column = text.slice(0, Math.max(0, at)).trim();
  if (column === '' || values.includes('')) {
    throw new PenumbraError('usage/choice', `'${text}' is no choice of reports`, {
      hint: 'name a column and its values: reader=R5,R6',
    });
  }
  return { column, values };
}

/**
 * Reports, by `reportKey`, whose row of a table has one of the values.
 * @throws `rates/columns` where the table has no such column; `rates/no-match` for a value that no row has
 */
export function chosenReports(table: Table, { column, values }: Choice): Set<string> {
  const [id, at] = [table.needColumn(...REPORT_COLUMNS), table.needColumn(column)];
  const missing = values.find((value) => table.rows.every((row) => row[at]!.trim() !== value));
  if (missing !== undefined) {
    throw new PenumbraError('rates/no-match', `${table.path} has no row with ${column} ${missing}`, {
      hint: `the column has ${new Set(table.rows.map((row) => row[at])).size} different values`,
      where: { file: table.path },
    });
  }
  const chosen = table.rows.filter((row) => values.includes(row[at]!.trim()));
  return new Set(chosen.flatMap((row) => reportsOf(row[id]!)));
}

/** What the column of reports may be called. */
export const REPORT_COLUMNS = ['report', 'study_id', 'id', 'report_id'] as const;

/** Keys of the reports that a cell names: an image that several people read names all their reports. */
export function reportsOf(cell: string): string[] {
  return cell.split('|').map((report) => reportKey(report.trim()));
}

/**
 * @throws `rates/table` for a file that cannot be read or holds no row; `data/csv` for one that is no CSV
 */
export function readTable(path: string): Table {
  let text: string;
  try {
    text = readRegular(path).toString('utf8');
  } catch (cause) {
    throw new PenumbraError('rates/table', `${path} cannot be read`, {
      hint: 'give a .csv with a header',
      where: { file: path },
      cause,
    });
  }
  const all: string[][] = [];
  parseCsv(text, path, (fields) => all.push(fields));
  const [header = [], ...rows] = all;
  if (rows.length === 0) {
    throw new PenumbraError('rates/table', `${path} holds no row`, { where: { file: path } });
  }
  const column = (...names: readonly string[]): number | undefined => {
    for (const name of names) {
      const at = header.findIndex((cell) => cell.trim().toLowerCase() === name.toLowerCase());
      if (at >= 0) return at;
    }
    return undefined;
  };
  return {
    path,
    header,
    rows,
    column,
    needColumn(...names) {
      const at = column(...names);
      if (at !== undefined) return at;
      throw new PenumbraError('rates/columns', `${path} has no column ${names.join(' or ')}`, {
        hint: `its first line names ${header.length} columns; name one of them so`,
        where: { file: path },
      });
    },
  };
}

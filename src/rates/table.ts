import { parseCsv } from '../data/csv.ts';
import { PenumbraError } from '../errors.ts';
import { readRegular } from '../files/index.ts';

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

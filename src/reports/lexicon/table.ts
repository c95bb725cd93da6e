import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { PenumbraError } from '../../errors.ts';

/** One line of a tab-separated table with a header, and where it stands. */
export interface TableRow {
  readonly line: number;
  readonly cells: Readonly<Record<string, string>>;
}

/**
 * Reads a tab-separated text: a header line, then one entry a line; empty lines and lines that start with `#` are
 * remarks. Missing cells at the end of a line are empty.
 * @throws PenumbraError `reports/table` when a column is missing or a line has too many cells.
 */
export function parseTable(text: string, columns: readonly string[], where: string): TableRow[] {
  const rows: TableRow[] = [];
  let header: string[] | undefined;
  text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .forEach((content, index) => {
      if (content.trim() === '' || content.startsWith('#')) return;
      const cells = content.split('\t').map((cell) => cell.trim());
      const line = index + 1;
      if (header === undefined) {
        const missing = columns.filter((column) => !cells.includes(column));
        if (missing.length > 0) {
          throw new PenumbraError('reports/table', `${where} lacks the column(s) ${missing.join(', ')}.`, {
            hint: `The first line that is not a remark must name the columns, tab-separated: ${columns.join(', ')}.`,
            where: { file: where, line },
          });
        }
        header = cells;
        return;
      }
      if (cells.length > header.length) {
        throw new PenumbraError(
          'reports/table',
          `${where}, line ${line}, has ${cells.length} cells; the header has ${header.length}.`,
          { hint: 'Cells are separated by one tab each.', where: { file: where, line } },
        );
      }
      const named: Record<string, string> = {};
      header.forEach((column, i) => {
        named[column] = cells[i] ?? '';
      });
      rows.push({ line, cells: named });
    });
  return rows;
}

/**
 * The text of a data file that ships with the package. The files stand beside the sources (`src/reports/…`); the
 * compiled modules in `dist` read the same copy.
 */
export function readAsset(path: string): string {
  for (const base of ['../', '../../../src/reports/']) {
    try {
      return readFileSync(new URL(base + path, import.meta.url), 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  throw new PenumbraError('reports/asset', `The package lacks its data file reports/${path}.`, {
    hint: 'Install the package again.',
    where: { file: path },
  });
}

/**
 * A hash of sources of the package (paths below `reports/`), for versions of what they make: remarks do not count, so
 * that a better word in one of them leaves stored rows valid. Both the sources and what is compiled from them give the
 * same.
 */
export function sourcesHash(paths: readonly string[]): string {
  const hash = createHash('sha256');
  for (const path of paths) {
    for (const line of readAsset(path).split('\n')) {
      const code = line.trim();
      if (code !== '' && !/^(\/\/|\/\*|\*)/.test(code)) hash.update(code).update('\n');
    }
  }
  return hash.digest('hex');
}

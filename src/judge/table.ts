import { readSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import type { DuckDBConnection } from '@duckdb/node-api';
import { openDuckDB, sqlName, sqlText } from '../duckdb.ts';
import { PenumbraError } from '../errors.ts';
import { openRegular, type RegularFile } from '../files/index.ts';

/** What a column holds. */
export interface ColumnProfile {
  readonly name: string;
  /** How many cells are not blank; among numbers `NA`, `nan` and the like are. */
  readonly filled: number;
  /** How many of these are numbers. */
  readonly numeric: number;
}

/** Texts of a column as numbers. */
export interface Coded {
  /** N places in `values`; −1 where the cell is blank. */
  readonly codes: Int32Array;
  /** The different texts, in the order in which they come. */
  readonly values: readonly string[];
}

/** A file of predictions or labels, column by column. */
export interface Table extends Disposable {
  readonly file: string;
  readonly rows: number;
  readonly columns: readonly ColumnProfile[];
  /** N×C numbers row by row; NaN for blanks and for what is no number. In fp32 where the file holds no more. */
  numbers(columns: readonly string[]): Promise<Float32Array | Float64Array>;
  /** N texts; empty for blanks. */
  texts(column: string): Promise<string[]>;
  coded(column: string): Promise<Coded>;
  /** How many cells are blank, and how many repeat one before. */
  distinct(column: string): Promise<{ readonly blank: number; readonly repeated: number }>;
}

/** What stands for "not known" among numbers. */
const BLANKS = ['', 'na', 'n/a', 'nan', 'null', 'none', '<na>'];

/**
 * Opens a CSV (also `.tsv`, `;` and the like, which DuckDB finds out), JSON lines (`.jsonl`) or a Parquet file.
 *
 * @param texts columns that are read as they are written, `007` as `007`; others may be taken for numbers
 * @throws `judge/table` where it cannot be read as such; `judge/empty`
 */
export async function openTable(path: string, texts: readonly string[] = []): Promise<Table> {
  const parquet = /\.(parquet|pq)$/i.test(path);
  const lines = /\.jsonl$/i.test(path);
  using file = openRegular(path);
  if (file.stat.size === 0) throw emptyFile(path);
  const duckdb = await openDuckDB({ memory: '6GB', threads: availableParallelism() });
  try {
    const { connection } = duckdb;
    const query = async (sql: string) => (await connection.runAndReadAll(sql)).getRows() as unknown[][];
    if (parquet)
      await tell(path, parquet, () =>
        connection.run(`CREATE TABLE t AS SELECT * FROM read_parquet(${sqlText(file.path)})`),
      );
    else if (lines) await tell(path, parquet, () => loadJsonLines(connection, file.path, firstLine(file)));
    else await tell(path, parquet, () => loadCsv(connection, file.path, texts));
    const types = new Map(
      (await query(
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 't' ORDER BY ordinal_position",
      )) as [string, string][],
    );
    const names = [...types.keys()];
    if (!parquet && !lines && !isHeader(firstLine(file), names)) {
      throw new PenumbraError('judge/table', `${path}: its first line does not name the columns.`, {
        hint: 'Write a first line such as: id,label,p_cat,p_dog',
        where: { file: path },
      });
    }
    const isNumber = (name: string) =>
      /^(FLOAT|DOUBLE|U?(BIG|HUGE|SMALL|TINY)?INT(EGER)?|BOOLEAN|DECIMAL.*)$/.test(types.get(name)!);
    const isPlain = (name: string) =>
      !/[[(]/.test(types.get(name)!.replace(/^DECIMAL.*/, '')) && types.get(name) !== 'BLOB';
    const text = (name: string) =>
      isNumber(name)
        ? `CAST(${sqlName(name)} AS VARCHAR)`
        : isPlain(name)
          ? `trim(CAST(${sqlName(name)} AS VARCHAR))`
          : "'?'";
    const value = (name: string) =>
      isNumber(name) ? `CAST(${sqlName(name)} AS DOUBLE)` : `TRY_CAST(${text(name)} AS DOUBLE)`;
    const blank = (name: string) =>
      isNumber(name)
        ? `(${sqlName(name)} IS NULL OR isnan(${value(name)}))`
        : `(${sqlName(name)} IS NULL OR lower(${text(name)}) IN (${BLANKS.map(sqlText).join(', ')}))`;
    const counted = names.map((name) =>
      isNumber(name)
        ? `count(*) FILTER (NOT ${blank(name)}), 0`
        : `count(*) FILTER (NOT ${blank(name)}), count(*) FILTER (NOT ${blank(name)} AND ${value(name)} IS NOT NULL)`,
    );
    const [profile] = await query(`SELECT count(*), ${counted.join(', ')} FROM t`);
    const rows = Number(profile![0]);
    if (rows === 0) throw emptyFile(path);
    const columns = names.map((name, c) => {
      const filled = Number(profile![1 + 2 * c]);
      return { name, filled, numeric: isNumber(name) ? filled : Number(profile![2 + 2 * c]) };
    });
    // A class may be called "none": only what is empty is no text.
    const shown = (column: string) => `coalesce(${text(column)}, '')`;
    const eachText = (column: string, take: (row: number, text: string) => void) =>
      scan(connection, shown(column), (at, get, many) => {
        const item = get(0);
        for (let row = 0; row < many; row++) take(at + row, item(row) as string);
      });
    return {
      file: path,
      rows,
      columns,
      async numbers(wanted) {
        const single = wanted.every((name) => types.get(name) === 'FLOAT');
        const values = new (single ? Float32Array : Float64Array)(rows * wanted.length);
        const select = wanted.map((name) => `coalesce(${value(name)}, 'nan'::DOUBLE)`).join(', ');
        await scan(connection, select, (at, get, many) => {
          for (let c = 0; c < wanted.length; c++) {
            const item = get(c);
            let to = at * wanted.length + c;
            for (let row = 0; row < many; row++, to += wanted.length) values[to] = item(row) as number;
          }
        });
        return values;
      },
      async texts(column) {
        const result = new Array<string>(rows);
        await eachText(column, (row, one) => {
          result[row] = one;
        });
        return result;
      },
      async coded(column) {
        const places = new Map<string, number>();
        const codes = new Int32Array(rows);
        await eachText(column, (row, one) => {
          codes[row] = one === '' ? -1 : placeOf(places, one);
        });
        return { codes, values: [...places.keys()] };
      },
      async distinct(column) {
        const [[filled, different]] = (await query(
          `SELECT count(x), count(DISTINCT x) FROM (SELECT nullif(${shown(column)}, '') AS x FROM t)`,
        )) as [[bigint, bigint]];
        return { blank: rows - Number(filled), repeated: Number(filled) - Number(different) };
      },
      [Symbol.dispose]() {
        duckdb[Symbol.dispose]();
      },
    };
  } catch (error) {
    duckdb[Symbol.dispose]();
    throw error;
  }
}

/** The first line of a file, as far as its first 256 KiB go. */
function firstLine({ descriptor, stat }: RegularFile): string {
  const bytes = Buffer.alloc(Math.min(stat.size, 1 << 18));
  readSync(descriptor, bytes, 0, bytes.length, 0);
  const text = bytes.toString('utf8');
  const end = text.search(/[\r\n]/);
  return end < 0 ? text : text.slice(0, end);
}

/** DuckDB may take a later line for the header, or a file without one for one; cells of rows are no names to print. */
function isHeader(line: string, names: readonly string[]): boolean {
  const plain = line.replaceAll('""', '"');
  return names.every(
    (name) =>
      !/^-?\d*\.\d+(e[+-]?\d+)?$/i.test(name.trim()) &&
      (plain.includes(name) || /^column\d+$/.test(name) || plain.includes(name.replace(/_\d+$/, ''))),
  );
}

/** Numbers are read as such, in parallel; where a later row holds anything else, the whole table is read as texts. */
async function loadCsv(connection: DuckDBConnection, path: string, texts: readonly string[]): Promise<void> {
  const read = (options: string) =>
    `CREATE TABLE t AS SELECT * FROM read_csv(${sqlText(path)}, header = true, ${options})`;
  const header = (
    await connection.runAndReadAll(
      `DESCRIBE SELECT * FROM read_csv(${sqlText(path)}, header = true, all_varchar = true)`,
    )
  ).getRows() as string[][];
  const asTexts = header
    .map(([name]) => name!)
    .filter((name) => texts.includes(name) || texts.includes(name.trim().toLowerCase()));
  const types = asTexts.map((name) => `${sqlText(name)}: 'VARCHAR'`).join(', ');
  try {
    await connection.run(
      read(`auto_type_candidates = ['DOUBLE', 'VARCHAR']${types === '' ? '' : `, types = {${types}}`}`),
    );
  } catch {
    await connection.run('DROP TABLE IF EXISTS t');
    await connection.run(read('all_varchar = true'));
  }
}

/** An object a line, with the keys of the first. Texts stay texts, whatever they look like. */
async function loadJsonLines(connection: DuckDBConnection, path: string, first: string): Promise<void> {
  const row = JSON.parse(first) as Record<string, unknown>;
  const columns = Object.entries(row).map(
    ([name, value]) => `${sqlText(name)}: '${typeof value === 'number' ? 'DOUBLE' : 'VARCHAR'}'`,
  );
  await connection.run(
    `CREATE TABLE t AS SELECT * FROM read_json(${sqlText(path)}, format = 'newline_delimited', columns = {${columns.join(', ')}})`,
  );
}

type Get = (column: number) => (row: number) => unknown;

/** Columns of the table, some thousand rows at a time and without an object for each. */
async function scan(
  connection: DuckDBConnection,
  select: string,
  take: (at: number, get: Get, many: number) => void,
): Promise<void> {
  const result = await connection.stream(`SELECT ${select} FROM t`);
  for (let at = 0; ; ) {
    const chunk = await result.fetchChunk();
    if (chunk === null || chunk.rowCount === 0) return;
    take(
      at,
      (column) => {
        const vector = chunk.getColumnVector(column);
        return (row) => vector.getItem(row);
      },
      chunk.rowCount,
    );
    at += chunk.rowCount;
  }
}

/** The place of a text among the different ones; a new one is the last. */
export function placeOf(places: Map<string, number>, text: string): number {
  const known = places.get(text);
  if (known !== undefined) return known;
  places.set(text, places.size);
  return places.size - 1;
}

export function emptyFile(path: string): PenumbraError {
  return new PenumbraError('judge/empty', `${path} holds no rows.`, {
    hint: 'Was it written completely?',
    where: { file: path },
  });
}

/** DuckDB quotes rows in its errors, so that they are not passed on. */
async function tell<T>(path: string, parquet: boolean, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : '';
    if (/out of memory/i.test(message)) {
      throw new PenumbraError('judge/memory', `${path} does not fit in memory.`, {
        hint: 'Leave columns out that are not predictions, or write float32 Parquet.',
        where: { file: path },
      });
    }
    throw new PenumbraError(
      'judge/table',
      `${path} cannot be read as ${parquet ? 'Parquet' : /\.jsonl$/i.test(path) ? 'JSON lines' : 'a table of text (CSV)'}.`,
      {
        hint: parquet
          ? 'Was it written completely? A Parquet file begins and ends with the letters PAR1.'
          : 'The first line must name the columns, and every line must have as many fields; .parquet and .npz are told by their names.',
        where: { file: path },
      },
    );
  }
}

import type { DuckDBConnection } from '@duckdb/node-api';
import { type DuckDBOptions, openDuckDB, sqlText } from '../../duckdb.ts';
import { PenumbraError } from '../../errors.ts';
import { openRegular, type RegularFile } from '../../files/index.ts';

/** Runs one statement. */
export type Run = (sql: string) => Promise<unknown[][]>;

/** What a piece of work on tables is given. */
export interface Tables {
  readonly run: Run;
  readonly connection: DuckDBConnection;
  /**
   * A file of the user's as a text of SQL, for `read_parquet` and its like. It is opened here, as a regular file, and
   * stays open until the work ends: its name is no pattern, and nothing else can slip into its place.
   */
  readonly source: (path: string) => string;
}

/** Work on tables with DuckDB. Its errors quote what they could not read, so they are said anew, without it. */
export async function withDuckDB<T>(
  work: (tables: Tables) => Promise<T>,
  options: DuckDBOptions = {},
): Promise<T> {
  const files = new Map<string, RegularFile>();
  using database = await openDuckDB(options);
  const { connection } = database;
  try {
    return await work({
      run: async (sql) => {
        try {
          return (await connection.runAndReadAll(sql)).getRows() as unknown[][];
        } catch (error) {
          throw tableError(error);
        }
      },
      connection,
      source(path) {
        const file = files.get(path) ?? openRegular(path);
        files.set(path, file);
        return sqlText(file.path);
      },
    });
  } finally {
    for (const file of files.values()) file[Symbol.dispose]();
  }
}

/**
 * What went wrong in DuckDB, in words of ours: its own quote lines and values of the table. The line of a CSV stays.
 * Codes: `files/disk-full`, `tables/memory`, `tables/damaged`, `tables/failed`.
 */
export function tableError(error: unknown): PenumbraError {
  if (error instanceof PenumbraError) return error;
  const text = error instanceof Error ? error.message : '';
  const kind = /^([A-Z][\w ]{2,40}?)(?: Error| Exception)?:/.exec(text)?.[1] ?? 'unknown';
  if (/No space left on device/.test(text)) {
    return new PenumbraError('files/disk-full', 'a table cannot be written: the disk is full', {
      hint: 'make room there, or choose a place on another disk; what was there before is untouched',
    });
  }
  if (/^Out of Memory/i.test(text)) {
    return new PenumbraError('tables/memory', 'the tables need more memory than there is', {
      hint: 'give less at once, or free disk space where the output is written: large joins spill there',
    });
  }
  const line = /(?:CSV Error on Line|Line|line):? (\d{1,15})/.exec(text)?.[1];
  if (
    /^(Invalid Input|Conversion|Invalid|Serialization|IO|Parser|Out of Range|TransactionContext)/.test(text)
  ) {
    const place = line === undefined ? '' : ` (line ${line})`;
    return new PenumbraError('tables/damaged', `a table cannot be read${place}: DuckDB reports "${kind}"`, {
      hint: 'was it written completely, and is it what its name says?',
      where: line === undefined ? {} : { line: Number(line) },
    });
  }
  return new PenumbraError('tables/failed', `a step on tables failed: DuckDB reports "${kind}"`, {
    hint: 'are the columns what they should be?',
  });
}

/** The rows of a Parquet file, some thousand at a time. */
export async function* readParquet(path: string): AsyncGenerator<{ names: string[]; rows: unknown[][] }> {
  using file = openRegular(path);
  using database = await openDuckDB({ threads: 1 });
  const { connection } = database;
  const damaged = () =>
    new PenumbraError('reports/damaged', `${path} cannot be read as Parquet.`, {
      hint: 'Was it written completely? A Parquet file begins and ends with the letters PAR1.',
      where: { file: path },
    });
  let result: Awaited<ReturnType<typeof connection.stream>>;
  try {
    result = await connection.stream(`SELECT * FROM read_parquet(${sqlText(file.path)})`);
  } catch {
    throw damaged();
  }
  const names = result.columnNames();
  for (;;) {
    let rows: unknown[][];
    try {
      const chunk = await result.fetchChunk();
      if (chunk === null || chunk.rowCount === 0) return;
      rows = chunk.getRows() as unknown[][];
    } catch {
      throw damaged();
    }
    yield { names, rows };
  }
}

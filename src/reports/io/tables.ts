import type { DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { PenumbraError } from '../../errors.ts';

/**
 * DuckDB without a database: it reads and writes Parquet and joins tables that do not fit in memory. Nothing is ever
 * fetched: automatic installation and loading of extensions are off.
 */
export async function withDuckDB<T>(
  work: (run: (sql: string) => Promise<unknown[][]>, connection: DuckDBConnection) => Promise<T>,
  options: { memory?: string; threads?: number } = {},
): Promise<T> {
  const instance = await createInstance(options.memory ?? '2GB', options.threads ?? 2);
  const connection = await instance.connect();
  try {
    return await work(
      async (sql) => (await connection.runAndReadAll(sql)).getRows() as unknown[][],
      connection,
    );
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

/** Loads DuckDB's binary only when a table is really read or written: the rules do without it. */
async function createInstance(memory: string, threads: number): Promise<DuckDBInstance> {
  const duckdb = await import('@duckdb/node-api');
  return duckdb.DuckDBInstance.create(':memory:', {
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    allow_community_extensions: 'false',
    preserve_insertion_order: 'true',
    memory_limit: memory,
    threads: String(threads),
  });
}

/** A text as an SQL literal. */
export function sqlText(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}

/** The rows of a Parquet file, some thousand at a time. */
export async function* readParquet(path: string): AsyncGenerator<{ names: string[]; rows: unknown[][] }> {
  const instance = await createInstance('2GB', 1);
  const connection = await instance.connect();
  try {
    let result: Awaited<ReturnType<typeof connection.stream>>;
    try {
      result = await connection.stream(`SELECT * FROM read_parquet(${sqlText(path)})`);
    } catch (cause) {
      throw new PenumbraError('reports/damaged', `${path} cannot be read as Parquet.`, {
        hint: 'Was it written completely? A Parquet file begins and ends with the letters PAR1.',
        where: { file: path },
        cause,
      });
    }
    const names = result.columnNames();
    for (;;) {
      const chunk = await result.fetchChunk();
      if (chunk === null || chunk.rowCount === 0) return;
      yield { names, rows: chunk.getRows() as unknown[][] };
    }
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

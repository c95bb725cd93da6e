import type { DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';

export interface DuckDBOptions {
  /** Default 2GB. */
  readonly memory?: string;
  /** Default 2. */
  readonly threads?: number;
}

/**
 * DuckDB without a database: it reads and writes tables and joins such as do not fit in memory. Nothing is ever fetched:
 * automatic installation and loading of extensions are off. Its binary is loaded only here, when a table is really read.
 */
export async function openDuckDB(
  options: DuckDBOptions = {},
): Promise<{ instance: DuckDBInstance; connection: DuckDBConnection } & Disposable> {
  const duckdb = await import('@duckdb/node-api');
  const instance = await duckdb.DuckDBInstance.create(':memory:', {
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    allow_community_extensions: 'false',
    preserve_insertion_order: 'true',
    memory_limit: options.memory ?? '2GB',
    threads: String(options.threads ?? 2),
  });
  const connection = await instance.connect();
  return {
    instance,
    connection,
    [Symbol.dispose]() {
      connection.closeSync();
      instance.closeSync();
    },
  };
}

/** A text as an SQL literal. */
export function sqlText(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}

/** A column's name in SQL. */
export function sqlName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

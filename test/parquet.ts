import { DuckDBInstance } from '@duckdb/node-api';

/** The rows of a Parquet file, read by DuckDB: another implementation than the one that the project writes with. */
export async function parquetRows(path: string): Promise<Record<string, unknown>[]> {
  const instance = await DuckDBInstance.create(':memory:', {
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
  });
  const connection = await instance.connect();
  try {
    return (await connection.runAndReadAll('SELECT * FROM read_parquet($path)', { path })).getRowObjects();
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

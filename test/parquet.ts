import { withDuckDB } from '../src/reports/io/tables.ts';

/** The rows of a Parquet file, read by DuckDB: another implementation than the one that the project writes with. */
export async function parquetRows(path: string): Promise<Record<string, unknown>[]> {
  return withDuckDB(async (_, connection) => {
    const reader = await connection.runAndReadAll('SELECT * FROM read_parquet($path)', { path });
    return reader.getRowObjects();
  });
}

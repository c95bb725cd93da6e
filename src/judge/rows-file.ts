/** Tables of rows that are written while they are made: CSV, JSON lines or Parquet by the name's ending. */
import { csvLine } from '../data/csv.ts';
import { PenumbraError } from '../errors.ts';
import { type ResultKind, spreadsheetCell, writeNamedResult, writePiecesResult } from '../files/index.ts';

export type RowsFormat = 'csv' | 'jsonl' | 'parquet';

/** @throws `usage/predictions` for a name that ends in neither `.csv`, `.jsonl` nor `.parquet` */
export function predictionsFormat(path: string): RowsFormat {
  const ending = /\.(csv|jsonl|parquet)$/i.exec(path)?.[1]?.toLowerCase();
  if (ending !== undefined) return ending as RowsFormat;
  throw new PenumbraError(
    'usage/predictions',
    `${path}: expected a name that ends in .csv, .jsonl or .parquet`,
  );
}

/** What a file of predictions counts as, when another is there already. */
export function predictionsKind(path: string): ResultKind {
  const format = predictionsFormat(path);
  return format === 'csv' ? 'predictions' : format;
}

export interface RowColumn {
  readonly name: string;
  readonly type: 'STRING' | 'FLOAT' | 'INT32';
}

/** Some rows of a table: `cell(c, i)` is the value of column c in row i, `null` where nothing is known. */
export interface RowPart {
  readonly rows: number;
  cell(column: number, row: number): string | number | null;
}

/** Rows of a Parquet row group: some must be in memory at once. */
const GROUP = 8192;

/**
 * Writes a table part by part; memory holds a part, for Parquet some thousand rows. The file is there whole at the end,
 * or not at all.
 * @throws `files/…` as `checkResult`, and whatever making the parts raises
 */
export async function writeRows(
  path: string,
  columns: readonly RowColumn[],
  parts: AsyncIterable<RowPart> | Iterable<RowPart>,
  inputs: readonly string[] = [],
): Promise<void> {
  const format = predictionsFormat(path);
  const options = { kind: predictionsKind(path), inputs };
  if (format === 'parquet') {
    await writeNamedResult(path, options, (temporary) => writeParquet(temporary, columns, parts));
    return;
  }
  const lines = format === 'csv' ? csvPieces(columns, parts) : jsonPieces(columns, parts);
  await writePiecesResult(path, lines, options);
}

/** Lines, a part or about a megabyte at a time. People open it in a spreadsheet. */
async function* csvPieces(
  columns: readonly RowColumn[],
  parts: AsyncIterable<RowPart> | Iterable<RowPart>,
): AsyncGenerator<string> {
  const line = (cells: readonly string[]) => csvLine(cells.map(spreadsheetCell));
  yield line(columns.map(({ name }) => name));
  for await (const part of parts) {
    let some = '';
    for (let i = 0; i < part.rows; i++) {
      some += line(columns.map((_, c) => String(part.cell(c, i) ?? '')));
      if (some.length < 1 << 20) continue;
      yield some;
      some = '';
    }
    yield some;
  }
}

async function* jsonPieces(
  columns: readonly RowColumn[],
  parts: AsyncIterable<RowPart> | Iterable<RowPart>,
): AsyncGenerator<string> {
  for await (const part of parts) {
    let some = '';
    for (let i = 0; i < part.rows; i++) {
      const row = Object.fromEntries(columns.map(({ name }, c) => [name, part.cell(c, i)]));
      some += `${JSON.stringify(row)}\n`;
      if (some.length < 1 << 20) continue;
      yield some;
      some = '';
    }
    yield some;
  }
}

async function writeParquet(
  path: string,
  columns: readonly RowColumn[],
  parts: AsyncIterable<RowPart> | Iterable<RowPart>,
): Promise<void> {
  const { fileWriter, ParquetWriter, schemaFromColumnData } = await import('hyparquet-writer');
  const described = columns.map((column) => ({ ...column, nullable: true }));
  const writer = fileWriter(path);
  const parquet = new ParquetWriter({
    writer,
    schema: schemaFromColumnData({ columnData: described.map((column) => ({ ...column, data: [] })) }),
  });
  let data: (string | number | null)[][] = columns.map(() => []);
  const flush = async () => {
    await parquet.write({
      columnData: described.map(({ name }, c) => ({ name, data: data[c]! })),
      rowGroupSize: GROUP,
    });
    data = columns.map(() => []);
  };
  for await (const part of parts) {
    for (let i = 0; i < part.rows; i++) {
      for (let c = 0; c < columns.length; c++) data[c]!.push(part.cell(c, i));
      if (data[0]!.length >= GROUP) await flush();
    }
  }
  if (data[0]!.length > 0) await flush();
  await parquet.finish();
}

import { type Columns, findColumns, fromCells } from './columns.ts';
import type { InputItem, InputOptions } from './item.ts';
import { readParquet } from './tables.ts';

/** Reports in a Parquet file: one row each. */
export async function* fromParquet(
  path: string,
  options: InputOptions,
  longest: number,
): AsyncGenerator<InputItem[]> {
  let row = 0;
  let columns: Columns | undefined;
  for await (const { names, rows } of readParquet(path)) {
    columns ??= findColumns(names, options, path);
    yield rows.map((cells) => fromCells(cells, columns!, ++row, longest));
  }
}

import { chunks, decoderOf } from './bytes.ts';
import { type Columns, findColumns, fromCells } from './columns.ts';
import { CsvReader } from './csv.ts';
import type { InputItem, InputOptions } from './item.ts';

/** Reports in a CSV or TSV, also packed (.gz): one row each, under a header. */
export async function* fromCsv(
  path: string,
  options: InputOptions,
  longest: number,
): AsyncGenerator<InputItem[]> {
  const reader = new CsvReader({
    separator: /\.tsv(\.gz)?$/i.test(path) ? '\t' : ',',
    longestField: longest,
  });
  const decoder = decoderOf(options.encoding);
  let columns: Columns | undefined;
  let width = 0;
  let row = 0;
  const take = (rows: string[][]): InputItem[] => {
    const found: InputItem[] = [];
    for (const cells of rows) {
      if (columns === undefined) {
        columns = findColumns(cells, options, path);
        width = cells.length;
        continue;
      }
      row++;
      if (cells.length === 1 && cells[0] === '' && width > 1) continue;
      if (cells.length !== width) {
        const id = columns.id >= 0 ? (cells[columns.id] ?? '').trim().slice(0, 200) : '';
        const failure = `the row has ${cells.length} fields, the header ${width}: is a quote or a comma missing?`;
        found.push({ id: id === '' ? `row-${row}` : id, failure });
      } else found.push(fromCells(cells, columns, row, longest));
    }
    return found;
  };
  let first = true;
  for await (const chunk of chunks(path)) {
    let text = decoder.decode(chunk, { stream: true });
    if (first && text.startsWith('\uFEFF')) text = text.slice(1);
    first = false;
    yield take(reader.push(text));
  }
  const rest = reader.push(decoder.decode());
  const { row: last, unclosed } = reader.end();
  if (last !== undefined) rest.push(last);
  const found = take(rest);
  if (unclosed && found.length > 0) {
    const item = found.pop()!;
    found.push({ id: 'report' in item ? item.report.id : item.id, failure: 'a quoted field never ends' });
  }
  yield found;
}

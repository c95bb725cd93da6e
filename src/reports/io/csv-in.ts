import { damage, textChunks } from './bytes.ts';
import { type Columns, findColumns, fromCells } from './columns.ts';
import { CsvReader, separatorOf } from './csv.ts';
import { type InputItem, type InputOptions, notUtf8 } from './item.ts';

/** Units of the text that are cut into rows at once. */
const pieceLength = 1 << 15;

/** Reports in a CSV or TSV, also packed (.gz): one row each, under a header that also tells the separator. */
export async function* fromCsv(
  path: string,
  options: InputOptions,
  longest: number,
): AsyncGenerator<InputItem[]> {
  let reader: CsvReader | undefined;
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
      } else {
        const item = fromCells(cells, columns, row, longest);
        const id = 'report' in item ? item.report.id : item.id;
        found.push(cells.some((cell) => cell.includes(damage)) ? { id, failure: notUtf8 } : item);
      }
    }
    return found;
  };
  for await (const text of textChunks(path, options.encoding)) {
    reader ??= new CsvReader({ separator: separatorOf(text), longestField: longest });
    // In small batches: what has been judged need not be kept.
    for (let at = 0; at < text.length; at += pieceLength) {
      const found = take(reader.push(text.slice(at, at + pieceLength)));
      if (found.length > 0) yield found;
    }
  }
  if (reader === undefined) return;
  const rest: string[][] = [];
  const { row: last, unclosed } = reader.end();
  if (last !== undefined) rest.push(last);
  const found = take(rest);
  if (unclosed && found.length > 0) {
    const item = found.pop()!;
    found.push({ id: 'report' in item ? item.report.id : item.id, failure: 'a quoted field never ends' });
  }
  yield found;
}

import { csvLine } from '../data/index.ts';
import { PenumbraError } from '../errors.ts';
import { spreadsheetCell, writeNamedResult, writeResult } from '../files/index.ts';
import type { SplitPredictions } from '../training/index.ts';

/** @throws `usage/predictions` for a name that ends in neither `.csv` nor `.parquet` */
export function predictionsFormat(path: string): 'csv' | 'parquet' {
  if (/\.csv$/i.test(path)) return 'csv';
  if (/\.parquet$/i.test(path)) return 'parquet';
  throw new PenumbraError('usage/predictions', `${path}: expected a name that ends in .csv or .parquet`);
}

/**
 * Writes one row a sample: `name`, `label` and `predicted` (class names), and a column `p_<class>` for each class.
 * @param inputs what was read: the file must be none of it
 */
export async function writePredictions(
  path: string,
  predictions: SplitPredictions,
  classes: readonly string[],
  nameOf: (index: number) => string,
  inputs: readonly string[] = [],
): Promise<void> {
  const { probabilities, labels, indices } = predictions;
  const width = classes.length;
  const predicted = (row: number) => {
    let best = 0;
    for (let k = 1; k < width; k++)
      if (probabilities[row * width + k]! > probabilities[row * width + best]!) best = k;
    return classes[best]!;
  };
  const header = ['name', 'label', 'predicted', ...classes.map((name) => `p_${name}`)];
  if (predictionsFormat(path) === 'csv') {
    // People open it in a spreadsheet.
    const line = (cells: readonly string[]) => csvLine(cells.map(spreadsheetCell));
    writeResult(path, lines(), { kind: 'predictions', inputs });
    return;

    function* lines(): Generator<string> {
      yield line(header);
      let some = '';
      for (let i = 0; i < labels.length; i++) {
        const row = Array.from(probabilities.subarray(i * width, (i + 1) * width), String);
        some += line([nameOf(indices[i]!), classes[labels[i]!]!, predicted(i), ...row]);
        if (some.length < 1 << 20) continue;
        yield some;
        some = '';
      }
      yield some;
    }
  }
  const { parquetWriteFile } = await import('hyparquet-writer');
  const rows = Array.from(labels, (_, i) => i);
  await writeNamedResult(path, { kind: 'parquet', inputs }, async (filename) =>
    parquetWriteFile({
      filename,
      columnData: [
        { name: 'name', data: rows.map((i) => nameOf(indices[i]!)), type: 'STRING' },
        { name: 'label', data: rows.map((i) => classes[labels[i]!]!), type: 'STRING' },
        { name: 'predicted', data: rows.map(predicted), type: 'STRING' },
        ...classes.map((name, k) => ({
          name: `p_${name}`,
          data: Float32Array.from(rows, (i) => probabilities[i * width + k]!),
          type: 'FLOAT' as const,
        })),
      ],
    }),
  );
}

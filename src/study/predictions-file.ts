import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { finished } from 'node:stream/promises';
import { csvLine } from '../data/index.ts';
import { PenumbraError } from '../errors.ts';
import type { SplitPredictions } from '../training/index.ts';

/** @throws `usage/predictions` for a name that ends in neither `.csv` nor `.parquet` */
export function predictionsFormat(path: string): 'csv' | 'parquet' {
  if (/\.csv$/i.test(path)) return 'csv';
  if (/\.parquet$/i.test(path)) return 'parquet';
  throw new PenumbraError('usage/predictions', `${path}: expected a name that ends in .csv or .parquet`);
}

/**
 * Writes one row a sample: `name`, `label` and `predicted` (class names), and a column `p_<class>` for each class.
 */
export async function writePredictions(
  path: string,
  predictions: SplitPredictions,
  classes: readonly string[],
  nameOf: (index: number) => string,
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
    const file = createWriteStream(path);
    file.write(csvLine(header));
    for (let i = 0; i < labels.length; i++) {
      const row = Array.from(probabilities.subarray(i * width, (i + 1) * width), String);
      const line = csvLine([nameOf(indices[i]!), classes[labels[i]!]!, predicted(i), ...row]);
      if (!file.write(line)) await once(file, 'drain');
    }
    file.end();
    await finished(file);
    return;
  }
  const { parquetWriteFile } = await import('hyparquet-writer');
  const rows = Array.from(labels, (_, i) => i);
  await parquetWriteFile({
    filename: path,
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
  });
}

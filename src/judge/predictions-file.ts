import { csvLine } from '../data/csv.ts';
import { PenumbraError } from '../errors.ts';
import { type Outputs, samplesOf } from '../figures/index.ts';
import { spreadsheetCell, writeNamedResult, writeResult } from '../files/index.ts';

/** @throws `usage/predictions` for a name that ends in neither `.csv` nor `.parquet` */
export function predictionsFormat(path: string): 'csv' | 'parquet' {
  if (/\.csv$/i.test(path)) return 'csv';
  if (/\.parquet$/i.test(path)) return 'parquet';
  throw new PenumbraError('usage/predictions', `${path}: expected a name that ends in .csv or .parquet`);
}

export interface WriteOptions {
  /** A name for sample i, unlike every other's. */
  readonly nameOf: (i: number) => string;
  /** N numbers of patients, where they are known: a column `group`, the last. */
  readonly groups?: ArrayLike<number> | undefined;
  /** What was read: the file must be none of it. */
  readonly inputs?: readonly string[];
}

/**
 * Writes predictions as `judge` reads them, one row a sample. One label of K: `name`, `label` and `predicted` (class
 * names), and `p_<class>` for each class. Findings: `name`, then `y_<finding>` (blank where it is not known) and
 * `p_<finding>` for each.
 */
export async function writePredictions(path: string, outputs: Outputs, options: WriteOptions): Promise<void> {
  const columns = columnsOf(outputs, options);
  const { inputs = [] } = options;
  const n = samplesOf(outputs);
  if (predictionsFormat(path) === 'csv') {
    writeResult(path, csvOf(columns, n), { kind: 'predictions', inputs });
    return;
  }
  const { parquetWriteFile } = await import('hyparquet-writer');
  await writeNamedResult(path, { kind: 'parquet', inputs }, async (filename) =>
    parquetWriteFile({
      filename,
      columnData: columns.map(({ name, type, at }) => ({
        name,
        data: Array.from({ length: n }, (_, i) => at(i)),
        type,
        nullable: true,
      })),
    }),
  );
}

interface WrittenColumn {
  readonly name: string;
  readonly type: 'STRING' | 'FLOAT' | 'INT32';
  /** The cell of row i; `null` where nothing is known. */
  readonly at: (i: number) => string | number | null;
}

function columnsOf(outputs: Outputs, { nameOf, groups }: WriteOptions): WrittenColumn[] {
  const { targets, probabilities } = outputs;
  const { names } = targets;
  const k = names.length;
  const probability = names.map(
    (name, c): WrittenColumn => ({ name: `p_${name}`, type: 'FLOAT', at: (i) => probabilities[i * k + c]! }),
  );
  const name: WrittenColumn = { name: 'name', type: 'STRING', at: nameOf };
  // Last, where nobody who counts columns stumbles over it.
  const group: WrittenColumn[] =
    groups === undefined ? [] : [{ name: 'group', type: 'INT32', at: (i) => groups[i]! }];
  if (targets.kind === 'findings') {
    const { values, mask } = targets;
    const truth = names.map(
      (name, c): WrittenColumn => ({
        name: `y_${name}`,
        type: 'FLOAT',
        at: (i) => ((mask?.[i * k + c] ?? 1) === 1 ? values[i * k + c]! : null),
      }),
    );
    return [name, ...truth, ...probability, ...group];
  }
  const best = (i: number) => {
    let most = 0;
    for (let c = 1; c < k; c++) if (probabilities[i * k + c]! > probabilities[i * k + most]!) most = c;
    return names[most]!;
  };
  return [
    name,
    { name: 'label', type: 'STRING', at: (i) => names[targets.values[i]!]! },
    { name: 'predicted', type: 'STRING', at: best },
    ...probability,
    ...group,
  ];
}

/** Lines, about a megabyte at a time. People open it in a spreadsheet. */
function* csvOf(columns: readonly WrittenColumn[], n: number): Generator<string> {
  const line = (cells: readonly string[]) => csvLine(cells.map(spreadsheetCell));
  let some = line(columns.map(({ name }) => name));
  for (let i = 0; i < n; i++) {
    some += line(columns.map(({ at }) => String(at(i) ?? '')));
    if (some.length < 1 << 20) continue;
    yield some;
    some = '';
  }
  yield some;
}

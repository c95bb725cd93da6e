import { PenumbraError } from '../errors.ts';
import { checkResult, writeNamedResult, writeResult } from '../files/index.ts';
import { fromTypedArray, readSafetensors, Scope, writeSafetensors } from '../torch/index.ts';
import { checkFeatures, checkLabels } from './features.ts';

/** Features of N samples, and which samples they are of. */
export interface FeatureTable {
  /** N×D, row-major. */
  readonly features: Float32Array;
  /** N classes in [0, K). */
  readonly labels: Int32Array;
  /** N sample numbers in their split. */
  readonly indices: Int32Array;
  /** K class names. */
  readonly classes: readonly string[];
}

const FORMATS = ['safetensors', 'parquet', 'npy'] as const;
export type FeatureFormat = (typeof FORMATS)[number];

/** The format that a file's name asks for. @throws `usage/features` where its ending is none of them */
export function featuresFormat(path: string): FeatureFormat {
  const format = FORMATS.find((name) => path.toLowerCase().endsWith(`.${name}`));
  if (format !== undefined) return format;
  throw new PenumbraError(
    'usage/features',
    `${path}: expected a name that ends in ${FORMATS.map((name) => `.${name}`).join(', ')}`,
  );
}

/**
 * Writes features for other tools, in the format of the name's ending:
 *
 * - `.safetensors`: `features` [N, D] float32, `labels` and `indices` [N] int32; `metadata` and the class names, a JSON
 *   array under `classes`, as the file's metadata;
 * - `.parquet`: a row a sample, with `index`, `name`, `label` (the class's name) and `f0` … `f<D−1>`;
 * - `.npy`: the features alone, [N, D] float32; `labels` and `indices` beside them in `<stem>.labels.npy` and
 *   `<stem>.indices.npy`.
 *
 * @param nameOf a name for sample `index` of the split, for `.parquet`
 * @param inputs what was read: the files must be none of it
 * @returns the files that were written
 */
export async function writeFeatures(
  path: string,
  table: FeatureTable,
  nameOf: (index: number) => string,
  metadata: Readonly<Record<string, string>> = {},
  inputs: readonly string[] = [],
): Promise<string[]> {
  const { features, labels, indices, classes } = table;
  const format = featuresFormat(path);
  const n = labels.length;
  const d = features.length / n;
  checkFeatures(features, n, d);
  checkLabels(labels, n, classes.length);
  if (format === 'npy') {
    const stem = path.slice(0, -'.npy'.length);
    const files = { [path]: npy(features, [n, d]) };
    files[`${stem}.labels.npy`] = npy(labels, [n]);
    files[`${stem}.indices.npy`] = npy(indices, [n]);
    for (const file of Object.keys(files)) checkResult(file, { kind: 'npy', inputs });
    for (const [file, parts] of Object.entries(files)) writeResult(file, parts, { kind: 'npy', inputs });
    return Object.keys(files);
  }
  if (format === 'safetensors') {
    using _scope = new Scope();
    const tensors = new Map([
      ['features', fromTypedArray(features, { shape: [n, d] })],
      ['labels', fromTypedArray(labels)],
      ['indices', fromTypedArray(indices)],
    ]);
    checkResult(path, { kind: 'safetensors', inputs });
    writeSafetensors(path, tensors, { ...metadata, classes: JSON.stringify(classes) });
    return [path];
  }
  const { parquetWriteFile } = await import('hyparquet-writer');
  const column = (j: number) => {
    const values = new Float32Array(n);
    for (let i = 0; i < n; i++) values[i] = features[i * d + j]!;
    return values;
  };
  await writeNamedResult(path, { kind: 'parquet', inputs }, async (filename) =>
    parquetWriteFile({
      filename,
      columnData: [
        { name: 'index', data: indices, type: 'INT32' },
        { name: 'name', data: Array.from(indices, nameOf), type: 'STRING' },
        { name: 'label', data: Array.from(labels, (y) => classes[y]!), type: 'STRING' },
        ...Array.from({ length: d }, (_, j) => ({ name: `f${j}`, data: column(j), type: 'FLOAT' as const })),
      ],
    }),
  );
  return [path];
}

/**
 * Reads a `.safetensors` file of {@link writeFeatures}.
 * @throws `torch/file`, `torch/safetensors`; `embeddings/file` where it holds something else
 */
export function readFeatures(path: string): FeatureTable {
  using _scope = new Scope();
  const { tensors, metadata } = readSafetensors(path);
  const fail = (problem: string): never => {
    throw new PenumbraError('embeddings/file', `${path} ${problem}`, {
      hint: 'expected a file that `penumbra embed --out` wrote',
      where: { file: path },
    });
  };
  const read = (name: string, dtype: string) => {
    const tensor = tensors.get(name) ?? fail(`has no tensor '${name}'`);
    if (tensor.dtype !== dtype) fail(`has '${name}' as ${tensor.dtype}, expected ${dtype}`);
    return tensor.toTypedArray();
  };
  let classes: unknown;
  try {
    classes = JSON.parse(metadata.classes ?? 'null');
  } catch {
    // Told below.
  }
  if (!Array.isArray(classes) || !classes.every((name) => typeof name === 'string'))
    return fail('has no class names');
  const table = {
    features: read('features', 'float32') as Float32Array,
    labels: read('labels', 'int32') as Int32Array,
    indices: read('indices', 'int32') as Int32Array,
    classes: classes as string[],
  };
  const n = table.labels.length;
  if (table.indices.length !== n) fail(`has ${n} labels and ${table.indices.length} indices`);
  checkFeatures(table.features, n, table.features.length / n);
  checkLabels(table.labels, n, classes.length);
  return table;
}

/** NumPy's format 1.0: a header padded so that the data begins at a multiple of 64, then the numbers, little-endian. */
function npy(values: Float32Array | Int32Array, shape: readonly number[]): Uint8Array[] {
  const type = values instanceof Float32Array ? '<f4' : '<i4';
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
  const text = `{'descr': '${type}', 'fortran_order': False, 'shape': ${tuple}, }`;
  const prefix = 10;
  const length = Math.ceil((prefix + text.length + 1) / 64) * 64 - prefix;
  const header = Buffer.alloc(prefix + length, ' ');
  header.write('\x93NUMPY\x01\x00', 0, 'latin1');
  header.writeUInt16LE(length, 8);
  header.write(text, prefix, 'latin1');
  header[header.length - 1] = 0x0a;
  return [header, new Uint8Array(values.buffer, values.byteOffset, values.byteLength)];
}

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { parquetRows } from '../../test/parquet.ts';
import { fromTypedArray, readSafetensors, Scope, writeSafetensors } from '../torch/index.ts';
import { type FeatureTable, readFeatures, writeFeatures } from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'penumbra-features-'));
afterAll(() => rmSync(folder, { recursive: true }));

const table: FeatureTable = {
  features: Float32Array.of(1, -2.5, 3e-9, 4, 5, 6),
  labels: Int32Array.of(1, 0, 1),
  indices: Int32Array.of(4, 7, 9),
  classes: ['no tumour', 'glioma, “grade 2”'],
};
const nameOf = (i: number) => `image ${i}.png`;

test('safetensors: what is written is read, with its metadata', async () => {
  const path = join(folder, 'a.safetensors');
  expect(await writeFeatures(path, table, nameOf, { split: 'test' })).toEqual([path]);
  expect(readFeatures(path)).toEqual(table);
  using _scope = new Scope();
  const { tensors, metadata } = readSafetensors(path);
  expect(tensors.get('features')!.shape).toEqual([3, 2]);
  expect(metadata).toEqual({ split: 'test', classes: JSON.stringify(table.classes) });
});

test('Parquet: a row a sample', async () => {
  const path = join(folder, 'a.parquet');
  await writeFeatures(path, table, nameOf);
  const rows = await parquetRows(path);
  expect(rows).toEqual([
    { index: 4, name: 'image 4.png', label: 'glioma, “grade 2”', f0: 1, f1: -2.5 },
    { index: 7, name: 'image 7.png', label: 'no tumour', f0: Math.fround(3e-9), f1: 4 },
    { index: 9, name: 'image 9.png', label: 'glioma, “grade 2”', f0: 5, f1: 6 },
  ]);
});

test('npy: the bytes that numpy.save writes', async () => {
  const path = join(folder, 'b.NPY');
  const files = await writeFeatures(path, table, nameOf);
  expect(files.map((file) => file.slice(folder.length + 1))).toEqual([
    'b.NPY',
    'b.labels.npy',
    'b.indices.npy',
  ]);
  for (const [file, descr, shape, data] of [
    ['b.NPY', '<f4', '(3, 2)', table.features],
    ['b.labels.npy', '<i4', '(3,)', table.labels],
    ['b.indices.npy', '<i4', '(3,)', table.indices],
  ] as const) {
    const bytes = readFileSync(join(folder, file));
    // 128 bytes of header, as NumPy 2 writes it for both shapes.
    const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': ${shape}, }`;
    const header = Buffer.from(`\x93NUMPY\x01\x00\x76\x00${text.padEnd(117)}\n`, 'latin1');
    expect(bytes.subarray(0, 128).equals(header), bytes.subarray(0, 128).toString('latin1')).toBe(true);
    expect(bytes.subarray(128).equals(Buffer.from(data.buffer))).toBe(true);
  }
});

test.each([
  ['usage/features', 'a.csv', table],
  ['embeddings/shape', 'c.npy', { ...table, features: new Float32Array(7) }],
  ['embeddings/label', 'c.npy', { ...table, labels: Int32Array.of(0, 1, 2) }],
  ['embeddings/value', 'c.npy', { ...table, features: new Float32Array(6).fill(Number.NaN) }],
  ['files/not-found', 'none/c.npy', table],
])('%s, and nothing is written', async (code, file, wrong) => {
  await expect(writeFeatures(join(folder, file), wrong, nameOf)).rejects.toMatchObject({ code });
  expect(readdirSync(folder)).not.toContain('c.npy');
});

test('another safetensors file says what it lacks', () => {
  const path = join(folder, 'other.safetensors');
  const write = (classes: string, labels: Int32Array | Float32Array, features = table.features) => {
    using _scope = new Scope();
    const tensors = { features: fromTypedArray(features), labels: fromTypedArray(labels) };
    writeSafetensors(path, new Map(Object.entries(tensors)), { classes });
  };
  const message = () => {
    try {
      readFeatures(path);
    } catch (error) {
      return (error as Error).message.slice(path.length + 1);
    }
    return 'read';
  };
  write('[1]', table.labels);
  expect(message()).toBe('has no class names');
  write('oh', table.labels);
  expect(message()).toBe('has no class names');
  write('["a"]', new Float32Array(3));
  expect(message()).toBe("has 'labels' as float32, expected int32");
  write('["a"]', table.labels);
  expect(message()).toBe("has no tensor 'indices'");
});

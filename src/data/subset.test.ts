import { expect, test } from 'vitest';
import { BatchLoader } from './loader.ts';
import { allRows } from './rows.ts';
import { makeBatch, makeSubset, narrowSubset } from './subset.ts';
import type { Findings } from './targets.ts';
import type { Subset } from './types.ts';

const findings: Findings = {
  kind: 'findings',
  names: ['Edema', 'Mass'],
  values: Float32Array.of(1, 0, 0, 1, 0.5, 0, 1, 1, 0, 0),
  mask: Uint8Array.of(1, 1, 1, 0, 1, 1, 1, 1, 0, 0),
};
const pixels = new Uint8Array(new SharedArrayBuffer(5 * 4));
pixels.set(pixels.map((_, i) => i * 10));
const tokens = {
  ids: Int32Array.from({ length: 15 }, (_, i) => 100 + i),
  mask: Uint8Array.from({ length: 15 }, (_, i) => (i % 3 < 2 ? 1 : 0)),
  length: 3,
};
const parts = {
  split: 'train',
  targets: findings,
  rows: allRows(5),
  source: { kind: 'memory', pixels, height: 2, width: 2, channels: 1 },
  groups: Int32Array.of(0, 0, 1, 1, 2),
  posterior: undefined,
  nameOf: String,
} as const;

async function batchesOf(subset: Subset) {
  await using loader = new BatchLoader(subset, { batchSize: 2 });
  const batches = [];
  for await (const batch of loader.epoch(0)) batches.push(batch);
  return batches;
}

test('of findings, labels are an error when they are read, also of a narrowed subset and of a batch', async () => {
  const subset = makeSubset(parts);
  expect(subset).toMatchObject({ classes: ['Edema', 'Mass'], length: 5 });
  const narrow = narrowSubset(subset, Uint32Array.of(4, 1));
  const [batch] = await batchesOf(subset);
  for (const samples of [subset, narrow, batch]) {
    expect(() => samples.labels).toThrow(expect.objectContaining({ code: 'data/findings' }));
  }
  expect('labels' in { ...subset }).toBe(false);
  expect([...(narrow.targets as Findings).mask!]).toEqual([0, 0, 1, 0]);
  expect(narrow).toMatchObject({ length: 2, groups: Int32Array.of(2, 0) });
});

test('of one label of K, labels are the targets, and both follow a narrowing', () => {
  const targets = { kind: 'one-of-k', names: ['a', 'b'], values: Int32Array.of(0, 1, 1, 0, 1) } as const;
  const subset = makeSubset({ ...parts, targets });
  expect(subset.labels).toBe(targets.values);
  const narrow = narrowSubset(subset, Uint32Array.of(4, 0));
  expect([...narrow.labels]).toEqual([1, 0]);
  expect(narrow.labels).toBe(narrow.targets.values);
  // A subset of other targets does not keep the labels of those before.
  expect(() => makeSubset({ ...subset, targets: findings }).labels).toThrow(/findings/);
});

test('batches carry targets, images and texts of their samples', async () => {
  const batches = await batchesOf(makeSubset({ ...parts, tokens }));
  expect(batches.map(({ targets }) => [...targets.values])).toEqual([
    [1, 0, 0, 1],
    [0.5, 0, 1, 1],
    [0, 0],
  ]);
  const [, { inputs, images, shape }] = batches;
  expect(inputs.images).toMatchObject({ shape: [2, 1, 2, 2], layout: 'NCHW' });
  expect(images).toBe(inputs.images!.values);
  expect(shape).toBe(inputs.images!.shape);
  expect(inputs.tokens).toEqual({
    values: Int32Array.of(106, 107, 108, 109, 110, 111),
    mask: Uint8Array.of(1, 1, 0, 1, 1, 0),
    shape: [2, 3],
  });
});

test('texts need no images', async () => {
  const text = narrowSubset(makeSubset({ ...parts, source: undefined, tokens }), Uint32Array.of(4, 2, 0));
  const batches = await batchesOf(text);
  expect(batches.map(({ inputs }) => [...inputs.tokens!.values])).toEqual([
    [112, 113, 114, 106, 107, 108],
    [100, 101, 102],
  ]);
  const [batch] = batches;
  expect(batch.inputs.images).toBeUndefined();
  for (const key of ['images', 'shape', 'layout'] as const) {
    expect(() => batch[key]).toThrow(expect.objectContaining({ code: 'data/no-images' }));
  }
  batch.release();
});

test('a batch of its parts has the views of a loaded one', () => {
  const values = new Float32Array(new SharedArrayBuffer(4));
  const images = { values, shape: [1, 1, 1, 1], layout: 'NHWC' } as const;
  const targets = { kind: 'one-of-k', names: ['a', 'b'], values: Int32Array.of(1) } as const;
  const batch = makeBatch({
    number: 3,
    inputs: { images },
    targets,
    indices: Int32Array.of(7),
    release() {},
  });
  expect(batch).toMatchObject({ images: values, layout: 'NHWC', labels: targets.values });
});

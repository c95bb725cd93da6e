import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  BatchLoader,
  type Dataset,
  type LoaderOptions,
  openDataset,
  phantomDataset,
  type Subset,
  writePhantom,
} from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'penumbra-loader-'));
afterAll(() => rmSync(folder, { recursive: true }));

const memory = phantomDataset({ images: 150, size: 32, seed: 4 }).splits.train!;
let files: Subset;
const brokenIndices = [3, 10, 11];

beforeAll(async () => {
  await writePhantom(folder, { format: 'png', images: 150, size: 32, seed: 4 });
  const train = (openDataset(folder) as Dataset).splits.train!;
  const damage = [
    Buffer.alloc(0),
    readFileSync(join(folder, train.nameOf(0))).subarray(0, 200),
    Buffer.from('text'),
  ];
  brokenIndices.forEach((index, i) => {
    writeFileSync(join(folder, train.nameOf(index)), damage[i]);
  });
  files = openDataset(folder).splits.train!;
});

const options: LoaderOptions = { batchSize: 16, seed: 5, shuffle: true, augment: { pad: 2, flip: true } };

interface Seen {
  number: number;
  images: Float32Array;
  labels: Int32Array;
  indices: Int32Array;
  shape: readonly number[];
}

async function epochOf(loader: BatchLoader, epoch: number, from = 0): Promise<Seen[]> {
  const seen: Seen[] = [];
  for await (const batch of loader.epoch(epoch, { from })) {
    const { number, labels, indices, shape } = batch;
    seen.push({ number, images: Float32Array.from(batch.images), labels, indices, shape });
    batch.release();
  }
  return seen;
}

test('weighted batches are the same for 0 and 2 workers, and are of the samples that weigh', async () => {
  const weights = Float64Array.from(memory.labels, (label) => (label === 2 ? 1 : 0));
  const of = (workers: number) => new BatchLoader(memory, { ...options, size: 24, weights, workers });
  await using alone = of(0);
  await using two = of(2);
  const seen = await epochOf(alone, 1);
  expect(await epochOf(two, 1)).toEqual(seen);
  expect(seen.flatMap(({ labels }) => [...labels])).toEqual(new Array(memory.length).fill(2));
  // The same image in another crop.
  const images = new Set(seen.map((batch) => batch.images.slice(0, 24 * 24).join()));
  expect(images.size).toBe(seen.length);
  for (const bad of [
    new Float64Array(3),
    new Float64Array(memory.length),
    Float64Array.from(weights, () => -1),
  ])
    expect(() => new BatchLoader(memory, { ...options, weights: bad })).toThrow(
      /weights must be \d+ numbers/,
    );
});

describe.each([
  ['files', () => files, 32],
  ['files, resized and cropped', () => files, 24],
  ['memory', () => memory, 32],
  ['memory, resized', () => memory, 48],
] as const)('%s', (_, subset, size) => {
  test('batches are the same for 0, 1, 2 and 4 workers, and new each epoch', async () => {
    const all: Seen[][] = [];
    for (const workers of [0, 1, 2, 4]) {
      await using loader = new BatchLoader(subset(), {
        ...options,
        size,
        resize: size + 3,
        workers,
        prefetch: 3,
      });
      all.push([...(await epochOf(loader, 0)), ...(await epochOf(loader, 1))]);
    }
    for (const other of all.slice(1)) expect(other).toEqual(all[0]);
    const half = all[0].length / 2;
    expect(all[0][0].indices).not.toEqual(all[0][half].indices);
    const indices = all[0].slice(0, half).flatMap((batch) => [...batch.indices]);
    const broken = subset().source?.kind === 'files' ? brokenIndices : [];
    const good = [...subset().labels.keys()].filter((i) => !broken.includes(i));
    expect(indices.sort((a, b) => a - b)).toEqual(good);
  });

  test('an epoch entered at batch k goes on as the whole one', async () => {
    await using loader = new BatchLoader(subset(), { ...options, size, workers: 2 });
    const whole = await epochOf(loader, 3);
    for (const from of [1, 4, loader.batches]) {
      expect(await epochOf(loader, 3, from)).toEqual(whole.filter((batch) => batch.number >= from));
    }
  });
});

test('files and memory give the same pixels for the same images', async () => {
  await using loader = new BatchLoader(files, { batchSize: 200, size: 32 });
  await using other = new BatchLoader(memory, { batchSize: 200 });
  const [fromFiles] = await epochOf(loader, 0);
  const [fromMemory] = await epochOf(other, 0);
  // Every image of the memory set is among the files, at another place.
  const area = 32 * 32;
  const keys = (seen: Seen) =>
    [...seen.labels].map((label, i) => `${label} ${seen.images.subarray(i * area, (i + 1) * area).join()}`);
  const all = new Set(keys(fromMemory));
  expect(keys(fromFiles).every((key) => all.has(key))).toBe(true);
});

test('labels, indices and layouts belong together', async () => {
  await using nchw = new BatchLoader(memory, { ...options, channels: 3, workers: 0 });
  await using nhwc = new BatchLoader(memory, { ...options, channels: 3, workers: 0, layout: 'NHWC' });
  const [a] = await epochOf(nchw, 0);
  const [b] = await epochOf(nhwc, 0);
  expect(a.shape).toEqual([16, 3, 32, 32]);
  expect(b.shape).toEqual([16, 32, 32, 3]);
  expect([...a.labels]).toEqual([...a.indices].map((i) => memory.labels[i]));
  for (const [n, c, y, x] of [
    [0, 0, 0, 0],
    [5, 1, 7, 30],
    [15, 2, 31, 31],
  ]) {
    expect(b.images[((n * 32 + y) * 32 + x) * 3 + c]).toBe(a.images[((n * 3 + c) * 32 + y) * 32 + x]);
  }
});

test('broken files are listed once with the reason, in the order they are met; the others stay', async () => {
  for (const workers of [0, 2]) {
    await using loader = new BatchLoader(files, { batchSize: 8, size: 32, workers });
    const seen = await epochOf(loader, 0);
    expect(seen[0].indices).toEqual(Int32Array.of(0, 1, 2, 4, 5, 6, 7));
    expect(seen[0].shape).toEqual([7, 1, 32, 32]);
    expect(seen[1].indices).toEqual(Int32Array.of(8, 9, 12, 13, 14, 15));
    await epochOf(loader, 1);
    expect(loader.broken.map(({ file }) => file)).toEqual(brokenIndices.map((i) => files.nameOf(i)));
    expect(loader.broken.map(({ reason }) => reason)).toEqual([
      'empty (0 bytes)',
      expect.stringContaining('cannot be decoded'),
      expect.stringContaining('neither PNG nor JPEG'),
    ]);
  }
});

test('a batch with nothing left is passed over, and an epoch of nothing is an error', async () => {
  const only = { ...files, length: 3, labels: files.labels.slice(0, 3) };
  const rows = new Uint32Array(new SharedArrayBuffer(12));
  rows.set([files.rows[3], files.rows[0], files.rows[10]]);
  await using loader = new BatchLoader({ ...only, rows }, { batchSize: 1, size: 32, workers: 1 });
  expect((await epochOf(loader, 0)).map(({ number }) => number)).toEqual([1]);
  rows[1] = files.rows[11];
  await using none = new BatchLoader({ ...only, rows }, { batchSize: 2, size: 32, workers: 1 });
  await expect(epochOf(none, 0)).rejects.toMatchObject({ code: 'data/all-broken' });
});

test('dropLast drops the rest, and only the rest', async () => {
  await using whole = new BatchLoader(memory, { ...options });
  await using dropped = new BatchLoader(memory, { ...options, dropLast: true });
  expect(memory.length % 16).not.toBe(0);
  expect(whole.batches).toBe(dropped.batches + 1);
  expect(await epochOf(dropped, 2)).toEqual((await epochOf(whole, 2)).slice(0, -1));
});

test('released memory is used again, unreleased memory is left alone', async () => {
  await using loader = new BatchLoader(memory, { ...options, workers: 2, prefetch: 2 });
  const buffers = new Set<SharedArrayBuffer>();
  for (let epoch = 0; epoch < 3; epoch++) {
    for await (const batch of loader.epoch(epoch)) {
      buffers.add(batch.images.buffer);
      batch.release();
      batch.release(); // Twice is once.
    }
  }
  expect(buffers.size).toBeLessThanOrEqual(4);
  const held: { images: Float32Array; copy: Float32Array }[] = [];
  for await (const { images } of loader.epoch(9)) held.push({ images, copy: Float32Array.from(images) });
  expect(new Set(held.map(({ images }) => images.buffer)).size).toBe(held.length);
  for (const { images, copy } of held) expect(images).toEqual(copy);
});

test('leaving an epoch early does not disturb the next', async () => {
  await using loader = new BatchLoader(files, { ...options, size: 32, workers: 2, prefetch: 4 });
  const whole = await epochOf(loader, 0);
  for (let i = 0; i < 5; i++) for await (const batch of loader.epoch(7)) if (batch.number === i % 3) break;
  expect(await epochOf(loader, 0)).toEqual(whole);
});

test('one epoch at a time; a closed loader says so; closing twice is closing once', async () => {
  const loader = new BatchLoader(files, { ...options, size: 32, workers: 2 });
  const running = loader.epoch(0);
  await running.next();
  await expect(loader.epoch(1).next()).rejects.toMatchObject({ code: 'data/loader-busy' });
  await Promise.all([loader.close(), loader.close()]);
  await expect(running.next()).rejects.toMatchObject({ code: 'data/loader-closed' });
  await expect(loader.epoch(2).next()).rejects.toMatchObject({ code: 'data/loader-closed' });
});

test('an abort ends a waiting epoch with its reason, and the workers', async () => {
  const controller = new AbortController();
  const loader = new BatchLoader(files, { ...options, size: 512, workers: 2, signal: controller.signal });
  const running = epochOf(loader, 0);
  setTimeout(() => controller.abort(new Error('enough')), 20);
  await expect(running).rejects.toThrow('enough');
  await loader.close();
  await expect(
    new BatchLoader(files, { ...options, size: 32, signal: controller.signal }).epoch(0).next(),
  ).rejects.toThrow('enough');
});

test('a worker that dies is a clear error, not a wait for ever', async () => {
  const loader = new BatchLoader(files, { ...options, size: 512, workers: 2 });
  const running = epochOf(loader, 0);
  const { threads } = loader as unknown as { threads: { worker: Worker }[] };
  await threads[0].worker.terminate();
  await expect(running).rejects.toMatchObject({ code: 'data/worker-died' });
  await loader.close();
});

test('a loader that nobody closes does not keep the process alive', () => {
  const door = new URL('./index.ts', import.meta.url).href;
  const program = `
    const { BatchLoader, openDataset } = await import(${JSON.stringify(door)});
    const subset = openDataset(${JSON.stringify(folder)}).splits.train;
    const loader = new BatchLoader(subset, { batchSize: 8, size: 32, workers: 2 });
    for await (const batch of loader.epoch(0)) { console.log(batch.shape.join()); break; }`;
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', program], {
    encoding: 'utf8',
    timeout: 30_000,
  });
  expect(output).toBe('7,1,32,32\n');
});

test.each<[Partial<LoaderOptions>, string]>([
  [{ batchSize: 0 }, 'batchSize'],
  [{ size: 1.5 }, 'size'],
  [{ size: 40, resize: 32 }, 'size'],
  [{ workers: -1 }, 'workers'],
  [{ prefetch: 0 }, 'prefetch'],
  [{ normalization: { mean: [0.5, 0.5], std: [1] } }, 'normalization.mean'],
  [{ normalization: { mean: [0.5], std: [0] } }, 'normalization.std'],
])('option %j is refused', (wrong, argument) => {
  expect(() => new BatchLoader(memory, { ...options, ...wrong })).toThrow(
    expect.objectContaining({ code: 'data/loader-option', where: { argument } }),
  );
});

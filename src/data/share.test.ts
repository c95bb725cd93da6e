import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BatchLoader } from './loader.ts';
import { openDataset } from './open.ts';
import { shareOf } from './share.ts';

test('the parts of a batch follow each other, differ by one at most, and none has one sample alone', () => {
  fc.assert(
    fc.property(fc.nat(1000), fc.nat(200), fc.integer({ min: 1, max: 20 }), (start, samples, count) => {
      const parts = Array.from({ length: count }, (_, index) =>
        shareOf(start, start + samples, { index, count }),
      );
      expect(parts[0]!.start).toBe(start);
      expect(parts.at(-1)!.end).toBe(start + samples);
      for (const [i, part] of parts.slice(1).entries()) expect(part.start).toBe(parts[i]!.end);
      const sizes = parts.map((part) => part.end - part.start);
      const some = sizes.filter((size) => size > 0);
      if (samples > 1) for (const size of some) expect(size).toBeGreaterThan(1);
      if (some.length > 0) expect(Math.max(...some) - Math.min(...some)).toBeLessThanOrEqual(1);
    }),
  );
});

test('loaders that share batches give together what one gives, in the same order and with the same augmentation', async () => {
  const { train } = openDataset('phantom', {
    phantom: { images: 61, size: 32, seed: 2 },
    fractions: { val: 0, test: 0 },
  }).splits;
  const common = { shuffle: true, seed: 3, augment: { pad: 2, flip: true } };
  await using whole = new BatchLoader(train!, { ...common, batchSize: 12 });
  const loaders = [0, 1, 2].map(
    (index) => new BatchLoader(train!, { ...common, batchSize: 4, share: { index, count: 3 } }),
  );
  const read = async (loader: BatchLoader) => {
    const batches = new Map<number, { indices: number[]; values: number[] }>();
    for await (const batch of loader.epoch(1)) {
      batches.set(batch.number, {
        indices: [...batch.indices],
        values: [...(batch.inputs.images!.values as Float32Array)],
      });
      batch.release();
    }
    return batches;
  };
  const all = await read(whole);
  const parts = await Promise.all(loaders.map(read));
  for (const loader of loaders) expect(loader.batches).toBe(whole.batches);
  for (const [number, { indices, values }] of all) {
    const found = parts.map((part) => part.get(number)).filter((part) => part !== undefined);
    expect(found.flatMap((part) => part.indices)).toEqual(indices);
    expect(found.flatMap((part) => part.values)).toEqual(values);
  }
  // The last has 61 − 60 = 1 sample: the first process has it, the others have nothing, and nobody waits.
  expect(parts.map((part) => part.get(5)?.indices.length ?? 0)).toEqual([1, 0, 0]);
  for (const loader of loaders) await loader.close();
});

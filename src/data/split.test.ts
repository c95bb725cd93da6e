import fc from 'fast-check';
import { expect, test } from 'vitest';
import { splitByFraction, splitOfName } from './split.ts';

test.each([
  ['train', 'train'],
  ['knee-Training', 'train'],
  ['Validation', 'val'],
  ['valid', 'val'],
  ['t10k', 'test'],
  ['testing', 'test'],
  ['trainee', undefined],
  ['protest', undefined],
  ['0', undefined],
])('the name %s speaks of split %s', (name, split) => {
  expect(splitOfName(name)).toBe(split);
});

test('every sample is in one split, groups are whole, and the seed decides', () => {
  const samples = fc.array(fc.record({ label: fc.nat(4), group: fc.nat(30) }), {
    minLength: 1,
    maxLength: 200,
  });
  fc.assert(
    fc.property(samples, fc.boolean(), fc.nat(), (all, grouped, seed) => {
      const labels = Int32Array.from(all, (s) => s.label);
      const groups = grouped ? Int32Array.from(all, (s) => s.group) : undefined;
      const split = splitByFraction(labels, groups, { val: 0.15, test: 0.25 }, seed);
      expect(splitByFraction(labels, groups, { val: 0.15, test: 0.25 }, seed)).toEqual(split);
      const parts = Object.values(split).map((indices) => [...indices]);
      expect(parts.flat().sort((a, b) => a - b)).toEqual([...labels.keys()]);
      if (groups === undefined) return;
      const homes = parts.map((indices) => new Set(indices.map((i) => groups[i])));
      expect(homes.reduce((sum, home) => sum + home.size, 0)).toBe(new Set(groups).size);
    }),
  );
});

test('without groups each class is divided by the fractions, to a sample', () => {
  const labels = Int32Array.from({ length: 1000 }, (_, i) => (i % 10 === 0 ? 2 : i % 3 === 0 ? 1 : 0));
  const split = splitByFraction(labels, undefined, { val: 0.1, test: 0.2 }, 3);
  for (const [name, share] of [
    ['train', 0.7],
    ['val', 0.1],
    ['test', 0.2],
  ] as const) {
    for (let k = 0; k < 3; k++) {
      const all = labels.filter((label) => label === k).length;
      const here = split[name]!.filter((i) => labels[i] === k).length;
      expect(Math.abs(here - share * all)).toBeLessThanOrEqual(1);
    }
  }
});

test('with pairs as groups each class still is divided by the fractions', () => {
  const labels = Int32Array.from({ length: 4000 }, (_, i) => (i * 7 + (i >> 3)) % 5);
  const groups = Int32Array.from({ length: 4000 }, (_, i) => i >> 1);
  const split = splitByFraction(labels, groups, { val: 0.1, test: 0.2 }, 3);
  for (let k = 0; k < 5; k++) {
    const all = labels.filter((label) => label === k).length;
    expect(split.test!.filter((i) => labels[i] === k).length / all).toBeCloseTo(0.2, 1);
  }
});

test('other seeds give other splits; a share of 0 gives none; shares that leave nothing are refused', () => {
  const labels = new Int32Array(100);
  const at = (seed: number) => splitByFraction(labels, undefined, { val: 0.3 }, seed);
  expect(at(1).val).not.toEqual(at(2).val);
  expect(Object.keys(at(1))).toEqual(['train', 'val']);
  for (const fractions of [{ val: 1 }, { val: -0.1 }, { val: 0.5, test: 0.5 }, { test: Number.NaN }]) {
    expect(() => splitByFraction(labels, undefined, fractions, 0)).toThrow(
      expect.objectContaining({ code: 'data/fractions' }),
    );
  }
});

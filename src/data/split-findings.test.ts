import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Random } from '../random.ts';
import { splitFindings } from './split-findings.ts';
import { countFindings, type Findings, takeTargets } from './targets.ts';

/** Findings with the given prevalences, patients of 1 to 6 images, and a share of unknown values. */
function draw(n: number, prevalences: readonly number[], seed: number, unknown = 0) {
  const random = new Random(seed, 7);
  const uniform = () => random.uint32() / 2 ** 32;
  const k = prevalences.length;
  const values = new Float32Array(n * k);
  const mask = new Uint8Array(n * k).fill(1);
  const groups = new Int32Array(n);
  for (let i = 0, patient = 0; i < n; patient++) {
    const images = 1 + Math.floor(uniform() * 6);
    const sick = prevalences.map((p) => uniform() < p);
    for (let end = Math.min(n, i + images); i < end; i++) {
      groups[i] = patient;
      sick.forEach((is, c) => {
        values[i * k + c] = is && uniform() < 0.9 ? 1 : 0;
        if (uniform() < unknown) mask[i * k + c] = values[i * k + c] = 0;
      });
    }
  }
  const findings: Findings = { kind: 'findings', names: prevalences.map((_, c) => `f${c}`), values, mask };
  return { findings, groups };
}

const fractions = { val: 0.1, test: 0.2 };

test('every sample is in one split, patients are whole, and the seed decides', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 20, max: 120 }),
      fc.nat(),
      fc.constantFrom(0, 0.5, 0.95),
      (n, seed, unknown) => {
        const { findings, groups } = draw(n, [0.3, 0.1, 0.02], seed, unknown);
        const split = splitFindings(findings, groups, fractions, seed);
        const all = Object.values(split).flatMap((indices) => [...indices]);
        expect(all.sort((a, b) => a - b)).toEqual(Array.from({ length: n }, (_, i) => i));
        const seen = Object.values(split).map((indices) => new Set(Array.from(indices, (i) => groups[i])));
        expect(seen.reduce((sum, { size }) => sum + size, 0)).toBe(new Set(groups).size);
        expect(Object.values(split).every(({ length }) => length > 0)).toBe(true);
        expect(splitFindings(findings, groups, fractions, seed)).toEqual(split);
      },
    ),
    { numRuns: 60 },
  );
});

test('another seed divides otherwise', () => {
  const { findings, groups } = draw(300, [0.3, 0.1], 1);
  expect(splitFindings(findings, groups, fractions, 1)).not.toEqual(
    splitFindings(findings, groups, fractions, 2),
  );
});

test.each([0, 0.6])(
  'each finding keeps its share in every split, also where %s of the values are unknown',
  (unknown) => {
    const { findings, groups } = draw(6000, [0.3, 0.1, 0.03, 0.01, 0.004], 3, unknown);
    const split = splitFindings(findings, groups, fractions, 0);
    const total = countFindings(findings);
    for (const [name, share] of [
      ['train', 0.7],
      ['val', 0.1],
      ['test', 0.2],
    ] as const) {
      expect(split[name]!.length / 6000).toBeCloseTo(share, 1);
      countFindings(takeTargets(findings, split[name]!)).forEach(({ positive }, c) => {
        // Whole patients of up to six images: that much either way, and never none.
        expect(Math.abs(positive - share * total[c].positive)).toBeLessThanOrEqual(6);
        expect(positive).toBeGreaterThan(0);
      });
    }
  },
);

test('a finding of three patients is in all three splits, where drawing patients at random would miss one', () => {
  const k = 2;
  const n = 200;
  const values = new Float32Array(n * k);
  for (const i of [10, 90, 170]) values[i * k] = 1;
  for (let i = 0; i < n; i += 2) values[i * k + 1] = 1;
  const findings: Findings = { kind: 'findings', names: ['rare', 'common'], values };
  for (let seed = 0; seed < 20; seed++) {
    const split = splitFindings(findings, undefined, fractions, seed);
    for (const indices of Object.values(split)) {
      expect(countFindings(takeTargets(findings, indices))[0].positive).toBe(1);
    }
    expect(Math.abs(split.val!.length - 20)).toBeLessThanOrEqual(1);
    expect(Math.abs(split.test!.length - 40)).toBeLessThanOrEqual(1);
  }
});

test('values of exactly a half and unknown ones pull nowhere, and are divided all the same', () => {
  const findings: Findings = {
    kind: 'findings',
    names: ['a'],
    values: new Float32Array(10).fill(0.5),
    mask: Uint8Array.from({ length: 10 }, (_, i) => i % 2),
  };
  const split = splitFindings(findings, undefined, { test: 0.2 }, 0);
  expect([split.train!.length, split.test!.length]).toEqual([8, 2]);
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Random } from '../random.ts';
import { noiseOf, normsOf } from './gap-loops.ts';

const normals = (seed: number, many: number) => {
  const random = new Random(seed);
  return Float64Array.from({ length: many }, () => random.normal());
};

test('noise is, bit for bit, the sum in the order of the rows', () => {
  const size = fc.integer({ min: 1, max: 150 });
  fc.assert(
    fc.property(
      fc.nat(),
      size,
      size,
      fc.nat({ max: 5 }),
      fc.integer({ min: 1, max: 150 }),
      fc.boolean(),
      (seed, width, many, more, count, triangular) => {
        const rows = Array.from({ length: width }, (_, l) => normals(seed + l, many));
        if (triangular)
          for (const [l, row] of rows.entries()) row.fill(0, 0, Math.min(many, Math.max(0, l - 3)));
        const stride = width + more;
        const z = normals(seed + 999, count * stride);
        const found = noiseOf(rows, many, triangular ? 3 : width, z, stride, count);
        const expected = new Float64Array(count * many);
        for (let r = 0; r < count; r++)
          for (let m = 0; m < many; m++) {
            let sum = 0;
            for (let l = 0; l < width; l++) sum += rows[l]![m]! * z[r * stride + l]!;
            expected[r * many + m] = sum;
          }
        expect(found).toEqual(expected);
      },
    ),
    { numRuns: 60 },
  );
});

/** By the definition: the best of all patterns with so many changes. */
function bruteNorm(gaps: readonly number[], changes: number): number {
  let best = 0;
  const go = (m: number, sign: number, left: number, sum: number): void => {
    if (m === gaps.length) {
      best = Math.max(best, Math.abs(sum));
      return;
    }
    go(m + 1, sign, left, sum + sign * gaps[m]!);
    if (m > 0 && left > 0) go(m + 1, -sign, left - 1, sum - sign * gaps[m]!);
  };
  go(0, 1, changes, 0);
  return best;
}

describe.each([
  ['oneChange', 1],
  ['threeChanges', 3],
] as const)('%s', (name, changes) => {
  test('is the largest signed sum with so many changes, of every run, scale and draw', () => {
    fc.assert(
      fc.property(
        fc.nat(),
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 }),
        fc.array(fc.double({ min: 0, max: 3, noNaN: true }), { minLength: 1, maxLength: 5 }),
        (seed, bins, scales) => {
          const starts = [0];
          for (const many of bins) starts.push(starts.at(-1)! + many);
          const size = starts.at(-1)!;
          const [values, noise] = [normals(seed, size), normals(seed + 1, 3 * size)];
          const found = normsOf(name, values, starts, scales, noise);
          scales.forEach((scale, s) => {
            for (let r = 0; r < 3; r++) {
              const gaps = Array.from(values, (d, m) => scale * d + noise[r * size + m]!);
              const expected = bins.reduce(
                (sum, _, j) => sum + bruteNorm(gaps.slice(starts[j], starts[j + 1]), changes),
                0,
              );
              expect(found[s]![r]).toBeCloseTo(expected, 10);
            }
          });
        },
      ),
      { numRuns: 60 },
    );
  });

  test('does not depend on how many draws and scales are worked at together', () => {
    const [size, count] = [700, 300];
    const starts = Array.from({ length: 36 }, (_, j) => 20 * j);
    const [values, noise] = [normals(1, size), normals(2, count * size)];
    const all = normsOf(name, values, starts, [0, 0.5, 1], noise);
    for (const r of [0, 93, 94, 299]) {
      const one = noise.subarray(r * size, (r + 1) * size);
      expect([0, 0.5, 1].map((s) => normsOf(name, values, starts, [s], one)[0]![0])).toEqual(
        all.map((norms) => norms[r]),
      );
    }
    expect(normsOf(name, values, starts, [], noise)).toEqual([]);
  });
});

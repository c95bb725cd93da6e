import { describe, expect, test } from 'vitest';
import { Random } from '../random.ts';
import { bootstrap, bootstrapDifference, type Measure, mcnemar, meanMeasure, replicate } from './index.ts';

/** n coin flips of probability p. */
function flips(n: number, p: number, ...name: number[]): number[] {
  const random = new Random(...name);
  return Array.from({ length: n }, () => (random.uniform() < p ? 1 : 0));
}

describe('bootstrap', () => {
  test('a mean has the interval of the central limit theorem', () => {
    const values = flips(2000, 0.3, 1);
    const { value, low, high } = bootstrap(meanMeasure(values), 2000, { replicates: 4000, seed: 3 });
    const half = 1.96 * Math.sqrt((value! * (1 - value!)) / 2000);
    expect(Math.abs(low! - (value! - half))).toBeLessThan(0.05 * half);
    expect(Math.abs(high! - (value! + half))).toBeLessThan(0.05 * half);
  });

  test('95 % intervals hold the truth about 95 times in 100', () => {
    let held = 0;
    for (let t = 0; t < 400; t++) {
      const { low, high } = bootstrap(meanMeasure(flips(200, 0.7, 2, t)), 200, { replicates: 400, seed: t });
      if (low! <= 0.7 && 0.7 <= high!) held++;
    }
    // 380 ± 4.4: the bounds are three to four deviations away.
    expect(held).toBeGreaterThan(364);
    expect(held).toBeLessThan(396);
  });

  test('equal seeds give equal intervals, other seeds others', () => {
    const measure = meanMeasure(flips(100, 0.5, 4));
    expect(bootstrap(measure, 100, { seed: 7 })).toEqual(bootstrap(measure, 100, { seed: 7 }));
    expect(bootstrap(measure, 100, { seed: 7 })).not.toEqual(bootstrap(measure, 100, { seed: 8 }));
  });

  test('images of one patient do not count as independent', () => {
    // 100 patients of 9 equal images: the interval is √9 times as wide.
    const patients = flips(100, 0.5, 5);
    const values = patients.flatMap((v) => Array<number>(9).fill(v));
    const groups = patients.flatMap((_, g) => Array<number>(9).fill(1000 - g));
    const width = (options: object) => {
      const { low, high } = bootstrap(meanMeasure(values), 900, { replicates: 4000, ...options });
      return high! - low!;
    };
    expect(width({ groups }) / width({})).toBeGreaterThan(2.7);
    expect(width({ groups }) / width({})).toBeLessThan(3.3);
  });

  test('a resample has as many draws as there are samples', () => {
    const totals: number[] = [];
    const total: Measure = (counts) => totals.push(counts.reduce((a, b) => a + b));
    replicate([[[total]]], 57, { replicates: 20 });
    expect(totals).toEqual(Array(20).fill(57));
  });

  test('no replicates, no interval; an undefined figure is null', () => {
    expect(bootstrap(meanMeasure([1, 0]), 2, { replicates: 0 })).toEqual({
      value: 0.5,
      low: null,
      high: null,
    });
    expect(bootstrap(() => Number.NaN, 2)).toEqual({ value: null, low: null, high: null });
  });

  test('the basic interval mirrors the percentile one', () => {
    const measure = meanMeasure(flips(50, 0.2, 6));
    const a = bootstrap(measure, 50, { seed: 1 });
    const b = bootstrap(measure, 50, { seed: 1, interval: 'basic' });
    expect(b.low).toBeCloseTo(2 * a.value! - a.high!, 12);
    expect(b.high).toBeCloseTo(2 * a.value! - a.low!, 12);
  });

  test.each([
    { replicates: -1 },
    { replicates: 1.5 },
    { level: 1 },
    { level: 0 },
    { interval: 'bca' as 'basic' },
  ])('refuses %o', (options) => {
    expect(() => bootstrap(meanMeasure([1]), 1, options)).toThrow(Object.keys(options)[0]);
  });

  test('refuses groups of another length', () => {
    expect(() => bootstrap(meanMeasure([1, 0]), 2, { groups: [1] })).toThrow('1 groups for 2 samples');
  });
});

describe('paired differences', () => {
  test('pairing removes what both share', () => {
    const shared = flips(1000, 0.5, 8);
    const better = shared.map((v, i) => (i % 50 === 0 ? 1 : v));
    const paired = bootstrapDifference(meanMeasure(better), meanMeasure(shared), 1000);
    expect(paired.low).toBeGreaterThanOrEqual(0);
    expect(paired.high! - paired.low!).toBeLessThan(0.02); // Unpaired it would be 0.088.
  });

  test('nothing against itself has p = 1', () => {
    const m = meanMeasure(flips(100, 0.5, 9));
    expect(bootstrapDifference(m, m, 100)).toEqual({ value: 0, low: 0, high: 0, p: 1 });
  });

  test('p is near that of McNemar, and rarely small where there is no difference', () => {
    const a = flips(2000, 0.62, 10);
    const b = flips(2000, 0.6, 11);
    const boot = bootstrapDifference(meanMeasure(a), meanMeasure(b), 2000, { replicates: 4000 });
    expect(Math.abs(boot.p! - mcnemar(a, b).p)).toBeLessThan(0.03);
    let small = 0;
    for (let t = 0; t < 300; t++) {
      const [x, y] = [flips(200, 0.6, 12, t), flips(200, 0.6, 13, t)];
      const { p } = bootstrapDifference(meanMeasure(x), meanMeasure(y), 200, { replicates: 300, seed: t });
      if (p! < 0.05) small++;
    }
    expect(small).toBeLessThan(30); // 15 ± 3.8.
    expect(small).toBeGreaterThan(3);
  });
});

describe('several runs', () => {
  test('the spread between runs widens the interval', () => {
    const same = Array.from({ length: 5 }, () => [meanMeasure(flips(500, 0.5, 14))]);
    const apart = [0.3, 0.4, 0.5, 0.6, 0.7].map((p, s) => [meanMeasure(flips(500, p, 15, s))]);
    const width = (runs: Measure[][]) => {
      const sorted = replicate([runs], 500)[0]![0]!.sort();
      return sorted[975]! - sorted[25]!;
    };
    expect(width(apart)).toBeGreaterThan(2 * width(same));
  });

  test('runs that are alike give what one run gives', () => {
    const measure = meanMeasure(flips(200, 0.5, 16));
    const one = replicate([[[measure]], [[measure], [measure], [measure]]], 200, { replicates: 50 });
    one[1]![0]!.forEach((v, r) => {
      expect(v).toBeCloseTo(one[0]![0]![r]!, 12);
    });
  });
});

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Random } from '../random.ts';
import { CalibrationSide, gapsOf } from './calibration-gaps.ts';
import {
  type CalibrationRun,
  calibrationDifference,
  calibrationInterval,
  classwiseEce,
  classwiseRuns,
  ece,
  predictions,
} from './index.ts';

function draw(seed: number, n: number, shift: number, low = 0.5): CalibrationRun {
  const random = new Random(seed, n);
  const confidence = Float64Array.from({ length: n }, () => low + (1 - low) * random.uniform());
  const outcome = confidence.map((c) => (random.uniform() < c - shift ? 1 : 0));
  return { confidence, outcome };
}

/** The covariance of the gaps as its definition reads: dense U, one row for each unit. */
function plainCovariance(runs: readonly CalibrationRun[], groups: readonly number[], bins: number[][]) {
  const n = groups.length;
  const sizes = bins.map((b) => Math.max(...b) + 1);
  const size = sizes.reduce((a, b) => a + b);
  const offset = sizes.map((_, j) => sizes.slice(0, j).reduce((a, b) => a + b, 0));
  const names = [...new Set(groups)];
  const w = 1 / runs.length;
  const gap = runs.map(({ confidence, outcome }) => Array.from(confidence, (c, i) => outcome[i]! - c));
  const known = runs.map(({ mask }) => (mask === undefined ? n : Array.from(mask).filter(Boolean).length));
  const values = new Array(size).fill(0);
  runs.forEach((run, j) => {
    for (let i = 0; i < n; i++)
      if (run.mask?.[i] !== 0) values[offset[j]! + bins[j]![i]!] += (w * gap[j]![i]!) / known[j]!;
  });
  const rows = names.map((g) => {
    const u = new Array(size).fill(0);
    runs.forEach((run, j) => {
      let m = 0;
      for (let i = 0; i < n; i++) {
        if (groups[i] !== g || run.mask?.[i] === 0) continue;
        m++;
        u[offset[j]! + bins[j]![i]!] += (w * gap[j]![i]!) / known[j]!;
      }
      for (let b = 0; b < sizes[j]!; b++) u[offset[j]! + b] -= (m / known[j]!) * values[offset[j]! + b];
    });
    return u;
  });
  const scale = names.length / (names.length - 1);
  return values.map((_, a) => values.map((_, b) => scale * rows.reduce((sum, u) => sum + u[a] * u[b], 0)));
}

test('gaps and their covariance are their definition, with patients, masks and several runs', () => {
  const n = 60;
  const random = new Random(4);
  const groups = Array.from({ length: n }, () => random.below(25));
  const mask = Uint8Array.from({ length: n }, () => (random.below(4) > 0 ? 1 : 0));
  // Outcomes of 0.999 instead of 1: labels of 0 and 1 have a floor, which is tested below.
  const soft = (run: CalibrationRun) => ({
    ...run,
    outcome: Float64Array.from(run.outcome, (y) => 0.999 * y),
  });
  const runs = [soft(draw(1, n, 0.1)), { ...soft(draw(2, n, 0)), mask }];
  // The bins, by sorting (no ties here): rank·K/n, K = 6 for 60 rows and for about 45.
  const bins = runs.map((run) => {
    const known = Array.from({ length: n }, (_, i) => i).filter((i) => run.mask === undefined || run.mask[i]);
    known.sort((a, b) => run.confidence[a]! - run.confidence[b]!);
    const size = Math.round(1.5 * Math.cbrt(known.length));
    const result = new Array(n).fill(0);
    known.forEach((i, rank) => {
      result[i] = Math.floor((size * rank) / known.length);
    });
    return result;
  });
  const expected = plainCovariance(runs, groups, bins);
  const joint = gapsOf([new CalibrationSide(runs, groups)]);
  const gaps = joint.sides[0]!;
  expect(gaps.values).toHaveLength(expected.length);
  gaps.errors.forEach((e, m) => {
    expect(e).toBeCloseTo(Math.sqrt(expected[m]![m]!), 12);
  });
  // The draws have that covariance, within Monte-Carlo error.
  const count = 20_000;
  const draws = joint.draw(7, count)[0]!;
  const size = expected.length;
  for (const [a, b] of [
    [0, 0],
    [0, 1],
    [2, 8],
    [size - 1, 3],
  ] as const) {
    let sum = 0;
    for (let r = 0; r < count; r++) sum += draws[r * size + a]! * draws[r * size + b]!;
    const scale = Math.sqrt(expected[a]![a]! * expected[b]![b]!);
    expect(Math.abs(sum / count - expected[a]![b]!) / scale).toBeLessThan(0.04);
  }
});

test('gaps without a surprise scatter as a calibrated forecast would', () => {
  const n = 40;
  const sure = { confidence: new Float64Array(n).fill(0.98), outcome: new Uint8Array(n).fill(1) };
  const { errors } = gapsOf([new CalibrationSide([sure])]).sides[0]!;
  expect(errors[0]).toBeCloseTo(Math.sqrt((0.98 * 0.02) / n), 12);
  // 40 of 40 right says little against 98 %, or 93 %.
  const { low, high } = calibrationInterval([sure]);
  expect(low).toBe(0);
  expect(high).toBeGreaterThan(0.04);
  // One patient, one image: nothing is known.
  expect(calibrationInterval([{ confidence: Float64Array.of(0.7), outcome: [1] }])).toMatchObject({
    low: 0,
    high: 1,
  });
  const one = { confidence: Float64Array.of(0.7, 0.8), outcome: [1, 0] };
  const groups = [4, 4];
  expect(
    calibrationDifference(
      [one],
      [sure].map(() => ({ ...one, outcome: [0, 0] })),
      { groups },
    ).p,
  ).toBe(1);
});

test('many classes keep rows instead of a factor, with the same scatter', () => {
  const n = 3000;
  const runs = Array.from({ length: 40 }, (_, j) => draw(j, n, 0.05));
  const all = gapsOf([new CalibrationSide(runs)]).sides[0]!;
  const few = gapsOf([new CalibrationSide(runs.slice(0, 2))]).sides[0]!;
  expect(all.values.length).toBeGreaterThan(700);
  // A mean over 2 runs has 20 times the share of each that a mean over 40 has.
  for (let m = 0; m < few.errors.length; m++)
    expect(Math.abs((20 * all.errors[m]!) / few.errors[m]! - 1)).toBeLessThan(0.25);
  const { value, low, high } = calibrationInterval(runs, { draws: 200 });
  expect(low).toBeLessThanOrEqual(value);
  expect(value).toBeLessThanOrEqual(high);
});

test('the value is never outside its interval, whatever comes in', () => {
  fc.assert(
    fc.property(
      fc.nat(),
      fc.integer({ min: 1, max: 300 }),
      fc.constantFrom(1, 3, 50, 1e9),
      fc.integer({ min: 1, max: 3 }),
      fc.boolean(),
      (seed, n, levels, count, grouped) => {
        const random = new Random(seed);
        const runs = Array.from({ length: count }, () => {
          const confidence = Float64Array.from({ length: n }, () => random.below(levels + 1) / levels);
          return { confidence, outcome: confidence.map((c) => (random.uniform() < c * c ? 1 : 0)) };
        });
        const groups = grouped ? Array.from({ length: n }, () => random.below(5)) : undefined;
        const options = { draws: 100, ...(groups === undefined ? {} : { groups }) };
        const { value, low, high, plugIn } = calibrationInterval(runs, options);
        expect(low).toBeGreaterThanOrEqual(0);
        expect(value).toBeGreaterThanOrEqual(low);
        expect(high).toBeGreaterThanOrEqual(value);
        expect(high).toBeLessThanOrEqual(1);
        expect(plugIn).toBeLessThanOrEqual(1);
        const d = calibrationDifference(runs, [runs[0]!], options);
        expect(d.value).toBeGreaterThanOrEqual(d.low);
        expect(d.high).toBeGreaterThanOrEqual(d.value);
        expect(d.p).toBeGreaterThan(0);
        expect(d.p).toBeLessThanOrEqual(1);
        if (count === 1) {
          expect(d.p).toBe(1); // The same against itself.
          expect(d.value).toBe(0);
        }
      },
    ),
    { numRuns: 60 },
  );
});

test('what differs plainly is told apart among many comparisons, too', () => {
  const runs = (shift: number) => [1, 2, 3].map((seed) => draw(10 * seed + 100 * shift, 826, shift));
  const { p } = calibrationDifference(runs(0.16), runs(0.02));
  expect(p).toBeLessThan(0.05 / 24);
  expect(p).toBeGreaterThan(0);
});

test('p is below 5 % exactly where the interval leaves 0 out, and turns round with the order', () => {
  const a = draw(1, 800, 0.15);
  const b = draw(2, 800, 0.02);
  const d = calibrationDifference([a], [b]);
  expect(d.p).toBeLessThan(0.05);
  expect(d.low).toBeGreaterThan(0);
  expect(d.low).toBeLessThan(0.13);
  expect(d.high).toBeGreaterThan(0.13);
  const turned = calibrationDifference([b], [a]);
  expect(turned.p).toBeLessThan(0.05);
  expect(turned.high).toBeLessThan(0);
  for (let s = 0; s < 12; s++) {
    const { low, high, p } = calibrationDifference([draw(s, 300, 0.08)], [draw(100 + s, 300, 0.02)]);
    expect(p < 0.05).toBe(low > 0 || high < 0);
  }
});

test('a great difference between great samples has a narrow interval', () => {
  const a = draw(1, 40_000, 0.4);
  const b = draw(2, 40_000, 0.02);
  const { value, low, high, p } = calibrationDifference([a], [b]);
  expect(p).toBeLessThan(0.02);
  expect(low).toBeGreaterThan(0.36);
  expect(low).toBeLessThan(0.379);
  expect(high).toBeGreaterThan(0.381);
  expect(high).toBeLessThan(0.4);
  expect(Math.abs(value - 0.38)).toBeLessThan(0.01);
});

test('the plug-in figure is the published one, and seeds make the interval repeatable', () => {
  const run = draw(3, 400, 0.1);
  const p = predictions(
    Array.from(run.confidence, (c) => [1 - c, c]),
    run.outcome,
  );
  const first = calibrationInterval([run], { seed: 5 });
  expect(first.plugIn).toBeCloseTo(ece(p), 12);
  expect(calibrationInterval([run], { seed: 5 })).toEqual(first);
  expect(calibrationInterval([run], { seed: 6 })).not.toEqual(first);
  const wide = calibrationInterval([run], { level: 0.99 });
  expect(wide.high - wide.low).toBeGreaterThan(first.high - first.low);
});

test('a mask leaves rows out as if they were not there', () => {
  const run = draw(3, 400, 0.1);
  const mask = Uint8Array.from({ length: 400 }, (_, i) => (i % 3 === 0 ? 0 : 1));
  const kept = {
    confidence: run.confidence.filter((_, i) => mask[i]),
    outcome: Float64Array.from(run.outcome).filter((_, i) => mask[i]),
  };
  const masked = calibrationInterval([{ ...run, mask }]);
  const short = calibrationInterval([kept]);
  for (const key of ['value', 'low', 'high', 'plugIn'] as const)
    expect(Math.abs(masked[key] - short[key])).toBeLessThan(1e-3);
});

test('copies of an image do not count where patients are known', () => {
  const run = draw(5, 200, 0.1);
  const copies = (x: ArrayLike<number>) => Float64Array.from({ length: 800 }, (_, i) => x[i % 200]!);
  const four = { confidence: copies(run.confidence), outcome: copies(run.outcome) };
  const groups = Int32Array.from({ length: 800 }, (_, i) => i % 200);
  const naive = calibrationInterval([four]);
  const honest = calibrationInterval([four], { groups });
  const single = calibrationInterval([run]);
  expect(honest.high - honest.low).toBeGreaterThan(0.9 * (single.high - single.low));
  expect(naive.high - naive.low).toBeLessThan(0.8 * (honest.high - honest.low));
});

test('clear errors', () => {
  const run = draw(1, 20, 0);
  expect(() => calibrationInterval([])).toThrow('no samples');
  expect(() => calibrationInterval([run, draw(1, 21, 0)])).toThrow('Run 1 has 21 confidences, expected 20');
  expect(() => calibrationInterval([run], { groups: [1] })).toThrow('1 groups for 20');
  expect(() => calibrationInterval([run], { level: 1 })).toThrow('level');
  expect(() => calibrationInterval([run], { draws: 5 })).toThrow('draws');
  expect(() => calibrationInterval([{ ...run, mask: new Uint8Array(20) }])).toThrow(
    'no sample whose outcome',
  );
  expect(() => calibrationInterval([{ ...run, outcome: new Float64Array(20).fill(Number.NaN) }])).toThrow(
    'not in [0, 1]',
  );
  expect(() => calibrationDifference([run], [])).toThrow('no runs');
});

test('class-wise runs have the class-wise error, and classes are not independent samples', () => {
  const random = new Random(12);
  const rows = Array.from({ length: 500 }, () => {
    const p = 0.2 + 0.7 * random.uniform();
    return [p, 0.7 * (1 - p), 0.3 * (1 - p)];
  });
  const p = predictions(
    rows,
    rows.map(([a, b]) => {
      const u = random.uniform();
      return u < a! - 0.1 ? 0 : u < a! + b! ? 1 : 2;
    }),
  );
  const { value, low, high, plugIn } = calibrationInterval(classwiseRuns(p));
  expect(plugIn).toBeCloseTo(classwiseEce(p).ece, 12);
  // The true error: class 0 is 0.1 too sure, class 1 0.1 too little, class 2 right.
  expect(low).toBeLessThan(0.2 / 3);
  expect(high).toBeGreaterThan(0.2 / 3);
  expect(low).toBeGreaterThan(0.02);
  expect(value).toBeLessThanOrEqual(high);
});

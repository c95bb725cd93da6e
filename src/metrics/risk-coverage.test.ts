import fc from 'fast-check';
import { expect, test } from 'vitest';
import cases from '../../test/fixtures/calibration/risk-coverage.json' with { type: 'json' };
import { Random } from '../random.ts';
import {
  aurc,
  aurcMeasure,
  byConfidence,
  compareRiskCoverage,
  excessAurc,
  excessAurcMeasure,
  type Predictions,
  predictions,
  riskCoverage,
  selectiveAccuracy,
  selectiveMeasure,
} from './index.ts';

/** Two classes, the second one right with the probability of its confidence; `coarse` makes ties. */
function draw(seed: number, n: number, coarse = false): Predictions {
  const random = new Random(seed, n);
  const p = new Float64Array(2 * n);
  const labels = new Int32Array(n);
  for (let i = 0; i < n; i++) {
    const sure = 0.55 + (coarse ? random.below(5) / 10 : 0.45 * random.uniform());
    p.set([1 - sure, sure], 2 * i);
    labels[i] = random.uniform() < sure ? 1 : 0;
  }
  return predictions(p, labels, { classes: 2 });
}

/** The definition, with ties in the given order. */
function plain(confidence: readonly number[], wrong: readonly number[]): number {
  const order = confidence.map((_, i) => i).sort((a, b) => confidence[b]! - confidence[a]!);
  let errors = 0;
  let sum = 0;
  order.forEach((i, rank) => {
    errors += wrong[i]!;
    sum += errors / (rank + 1);
  });
  return sum / order.length;
}

test('the area is its definition, and with ties its mean over all orders', () => {
  const wrong = [0, 1, 0, 1];
  // The three tied samples in all six orders.
  const orders = [
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
  ];
  const mean =
    orders.reduce((sum, o) => sum + plain([0.9, 0.8, 0.8, 0.8], [0, ...o.map((j) => wrong[j + 1]!)]), 0) / 6;
  const p = predictions(
    [
      [0.1, 0.9],
      [0.2, 0.8],
      [0.2, 0.8],
      [0.2, 0.8],
    ],
    [1, 0, 1, 0],
  );
  expect(aurc(p)).toBeCloseTo(mean, 14);
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 1, max: 400 }), (seed, n) => {
      const p = draw(seed, n);
      const sure = Array.from(p.labels, (_, i) => p.probabilities[2 * i + 1]!);
      const wrong = Array.from(p.labels, (y) => 1 - y);
      expect(aurc(p)).toBeCloseTo(plain(sure, wrong), 12);
    }),
  );
});

// Test values come from NumPy: test/oracle/calibration.py.
test.each(cases)('the oracle, $confidence.length samples', ({ confidence, correct, ...expected }) => {
  const samples = byConfidence(Float64Array.from(confidence), correct);
  const ones = new Int32Array(correct.length).fill(1);
  expect(aurcMeasure(samples)(ones)).toBeCloseTo(expected.aurc, 12);
  expect(excessAurcMeasure(samples)(ones)).toBeCloseTo(expected.excess, 12);
  for (const [coverage, accuracy] of Object.entries(expected.selective))
    expect(selectiveMeasure(samples, Number(coverage))(ones)).toBeCloseTo(accuracy, 12);
});

test('nothing is in excess of the best order, and the excess is what the order costs', () => {
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 1, max: 400 }), fc.boolean(), (seed, n, coarse) => {
      const p = draw(seed, n, coarse);
      const wrong = Array.from(p.labels, (y) => 1 - y);
      const best = plain(
        wrong.map((w) => 1 - w),
        wrong,
      );
      expect(excessAurc(p)).toBeCloseTo(aurc(p) - best, 12);
      expect(excessAurc(p)).toBeGreaterThan(-1e-12);
    }),
  );
});

test('selective accuracy is that of the most confident, rounded up', () => {
  const p = predictions(
    Array.from({ length: 20 }, (_, i) => [0.5 - i / 50, 0.5 + i / 50]),
    Array.from({ length: 20 }, (_, i) => (i >= 2 ? 1 : 0)),
  );
  // The least confident one is a tie of the classes: class 0, which is right.
  expect(selectiveAccuracy(p, 0.9)).toBe(1);
  expect(selectiveAccuracy(p, 0.95)).toBe(18 / 19); // 0.95·20 is 19, not 20.
  expect(selectiveAccuracy(p, 0.91)).toBe(18 / 19);
  expect(selectiveAccuracy(p, 1)).toBe(19 / 20);
  expect(selectiveAccuracy(p, 0.001)).toBe(1);
});

test('the curve ends at the error rate, and its mean over all samples is the area', () => {
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 1, max: 200 }), fc.boolean(), (seed, n, coarse) => {
      const p = draw(seed, n, coarse);
      const { curve, aurc, selective } = riskCoverage(p, {
        replicates: 0,
        points: 1000,
        coverages: [0.5, 1],
      });
      expect(curve).toHaveLength(n);
      expect(curve.at(-1)!.coverage).toBe(1);
      expect(curve.at(-1)!.risk).toBeCloseTo(1 - selective[1]!.accuracy.value!, 12);
      expect(curve.reduce((sum, { risk }) => sum + risk, 0) / n).toBeCloseTo(aurc.value!, 12);
      const half = curve[Math.ceil(n / 2) - 1]!;
      expect(1 - half.risk).toBeCloseTo(selective[0]!.accuracy.value!, 12);
    }),
  );
  const { curve } = riskCoverage(draw(1, 1001), { replicates: 0, points: 10 });
  expect(curve.map((c) => c.coverage)).toEqual(
    [101, 201, 301, 401, 501, 601, 701, 801, 901, 1001].map((m) => m / 1001),
  );
});

test('runs are averaged, and differences are paired', () => {
  const a = draw(1, 300);
  // The same answers in a useless order.
  const random = new Random(9);
  const shuffled = a.probabilities.slice();
  for (let i = 0; i < 300; i++) {
    const sure = 0.5 + random.uniform() / 2;
    shuffled.set([1 - sure, sure], 2 * i);
  }
  const b = { ...a, probabilities: shuffled };
  const options = { replicates: 400, seed: 3 };
  const both = riskCoverage([a, b], options);
  expect(both.runs).toBe(2);
  expect(both.aurc.value).toBeCloseTo((aurc(a) + aurc(b)) / 2, 12);
  expect(both.aurc.low!).toBeLessThan(both.aurc.value!);
  expect(both.aurc.high!).toBeGreaterThan(both.aurc.value!);
  const apart = compareRiskCoverage(a, b, options);
  expect(apart.aurc.value).toBeCloseTo(aurc(a) - aurc(b), 12);
  expect(apart.aurc.p!).toBeLessThan(0.01);
  expect(apart.selective.map((s) => s.coverage)).toEqual([0.8, 0.9, 0.95]);
  // The same accuracy of all, whatever the order.
  expect(compareRiskCoverage(a, b, { ...options, coverages: [1] }).selective[0]!.accuracy).toEqual({
    value: 0,
    low: 0,
    high: 0,
    p: 1,
  });
});

test('wrong options', () => {
  const p = draw(1, 10);
  expect(() => riskCoverage(p, { coverages: [0] })).toThrow('above 0');
  expect(() => riskCoverage(p, { coverages: [1.1] })).toThrow('at most 1');
  expect(() => riskCoverage(p, { points: 0 })).toThrow('points');
  expect(() => riskCoverage([p, draw(2, 10)])).toThrow('not of the same samples');
});

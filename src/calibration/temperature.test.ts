import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Random } from '../random.ts';
import { expNegative } from './exp.ts';
import { fitCalibrator, logitsOf, softmax } from './index.ts';

test('expNegative is e^y', () => {
  for (let y = 0; y > -40; y -= 0.00137) expect(expNegative(y) / Math.exp(y)).toBeCloseTo(1, 13);
  for (let y = -40; y > -700; y -= 0.137) expect(expNegative(y) / Math.exp(y)).toBeCloseTo(1, 12);
  expect(expNegative(0)).toBe(1);
  expect(expNegative(-1e9)).toBe(0);
  expect(expNegative(Number.NEGATIVE_INFINITY)).toBe(0);
});

test('no temperature is likelier than the fitted one', () => {
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 2, max: 6 }), fc.integer({ min: 1, max: 60 }), (seed, k, n) => {
      const { logits, labels } = draw(seed, n, k);
      const { parameters, report } = fitCalibrator('temperature', logits, labels, k);
      const best = meanLoss(logits, labels, k, parameters.temperature);
      for (let u = Math.log(0.05); u <= Math.log(20); u += 0.05)
        expect(best).toBeLessThanOrEqual(meanLoss(logits, labels, k, Math.exp(u)) + 1e-12);
      expect(report.converged).toBe(true);
      expect(report.atBound === null).toBe(parameters.temperature !== 0.05 && parameters.temperature !== 20);
    }),
    { numRuns: 200 },
  );
});

test('the order of the classes stays, so the first class does too', () => {
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 2, max: 8 }), (seed, k) => {
      const { logits, labels } = draw(seed, 40, k);
      const calibrated = fitCalibrator('temperature', logits, labels, k).apply(logits);
      for (let i = 0; i < 40; i++) {
        const z = logits.subarray(i * k, (i + 1) * k);
        const p = calibrated.subarray(i * k, (i + 1) * k);
        // Two logits can round to one probability, so the other order is not asked for.
        expect(p[z.indexOf(Math.max(...z))]).toBe(Math.max(...p));
      }
    }),
  );
});

test('the start from a part of many samples ends at the same temperature', () => {
  const k = 3;
  const { logits, labels } = draw(5, 100_001, k);
  const many = fitCalibrator('temperature', logits, labels, k);
  const t = many.parameters.temperature;
  const slope = (x: number) => meanLoss(logits, labels, k, x * t);
  expect(slope(1)).toBeLessThan(slope(1.0001));
  expect(slope(1)).toBeLessThan(slope(0.9999));
  expect(many.report.converged).toBe(true);
});

test('bounds that are hit are told', () => {
  const right = Float32Array.of(2, 0, 0, 1);
  const sharp = fitCalibrator('temperature', right, [0, 1], 2);
  expect(sharp.parameters.temperature).toBe(0.05);
  expect(sharp.report.atBound).toBe('min');
  expect(sharp.report.warnings.join()).toContain('bound 0.05');
  for (const margin of [10, 50, 1000]) {
    const surely = fitCalibrator('temperature', Float32Array.of(margin, 0, 0, margin), [0, 1], 2);
    expect(surely.parameters.temperature).toBe(0.05);
    expect(surely.report.atBound).toBe('min');
  }
  const flat = fitCalibrator('temperature', right, [1, 0], 2, { max: 7 });
  expect(flat.parameters.temperature).toBe(7);
  expect(flat.report.atBound).toBe('max');
  const none = fitCalibrator('temperature', Float32Array.of(3, 3, -1, -1), [0, 1], 2);
  expect(none.parameters.temperature).toBe(1);
  expect(none.report.warnings.join()).toContain('equal');
});

test('one wrong sample among very sure ones still has a finite temperature', () => {
  const n = 2000;
  const logits = new Float32Array(n * 2);
  for (let i = 0; i < n; i++) logits[2 * i] = 40;
  const labels = new Int32Array(n);
  labels[7] = 1;
  const { temperature } = fitCalibrator('temperature', logits, labels, 2).parameters;
  // All samples are alike: p must be the share, 1 / (1 + e^(−40/T)) = 1 − 1/n.
  expect(temperature).toBeCloseTo(40 / Math.log(n - 1), 8);
});

test('softmax of the logits of probabilities gives these back', () => {
  const p = softmax(draw(3, 20, 5).logits, 5);
  const back = softmax(logitsOf(p), 5);
  p.forEach((v, i) => {
    expect(back[i]).toBeCloseTo(v, 6);
  });
  expect(logitsOf(Float32Array.of(0))[0]).toBeCloseTo(-87.3365, 4);
  expect(() => logitsOf(Float32Array.of(0.1, -3))).toThrow('Number 1: -3');
  expect(() => logitsOf(Float32Array.of(Number.NaN))).toThrow('NaN');
});

/** Logits of a classifier of middling worth, and labels. */
function draw(seed: number, n: number, k: number) {
  const random = new Random(seed, n, k);
  const sharpness = 8 * random.uniform();
  const logits = new Float32Array(n * k);
  const labels = new Int32Array(n);
  for (let i = 0; i < n; i++) {
    labels[i] = random.below(k);
    for (let c = 0; c < k; c++) logits[i * k + c] = sharpness * (random.normal() + (c === labels[i] ? 1 : 0));
  }
  return { logits, labels };
}

function meanLoss(logits: Float32Array, labels: Int32Array, k: number, temperature: number): number {
  let sum = 0;
  labels.forEach((y, i) => {
    const z = Array.from(logits.subarray(i * k, (i + 1) * k), (v) => v / temperature);
    const most = Math.max(...z);
    sum += most + Math.log(z.reduce((s, v) => s + Math.exp(v - most), 0)) - z[y]!;
  });
  return sum / labels.length;
}

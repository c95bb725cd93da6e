import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import oracle from '../../test/fixtures/metrics/calibration-errors.json' with { type: 'json' };
import { Random } from '../random.ts';
import {
  augrcMeasure,
  binaryAuroc,
  byConfidence,
  debiasedEce,
  normalizedLogitConfidence,
  smoothEce,
} from './index.ts';

// Test values come from NumPy, SciPy, scikit-learn and the SmoothECE authors' package: test/oracle/calibration_errors.py.
describe.each(oracle.cases)('$name', ({ confidence, outcome, ...expected }) => {
  const c = Float64Array.from(confidence);

  test('debiased ECE', () => {
    expect(debiasedEce(c, outcome)).toBeCloseTo(expected.debiasedL1, 9);
    expect(debiasedEce(c, outcome, { norm: 'l2' })).toBeCloseTo(expected.debiasedL2, 9);
  });

  test('SmoothECE', () => {
    // The definition by quadrature, to the width of its own bisection.
    expect(Math.abs(smoothEce(c, outcome) - expected.smooth)).toBeLessThan(2e-5);
    // The authors' package looks for the width in steps of 2⁻¹⁰ and cuts the kernel off at ±½.
    expect(Math.abs(smoothEce(c, outcome) - expected.relplot)).toBeLessThan(2e-3);
  });

  test('AUGRC', () => {
    const ones = new Int32Array(c.length).fill(1);
    expect(augrcMeasure(byConfidence(c, outcome))(ones)).toBeCloseTo(expected.augrc, 12);
  });
});

test('normalised logits', () => {
  const { classes, values, norms, max } = oracle.logits;
  const z = Float64Array.from(values);
  const compare = (got: Float64Array, expected: readonly number[]) =>
    got.forEach((v, i) => {
      expect(v).toBeCloseTo(expected[i]!, 12);
    });
  for (const [p, expected] of Object.entries(norms))
    compare(normalizedLogitConfidence(z, classes, Number(p)), expected);
  compare(normalizedLogitConfidence(z, classes, Number.POSITIVE_INFINITY), max);
  // Neither the scale nor a constant counts.
  const moved = z.map((v) => 1e200 * v);
  compare(normalizedLogitConfidence(moved, classes, 5), norms['5']);
  compare(
    normalizedLogitConfidence(
      z.map((v) => v + 3),
      classes,
      2,
    ),
    norms['2'],
  );
  expect(() => normalizedLogitConfidence(z, 2)).toThrow('at least 3');
  expect(() => normalizedLogitConfidence(z, 5, 0.5)).toThrow('at least 1');
});

test('AUGRC counts pairs, and counts samples as often as they are drawn', () => {
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 1, max: 60 }), (seed, n) => {
      const random = new Random(seed, n);
      const c = Float64Array.from({ length: n }, () => random.below(8) / 8);
      const right = c.map((v) => (random.uniform() < v ? 1 : 0));
      const counts = Int32Array.from({ length: n }, () => random.below(3));
      const total = counts.reduce((a, b) => a + b, 0);
      fc.pre(total > 0);
      const repeat = (x: Float64Array) =>
        Float64Array.from([...x].flatMap((v, i) => new Array(counts[i]!).fill(v)));
      const all = repeat(right);
      const accuracy = all.reduce((a, b) => a + b, 0) / total;
      const area = binaryAuroc(repeat(c), all);
      const expected = (1 - (area ?? 0)) * accuracy * (1 - accuracy) + (1 - accuracy) ** 2 / 2;
      expect(augrcMeasure(byConfidence(c, right))(counts)).toBeCloseTo(expected, 12);
    }),
  );
});

test('on calibrated predictions the debiased error is about half of the plug-in error, or less', () => {
  let debiased = 0;
  let squares = 0;
  for (let s = 0; s < 200; s++) {
    const random = new Random(5, s);
    const c = Float64Array.from({ length: 500 }, () => random.uniform());
    const y = c.map((v) => (random.uniform() < v ? 1 : 0));
    debiased += debiasedEce(c, y) / 200;
    squares += debiasedEce(c, y, { norm: 'l2', binning: 'mass' }) / 200;
  }
  // The plug-in error's mean is 15·√(2/π)·√(v/n)-like, about 0.055 here.
  expect(debiased).toBeLessThan(0.035);
  expect(squares).toBeLessThan(0.035);
});

test('SmoothECE of a constant is its gap, and refuses what is not paired', () => {
  const c = new Float64Array(400).fill(0.7);
  const y = Uint8Array.from({ length: 400 }, (_, i) => (i < 200 ? 1 : 0));
  expect(smoothEce(c, y)).toBeCloseTo(0.2, 4);
  expect(() => smoothEce(c, [1])).toThrow('400 confidences and 1 outcomes');
  expect(() => smoothEce(c.fill(Number.NaN, 7, 8), y)).toThrow('Row 7');
  expect(() => smoothEce(new Float64Array(0), [])).toThrow('0 confidences');
});

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { meaningOf } from './outputs.ts';

test('whatever the network says, rates stay inside (−1, 1), and p, y and r fit each other', () => {
  const number = fc.double({ noNaN: true });
  fc.assert(
    fc.property(number, number, number, fc.double({ min: 1e-3, max: 1e3, noNaN: true }), (m, c, d, scale) => {
      const { status, probability, deviation, label, rate } = meaningOf(m, c, d, scale);
      if (m < 0) return status === 'not_mentioned' && probability === null && rate === null;
      const p = probability!;
      const meant = (1 - rate!) * label! + rate! / 2;
      return (
        p >= 0 &&
        p <= 1 &&
        rate! >= 0 &&
        rate! < 1 &&
        label === (p >= 0.5 ? 1 : 0) &&
        Math.abs(meant - p) < 1e-9 &&
        Math.abs(rate! - 2 * Math.min(p, 1 - p)) < 1e-9 &&
        deviation! >= 0 &&
        deviation! <= 0.5
      );
    }),
    { numRuns: 1000 },
  );
});

test('the sign is the label, and what is left of certainty is the rate', () => {
  expect(meaningOf(1, 0, 0, 1)).toMatchObject({ status: 'uncertain', label: 1, rate: 0.999 });
  // Nearly definite wording is definite; a partial denial is a denial, and keeps its p.
  expect(meaningOf(1, Math.log(0.015 / 0.985), 0, 1)).toMatchObject({
    status: 'absent',
    probability: 0,
    rate: 0,
  });
  expect(meaningOf(1, Math.log(0.985 / 0.015), 0, 1)).toMatchObject({
    status: 'present',
    probability: 1,
    rate: 0,
  });
  expect(meaningOf(1, Math.log(0.04 / 0.96), 0, 1)).toMatchObject({
    status: 'absent',
    probability: 0.04,
    rate: 0.08,
  });
  expect(meaningOf(1, 40, -40, 1)).toEqual({
    status: 'present',
    probability: 1,
    deviation: 0.01,
    label: 1,
    rate: 0,
  });
  expect(meaningOf(1, -40, 40, 1)).toEqual({
    status: 'absent',
    probability: 0,
    deviation: 0.5,
    label: 0,
    rate: 0,
  });
  // tanh(c/2) = 0.6: p = 0.8.
  expect(meaningOf(0, 2 * Math.atanh(0.6), 0, 1)).toMatchObject({ probability: 0.8, label: 1, rate: 0.4 });
  expect(meaningOf(0, -2 * Math.atanh(0.6), 0, 1)).toMatchObject({ probability: 0.2, label: 0, rate: 0.4 });
});

test('what is not a number is not said', () => {
  expect(meaningOf(Number.NaN, 1, 1, 1).status).toBe('not_mentioned');
});

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { recalibrate } from './recalibration.ts';

/** From test/oracle/reports_audit.py. */
const cases = JSON.parse(
  readFileSync(new URL('../../../test/fixtures/reports/audit.json', import.meta.url), 'utf8'),
) as { p: number[]; y: number[]; intercept: number; slope: number; low: number; high: number }[];

test.each(cases.map((one) => [one.p.length, one] as const))(
  'of %i cases: intercept, slope and interval equal those of NumPy',
  (n, { p, y, ...expected }) => {
    const found = recalibrate(p, y)!;
    expect(found.n).toBe(n);
    for (const key of ['intercept', 'slope', 'low', 'high'] as const)
      expect(found[key], key).toBeCloseTo(expected[key], 4);
  },
);

test('no slope where nothing varies', () => {
  expect(recalibrate([0.3, 0.3, 0.3], [1, 0, 1])).toBeUndefined();
  expect(recalibrate([0.3, 0.7, 0.9], [1, 1, 1])).toBeUndefined();
  expect(recalibrate([], [])).toBeUndefined();
});

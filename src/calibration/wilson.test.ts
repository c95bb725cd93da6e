import { expect, test } from 'vitest';
import { wilson } from './wilson.ts';

test('Wilson: the roots of (s − p)² = z²·p(1 − p)/n, found by NumPy', () => {
  const expected: [number, number, number, number][] = [
    [8, 10, 0.4901624715366418, 0.9433178485456248],
    [0, 5, 0, 0.43448246478317476],
    [5, 5, 0.5655175352168254, 1],
    [50, 100, 0.4038315303659956, 0.5961684696340044],
  ];
  for (const [successes, n, low, high] of expected) {
    const found = wilson(successes, n, 0.95);
    expect(found.low).toBeCloseTo(low, 12);
    expect(found.high).toBeCloseTo(high, 12);
  }
  expect(wilson(0, 0, 0.95)).toEqual({ value: null, low: null, high: null });
});

import { describe, expect, test } from 'vitest';
import { correctedRate, probabilityToRate, rateSql } from './rate.ts';

describe('probability → label and rate', () => {
  test.each([0, 0.05, 0.17, 0.456, 0.5, 0.785, 1])('the smoothed target of p = %d is p', (p) => {
    const { label, rate } = probabilityToRate(p);
    expect((1 - rate!) * label! + rate! / 2).toBeCloseTo(p, 6);
  });
  test('no probability, no rate', () => {
    expect(probabilityToRate(null)).toEqual({ label: null, rate: null });
    expect(rateSql('p')).toBe('round(2 * least(p, 1 - p), 6)');
  });
});

describe('rates that correct for the errors of labels', () => {
  const even = (e: number) => ({ falsePositive: e, miss: e, hedged: e });

  test('the examples of the derivation (methods, B.1a)', () => {
    expect(correctedRate(1, 0, even(0.05))).toBeCloseTo(-0.1111, 4);
    expect(correctedRate(0, 0, even(0.02))).toBeCloseTo(-0.0417, 4);
    for (const [r, e] of [
      [0.3, 0.1],
      [0.8, 0.25],
    ] as const)
      expect(correctedRate(1, r, even(e))).toBeCloseTo((r - 2 * e) / (1 - 2 * e), 12);
  });

  test('the expected target over wrong labels is the clean one, whatever the truth is', () => {
    const errors = { falsePositive: 0.05, miss: 0.2, hedged: 0.1 };
    const target = (label: 0 | 1, rate: number) => {
      const r = correctedRate(label, rate, errors);
      return (1 - r) * label + r / 2;
    };
    for (const rate of [0, 0.3, 0.7]) {
      const [falsePositive, miss] = rate === 0 ? [0.05, 0.2] : [0.1, 0.1];
      const clean = (y: number) => (1 - rate) * y + rate / 2;
      expect((1 - falsePositive) * target(0, rate) + falsePositive * target(1, rate)).toBeCloseTo(
        clean(0),
        12,
      );
      expect((1 - miss) * target(1, rate) + miss * target(0, rate)).toBeCloseTo(clean(1), 12);
    }
  });

  test('rates stay inside (−1, 1), and without errors are those of the wording', () => {
    expect(correctedRate(1, 0, even(0.49))).toBe(-0.999);
    expect(correctedRate(1, 1, even(0))).toBe(0.999);
    expect(correctedRate(0, 0.4, even(0))).toBe(0.4);
    expect(correctedRate(0, 0, even(0))).toBe(0);
  });
});

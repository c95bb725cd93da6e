import { describe, expect, test } from 'vitest';
import { correctedRates, probabilityToRate, wordingRates } from './rate.ts';

describe('probability → label and rate', () => {
  test.each([0, 0.05, 0.17, 0.456, 0.5, 0.785, 1])('wording: the smoothed target of p = %d is p', (p) => {
    const { label, rate } = probabilityToRate(p, wordingRates);
    expect((1 - rate!) * label! + rate! / 2).toBeCloseTo(p, 6);
  });
  test('no probability, no rate', () => {
    expect(probabilityToRate(null, correctedRates({ present: 0.02, absent: 0.02, uncertain: 0 }))).toEqual({
      label: null,
      rate: null,
    });
  });
  test('the examples of the derivation (methods, B.1a)', () => {
    const rate = (e: number) =>
      probabilityToRate(1, correctedRates({ present: e, absent: e, uncertain: 0 })).rate!;
    expect(rate(0.05)).toBeCloseTo(-0.1111, 4);
    expect(rate(0.02)).toBeCloseTo(-0.0417, 4);
  });
  test('corrected: the expected target over flipped labels is the clean one', () => {
    for (const [p, e] of [
      [1, 0.05],
      [0, 0.1],
      [0.8, 0.03],
      [0.3, 0.2],
    ] as const) {
      const errors = {
        present: 0,
        absent: 0,
        uncertain: 0,
        [p === 1 ? 'present' : p === 0 ? 'absent' : 'uncertain']: e,
      };
      const { label, rate } = probabilityToRate(p, correctedRates(errors));
      const flipped = (1 - 2 * e) * label! + e; // E[y'] for the extracted label
      expect((1 - rate!) * flipped + rate! / 2).toBeCloseTo(p, 5);
    }
  });
  test('errors outside [0, 0.5) are refused, and rates stay inside (−1, 1)', () => {
    expect(() => correctedRates({ present: 0.5, absent: 0, uncertain: 0 })).toThrow(/error rate of present/);
    expect(
      Math.abs(probabilityToRate(1, correctedRates({ present: 0.49, absent: 0, uncertain: 0 })).rate!),
    ).toBe(0.999);
    expect(probabilityToRate(0.5, wordingRates).rate).toBe(1);
  });
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Judgement } from './judge.ts';
import { bestAmong, type Measured, type ShownFigure, signOf } from './shown.ts';
import { byVerdict, figureRemarks, View } from './view.ts';

const ece: ShownFigure = { name: 'ece', label: 'ECE', unit: '%', digits: 1, better: 'lower', meaning: '' };

function viewOf(methods: readonly Measured[], level = 0.95): View {
  const judgement: Judgement = {
    kind: 'one-of-k',
    names: ['a', 'b'],
    samples: 10,
    support: [5, 5],
    groups: false,
    strata: {},
    methods: methods.map(({ method }) => ({ id: method, label: method.toUpperCase(), runs: ['seed 0'] })),
    baseline: 'base',
    comparisons: methods.length - 1,
    settings: { level, replicates: 1000, bins: 15, seed: 0 },
    parts: {},
    absent: {},
  };
  return new View(judgement, 'x');
}

function measured(
  method: string,
  value: number,
  difference?: number,
  adjusted: number | null = 0.001,
): Measured {
  const about = (v: number) => ({ value: v, low: v - 0.01, high: v + 0.01 });
  return {
    method,
    figures: { ece: about(value) },
    versus: difference === undefined ? null : { ece: { ...about(difference), p: adjusted, adjusted } },
  };
}

describe('what is said of a figure', () => {
  const texts = (methods: readonly Measured[], level = 0.95) =>
    figureRemarks(viewOf(methods, level), ece, methods).map(({ kind, text }) => `${kind}: ${text}`);

  test('better and worse with their numbers, the undecided by name', () => {
    const methods = [
      measured('base', 0.2),
      measured('a', 0.05, -0.15),
      measured('b', 0.3, 0.1),
      measured('c', 0.19, -0.01, 0.4),
    ];
    expect(texts(methods)).toEqual([
      'good: ECE significantly lower than BASE (20.0 %): A, 5.0 % (−15.0 [−16.0, −14.0], p = 0.001).',
      'bad: ECE significantly higher than BASE (20.0 %): B, 30.0 % (+10.0 [+9.0, +11.0], p = 0.001).',
      'plain: No significant difference in ECE: C.',
    ]);
  });

  test('large but not significant is no difference; what was not tested is not called undecided', () => {
    expect(texts([measured('base', 0.2), measured('a', 0.01, -0.19, 0.06)])).toEqual([
      'plain: ECE: no significant difference from BASE (20.0 %): A, 1.0 % (−19.0 [−20.0, −18.0], p = 0.060).',
    ]);
    expect(texts([measured('base', 0.2), measured('a', 0.01, -0.19, null)])).toEqual([
      'plain: Not tested in ECE: A.',
    ]);
    expect(texts([measured('base', 0.2)])).toEqual([]);
  });

  test('the level decides, not 0.05', () => {
    const methods = [measured('base', 0.2), measured('a', 0.05, -0.15, 0.03)];
    expect(texts(methods)[0]).toMatch(/^good/);
    expect(texts(methods, 0.99)[0]).toMatch(/^plain/);
  });

  test('property: a sign exactly where the adjusted p is below alpha, on the side of the better', () => {
    const better = fc.constantFrom('higher' as const, 'lower' as const, 'zero' as const);
    const number = fc.double({ min: -1, max: 1, noNaN: true });
    fc.assert(
      fc.property(number, fc.double({ min: 0, max: 1, noNaN: true }), better, (value, p, side) => {
        const difference = { value, low: value, high: value, p, adjusted: p };
        const sign = signOf({ better: side }, difference, 0.05);
        const shown = p < 0.05 && value !== 0;
        expect(sign).toBe(
          !shown ? '' : side === 'zero' ? '≠' : value > 0 === (side === 'higher') ? '✓' : '✗',
        );
        const groups = byVerdict(viewOf([]), { ...ece, better: side }, [
          { method: 'm', figures: {}, versus: { ece: difference } },
        ]);
        expect(groups.better.length).toBe(sign === '✓' ? 1 : 0);
        expect(groups.worse.length).toBe(sign === '✗' ? 1 : 0);
        expect(groups.differs.length).toBe(sign === '≠' ? 1 : 0);
      }),
    );
  });
});

test('the best is looked for among what is shown: equal digits are equally good, and all equal is none', () => {
  const of = (values: (number | null)[], better: ShownFigure['better'] = 'lower') =>
    [...bestAmong({ ...ece, better }, values)].sort();
  expect(of([0.0512, 0.0508, 0.2, null])).toEqual([0, 1]);
  expect(of([0.0512, 0.0508])).toEqual([]);
  expect(of([0.1, null])).toEqual([]);
  expect(of([-0.3, 0.1, 0.2], 'zero')).toEqual([1]);
  expect(of([0.1, 0.3], 'higher')).toEqual([1]);
});

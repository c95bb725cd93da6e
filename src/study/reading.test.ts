import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fakeResult, throughJson } from '../../test/fixtures/study/results.ts';
import type { Difference, Estimate, FigureName } from '../metrics/index.ts';
import { bestOf, formatNumber, formatP, shownFigures, verdictOf } from './figures.ts';
import { notes, readings } from './reading.ts';
import type { StudyResult } from './result.ts';
import { markOf } from './table.ts';

const TWO = [
  ['hard', 'Hard labels', 1.5, 0.45],
  ['ols', 'Online label smoothing', 0.95, 0.4],
] as const;
const base = throughJson(
  fakeResult({ methods: TWO, samples: 120, posterior: false, replicates: 40, epochs: 2 }),
);

interface Case {
  readonly hard: number;
  readonly ols: number;
  /** Of hard − ols, as stored. */
  readonly interval: readonly [number, number] | null;
  readonly corrected: number | null;
}

/** The result with only these figures tested; all others say that nothing was. */
function withFigures(
  cases: Partial<Record<FigureName, Case>>,
  pair: 'hard first' | 'ols first' = 'hard first',
) {
  const untested: Difference = { value: 0, low: null, high: null, p: null };
  const figures: Record<string, Difference> = {};
  const corrected: Record<string, number | null> = {};
  const estimates: Record<string, Estimate>[] = [{}, {}];
  for (const name of Object.keys(base.pairs[0]!.comparison.figures)) {
    figures[name] = untested;
    corrected[name] = null;
  }
  for (const [name, c] of Object.entries(cases)) {
    const sign = pair === 'hard first' ? 1 : -1;
    const [low, high] = c.interval ?? [null, null];
    const ends = [low === null ? null : sign * low, high === null ? null : sign * high];
    if (sign < 0) ends.reverse();
    figures[name] = { value: sign * (c.hard - c.ols), low: ends[0]!, high: ends[1]!, p: c.corrected };
    corrected[name] = c.corrected;
    estimates[0]![name] = { value: c.hard, low: null, high: null };
    estimates[1]![name] = { value: c.ols, low: null, high: null };
  }
  const [first, second] = pair === 'hard first' ? ['hard', 'ols'] : ['ols', 'hard'];
  return {
    ...base,
    methods: base.methods.map((m, i) => ({ ...m, summary: { ...m.summary, ...estimates[i] } })),
    pairs: [{ first, second, comparison: { figures, mcnemar: null }, corrected }],
  } as unknown as StudyResult;
}

const ECE_BETTER: Case = { hard: 0.137, ols: 0.041, interval: [0.079, 0.112], corrected: 0.002 };
const TOP1_UNDECIDED: Case = { hard: 0.579, ols: 0.573, interval: [-0.006, 0.018], corrected: 0.33 };
const NLL_WORSE: Case = { hard: 1.01, ols: 1.122, interval: [-0.15, -0.07], corrected: 0.0004 };

describe('what is said of a method', () => {
  test('better, worse and undecided, each with its numbers', () => {
    for (const pair of ['hard first', 'ols first'] as const) {
      const cases = { ece: ECE_BETTER, top1: TOP1_UNDECIDED, nll: NLL_WORSE };
      const [hard, ols] = readings(withFigures(cases, pair));
      expect(hard!.verdict).toBeUndefined();
      expect(ols!.better.map((c) => c.text)).toEqual([
        'ECE 4.1 % against 13.7 %: lower by 9.6 points (95 % 7.9 to 11.2, p = 0.002)',
      ]);
      expect(ols!.worse.map((c) => c.text)).toEqual([
        'NLL 1.122 nats against 1.010 nats: higher by 0.112 nats (95 % 0.070 to 0.150, p < 0.001)',
      ]);
      expect(ols!.undecided.map((c) => c.text)).toEqual([
        'Top-1 57.3 % against 57.9 %: no significant difference (−0.6 points, 95 % −1.8 to +0.6, p = 0.330)',
      ]);
      expect(ols!.verdict).toBe(
        'Significantly better than Hard labels in ECE; significantly worse in NLL; no significant difference in Top-1.',
      );
    }
  });

  test('worse only, and nothing at all', () => {
    expect(readings(withFigures({ nll: NLL_WORSE }))[1]!.verdict).toBe(
      'Significantly worse than Hard labels in NLL.',
    );
    expect(
      readings(withFigures({ top1: TOP1_UNDECIDED, balancedAccuracy: TOP1_UNDECIDED }))[1]!.verdict,
    ).toBe('No significant difference from Hard labels in Top-1 and balanced accuracy.');
    expect(readings(withFigures({}))[1]!.verdict).toBeUndefined();
  });

  test('an interval without 0 is not enough where the corrected p is not', () => {
    const near = { ...ECE_BETTER, corrected: 0.051 };
    const reading = readings(withFigures({ ece: near }))[1]!;
    expect(reading.better).toEqual([]);
    expect(reading.undecided[0]!.text).toContain('no significant difference (−9.6 points');
    expect(reading.verdict).toBe('No significant difference from Hard labels in ECE.');
  });

  test('where smoothing hurts it is said, also of figures that are otherwise left to the table', () => {
    const mce = { hard: 0.2, ols: 0.3, interval: [-0.15, -0.05], corrected: 0.01 } as const;
    expect(readings(withFigures({ mce }))[1]!.worse.map((c) => c.text)).toEqual([
      'MCE 30.0 % against 20.0 %: higher by 10.0 points (95 % 5.0 to 15.0, p = 0.010)',
    ]);
    const better = { hard: 0.3, ols: 0.2, interval: [0.05, 0.15], corrected: 0.01 } as const;
    expect(readings(withFigures({ mce: better }))[1]!.verdict).toBeUndefined();
  });

  test('a figure that was not tested is neither equal nor different', () => {
    const untested = { ...ECE_BETTER, interval: null, corrected: null };
    const { better, worse, undecided, verdict } = readings(withFigures({ ece: untested }))[1]!;
    expect([better, worse, undecided, verdict]).toEqual([[], [], [], undefined]);
  });

  test('over- and under-confidence only where the interval leaves 0 out', () => {
    const say = (gap: Estimate) => {
      const result = withFigures({});
      const summary = {
        ...base.methods[0]!.summary,
        top1: { value: 0.5, low: null, high: null },
        confidenceGap: gap,
      };
      return readings({ ...result, methods: [{ ...result.methods[0]!, summary }], pairs: [] })[0]!.confidence;
    };
    expect(say({ value: 0.16, low: 0.13, high: 0.19 })).toBe(
      'Over-confident on average by 16.0 points (95 % 13.0 to 19.0): mean confidence 66.0 %, right in 50.0 %.',
    );
    expect(say({ value: -0.06, low: -0.09, high: -0.03 })).toBe(
      'Under-confident on average by 6.0 points (95 % 3.0 to 9.0): mean confidence 44.0 %, right in 50.0 %.',
    );
    expect(say({ value: 0.01, low: -0.01, high: 0.03 })).toMatch(/^Neither over- nor under-confident/);
    expect(say({ value: 0.01, low: null, high: null })).toMatch(/no interval was asked for/);
  });

  test('property: "better" exactly where the corrected p is below 0.05 and the sign is right', () => {
    const share = fc.integer({ min: 0, max: 1000 }).map((x) => x / 1000);
    const name = fc.constantFrom('top1', 'ece', 'nll', 'brier', 'auroc', 'balancedAccuracy' as const);
    fc.assert(
      fc.property(
        name,
        share,
        share,
        fc.double({ min: 0.0005, max: 1, noNaN: true }),
        (figure, hard, ols, p) => {
          const d = hard - ols;
          const result = withFigures({
            [figure]: { hard, ols, interval: [d - 0.01, d + 0.01], corrected: p },
          });
          const { better, worse, undecided } = readings(result)[1]!;
          const higher = ['top1', 'auroc', 'balancedAccuracy'].includes(figure);
          const expected =
            p >= 0.05 || hard === ols ? 'undecided' : ols > hard === higher ? 'better' : 'worse';
          const found = { better, worse, undecided };
          for (const kind of ['better', 'worse', 'undecided'] as const) {
            expect(found[kind].length, kind).toBe(kind === expected ? 1 : 0);
          }
          const shown = shownFigures(result).find((f) => f.name === figure)!;
          const mark = markOf(result, shown, result.methods[1]!);
          expect(mark).toBe(expected === 'better' ? '✓' : expected === 'worse' ? '✗' : '');
        },
      ),
    );
  });
});

describe('figures', () => {
  test('Top-5 only with more than five classes, the truth only where it is known', () => {
    const names = (r: StudyResult) => shownFigures(r).map((f) => (f.truth ? `truth.${f.name}` : f.name));
    expect(names(base)).not.toContain('top5');
    expect(names(base).some((n) => n.startsWith('truth.'))).toBe(false);
    const six = fakeResult({
      classes: ['a', 'b', 'c', 'd', 'e', 'f'],
      samples: 60,
      replicates: 10,
      epochs: 1,
    });
    expect(names(six)).toContain('top5');
    expect(names(six).filter((n) => n.startsWith('truth.')).length).toBe(4);
  });

  test('the baseline is hard wherever it stands', () => {
    const methods = [TWO[1], TWO[0]];
    const result = fakeResult({ methods, samples: 60, posterior: false, replicates: 10, epochs: 1 });
    expect(readings(result).map((r) => r.verdict === undefined)).toEqual([false, true]);
  });

  test('the best is marked as shown: equal digits are equally good, and all equal is none', () => {
    const ece = shownFigures(base).find((f) => f.name === 'ece')!;
    const tie = withFigures({ ece: { hard: 0.0412, ols: 0.0408, interval: null, corrected: null } });
    expect(bestOf(tie, ece).size).toBe(0);
    expect([...bestOf(withFigures({ ece: ECE_BETTER }), ece)].map((m) => m.objective)).toEqual(['ols']);
    const gap = shownFigures(base).find((f) => f.name === 'confidenceGap')!;
    const signs = withFigures({ confidenceGap: { hard: -0.02, ols: 0.03, interval: null, corrected: null } });
    expect([...bestOf(signs, gap)].map((m) => m.objective)).toEqual(['hard']);
  });

  test('a gap of confidence has no better side', () => {
    const gap = shownFigures(base).find((f) => f.name === 'confidenceGap')!;
    const difference = { value: 0.1, low: 0.05, high: 0.15, p: 0.001, corrected: 0.001 };
    expect(verdictOf(gap, difference, 0.05)).toBe('differs');
  });

  test('numbers: a real minus, no minus zero, p never rounded across the limit', () => {
    expect(formatNumber(-0.04, 1)).toBe('0.0');
    expect(formatNumber(-1.25, 2)).toBe('−1.25');
    expect(formatNumber(1, 1, true)).toBe('+1.0');
    expect(formatP(0.0496, 0.05)).toBe('0.0496');
    expect(formatP(0.05, 0.05)).toBe('0.050');
    expect(formatP(0.0002, 0.05)).toBe('< 0.001');
  });
});

describe('notes', () => {
  const say = (options: Parameters<typeof fakeResult>[0]) =>
    notes(fakeResult({ samples: 60, epochs: 1, posterior: false, ...options })).join('\n');

  test('one seed says that training chance is not in the interval; three say roughly', () => {
    expect(say({ seeds: 1, replicates: 10 })).toContain('from one seed only');
    expect(say({ seeds: 3, replicates: 10 })).toContain('With 3 seeds');
    expect(say({ seeds: 5, replicates: 10 })).not.toContain('seeds the spread');
  });

  test('too few resamples for anything to be significant are named', () => {
    // Three pairs: 3 · 2/51 = 0.118, 3 · 2/201 = 0.030.
    expect(say({ replicates: 50 })).toContain('too few for any difference');
    expect(say({ replicates: 200 })).toContain('no p below 0.010 before correction and 0.030 after it');
    expect(say({ replicates: 0 })).toContain('there are no intervals and no tests');
  });

  test('absent classes are named, broken files too', () => {
    expect(say({ replicates: 10, absent: [2] })).toContain('1 class has no image');
    const broken = { ...base, data: { ...base.data, broken: 2 } };
    expect(notes(broken).join('\n')).toContain('2 files could not be read and were left out');
  });
});

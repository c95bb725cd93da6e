import { describe, expect, test } from 'vitest';
import { type Design, draw } from '../../test/figures/few-events.ts';
import { wilson } from '../calibration/wilson.ts';
import { Random } from '../random.ts';
import {
  compareFigures,
  figureNamed,
  measureFigures,
  type Outputs,
  SeenOutputs as Seen,
  type Statistic,
} from './index.ts';
import { differenceOf, estimateOf, spreadOf, Units } from './spread.ts';
import { meanStatistic } from './statistics.ts';

const figures = {
  findings: ['auroc', 'auprc', 'sensitivity', 'f1'],
  'one-of-k': ['top1', 'balancedAccuracy', 'aurc', 'augrc', 'nll'],
} as const;

function truthsOf(design: Design): number[] {
  const { methods } = draw({ ...design, methods: 1, n: design.n }, new Random(1), 100_000);
  const seen = new Seen(methods[0]!);
  return figures[design.kind].map((name) => {
    const figure = figureNamed(design.kind, name) as { of: (s: Seen, k?: number) => Statistic };
    return figure.of(seen, design.kind === 'findings' ? 0 : undefined).value();
  });
}

// Small beside bench/figure-coverage.ts: 120 data sets. A percentile bootstrap covers in 58 to 84 % here.
describe.each([
  { kind: 'findings', events: 10, n: 300, patients: false, apart: 2 },
  { kind: 'findings', events: 10, n: 300, patients: true, apart: 1 },
  { kind: 'one-of-k', events: 8, n: 300, patients: true, apart: 2 },
] as const satisfies Design[])('$kind with about $events events, patients $patients', (design) => {
  test('95 % intervals cover, hold their figure, and equal methods are seldom told apart', {
    timeout: 60_000,
  }, () => {
    const names = figures[design.kind];
    const truths = truthsOf(design);
    const [covered, alarms, defined] = [names.map(() => 0), names.map(() => 0), names.map(() => 0)];
    for (let r = 0; r < 120; r++) {
      const { methods, groups } = draw({ ...design, methods: 2 }, new Random(3, r));
      const options = { figures: names, ...(groups && { groups }) };
      const measured = measureFigures(methods[0]!, options);
      const tested = compareFigures(methods[0]!, methods[1]!, options);
      names.forEach((name, f) => {
        const { value, low, high } = measured[name]!;
        if (value === null) return;
        defined[f]!++;
        expect(low! <= value && value <= high!, name).toBe(true);
        expect(name === 'nll' || (low! >= 0 && high! <= 1), name).toBe(true);
        if (low! <= truths[f]! && truths[f]! <= high!) covered[f]!++;
        const difference = tested[name]!;
        const apart = difference.low! > 0 || difference.high! < 0;
        expect(difference.p! < 0.05, name).toBe(apart);
        if (apart) alarms[f]!++;
      });
    }
    names.forEach((name, f) => {
      // Three standard errors of a true 93 % and 6.5 %.
      expect(covered[f]! / defined[f]!, name).toBeGreaterThan(0.86);
      expect(alarms[f]! / defined[f]!, name).toBeLessThan(0.135);
    });
  });
});

const shareOf = (hits: number, n: number, groups?: Int32Array) => {
  const values = Float64Array.from({ length: n }, (_, i) => (i < hits ? 1 : 0));
  const units = new Units(n, groups);
  return estimateOf(spreadOf([meanStatistic(values, undefined, 'share')], units, false), units, 0.95);
};

describe('shares', () => {
  test('of many samples have Wilson’s interval', () => {
    for (const hits of [400, 1200, 1990]) {
      const own = shareOf(hits, 2000);
      const expected = wilson(hits, 2000, 0.95);
      expect(own.low).toBeCloseTo(expected.low!, 3);
      expect(own.high).toBeCloseTo(expected.high!, 3);
    }
  });

  test('all right or all wrong: bounded by how many there are', () => {
    expect(shareOf(30, 30)).toMatchObject({ value: 1, high: 1 });
    expect(shareOf(30, 30).low).toBeCloseTo(wilson(30, 30, 0.95).low!, 1);
    expect(shareOf(0, 30)).toMatchObject({ value: 0, low: 0 });
    // Thirty images of five patients are not thirty.
    const five = Int32Array.from({ length: 30 }, (_, i) => i % 5);
    expect(shareOf(30, 30, five).low!).toBeLessThan(0.6);
  });
});

test('runs that differ more than their samples explain widen the interval', () => {
  const random = new Random(4);
  const hits = (rate: number) => Float64Array.from({ length: 500 }, () => (random.uniform() < rate ? 1 : 0));
  const units = new Units(500, undefined);
  const width = (rates: readonly number[]) => {
    const stats = rates.map((rate) => meanStatistic(hits(rate), undefined, 'share'));
    const { low, high } = estimateOf(spreadOf(stats, units, false), units, 0.95);
    return high! - low!;
  };
  expect(width([0.6, 0.7, 0.8])).toBeGreaterThan(2 * width([0.7, 0.7, 0.7]));
});

test('several runs against one: what is not known of how runs scatter is as great as it is', () => {
  const units = new Units(1000, undefined);
  const flat = { scale: 'real', sums: new Float64Array(1000), hidden: 0, freedom: 1e9 } as const;
  const three = { ...flat, value: 0.1, betweenRuns: 0.0004, runs: 3 };
  const one = { ...flat, value: 0, betweenRuns: 0, runs: 1 };
  const { value, low, high, p } = differenceOf(three, one, units, 0.95);
  // Student's t with 2 degrees of freedom: quantile 4.30265, and P(|T| > 5) = 1 − 5/√27.
  expect(value).toBe(0.1);
  expect(high! - 0.1).toBeCloseTo(4.302653 * 0.02, 6);
  expect(0.1 - low!).toBeCloseTo(4.302653 * 0.02, 6);
  expect(p).toBeCloseTo(1 - 5 / Math.sqrt(27), 6);
  const turned = differenceOf(one, three, units, 0.95);
  expect([turned.value, turned.low, turned.high, turned.p]).toEqual([-0.1, -high!, -low!, p]);
});

test('an ensemble differs from the mean of its networks as surely as these let tell', () => {
  const random = new Random(8);
  const n = 300;
  const values = Float32Array.from({ length: n }, (_, i) => i % 2);
  const run = (noise: number): Outputs => ({
    targets: { kind: 'findings', names: ['f'], values },
    probabilities: Float64Array.from(values, (y) => 1 / (1 + Math.exp(-(y - 0.5 + noise * random.normal())))),
  });
  const runs = [run(0.5), run(4)];
  const mean = runs[0]!.probabilities.map((p, i) => (p + runs[1]!.probabilities[i]!) / 2);
  const { brier, auroc } = compareFigures({ ...runs[0]!, probabilities: mean }, runs);
  for (const { value, low, high, p } of [brier!, auroc!]) {
    expect(p).toBeGreaterThan(0);
    expect(low).toBeLessThan(value!);
    expect(high).toBeGreaterThan(value!);
  }
});

test('a loss that is the same for every sample has no interval; identical methods differ by 0 with p = 1', () => {
  const targets = { kind: 'one-of-k', names: ['a', 'b'], values: Int32Array.of(0, 0, 1) } as const;
  const outputs: Outputs = { targets, probabilities: Float64Array.of(0.8, 0.2, 0.8, 0.2, 0.2, 0.8) };
  expect(measureFigures(outputs).nll).toMatchObject({ low: null, high: null });
  expect(compareFigures(outputs, outputs).nll).toMatchObject({ value: 0, low: 0, high: 0, p: 1 });
});

test('five positives that all say the same are not surer than a test of signs', () => {
  const n = 200;
  const values = Float32Array.from({ length: n }, (_, i) => (i < 5 ? 1 : 0));
  const targets = { kind: 'findings', names: ['f'], values } as const;
  const of = (found: number): Outputs => ({
    targets,
    probabilities: Float64Array.from({ length: n }, (_, i) => (i < found ? 0.9 : 0.1)),
    thresholds: Float64Array.of(0.5),
  });
  const { sensitivity } = compareFigures(of(5), of(0));
  expect(sensitivity!.value).toBe(1);
  expect(sensitivity!.p!).toBeGreaterThan(0.05); // 2·(1/2)⁵ = 0.0625
});

import { describe, expect, test } from 'vitest';
import { argsort, byConfidence, estimate, replicate } from '../metrics/index.ts';
import { Random } from '../random.ts';
import { figuresOf, measureFigures, type Outputs, SeenOutputs as Seen, type Statistic } from './index.ts';
import { rankedOf } from './seen.ts';
import { estimateOf, spreadOf, Units } from './spread.ts';
import {
  augrcStatistic,
  auprcStatistic,
  aurcStatistic,
  aurocStatistic,
  excessAurcStatistic,
  meanStatistic,
  rankCorrelationStatistic,
  ratioStatistic,
  selectiveStatistic,
} from './statistics.ts';

const n = 60;
const random = new Random(3);
// One digit: plenty of ties.
const scores = Float64Array.from({ length: n }, () => Math.round(random.uniform() * 10) / 10);
const positive = Uint8Array.from(scores, (s) => (random.uniform() < s ? 1 : 0));
const distinct = Float64Array.from({ length: n }, () => random.uniform());
const right = Uint8Array.from(distinct, (s) => (random.uniform() < s ? 1 : 0));
const mask = Uint8Array.from({ length: n }, () => (random.uniform() < 0.7 ? 1 : 0));
const ranked = rankedOf(argsort(scores), scores, (i) => positive[i] === 1, n);
/** Labels of report wording: some sure, some not. */
const soft = Float32Array.from({ length: n }, (_, i) => (i % 3 === 0 ? positive[i]! : random.uniform()));
const rankedSoft = { ...ranked, positive: Float32Array.from(ranked.order, (i) => soft[i]!) };

/** Where a figure of N samples is not that of every sample twice, as AURC's first places, the slopes differ by O(1/N). */
const DIGITS: Readonly<Record<string, number>> = { AURC: 1, 'excess AURC': 1 };

const cases: [string, Statistic][] = [
  ['mean', meanStatistic(scores)],
  ['masked mean', meanStatistic(scores, mask)],
  ['ratio', ratioStatistic(positive, right, mask)],
  ['AUROC with ties', aurocStatistic(ranked)],
  ['AUROC of soft labels', aurocStatistic(rankedSoft)],
  ['AUPRC with ties', auprcStatistic(ranked)],
  ['AURC', aurcStatistic(byConfidence(distinct, right))],
  ['AUGRC with ties', augrcStatistic(byConfidence(scores, positive))],
  ['rank correlation with ties', rankCorrelationStatistic(scores, Float64Array.from(positive))],
  ['masked rank correlation', rankCorrelationStatistic(scores, distinct, mask)],
  ['excess AURC', excessAurcStatistic(byConfidence(distinct, right))],
];

describe.each(cases)('%s', (name, statistic) => {
  test('the value is the measure with every sample counted once', () => {
    expect(statistic.measure()(new Int32Array(n).fill(1))).toBeCloseTo(statistic.value(), 12);
  });

  test('the influence is the derivative by how much a sample counts', () => {
    // Every sample a million times, one of them once more and once less.
    const many = 1_000_000;
    const measure = statistic.measure();
    const influence = statistic.influence();
    const counts = new Int32Array(n).fill(many);
    for (let i = 0; i < n; i += 7) {
      counts[i] = many + 1000;
      const above = measure(counts);
      counts[i] = many - 1000;
      const slope = ((above - measure(counts)) / 2000) * many * n;
      counts[i] = many;
      expect(influence[i], `sample ${i}`).toBeCloseTo(slope, DIGITS[name] ?? 3);
    }
    expect(influence.reduce((a, b) => a + b, 0)).toBeCloseTo(0, 6);
  });

  test('its normal interval is the bootstrap’s where samples are many', () => {
    const spread = replicate([[[statistic.measure()]]], n, { replicates: 2000 })[0]![0]!;
    const { low, high } = estimate(statistic.value(), spread, { replicates: 2000 });
    const sd = Math.sqrt(statistic.influence().reduce((sum, v) => sum + v * v, 0)) / n;
    expect((high! - low!) / (2 * 1.96 * sd)).toBeGreaterThan(0.8);
    expect((high! - low!) / (2 * 1.96 * sd)).toBeLessThan(1.25);
  });
});

test('every statistic has an influence that sums to 0, and an interval as wide as it says where samples are many', () => {
  const k = 3;
  const many = 400;
  const draw = new Random(8);
  const probabilities = new Float64Array(many * k);
  const values = new Int32Array(many);
  for (let i = 0; i < many; i++) {
    const raw = Array.from({ length: k }, () => draw.uniform() ** 3 + 0.01);
    const sum = raw.reduce((a, b) => a + b);
    raw.forEach((v, c) => {
      probabilities[i * k + c] = v / sum;
    });
    let u = draw.uniform();
    while (values[i]! < k - 1 && (u -= probabilities[i * k + values[i]!]!) > 0) values[i]!++;
  }
  const one: Outputs = { targets: { kind: 'one-of-k', names: ['a', 'b', 'c'], values }, probabilities };
  const soft = Float32Array.from({ length: many * k }, (_, at) =>
    values[Math.floor(at / k)] === at % k ? 1 : 0,
  );
  const rates = Float32Array.from(probabilities, (p) => (draw.uniform() < p ? Math.min(0.9, p) : -0.1));
  const several: Outputs = {
    targets: { kind: 'findings', names: ['a', 'b', 'c'], values: soft, rates },
    probabilities,
    doubt: probabilities,
    thresholds: Float64Array.of(0.4, 0.4, 0.4),
  };
  for (const outputs of [one, several]) {
    const measured = measureFigures(outputs, { replicates: 1000 });
    const seen = new Seen(outputs);
    for (const figure of figuresOf(outputs.targets.kind)) {
      if (figure.sort !== 'statistic' || figure.needs === 'posterior') continue;
      const statistic = figure.of(seen, 0)!;
      const influence = statistic.influence();
      expect(
        influence.reduce((a, b) => a + b, 0),
        figure.name,
      ).toBeCloseTo(0, 6);
      const shown = measured[figure.name]!.perFinding?.a ?? measured[figure.name]!;
      const width = 2 * 1.96 * (Math.sqrt(influence.reduce((sum, v) => sum + v * v, 0)) / many);
      if (width > 1e-9) expect((shown.high! - shown.low!) / width, figure.name).toBeCloseTo(1, 0);
    }
  }
});

test('the accuracy of the surest share scatters as its bootstrap does', () => {
  const many = 3000;
  const draw = new Random(5);
  const confidence = Float64Array.from({ length: many }, () => draw.uniform());
  const hits = Uint8Array.from(confidence, (c) => (draw.uniform() < 0.4 + 0.6 * c ? 1 : 0));
  const one = selectiveStatistic(byConfidence(confidence, hits), 0.5);
  const influence = one.influence();
  expect(influence.reduce((a, b) => a + b, 0) / many).toBeCloseTo(0, 9);
  const sd = Math.sqrt(influence.reduce((sum, v) => sum + v * v, 0)) / many;
  const drawn = replicate([[[one.measure()]]], many, { replicates: 500 })[0]![0]!;
  const { low, high } = estimate(one.value(), drawn);
  expect((high! - low!) / (2 * 1.96 * sd)).toBeGreaterThan(0.88);
  expect((high! - low!) / (2 * 1.96 * sd)).toBeLessThan(1.12);
});

test('the interval of a rank correlation stays inside ±1 and holds the true one', () => {
  const random = new Random(11);
  const [many, sets, rho] = [40, 300, 0.8];
  // Of two normal numbers with correlation ρ it is (6/π)·asin(ρ/2).
  const truth = (6 / Math.PI) * Math.asin(rho / 2);
  let held = 0;
  for (let set = 0; set < sets; set++) {
    const x = Float64Array.from({ length: many }, () => random.normal());
    const y = x.map((v) => rho * v + Math.sqrt(1 - rho ** 2) * random.normal());
    const units = new Units(many, undefined);
    const { low, high } = estimateOf(spreadOf([rankCorrelationStatistic(x, y)], units, false), units, 0.95);
    expect(low! > -1 && high! < 1).toBe(true);
    if (low! <= truth && truth <= high!) held++;
  }
  expect(held / sets).toBeGreaterThan(0.92);
  expect(held / sets).toBeLessThan(0.995);
});

describe('AUROC of soft labels', () => {
  /** The definition, pair by pair. */
  const byPairs = (labels: ArrayLike<number>): number => {
    let [area, all] = [0, 0];
    for (let i = 0; i < n; i++)
      for (let j = 0; j < n; j++) {
        const weight = labels[i]! * (1 - labels[j]!);
        all += weight;
        area += weight * (scores[i]! > scores[j]! ? 1 : scores[i] === scores[j] ? 0.5 : 0);
      }
    return area / all;
  };

  test('is what its definition says, and of hard labels the AUROC', () => {
    expect(aurocStatistic(rankedSoft).value()).toBeCloseTo(byPairs(soft), 12);
    const hard = { ...ranked, positive: Float32Array.from(ranked.positive) };
    expect(aurocStatistic(hard).value()).toBe(aurocStatistic(ranked).value());
    expect(aurocStatistic(ranked).value()).toBeCloseTo(byPairs(positive), 12);
  });

  test('is about the mean AUROC of labels that are drawn by them', () => {
    const draw = new Random(5);
    let sum = 0;
    for (let r = 0; r < 2000; r++) {
      const drawn = ranked.order.map((i) => Number(draw.uniform() < soft[i]!));
      sum += aurocStatistic({ ...ranked, positive: Uint8Array.from(drawn) }).value() / 2000;
    }
    expect(aurocStatistic(rankedSoft).value()).toBeCloseTo(sum, 2);
  });
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Predictions, predictions } from '../metrics/index.ts';
import { Random } from '../random.ts';
import {
  conformalMethods,
  conformalSets,
  fitConformal,
  type PredictionSets,
  summarizeSets,
} from './index.ts';
import { Ranking } from './ranking.ts';

test('a ranking is the stable sort from the likeliest down', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(5), { minLength: 1, maxLength: 30 }), (values) => {
      const ranking = new Ranking(values.length);
      for (let again = 0; again < 2; again++) {
        ranking.start(Float32Array.from([9, ...values]), 1);
        const got = values.map(() => ranking.next());
        expect(got).toEqual(values.map((_, k) => k).sort((a, b) => values[b]! - values[a]! || a - b));
        expect(ranking.next()).toBe(-1);
      }
    }),
  );
});

describe.each(conformalMethods)('%s', (method) => {
  test('sets are those of the definition', () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 2, max: 6 }), fc.boolean(), (seed, k, randomized) => {
        const [held, judged] = [draw(seed, 30, k), draw(seed + 1, 10, k)];
        const options = { alpha: 0.2, seed: 5, lambda: 0.03, kReg: 1, randomized };
        const predictor = fitConformal(method, held, options);
        const scores = scoresOf(method, held, 0, options);
        const quantile = scores.map((row, i) => row[held.labels[i]!]!).sort((a, b) => a - b)[24]!; // ⌈31·0.8⌉ = 25.
        expect(predictor.quantile).toBeCloseTo(quantile, 12);
        const sets = asArrays(predictor.predict(judged.probabilities));
        scoresOf(method, judged, 1, options).forEach((row, i) => {
          const p = [...judged.probabilities.subarray(i * k, (i + 1) * k)];
          const sure = (by: number) => row.flatMap((s, c) => (s <= quantile + by ? [c] : []));
          // The sums of the definition are rounded in another order.
          expect([sure(-1e-12), sure(1e-12)]).toContainEqual([...sets[i]!].sort((a, b) => a - b));
          expect(sets[i]!.map((c) => -p[c]!)).toEqual(sets[i]!.map((c) => -p[c]!).sort((a, b) => a - b));
        });
      }),
      { numRuns: 100 },
    );
  });

  test('covers 1 − alpha on average over calibrations, whatever the classifier', () => {
    // A useless classifier, a good one and one with many ties.
    for (const [worth, coarse] of [
      [0, false],
      [2, false],
      [1, true],
    ] as const) {
      const n = 50;
      const rounds = 400;
      let covered = 0;
      for (let seed = 0; seed < rounds; seed++) {
        const all = draw(seed, n + 40, 4, worth, coarse);
        const [held, judged] = [part(all, 0, n), part(all, n, n + 40)];
        const { coverage } = conformalSets(method, held, judged, { alpha: 0.15, seed, replicates: 0 });
        covered += coverage.value! / rounds;
      }
      // One calibration's coverage is Beta(44, 7): deviation 0.048; then 400 of them with 40 samples each.
      const deviation = Math.sqrt((0.048 ** 2 + (0.15 * 0.85) / 40) / rounds);
      expect(covered).toBeGreaterThan(0.85 - 4 * deviation);
      // Without ties no more than 1/(n + 1) above; lac's ties and the empty room above the last class can add more.
      if (!coarse) expect(covered).toBeLessThan(0.85 + 1 / (n + 1) + 4 * deviation);
    }
  });

  test('too few samples for alpha give full sets, and say so', () => {
    const judged = draw(2, 5, 3);
    const few = fitConformal(method, draw(1, 8, 3), { alpha: 0.1 });
    expect(few.quantile).toBe(Number.POSITIVE_INFINITY);
    expect(few.warnings.join()).toContain('8 calibration samples are too few for alpha 0.1, which takes 9');
    expect(asArrays(few.predict(judged.probabilities)).map((s) => s.length)).toEqual([3, 3, 3, 3, 3]);
    expect(conformalSets(method, draw(1, 8, 3), judged, { alpha: 0.1 }).quantile).toBeNull();
    const enough = fitConformal(method, draw(1, 9, 3), { alpha: 0.1 });
    expect(enough.quantile).toBeLessThan(2);
    expect(enough.warnings).toEqual([]);
  });

  test('equal seeds give equal sets, and empty ones can be filled', () => {
    const [held, judged] = [draw(3, 200, 5, 3), draw(4, 300, 5, 3)];
    const plain = fitConformal(method, held, { alpha: 0.3 });
    expect(plain.predict(judged.probabilities)).toEqual(plain.predict(judged.probabilities));
    const sets = asArrays(plain.predict(judged.probabilities));
    const filled = asArrays(
      fitConformal(method, held, { alpha: 0.3, nonEmpty: true }).predict(judged.probabilities),
    );
    expect(sets.some((s) => s.length === 0)).toBe(true);
    sets.forEach((s, i) => {
      if (s.length > 0) expect(filled[i]).toEqual(s);
      else expect(filled[i]).toHaveLength(1);
    });
  });
});

test('other seeds draw other chances', () => {
  const [held, judged] = [draw(3, 200, 5), draw(4, 300, 5)];
  const sets = (seed: number) => fitConformal('aps', held, { seed }).predict(judged.probabilities);
  expect(sets(1)).not.toEqual(sets(2));
});

test('many large sets outgrow the first room', () => {
  const [held, judged] = [draw(1, 5, 20), draw(2, 200, 20)];
  const { offsets, members } = fitConformal('lac', held).predict(judged.probabilities);
  expect(offsets.at(-1)).toBe(200 * 20);
  expect(members).toHaveLength(200 * 20);
});

test('a summary of sets', () => {
  const sets: PredictionSets = {
    offsets: Uint32Array.of(0, 0, 1, 3, 7, 11),
    members: Int32Array.of(2, 0, 1, 3, 2, 1, 0, 0, 1, 2, 3),
  };
  const s = summarizeSets(sets, [0, 2, 3, 1, 1], 5, 0.1, { replicates: 100 });
  expect(s.coverage.value).toBe(0.6);
  expect(s.coverage.low!).toBeCloseTo(0.2307, 3); // Wilson's for 3 of 5.
  expect(s.coverage.high!).toBeCloseTo(0.8824, 3);
  expect(s.meanSize.value).toBeCloseTo(2.2, 12);
  expect(s.emptyShare.value).toBe(0.2);
  expect(s.bySize.map(({ from, to, count, coverage }) => [from, to, count, coverage.value])).toEqual([
    [0, 1, 2, 0.5],
    [2, 3, 1, 0],
    [4, 5, 2, 1],
  ]);
  expect(s.sizeStratifiedViolation).toBeCloseTo(0.9, 12);
  expect(s.byClass.map(({ support, coverage, meanSize }) => [support, coverage.value, meanSize])).toEqual([
    [1, 0, 0],
    [2, 1, 4],
    [1, 1, 1],
    [1, 0, 2],
    [0, null, null],
  ]);
  expect(JSON.parse(JSON.stringify(s))).toEqual(s);
});

test('images of one patient widen the intervals', () => {
  // 40 patients with 25 equal images each.
  const n = 1000;
  const groups = Int32Array.from({ length: n }, (_, i) => Math.floor(i / 25));
  const offsets = Uint32Array.from({ length: n + 1 }, (_, i) => i);
  const members = Int32Array.from(groups, (g) => (g % 5 === 0 ? 1 : 0));
  const labels = new Int32Array(n);
  const plain = summarizeSets({ offsets, members }, labels, 2, 0.2);
  const grouped = summarizeSets({ offsets, members }, labels, 2, 0.2, { groups, replicates: 500 });
  const width = (e: { low: number | null; high: number | null }) => e.high! - e.low!;
  expect(grouped.coverage.value).toBe(0.8);
  // √25 times as wide.
  expect(width(grouped.coverage) / width(plain.coverage)).toBeGreaterThan(4);
  expect(grouped.byClass[0]!.coverage).toEqual(grouped.coverage);
  expect(grouped.byClass[1]!.coverage).toEqual({ value: null, low: null, high: null });
});

test('wrong input', () => {
  const p = draw(1, 30, 3);
  expect(() => fitConformal('tps' as 'lac', p)).toThrow('no conformal method "tps"');
  for (const alpha of [0, 1, Number.NaN]) expect(() => fitConformal('lac', p, { alpha })).toThrow('alpha');
  expect(() => fitConformal('raps', p, { lambda: -1 })).toThrow('lambda');
  expect(() => fitConformal('raps', p, { kReg: 0.5 })).toThrow('kReg');
  expect(() => fitConformal('lac', { ...p, probabilities: p.probabilities.map((v) => 2 * v) })).toThrow(
    'Row 0',
  );
  expect(() => fitConformal('lac', p).predict(Float32Array.of(0.5, 0.5))).toThrow('expected 0');
  expect(() => conformalSets('lac', p, draw(1, 30, 4))).toThrow('calibrated for 3 classes');
  const sets = fitConformal('lac', p).predict(p.probabilities);
  expect(() => summarizeSets(sets, [0], 3, 0.1)).toThrow('30 prediction sets and 1 labels');
  expect(() => summarizeSets(sets, p.labels, 2, 0.1)).toThrow('not in [0, 2)');
  expect(() => summarizeSets(sets, p.labels, 3, 0.1, { strata: [3, 1] })).toThrow('strata');
});

/** All N×K scores by the definition. */
function scoresOf(
  method: string,
  p: Predictions,
  stream: number,
  { seed, lambda, kReg, randomized }: { seed: number; lambda: number; kReg: number; randomized: boolean },
): number[][] {
  const random = new Random(seed, stream);
  return Array.from(p.labels, (_, i) => {
    const row = [...p.probabilities.subarray(i * p.classes, (i + 1) * p.classes)];
    const drawn = random.uniform();
    const u = randomized ? drawn : 1;
    return row.map((own, k) => {
      if (method === 'lac') return 1 - own;
      const ahead = row.filter((v, c) => v > own || (v === own && c < k));
      const score = ahead.reduce((a, b) => a + b, 0) + u * own;
      return method === 'aps' ? score : score + lambda * Math.max(0, ahead.length + 1 - kReg);
    });
  });
}

function asArrays({ offsets, members }: PredictionSets): number[][] {
  return Array.from({ length: offsets.length - 1 }, (_, i) => [
    ...members.subarray(offsets[i], offsets[i + 1]),
  ]);
}

function draw(seed: number, n: number, k: number, worth = 1, coarse = false): Predictions {
  const random = new Random(seed, n, k);
  const values = new Float64Array(n * k);
  const labels = new Int32Array(n);
  for (let i = 0; i < n; i++) {
    labels[i] = random.below(k);
    const row = Array.from({ length: k }, (_, c) =>
      Math.exp(random.normal() + (c === labels[i] ? worth : 0)),
    );
    const sum = row.reduce((a, b) => a + b);
    const fractions = row.map((v) => v / sum);
    if (coarse) {
      // Tenths; what is left over goes to the first class.
      for (let c = 0; c < k; c++) fractions[c] = Math.floor(10 * fractions[c]!) / 10;
      fractions[0] = fractions[0]! + 1 - fractions.reduce((a, b) => a + b);
    }
    values.set(fractions, i * k);
  }
  return predictions(values, labels, { classes: k });
}

function part(p: Predictions, from: number, to: number): Predictions {
  const probabilities = p.probabilities.slice(from * p.classes, to * p.classes);
  return { ...p, probabilities, labels: p.labels.slice(from, to) };
}

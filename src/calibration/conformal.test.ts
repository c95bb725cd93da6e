import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import oracle from '../../test/fixtures/calibration/shift.json' with { type: 'json' };
import { type Predictions, predictions } from '../metrics/index.ts';
import { Random } from '../random.ts';
import {
  conformalMethods,
  conformalSets,
  fitClassConformal,
  fitConformal,
  fitShift,
  fitWeightedConformal,
  type PredictionSets,
  registerConformalMethod,
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
          if (method === 'ordinal') {
            const grades = [...sets[i]!].sort((a, b) => a - b);
            expect(grades).toEqual(grades.map((_, j) => grades[0]! + j)); // No gaps.
          } else {
            expect(sets[i]!.map((c) => -p[c]!)).toEqual(sets[i]!.map((c) => -p[c]!).sort((a, b) => a - b));
          }
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

test('class-conditional sets cover every class, also a rare one that the others’ sets leave out', () => {
  const [n, rounds, alpha] = [300, 150, 0.1];
  const hits = { all: [0, 0, 0], own: [0, 0, 0] };
  const support = [0, 0, 0];
  for (let round = 0; round < rounds; round++) {
    const [held, judged] = [rare(round, n), rare(round + 10_000, n)];
    const sets = {
      all: asArrays(fitConformal('lac', held, { alpha, seed: round }).predict(judged.probabilities)),
      own: asArrays(fitClassConformal('lac', held, { alpha, seed: round }).predict(judged.probabilities)),
    };
    judged.labels.forEach((y, i) => {
      support[y]!++;
      for (const kind of ['all', 'own'] as const) if (sets[kind][i]!.includes(y)) hits[kind][y]!++;
    });
  }
  const shares = (kind: 'all' | 'own') => hits[kind].map((count, y) => count / support[y]!);
  expect(shares('all')[2]).toBeLessThan(0.6); // The rare class pays.
  // One round's coverage of a class with m samples has the variance 0.09/m at both ends; m is 15 for the rare one.
  shares('own').forEach((share, y) => {
    const m = support[y]! / rounds;
    const error = Math.sqrt((0.09 / m + 0.09 / m) / rounds);
    expect(share, `class ${y}`).toBeGreaterThan(1 - alpha - 4 * error);
    expect(share, `class ${y}`).toBeLessThan(1 - alpha + 1 / (m * 0.6) + 4 * error);
  });
});

test('class-conditional: a class with too few samples is in every set, and is named', () => {
  const held = rare(1, 60);
  const labels = held.labels.map((y) => (y === 2 ? 0 : y));
  const predictor = fitClassConformal('lac', { ...held, labels });
  expect(predictor.quantiles[2]).toBe(Number.POSITIVE_INFINITY);
  expect(predictor.support[2]).toBe(0);
  expect(predictor.warnings.join()).toContain('1 of 3 classes (2) have fewer than the 9');
  for (const set of asArrays(predictor.predict(held.probabilities))) expect(set).toContain(2);
  expect(() => fitClassConformal('lac', held, { alpha: 2 })).toThrow('alpha');
});

describe('weighted sets for another centre', () => {
  const rounds = 120;
  const alpha = 0.1;

  test('cover there with the true weights and with those of a classifier; unweighted ones do not', () => {
    const covered = { plain: 0, weighted: 0, estimated: 0 };
    for (let round = 0; round < rounds; round++) {
      const [here, there] = [centre(round, 400, 0), centre(round + 50_000, 200, 1.5)];
      const other = centre(round + 90_000, 400, 1.5);
      const ratio = (x: Float64Array) => x.map((v) => Math.exp(1.5 * v - 1.5 ** 2 / 2));
      const shift = fitShift(here.x, other.x, 1);
      const predictor = fitWeightedConformal('lac', here.p, ratio(here.x), { alpha });
      const estimated = fitWeightedConformal('lac', here.p, shift.weights(here.x), { alpha });
      const sets = {
        plain: fitConformal('lac', here.p, { alpha }).predict(there.p.probabilities),
        weighted: predictor.predict(there.p.probabilities, ratio(there.x)),
        estimated: estimated.predict(there.p.probabilities, shift.weights(there.x)),
      };
      for (const kind of ['plain', 'weighted', 'estimated'] as const) {
        const arrays = asArrays(sets[kind]);
        there.p.labels.forEach((y, i) => {
          if (arrays[i]!.includes(y)) covered[kind] += 1 / (200 * rounds);
        });
      }
    }
    expect(covered.plain).toBeLessThan(0.84);
    expect(covered.weighted).toBeGreaterThan(0.885);
    expect(covered.estimated).toBeGreaterThan(0.87);
    expect(covered.weighted).toBeLessThan(0.95);
  });

  test('equal weights are no weights', () => {
    const [held, judged] = [draw(3, 200, 5), draw(4, 100, 5)];
    for (const method of conformalMethods) {
      const plain = fitConformal(method, held, { alpha: 0.2 }).predict(judged.probabilities);
      const predictor = fitWeightedConformal(method, held, new Float64Array(200).fill(3), { alpha: 0.2 });
      expect(predictor.effectiveSamples).toBeCloseTo(200, 9);
      expect(predictor.predict(judged.probabilities, new Float64Array(100).fill(3))).toEqual(plain);
    }
  });

  test('weights that leave few samples are told; wrong ones refused', () => {
    const held = draw(3, 50, 3);
    const one = Float64Array.from({ length: 50 }, (_, i) => (i === 0 ? 1 : 0));
    const predictor = fitWeightedConformal('lac', held, one);
    expect(predictor.effectiveSamples).toBe(1);
    expect(predictor.warnings.join()).toContain('worth 1.0');
    for (const set of asArrays(predictor.predict(held.probabilities, new Float64Array(50).fill(1))))
      expect(set).toHaveLength(3);
    expect(() => fitWeightedConformal('lac', held, [1])).toThrow('1 weights for 50');
    expect(() => predictor.predict(held.probabilities, [1])).toThrow('1 weights for 50');
    expect(() =>
      fitWeightedConformal(
        'lac',
        held,
        one.map((w) => w - 1),
      ),
    ).toThrow('Weight 1 is -1');
  });

  test('the classifier and its ratios are those of scikit-learn', () => {
    const [source, target] = [Float64Array.from(oracle.source), Float64Array.from(oracle.target)];
    const { coefficients, offset, weights } = fitShift(source, target, 3);
    coefficients.forEach((value, j) => {
      expect(value).toBeCloseTo(oracle.coefficients[j]!, 5);
    });
    expect(offset).toBeCloseTo(oracle.offset, 5);
    weights(target.subarray(0, 30)).forEach((ratio, i) => {
      expect(ratio / oracle.weights[i]!).toBeCloseTo(1, 4);
    });
  });

  test('a shift of Gaussians is found: the log ratio is δx − δ²/2', () => {
    const [here, there] = [centre(1, 20_000, 0), centre(2, 10_000, 1)];
    const { weights, converged } = fitShift(here.x, there.x, 1);
    expect(converged).toBe(true);
    for (const x of [-2, -1, 0, 1, 2])
      expect(Math.log(weights(Float64Array.of(x))[0]!)).toBeCloseTo(x - 0.5, 0.9);
    const none = fitShift(here.x, centre(3, 20_000, 0).x, 1);
    for (const x of [-2, 0, 2]) expect(none.weights(Float64Array.of(x))[0]).toBeCloseTo(1, 0.9);
    expect(() => fitShift(here.x, new Float64Array(0), 1)).toThrow('both centres');
    expect(() => fitShift(here.x, Float64Array.of(Number.NaN), 1)).toThrow('finite');
    expect(() => fitShift(here.x, here.x, 3)).toThrow('not rows of 3');
    expect(() => fitShift(here.x, here.x, 1, { ridge: 0 })).toThrow('ridge');
  });
});

test('another kind of sets is registered from outside', () => {
  registerConformalMethod('rank', { label: 'By rank', score: () => (_before, _own, _u, rank) => rank });
  const sets = fitConformal('rank', draw(1, 100, 4), { alpha: 0.3 }).predict(draw(2, 20, 4).probabilities);
  expect(new Set(asArrays(sets).map((s) => s.length)).size).toBe(1);
  expect(() => registerConformalMethod('lac', null as never)).toThrow('already a conformal method "lac"');
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
      const ahead =
        method === 'ordinal' ? aheadOfGrade(row, k) : row.filter((v, c) => v > own || (v === own && c < k));
      const score = ahead.reduce((a, b) => a + b, 0) + u * own;
      return method !== 'raps' ? score : score + lambda * Math.max(0, ahead.length + 1 - kReg);
    });
  });
}

/** The probabilities of the grades that join before grade k: those between the mode and k, and what is likelier beyond the mode. */
function aheadOfGrade(row: readonly number[], k: number): number[] {
  let grades = [row.indexOf(Math.max(...row))];
  while (!grades.includes(k)) {
    const beside = [grades[0]! - 1, grades.at(-1)! + 1].filter((grade) => row[grade] !== undefined);
    const joins = beside.reduce((best, grade) => (row[grade]! > row[best]! ? grade : best));
    grades = [...grades, joins].sort((a, b) => a - b);
  }
  return grades.filter((grade) => grade !== k).map((grade) => row[grade]!);
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

/** Three classes; the third is a twentieth of all, and the classifier hardly knows it. */
function rare(seed: number, n: number): Predictions {
  const random = new Random(seed, n, 333);
  const values = new Float64Array(3 * n);
  const labels = new Int32Array(n);
  for (let i = 0; i < n; i++) {
    const u = random.uniform();
    const y = u < 0.05 ? 2 : u < 0.5 ? 1 : 0;
    labels[i] = y;
    const row = [2, 2, -1].map((bias, k) => Math.exp(bias + random.normal() + (k === y ? 2 : 0)));
    const sum = row.reduce((a, b) => a + b);
    values.set(
      row.map((v) => v / sum),
      3 * i,
    );
  }
  return predictions(values, labels, { classes: 3 });
}

/** Images x ~ N(shift, 1) whose two labels are harder to tell the larger x is, in the same way at every centre. */
function centre(seed: number, n: number, shift: number): { x: Float64Array; p: Predictions } {
  const random = new Random(seed, 91);
  const x = new Float64Array(n);
  const values = new Float64Array(2 * n);
  const labels = new Int32Array(n);
  for (let i = 0; i < n; i++) {
    x[i] = random.normal() + shift;
    const right = 0.5 + 0.5 / (1 + Math.exp(2 * x[i]!));
    labels[i] = random.uniform() < right ? 1 : 0;
    // The network says 0.9 and a little either way, however hard the image is.
    const said = 0.88 + 0.04 * random.uniform();
    values.set([1 - said, said], 2 * i);
  }
  return { x, p: predictions(values, labels, { classes: 2 }) };
}

function part(p: Predictions, from: number, to: number): Predictions {
  const probabilities = p.probabilities.slice(from * p.classes, to * p.classes);
  return { ...p, probabilities, labels: p.labels.slice(from, to) };
}

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import oracle from '../../test/fixtures/embeddings/measures.json' with { type: 'json' };
import { madeUp } from '../../test/oracle/embeddings.ts';
import { uniform } from '../../test/oracle/fill.ts';
import { unreleased } from '../../test/unreleased.ts';
import { bootstrapDifference, estimate } from '../metrics/index.ts';
import { Random } from '../random.ts';
import { measureEmbeddings, nearestNeighbours, summarizeEmbeddings } from './index.ts';

describe.each(oracle.cases)('as scikit-learn and NumPy: $name', (c) => {
  const { features, labels, n } = madeUp(c.name, c);
  const classes = c.counts.length;
  const found = measureEmbeddings(features, labels, classes, { k: c.k });

  test('distances within and between classes', () => {
    expect(found.withinDistance).toBeCloseTo(c.within, 9);
    expect(found.betweenDistance).toBeCloseTo(c.between, 9);
    c.classWithin.forEach((wanted, y) => {
      if (wanted === null) expect(found.classWithinDistances[y]).toBeNull();
      else expect(found.classWithinDistances[y]).toBeCloseTo(wanted, 9);
    });
    expect(summarizeEmbeddings(found, { replicates: 0 }).distanceRatio.value).toBeCloseTo(
      c.within / c.between,
      12,
    );
  });

  test('silhouettes of samples, of classes and of all', () => {
    expect(found.silhouettes!.length).toBe(n);
    found.silhouettes!.forEach((s, i) => {
      expect(s).toBeCloseTo(c.silhouettes[i]!, 9);
    });
    const { silhouette, perClass } = summarizeEmbeddings(found, { replicates: 0 });
    expect(silhouette.value).toBeCloseTo(c.silhouette, 9);
    c.classSilhouette.forEach((wanted, y) => {
      if (wanted === null) expect(perClass[y]!.silhouette).toBeNull();
      else expect(perClass[y]!.silhouette).toBeCloseTo(wanted, 9);
      expect(perClass[y]!.support).toBe(c.counts[y]);
    });
  });

  test.each(['euclidean', 'cosine'] as const)('votes of %s neighbours', (metric) => {
    const alone = measureEmbeddings(features, labels, classes, { k: c.k, metric });
    expect([...alone.votes]).toEqual(c[metric].leaveOneOut);
    const rows = (odd: number) => Array.from({ length: n }, (_, i) => i).filter((i) => i % 2 === odd);
    const part = (odd: number) => ({
      features: Float32Array.from(rows(odd).flatMap((i) => [...features.subarray(i * c.d, (i + 1) * c.d)])),
      labels: Int32Array.from(rows(odd), (i) => labels[i]!),
    });
    const judged = part(1);
    const given = measureEmbeddings(judged.features, judged.labels, classes, {
      k: c.k,
      metric,
      gallery: part(0),
    });
    expect([...given.votes]).toEqual(c[metric].gallery);
    const right = c[metric].gallery.filter((y, i) => y === judged.labels[i]).length;
    const { neighbourAccuracy, neighbours } = summarizeEmbeddings(given, { replicates: 0 });
    expect(neighbourAccuracy.value).toBeCloseTo(right / judged.labels.length, 12);
    expect(neighbours).toEqual({ k: c.k, metric, gallery: rows(0).length });
  });
});

describe('nearest neighbours', () => {
  const grid = uniform('grid', 160, 0, 4).map(Math.floor);
  const labels = Int32Array.from(uniform('grid labels', 80, 0, 3), Math.floor);

  test('of equally near ones the lower row comes first, copies are at distance 0: as a stable sort in NumPy', () => {
    const found = nearestNeighbours(grid, 80, 2, 7);
    expect([...found.indices]).toEqual(oracle.ties.indices);
    found.distances.forEach((distance, i) => {
      expect(distance).toBe(Math.fround(oracle.ties.distances[i]!));
    });
    expect([...measureEmbeddings(grid, labels, 3, { k: 7 }).votes]).toEqual(oracle.ties.votes);
  });

  test('far from the origin, in every place of a block, copies are found and near samples told apart', () => {
    // Rows 0 … 2,499 and the same again, moved by one float32 step of their size: blocks of 1,024 queries end between.
    const n = 2500;
    const d = 33;
    const half = uniform('far', n * d, 1000, 1004);
    const features = new Float32Array(2 * n * d);
    features.set(half);
    features.set(
      half.map((value, i) => (i % (100 * d) === 0 ? value + 2 ** -13 : value)),
      n * d,
    );
    const { indices, distances } = nearestNeighbours(features, 2 * n, d, 1);
    for (let i = 0; i < n; i++) {
      expect(indices[i]).toBe(i + n);
      expect(indices[i + n]).toBe(i);
      if (i % 100 === 0) expect(distances[i]! / 2 ** -13).toBeCloseTo(1, 1);
      else expect(distances[i]).toBe(0);
    }
  });

  test('the order of the samples changes nothing but their names', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1e6 }), (seed) => {
        const order = new Random(seed).shuffle(Int32Array.from({ length: 60 }, (_, i) => i));
        const { features } = madeUp('shuffled', { counts: [60], d: 5, noise: 1, offset: 0 });
        const moved = Float32Array.from(
          { length: 300 },
          (_, e) => features[order[Math.floor(e / 5)]! * 5 + (e % 5)]!,
        );
        const plain = nearestNeighbours(features, 60, 5, 4);
        const found = nearestNeighbours(moved, 60, 5, 4);
        for (let i = 0; i < 60; i++)
          for (let j = 0; j < 4; j++)
            expect(order[found.indices[i * 4 + j]!]).toBe(plain.indices[order[i]! * 4 + j]);
      }),
      { numRuns: 10 },
    );
  });
});

describe('intervals', () => {
  const spec = { counts: [24, 18, 30], d: 4, noise: 1, offset: 0 };
  const { features, labels, n } = madeUp('intervals', spec);

  /** The ratio with pairs counted w_i·w_j times, pairs of a sample with itself never: what the expansion stands for. */
  function exactRatio(weights: Int32Array): number {
    const sums = { within: 0, between: 0, pairs: 0, others: 0 };
    for (let i = 0; i < n; i++)
      for (let j = 0; j < n; j++) {
        if (i === j) continue;
        let square = 0;
        for (let c = 0; c < 4; c++) square += (features[i * 4 + c]! - features[j * 4 + c]!) ** 2;
        const weight = weights[i]! * weights[j]!;
        if (labels[i] === labels[j]) {
          sums.within += weight * Math.sqrt(square);
          sums.pairs += weight;
        } else {
          sums.between += weight * Math.sqrt(square);
          sums.others += weight;
        }
      }
    return sums.within / sums.pairs / (sums.between / sums.others);
  }

  test("the ratio's expansion gives the interval of the exact bootstrap of pairs", () => {
    const { measures } = measureEmbeddings(features, labels, 3);
    const ones = new Int32Array(n).fill(1);
    expect(measures.distanceRatio(ones)).toBeCloseTo(exactRatio(ones), 12);
    const exact: number[] = [];
    const expanded: number[] = [];
    for (let r = 0; r < 1000; r++) {
      const random = new Random(3, r);
      const weights = new Int32Array(n);
      for (let i = 0; i < n; i++) weights[random.below(n)]!++;
      exact.push(exactRatio(weights));
      expanded.push(measures.distanceRatio(weights));
    }
    const ends = (values: number[]) => estimate(0.5, Float64Array.from(values));
    const [a, b] = [ends(exact), ends(expanded)];
    const width = a.high! - a.low!;
    expect(width).toBeGreaterThan(0.02);
    expect(Math.abs(b.low! - a.low!)).toBeLessThan(0.1 * width);
    expect(Math.abs(b.high! - a.high!)).toBeLessThan(0.1 * width);
  });

  test('methods are compared on the same samples', () => {
    const wide = features.map((value, i) => value + 2 * uniform('wide', features.length)[i]!);
    const [a, b] = [features, wide].map((f) => measureEmbeddings(f, labels, 3).measures);
    const d = bootstrapDifference(b!.distanceRatio, a!.distanceRatio, n);
    expect(d.low).toBeGreaterThan(0);
    expect(d.p).toBeLessThan(0.01);
    const same = bootstrapDifference(a!.silhouette, a!.silhouette, n);
    expect(same).toEqual({ value: 0, low: 0, high: 0, p: 1 });
  });

  test('over patients they are wider where the images of one are alike', () => {
    const groups = Int32Array.from({ length: n }, (_, i) => Math.floor(i / 6));
    const alike = features.map(
      (_, e) => features[groups[Math.floor(e / 4)]! * 24 + (e % 4)]! + 1e-3 * (e % 7),
    );
    const found = measureEmbeddings(alike, labels, 3, { k: 10 });
    const [plain, grouped] = [summarizeEmbeddings(found), summarizeEmbeddings(found, { groups })];
    expect(grouped.settings.resampled).toBe('groups');
    for (const name of ['distanceRatio', 'silhouette'] as const)
      expect(grouped[name].high! - grouped[name].low!).toBeGreaterThan(
        1.5 * (plain[name].high! - plain[name].low!),
      );
  });
});

describe('edges', () => {
  const figures = (features: number[], labels: number[], classes: number, k = 1) =>
    summarizeEmbeddings(
      measureEmbeddings(Float32Array.from(features), Int32Array.from(labels), classes, { k }),
    );

  test('one class has no between-class distance and no silhouette', () => {
    const found = figures([0, 1, 3], [1, 1, 1], 2);
    expect(found).toMatchObject({
      withinDistance: expect.closeTo(2, 9),
      betweenDistance: null,
      distanceRatio: { value: null, low: null, high: null },
      silhouette: { value: null, low: null, high: null },
      neighbourAccuracy: { value: 1, low: 1, high: 1 },
    });
    expect(found.perClass[0]).toEqual({
      support: 0,
      withinDistance: null,
      silhouette: null,
      neighbourAccuracy: null,
    });
  });

  test('classes of one sample each have no within-class distance and no silhouette', () => {
    expect(figures([0, 1, 3], [0, 1, 2], 3)).toMatchObject({
      withinDistance: null,
      betweenDistance: expect.closeTo(2, 9),
      distanceRatio: { value: null },
      silhouette: { value: null },
      neighbourAccuracy: { value: 0 },
    });
  });

  test('constant features: no ratio, silhouettes 0, the vote goes to the first rows', () => {
    expect(figures([5, 5, 5, 5, 5], [1, 1, 0, 0, 1], 2, 2)).toMatchObject({
      withinDistance: 0,
      betweenDistance: 0,
      distanceRatio: { value: null },
      silhouette: { value: 0, low: 0, high: 0 },
      // Row 0 sees rows 1, 2 (a tie: class 0); row 1 sees 0, 2 (a tie); rows 2, 3 and 4 see 0, 1.
      neighbourAccuracy: { value: 1 / 5 },
    });
  });

  test('classes that are points have the ratio 0', () => {
    expect(figures([1, 1, 4, 4], [0, 0, 1, 1], 2)).toMatchObject({
      distanceRatio: { value: 0, low: 0, high: 0 },
      silhouette: { value: 1, low: 1, high: 1 },
    });
  });

  test('a zero vector is at cosine distance 1 from everything', () => {
    const features = Float32Array.of(0, 0, 1, 0, 0, 1, -1, -1);
    const { distances } = nearestNeighbours(features, 4, 2, 3, 'cosine');
    expect([...distances.subarray(0, 3)]).toEqual([1, 1, 1]);
  });

  test.each([
    ['embeddings/empty', new Float32Array(0), [], {}],
    ['embeddings/shape', new Float32Array(5), [0, 1], {}],
    ['embeddings/value', Float32Array.of(0, 1, 2, Number.NaN), [0, 1], { k: 1 }],
    ['embeddings/value', Float32Array.of(0, 1, 2, 1e38), [0, 1], { k: 1 }],
    ['embeddings/label', new Float32Array(4), [0, 2], { k: 1 }],
    ['embeddings/neighbours', new Float32Array(4), [0, 1], {}],
    ['embeddings/option', new Float32Array(4), [0, 1], { k: 0 }],
    ['embeddings/option', new Float32Array(4), [0, 1], { k: 1, metric: 'manhattan' as 'cosine' }],
    [
      'embeddings/shape',
      new Float32Array(4),
      [0, 1],
      { k: 1, gallery: { features: new Float32Array(3), labels: Int32Array.of(0) } },
    ],
  ])('%s', (code, features, labels, options) => {
    expect(() => measureEmbeddings(features, Int32Array.from(labels), 2, options)).toThrow(
      expect.objectContaining({ code }),
    );
  });

  test('the place of a value that is not finite is named', () => {
    const features = new Float32Array(12);
    features[7] = Number.POSITIVE_INFINITY;
    expect(() => nearestNeighbours(features, 4, 3, 1)).toThrow('feature 1 of row 2 is Infinity');
  });
});

test('no tensor is left', () => {
  const { features, labels } = madeUp('tensors', { counts: [9, 9], d: 3, noise: 1, offset: 0 });
  const before = unreleased();
  measureEmbeddings(features, labels, 2, { k: 3, metric: 'cosine', gallery: { features, labels } });
  expect(unreleased()).toBe(before);
});

import { describe, expect, test } from 'vitest';
import {
  calibrationError,
  classBins,
  classwiseEce,
  ece,
  mce,
  predictions,
  reliability,
  reliabilityBins,
  reliabilityEqualMass,
} from './index.ts';

describe('equal-width bins', () => {
  test.each([1, 2, 3, 7, 10, 15, 20, 100, 1000])(
    '%i bins: every edge is the upper end of its own bin',
    (bins) => {
      const fractions = Array.from({ length: bins }, (_, b) => (b + 1) / bins);
      for (const edges of [Float32Array.from(fractions), Float64Array.from(fractions)]) {
        const counts = reliability(edges, new Uint8Array(bins), { bins }).map((b) => b.count);
        expect(counts).toEqual(Array(bins).fill(1));
      }
    },
  );

  test('the number just above an edge is in the next bin', () => {
    const single = Float32Array.of(0.1, 0.1);
    new Uint32Array(single.buffer)[1]!++;
    expect(reliability(single, [0, 0], { bins: 10 }).map((b) => b.count)).toEqual([
      1,
      1,
      ...Array(8).fill(0),
    ]);
    const double = Float64Array.of(0.1, 0.1);
    new BigUint64Array(double.buffer)[1]!++;
    expect(reliability(double, [0, 0], { bins: 10 }).map((b) => b.count)).toEqual([
      1,
      1,
      ...Array(8).fill(0),
    ]);
  });

  test('0 is in the first bin, 1 in the last', () => {
    const counts = reliability(Float64Array.of(0, 1), [0, 1], { bins: 4 }).map((b) => b.count);
    expect(counts).toEqual([1, 0, 0, 1]);
  });

  test('empty bins are marked and weigh nothing', () => {
    const bins = reliability(Float64Array.of(0.9), [1], { bins: 3 });
    expect(bins[0]).toEqual({
      lower: 0,
      upper: 1 / 3,
      count: 0,
      confidence: null,
      accuracy: null,
      gap: null,
    });
    expect(calibrationError(bins)).toBeCloseTo(0.1, 12);
    expect(calibrationError(bins, 'max')).toBeCloseTo(0.1, 12);
  });

  test('torchmetrics puts exactly 1 into a bin of its own, which changes the error', () => {
    const p = predictions(
      [
        [1, 0],
        [1, 0],
        [0.95, 0.05],
      ],
      [0, 1, 0],
    );
    expect(ece(p, { bins: 10, edges: 'torchmetrics' })).toBeCloseTo(0.35, 6); // As torchmetrics 1.9.0 prints it.
    expect(ece(p, { bins: 10 })).toBeCloseTo(Math.abs(2.95 - 2) / 3, 12);
    expect(reliabilityBins(p, { bins: 10, edges: 'torchmetrics' }).at(-1)).toMatchObject({
      lower: 1,
      upper: 1,
      count: 2,
    });
  });

  test.each([0, -1, 1.5, Number.NaN, 65_536])('%d bins are refused', (bins) => {
    const p = predictions([[1, 0]], [0]);
    expect(() => ece(p, { bins })).toThrow('number of bins');
    expect(() => classwiseEce(p, { bins })).toThrow('number of bins');
    expect(() => reliabilityEqualMass(Float64Array.of(1), [1], { bins })).toThrow('number of bins');
  });
});

describe('equal-mass bins', () => {
  test('sizes differ by one at most, edges are half-way', () => {
    const bins = reliabilityEqualMass(Float64Array.of(0.1, 0.2, 0.4, 0.6, 0.8), [0, 0, 0, 1, 1], { bins: 2 });
    expect(bins.map((b) => [b.lower, b.upper, b.count])).toEqual([
      [0, 0.5, 3],
      [0.5, 1, 2],
    ]);
  });

  test('ties stay together and empty bins have no width', () => {
    const bins = reliabilityEqualMass(Float64Array.of(0.5, 0.5, 0.5, 0.9), [0, 0, 1, 1], { bins: 4 });
    expect(bins.map((b) => b.count)).toEqual([0, 3, 0, 1]);
    expect(bins.map((b) => b.upper - b.lower)).toEqual([0, 0.7, 0, expect.closeTo(0.3, 12)]);
    expect(bins[2]).toMatchObject({ confidence: null, accuracy: null });
  });

  test('more bins than samples', () => {
    const bins = reliabilityEqualMass(Float64Array.of(0.5), [1], { bins: 3 });
    expect(bins.map((b) => [b.lower, b.upper, b.count])).toEqual([
      [0, 1, 1],
      [1, 1, 0],
      [1, 1, 0],
    ]);
  });
});

test.each([
  [[1.2], [1], 'metrics/probability'],
  [[-0.1], [1], 'metrics/probability'],
  [[Number.NaN], [1], 'metrics/probability'],
  [[0.5], [2], 'metrics/probability'],
  [[0.5], [Number.NaN], 'metrics/probability'],
  [[0.5], [1, 0], 'metrics/shape'],
  [[], [], 'metrics/empty'],
])('confidences %j against %j are %s', (confidence, outcome, code) => {
  for (const bins of [reliability, reliabilityEqualMass]) {
    expect(() => bins(Float64Array.from(confidence), outcome)).toThrow(expect.objectContaining({ code }));
  }
});

test('class bins add up to the class-wise error', () => {
  const p = predictions(
    [
      [0.7, 0.2, 0.1],
      [0.3, 0.4, 0.3],
      [0.2, 0.2, 0.6],
    ],
    [0, 2, 2],
  );
  const { perClass } = classwiseEce(p, { bins: 4 });
  for (let k = 0; k < 3; k++) {
    expect(calibrationError(classBins(p, k, { bins: 4 }))).toBeCloseTo(perClass[k]!, 12);
  }
  expect(() => classBins(p, 3)).toThrow('no class 3');
  expect(mce(p, { bins: 4 })).toBeGreaterThanOrEqual(ece(p, { bins: 4 }));
});

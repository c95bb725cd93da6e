import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Random } from '../random.ts';
import {
  type Accumulator,
  accumulateBrier,
  accumulateClasswiseEce,
  accumulateConfidenceGap,
  accumulateConfusion,
  accumulateNll,
  accumulatePredictions,
  accumulateReliability,
  accumulateTopK,
  aurc,
  aurcMeasure,
  auroc,
  aurocMeasure,
  type ByConfidence,
  balancedAccuracy,
  balancedAccuracyMeasure,
  binaryAuroc,
  brier,
  byConfidence,
  calibrationMeasure,
  classwiseEce,
  classwiseMeasure,
  confidenceGap,
  confusionMatrix,
  ece,
  eceEqualMass,
  equalMassMeasure,
  excessAurc,
  excessAurcMeasure,
  type Measure,
  mce,
  meanMeasure,
  nll,
  type Predictions,
  predictions,
  reliabilityBins,
  sampleNll,
  selectiveAccuracy,
  selectiveMeasure,
  topK,
  topLabels,
} from './index.ts';

const figures = (p: Predictions): (number | null)[] => [
  topK(p, 1),
  topK(p, 5),
  balancedAccuracy(p),
  auroc(p).macro,
  nll(p),
  brier(p),
  ece(p, { bins: 5 }),
  eceEqualMass(p, { bins: 5 }),
  mce(p, { bins: 5 }),
  classwiseEce(p, { bins: 5 }).ece,
  confidenceGap(p),
];

const options = { bins: 7 };
const pairs: Record<string, [(p: Predictions) => Measure, (p: Predictions) => number]> = {
  nll: [(p) => meanMeasure(sampleNll(p)), nll],
  balancedAccuracy: [balancedAccuracyMeasure, balancedAccuracy],
  ece: [(p) => top(p, (c, y) => calibrationMeasure(c, y, options)), (p) => ece(p, options)],
  mce: [(p) => top(p, (c, y) => calibrationMeasure(c, y, options, 'max')), (p) => mce(p, options)],
  'ece, torchmetrics': [
    (p) => top(p, (c, y) => calibrationMeasure(c, y, { edges: 'torchmetrics' })),
    (p) => ece(p, { edges: 'torchmetrics' }),
  ],
  eceEqualMass: [(p) => top(p, (c, y) => equalMassMeasure(c, y, options)), (p) => eceEqualMass(p, options)],
  classwiseEce: [(p) => classwiseMeasure(p, options), (p) => classwiseEce(p, options).ece],
  auroc: [aurocMeasure, (p) => auroc(p).macro ?? Number.NaN],
  aurc: [(p) => aurcMeasure(sorted(p)), aurc],
  excessAurc: [(p) => excessAurcMeasure(sorted(p)), excessAurc],
  selectiveAccuracy: [(p) => selectiveMeasure(sorted(p), 0.7), (p) => selectiveAccuracy(p, 0.7)],
};

describe.each(Object.entries(pairs))('%s', (_, [measure, plain]) => {
  test('with counts equals the pure function of the samples repeated that often', () => {
    fc.assert(
      fc.property(batchOf(), fc.infiniteStream(fc.integer({ min: 0, max: 3 })), (p, stream) => {
        const counts = Int32Array.from(p.labels, () => stream.next().value!);
        if (counts.every((c) => c === 0)) counts[0] = 1;
        const own = measure(p);
        const expected = plain(repeat(p, counts));
        const got = own(counts);
        // Twice: a measure must leave nothing behind.
        expect(own(counts)).toBe(got);
        if (Number.isNaN(expected)) expect(got).toBeNaN();
        else expect(got).toBeCloseTo(expected, 12);
      }),
      { numRuns: 300 },
    );
  });
});

const accumulators: Record<string, [(classes: number) => Accumulator<unknown>, (p: Predictions) => unknown]> =
  {
    top1: [(k) => accumulateTopK(k), (p) => topK(p, 1)],
    top2: [(k) => accumulateTopK(k, 2), (p) => topK(p, 2)],
    nll: [accumulateNll, nll],
    brier: [accumulateBrier, brier],
    confidenceGap: [accumulateConfidenceGap, confidenceGap],
    confusion: [accumulateConfusion, confusionMatrix],
    reliability: [(k) => accumulateReliability(k, options), (p) => reliabilityBins(p, options)],
    'reliability, torchmetrics': [
      (k) => accumulateReliability(k, { edges: 'torchmetrics' }),
      (p) => reliabilityBins(p, { edges: 'torchmetrics' }),
    ],
    classwiseEce: [(k) => accumulateClasswiseEce(k, options), (p) => classwiseEce(p, options)],
    predictions: [accumulatePredictions, (p) => p],
  };

describe.each(Object.entries(accumulators))('accumulator of %s', (_, [make, plain]) => {
  test('after any split into batches equals the pure function to the last bit', () => {
    fc.assert(
      fc.property(batchOf(), fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 6 }), (p, cuts) => {
        const accumulator = make(p.classes);
        const feed = () => {
          const n = p.labels.length;
          const bounds = [0, ...cuts.map((c) => Math.min(c, n)).sort((a, b) => a - b), n];
          for (let b = 1; b < bounds.length; b++) {
            const [from, to] = [bounds[b - 1]!, bounds[b]!];
            const values = p.probabilities.subarray(from * p.classes, to * p.classes);
            accumulator.update(values, p.labels.subarray(from, to));
          }
        };
        feed();
        expect(accumulator.compute()).toEqual(plain(p));
        accumulator.reset();
        expect(() => accumulator.compute()).toThrow('No samples');
        feed();
        expect(accumulator.compute()).toEqual(plain(p));
      }),
      { numRuns: 200 },
    );
  });

  test('refuses mixed precisions and bad rows', () => {
    const accumulator = make(2);
    accumulator.update(Float32Array.of(0.5, 0.5), [0]);
    expect(() => accumulator.update(Float64Array.of(0.5, 0.5), [0])).toThrow('cannot be mixed');
    expect(() => accumulator.update(Float32Array.of(0.5, 0.4), [0])).toThrow('sums to');
    expect(() => accumulator.update(Float32Array.of(0.5, 0.5), [2])).toThrow('label 2');
    expect(() => accumulator.update(Float32Array.of(1, 0, 0), [0])).toThrow('expected 2');
  });
});

test('no figure depends on the order of samples', () => {
  fc.assert(
    fc.property(batchOf(), fc.nat(), (p, seed) => {
      const rows = new Random(seed).shuffle(Array.from(p.labels, (_, i) => i));
      const a = figures(p);
      const b = figures(select(p, rows));
      a.forEach(
        (value, at) =>
          void (value === null ? expect(b[at]).toBeNull() : expect(b[at]).toBeCloseTo(value, 12)),
      );
    }),
  );
});

test('AUROC equals the count over all pairs, in fp32 and fp64', () => {
  fc.assert(
    fc.property(batchOf(), (p) => {
      const { perClass } = auroc(p);
      const { probabilities: v, classes, labels } = p;
      for (let k = 0; k < classes; k++) {
        let wins = 0;
        let pairs = 0;
        labels.forEach((y, i) => {
          labels.forEach((z, j) => {
            if (y !== k || z === k) return;
            pairs++;
            wins +=
              v[i * classes + k]! > v[j * classes + k]!
                ? 1
                : v[i * classes + k] === v[j * classes + k]
                  ? 0.5
                  : 0;
          });
        });
        if (pairs === 0) expect(perClass[k]).toBeNull();
        else expect(perClass[k]).toBeCloseTo(wins / pairs, 12);
      }
    }),
  );
});

test('−0 and 0 tie', () => {
  for (const Kind of [Float32Array, Float64Array]) {
    expect(binaryAuroc(Kind.of(-0, 0, 0.5), [0, 1, 1])).toBe(0.75);
  }
  expect(auroc(predictions(Float32Array.of(0, 1, -0, 1), [0, 1])).perClass).toEqual([0.5, 0.5]);
});

function top(p: Predictions, make: (c: Float32Array | Float64Array, y: Uint8Array) => Measure): Measure {
  const { confidence, correct } = topLabels(p);
  return make(confidence, correct);
}

/** Predictions of 1 to 40 samples and 2 to 6 classes, in either precision, many with ties, zeros and ones. */
function batchOf(): fc.Arbitrary<Predictions> {
  return fc
    .record({
      n: fc.integer({ min: 1, max: 40 }),
      classes: fc.integer({ min: 2, max: 6 }),
      seed: fc.nat(),
      coarse: fc.boolean(),
      single: fc.boolean(),
    })
    .map(({ n, classes, seed, coarse, single }) => {
      const random = new Random(seed);
      const values = single ? new Float32Array(n * classes) : new Float64Array(n * classes);
      const labels = new Int32Array(n);
      for (let i = 0; i < n; i++) {
        // Coarse rows are of quarters.
        const row = Array.from({ length: classes }, () => (coarse ? 0 : random.uniform() ** 3));
        if (coarse) for (let j = 0; j < 4; j++) row[random.below(classes)]! += 1;
        const sum = row.reduce((a, b) => a + b);
        values.set(
          row.map((v) => v / sum),
          i * classes,
        );
        labels[i] = random.below(classes);
      }
      return predictions(values, labels, { classes });
    });
}

function sorted(p: Predictions): ByConfidence {
  const { confidence, correct } = topLabels(p);
  return byConfidence(confidence, correct);
}

/** Each sample as often as its count says. */
function repeat(p: Predictions, counts: ArrayLike<number>): Predictions {
  const rows = Array.from(p.labels, (_, i) => i).flatMap((i) => Array<number>(counts[i]!).fill(i));
  return select(p, rows);
}

/** The samples at `rows`, in that order. */
function select(p: Predictions, rows: readonly number[]): Predictions {
  const Kind = p.probabilities.constructor as new (n: number) => Float32Array | Float64Array;
  const values = new Kind(rows.length * p.classes);
  rows.forEach((i, at) => {
    values.set(p.probabilities.subarray(i * p.classes, (i + 1) * p.classes), at * p.classes);
  });
  return { probabilities: values, labels: Int32Array.from(rows, (i) => p.labels[i]!), classes: p.classes };
}

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import cases from '../../test/fixtures/metrics/cases.json' with { type: 'json' };
import statistics from '../../test/fixtures/metrics/statistics.json' with { type: 'json' };
import { equalWidth } from './calibration.ts';
import {
  auroc,
  balancedAccuracy,
  brier,
  calibrationError,
  classwiseEce,
  confidenceGap,
  confusionMatrix,
  ece,
  eceEqualMass,
  type Floats,
  holm,
  mce,
  mcnemar,
  nll,
  predictions,
  quantile,
  reliabilityBins,
  top1,
  topK,
  truthDistance,
} from './index.ts';

/** Exact up to the order of fp64 sums. */
const FP64 = 12;
/** torchmetrics adds up in fp32. */
const FP32 = 6;

// Test values come from torchmetrics, scikit-learn, SciPy, statsmodels and NumPy: test/oracle/metrics.py.
for (const Kind of [Float32Array, Float64Array]) {
  describe.each(cases)(`$name, ${Kind.name}`, ({ probabilities, labels, classes, expected, ...more }) => {
    // The fixture's numbers are fp32 ones, so both precisions hold them exactly.
    const values: Floats = Kind.from(probabilities);
    const p = predictions(values, labels, { classes });

    test('accuracy', () => {
      expect(top1(p)).toBeCloseTo(expected.top1, FP64);
      expect(balancedAccuracy(p)).toBeCloseTo(expected.balancedAccuracy, FP64);
      expect([...confusionMatrix(p)]).toEqual(expected.confusion);
      expected.topK?.forEach((value, i) => {
        expect(topK(p, i + 1)).toBeCloseTo(value, FP32);
      });
      expect(topK(p, classes)).toBe(1);
    });

    test('AUROC', () => {
      const { perClass, macro } = auroc(p);
      expect(perClass.map((a) => a === null)).toEqual(expected.auroc.map((a) => a === null));
      perClass.forEach((a, k) => {
        if (a !== null) expect(a).toBeCloseTo(expected.auroc[k]!, FP64);
      });
      const defined = expected.auroc.flatMap((a) => (a === null ? [] : [a]));
      if (defined.length === 0) expect(macro).toBeNull();
      else expect(macro).toBeCloseTo(defined.reduce((a, b) => a + b) / defined.length, FP64);
    });

    test('NLL, Brier, confidence gap', () => {
      expect(nll(p)).toBeCloseTo(expected.nll, FP64);
      expect(brier(p)).toBeCloseTo(expected.brier, FP64);
      expect(confidenceGap(p)).toBeCloseTo(expected.confidenceGap, FP64);
      if (expected.eceEqualMass10 !== undefined) {
        expect(eceEqualMass(p, { bins: 10 })).toBeCloseTo(expected.eceEqualMass10, FP64);
      }
    });

    test.each(expected.calibration)('calibration as torchmetrics bins it, $bins bins', (of) => {
      const options = { bins: of.bins, edges: 'torchmetrics' } as const;
      const bins = reliabilityBins(p, options);
      for (const norm of ['l1', 'l2', 'max'] as const) {
        expect(calibrationError(bins, norm)).toBeCloseTo(of.torchmetrics[norm], FP32);
      }
      classwiseEce(p, options).perClass.forEach((e, k) => {
        expect(e).toBeCloseTo(of.classwiseTorchmetrics[k]!, FP32);
      });
    });

    // The edges of fp64 input are the fp64 ones, which no fp32 number is exactly on: another definition, other counts.
    if (Kind === Float32Array) {
      test.each(expected.calibration)('calibration by definition, $bins bins', (of) => {
        expect(reliabilityBins(p, of).map((b) => b.count)).toEqual(of.rightClosed.counts);
        expect(ece(p, of)).toBeCloseTo(of.rightClosed.ece, FP64);
        expect(mce(p, of)).toBeCloseTo(of.rightClosed.mce, FP64);
        classwiseEce(p, of).perClass.forEach((e, k) => {
          expect(e).toBeCloseTo(of.classwiseRightClosed[k]!, FP64);
        });
      });
    }

    const { truth } = expected;
    if (truth !== undefined) {
      test('distance to the truth', () => {
        const distance = truthDistance(p, Float64Array.from(more.posterior!));
        expect(distance.totalVariation).toBeCloseTo(truth.totalVariation, FP64);
        expect(distance.kl).toBeCloseTo(truth.kl, FP32); // SciPy normalises p, which here sums to 1 in fp32.
        expect(distance.squaredError).toBeCloseTo(truth.squaredError, FP64);
        expect(distance.ece).toBeCloseTo(truth.ece, FP64);
      });
    }
  });
}

describe('statistics', () => {
  test.each(statistics.mcnemar)('McNemar, $onlyFirst against $onlySecond', ({ onlyFirst, onlySecond, p }) => {
    const first = [...Array(onlyFirst).fill(1), ...Array(onlySecond).fill(0), 1, 0];
    const second = [...Array(onlyFirst).fill(0), ...Array(onlySecond).fill(1), 1, 0];
    const result = mcnemar(first, second);
    expect(result).toMatchObject({ onlyFirst, onlySecond });
    expect(result.p).toBeCloseTo(p, 10);
    if (p > 0) expect(result.p / p).toBeCloseTo(1, 9);
  });

  test.each(statistics.holm)('Holm, $p', ({ p, corrected }) => {
    holm(p).forEach((x, i) => {
      expect(x).toBeCloseTo(corrected[i]!, FP64);
    });
  });

  test.each(statistics.quantile)('quantile $q of $values', ({ values, q, value }) => {
    expect(quantile(Float64Array.from(values), q)).toBeCloseTo(value, FP64);
  });

  test.each(statistics.linspace)("torch.linspace's fp32 edges, $bins bins", ({ bins, edges }) => {
    const cut = equalWidth({ bins, edges: 'torchmetrics' }, new Float32Array(0));
    expect([...cut.edges].slice(0, bins + 1)).toEqual(edges);
  });
});

const data = process.env.PENUMBRA_TEST_DATA;
// The last column: ECE with 10, 15 and 20 bins from torchmetrics' own code (`_ce_compute`) run in fp64.
describe.each([
  ['densenet-bc-100-cifar-100', 100, [0.1421528241381049, 0.14215282413810496, 0.1424837474480271]],
  ['lenet-5-cifar-10', 10, [0.10788788243085146, 0.10788788243085148, 0.10788788243085146]],
] as const)('trained network %s (needs PENUMBRA_TEST_DATA)', (name, classes, inDouble) => {
  test.skipIf(data === undefined)('accuracy, ECE, NLL and Brier of 10,000 images', () => {
    const folder = join(data!, 'calibration-oracle');
    const bytes = (file: string) => new Uint8Array(readFileSync(join(folder, file))).buffer;
    const p = predictions(
      new Float32Array(bytes(`${name}.probs.f32le.10000x${classes}.bin`)),
      new Int32Array(bytes(`${name}.labels.i32le.10000.bin`)),
    );
    const { sets } = JSON.parse(readFileSync(join(folder, 'expected_metrics.json'), 'utf8'));
    const expected = sets[name];
    expect(top1(p)).toBeCloseTo(expected.accuracy, FP64);
    expect(nll(p)).toBeCloseTo(expected.nll, FP32);
    expect(brier(p)).toBeCloseTo(expected.brier_sum, FP32);
    for (const [at, bins] of [10, 15, 20].entries()) {
      const theirs = reliabilityBins(p, { bins, edges: 'torchmetrics' });
      expect(calibrationError(theirs)).toBeCloseTo(inDouble[at]!, 10);
      // The stored values were added up in fp32, up to 7,000 numbers a bin: good to about 4e-6.
      expect(Math.abs(calibrationError(theirs, 'l1') - expected[`ece_l1_bins${bins}`])).toBeLessThan(5e-6);
      expect(Math.abs(calibrationError(theirs, 'l2') - expected[`ece_l2_bins${bins}`])).toBeLessThan(5e-6);
      expect(Math.abs(calibrationError(theirs, 'max') - expected[`ece_max_bins${bins}`])).toBeLessThan(5e-6);
      // The published bins differ only where a confidence is on an edge: 660 of the first network's are exactly 1, but
      // over-confident like their neighbours, so that the sum is the same.
      expect(ece(p, { bins })).toBeCloseTo(inDouble[at]!, 10);
    }
  });
});

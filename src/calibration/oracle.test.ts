import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import calibrators from '../../test/fixtures/calibration/calibrators.json' with { type: 'json' };
import certificates from '../../test/fixtures/calibration/certificates.json' with { type: 'json' };
import conformal from '../../test/fixtures/calibration/conformal.json' with { type: 'json' };
import wilsons from '../../test/fixtures/calibration/wilson.json' with { type: 'json' };
import { brier, ece, nll, predictions, top1 } from '../metrics/index.ts';
import {
  type CertificateMethod,
  type ConformalMethod,
  certificateMethods,
  certifiedRadius,
  certify,
  conformalSets,
  defaultCalibrators,
  fitCalibrator,
  fitConformal,
  logitsOf,
  wilson,
} from './index.ts';

// Test values come from PyTorch's L-BFGS, scikit-learn, SciPy and NumPy: test/oracle/calibration.py.
describe.each(calibrators)('$name', ({ classes, labels, expected, ...arrays }) => {
  const logits = Float64Array.from(arrays.logits);
  const others = Float64Array.from(arrays.others);
  const close = (got: Float32Array, wanted: readonly number[], digits = 6) => {
    expect(got).toHaveLength(wanted.length);
    wanted.forEach((v, i) => {
      expect(got[i]).toBeCloseTo(v, digits);
    });
  };

  test('temperature', () => {
    const { parameters } = fitCalibrator('temperature', logits, labels, classes);
    expect(parameters.temperature / expected.temperature).toBeCloseTo(1, 7);
  });

  test('vector, with a ridge', () => {
    const { ridge, scale, bias } = expected.vector;
    const { parameters, report } = fitCalibrator('vector', logits, labels, classes, {
      ridge,
      tolerance: 1e-10,
    });
    expect(report.converged).toBe(true);
    scale.forEach((v, k) => {
      expect(parameters.scale[k]).toBeCloseTo(v, 6);
      expect(parameters.bias[k]).toBeCloseTo(bias[k]!, 6);
    });
  });

  if (expected.vectorWithoutRidge !== undefined) {
    test('vector, without a ridge and with the default one', () => {
      const without = fitCalibrator('vector', logits, labels, classes, { ridge: 0 });
      close(without.apply(others), expected.vectorWithoutRidge, 5);
      close(fitCalibrator('vector', logits, labels, classes).apply(others), expected.vectorWithoutRidge, 3);
    });
  }

  test('isotonic', () => {
    close(fitCalibrator('isotonic', logits, labels, classes).apply(others), expected.isotonic);
  });

  test('histogram, equal width', () => {
    const { apply } = fitCalibrator('histogram', logits, labels, classes, { bins: 10 });
    close(apply(others), expected.histogram);
  });

  if (expected.histogramMass !== undefined) {
    test('histogram, equal mass', () => {
      const { apply } = fitCalibrator('histogram', logits, labels, classes, { bins: 10, binning: 'mass' });
      close(apply(others), expected.histogramMass!);
    });
  }
});

test.each(conformal)('$method sets of $classes classes, alpha $alpha', (c) => {
  const held = predictions(Float64Array.from(c.calibration), c.labels);
  const judged = predictions(Float64Array.from(c.test), c.testLabels);
  const options = { alpha: c.alpha, lambda: c.lambda, kReg: c.kReg, randomized: false };
  const predictor = fitConformal(c.method as ConformalMethod, held, options);
  if (c.quantile === null) expect(predictor.quantile).toBe(Number.POSITIVE_INFINITY);
  else expect(predictor.quantile).toBeCloseTo(c.quantile, 12);
  const { offsets, members } = predictor.predict(judged.probabilities);
  c.sets.forEach((set, i) => {
    expect([...members.subarray(offsets[i], offsets[i + 1])].sort((a, b) => a - b)).toEqual(set);
  });
  const result = conformalSets(c.method as ConformalMethod, held, judged, { ...options, replicates: 0 });
  expect(result.coverage.value).toBeCloseTo(c.coverage, 12);
  expect(result.meanSize.value).toBeCloseTo(c.meanSize, 12);
});

test.each(certificates)('certificates of $draws draws, sigma $sigma, range $range', (c) => {
  const samples = Float64Array.from(c.samples);
  const range = [c.range[0]!, c.range[1]!] as const;
  const options = { sigma: c.sigma, delta: c.delta, range };
  const got = certify(samples, c.draws, { ...options, radii: c.radii });
  expect(got.samplingError).toBeCloseTo(c.samplingError, 14);
  const all: Record<CertificateMethod, number[]> = c.bounds;
  for (const method of certificateMethods) {
    all[method].forEach((v, at) => {
      expect(got.bounds[method][at]).toBeCloseTo(v, 9);
    });
    const radii = certifiedRadius(samples, c.draws, { ...options, threshold: c.threshold, method });
    c.radius[method].forEach((r, i) => {
      expect(radii[i]).toBeLessThanOrEqual(r + 1e-9);
      expect(radii[i]).toBeCloseTo(r, 5);
    });
  }
  c.estimate.forEach((v, at) => {
    expect(got.estimate[at]).toBeCloseTo(v, 9);
  });
});

test.each(wilsons)("Wilson's interval of $successes of $n", ({ successes, n, level, low, high }) => {
  const got = wilson(successes, n, level);
  expect(got.value).toBe(successes / n);
  expect(got.low).toBeCloseTo(low, 10);
  expect(got.high).toBeCloseTo(high, 10);
});

const data = process.env.PENUMBRA_TEST_DATA;
describe.each([
  ['densenet-bc-100-cifar-100', 100],
  ['lenet-5-cifar-10', 10],
] as const)('trained network %s (needs PENUMBRA_TEST_DATA)', (name, classes) => {
  test.skipIf(data === undefined)('calibration on one half mends the other half', () => {
    const folder = join(data!, 'calibration-oracle');
    const bytes = (file: string) => new Uint8Array(readFileSync(join(folder, file))).buffer;
    const logits = logitsOf(new Float32Array(bytes(`${name}.probs.f32le.10000x${classes}.bin`)));
    const labels = new Int32Array(bytes(`${name}.labels.i32le.10000.bin`));
    const half = 5000;
    const fit = [logits.subarray(0, half * classes), labels.subarray(0, half)] as const;
    const judged = logits.subarray(half * classes);
    const measure = (p: Float32Array) => predictions(p, labels.subarray(half), { classes });
    const before = measure(Float32Array.from(judged, Math.exp));
    for (const calibrator of defaultCalibrators) {
      const fitted = fitCalibrator(calibrator, fit[0], fit[1], classes);
      const after = measure(fitted.apply(judged));
      expect(ece(after), calibrator).toBeLessThan(ece(before) / 2);
      // Bins throw away what tells the samples in them apart.
      if (calibrator !== 'histogram') expect(brier(after), calibrator).toBeLessThan(brier(before));
      if (calibrator === 'temperature' || calibrator === 'vector') {
        expect(fitted.report.nllAfter, calibrator).toBeLessThan(fitted.report.nllBefore);
        expect(nll(after), calibrator).toBeLessThan(nll(before));
      }
      if (calibrator !== 'temperature') continue;
      expect(top1(after)).toBeCloseTo(top1(before), 3); // Two fp32 probabilities can round to one.
      expect(fitted.parameters).toHaveProperty('temperature', expect.closeTo(classes === 100 ? 2.3 : 1.5, 0));
    }
    // The guarantee is for the mean over calibrations; one calibration on 5,000 is off by 0.5 points or so.
    for (const method of ['lac', 'aps', 'raps'] as const) {
      const held = predictions(Float32Array.from(fit[0], Math.exp), fit[1], { classes });
      const { coverage, meanSize } = conformalSets(method, held, before, { alpha: 0.1, replicates: 0 });
      expect(Math.abs(coverage.value! - 0.9), method).toBeLessThan(0.015);
      expect(meanSize.value!, method).toBeLessThan(classes / 2);
    }
  });
});

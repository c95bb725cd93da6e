import { describe, expect, test } from 'vitest';
import oracle from '../../test/fixtures/calibration/matrix.json' with { type: 'json' };
import { ece, nll, predictions } from '../metrics/index.ts';
import { Random } from '../random.ts';
import { fitCalibrator, loadCalibrator, registerCalibrator, softmax } from './index.ts';

describe.each(['matrix', 'dirichlet'] as const)('%s', (name) => {
  test('has the minimum that SciPy finds of the published objective', () => {
    const { classes, lam, mu, labels } = oracle;
    const logits = Float64Array.from(oracle.logits);
    const fitted = fitCalibrator(name, logits, labels, classes, { lambda: lam, mu, tolerance: 1e-9 });
    expect(fitted.report.converged).toBe(true);
    fitted.apply(Float64Array.from(oracle.others)).forEach((p, i) => {
      expect(p).toBeCloseTo(oracle[name].probabilities[i]!, 4);
    });
    const { weights, bias } = fitted.parameters;
    const off = weights.reduce((sum, w, at) => sum + (at % (classes + 1) === 0 ? 0 : w * w), 0);
    const penalty =
      (lam * off) / (classes * (classes - 1)) + (mu * bias.reduce((sum, b) => sum + b * b, 0)) / classes;
    expect(fitted.report.nllAfter + penalty).toBeCloseTo(oracle[name].value, 6);
  });

  test('mends classes that are mixed up, which a temperature cannot, and cross-validation keeps it from learning by heart', () => {
    const [small, large] = [mixedUp(1, 150), mixedUp(2, 3000)];
    const judged = mixedUp(3, 4000);
    const lossOf = (fit: ReturnType<typeof mixedUp>, calibrator: 'temperature' | typeof name, options = {}) =>
      nll(
        predictions(
          fitCalibrator(calibrator, fit.logits, fit.labels, 4, options).apply(judged.logits),
          judged.labels,
        ),
      );
    expect(lossOf(large, name)).toBeLessThan(lossOf(large, 'temperature') - 0.02);
    // Of 150 samples, 20 numbers without a penalty are worse than those that cross-validation held back.
    expect(lossOf(small, name)).toBeLessThan(lossOf(small, name, { lambda: 0, mu: 0 }));
    expect(fitCalibrator(name, small.logits, small.labels, 4).parameters.lambda).toBeGreaterThan(
      fitCalibrator(name, large.logits, large.labels, 4).parameters.lambda,
    );
  });

  test('of forty classes and few samples it falls back to temperature scaling, in seconds', () => {
    const [fit, judged] = [manyClasses(40, 400, 1), manyClasses(40, 1500, 2)];
    const started = process.cpuUsage();
    const fitted = fitCalibrator(name, fit.logits, fit.labels, 40);
    expect(process.cpuUsage(started).user / 1e6).toBeLessThan(6);
    const of = (calibrator: typeof fitted | ReturnType<typeof fitCalibrator>) =>
      predictions(calibrator.apply(judged.logits), judged.labels);
    const temperature = of(fitCalibrator('temperature', fit.logits, fit.labels, 40));
    expect(nll(of(fitted))).toBeLessThan(nll(temperature) + 0.01);
    expect(ece(of(fitted))).toBeLessThan(ece(temperature) + 0.01);
    expect(nll(of(fitCalibrator(name, fit.logits, fit.labels, 40, { lambda: 10 })))).toBeGreaterThan(
      nll(temperature) + 0.05,
    );
  }, 120_000);

  test('a great λ and μ leave factors on the diagonal alone', () => {
    const { logits, labels } = mixedUp(1, 300);
    const { weights, bias } = fitCalibrator(name, logits, labels, 4, { lambda: 1e6, mu: 1e6 }).parameters;
    weights.forEach((w, at) => {
      if (at % 5 !== 0) expect(Math.abs(w)).toBeLessThan(1e-4);
      else expect(w).toBeGreaterThan(0.05);
    });
    for (const b of bias) expect(Math.abs(b)).toBeLessThan(1e-4);
  });

  test('a class without samples keeps its own logit, and is named', () => {
    const { logits, labels } = mixedUp(1, 300);
    const { parameters, report } = fitCalibrator(
      name,
      logits,
      labels.map((y) => (y === 2 ? 0 : y)),
      4,
      { lambda: 0.1 },
    );
    expect(parameters.weights.slice(8, 12).map((w) => w > 0)).toEqual([false, false, true, false]);
    expect(report.warnings.join()).toContain('have no sample in the fit set (2)');
    expect(() => fitCalibrator(name, logits, labels, 4, { lambda: -1 })).toThrow('lambda must be');
  });
});

test('another calibrator is registered from outside, fitted, saved and loaded', () => {
  registerCalibrator('prior', {
    label: 'Prior',
    options: [],
    fit: ({ support, labels }) => ({
      parameters: Array.from(support, (count) => count / labels.length),
      report: { warnings: [] },
    }),
    valid: (p, classes): p is number[] => Array.isArray(p) && p.length === classes,
    apply: (p: number[], logits, classes, out) => {
      for (let i = 0; i < logits.length; i++) out[i] = p[i % classes]!;
    },
  });
  const fitted = fitCalibrator('prior', Float32Array.of(1, 0, 0, 1, 1, 0, 2, 0), [0, 1, 0, 0], 2);
  const loaded = loadCalibrator(JSON.parse(JSON.stringify(fitted)));
  expect([...loaded.apply(Float32Array.of(5, 5))]).toEqual([0.75, 0.25]);
  expect(() => registerCalibrator('temperature', null as never)).toThrow(
    'already a calibrator "temperature"',
  );
});

/** Logits that are over-confident and leak from each class into the next. */
function mixedUp(seed: number, n: number) {
  const random = new Random(seed, 5);
  const logits = new Float32Array(4 * n);
  const labels = new Int32Array(n);
  const truth = new Float64Array(4);
  const p = new Float32Array(4);
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < 4; k++) truth[k] = 1.5 * random.normal();
    softmax(truth, 4, 1, p);
    const u = random.uniform();
    let sum = 0;
    labels[i] = 3;
    for (let k = 3; k >= 0; k--) {
      sum += p[k]!;
      if (u < sum) {
        labels[i] = k;
        break;
      }
    }
    for (let k = 0; k < 4; k++) logits[4 * i + k] = 2 * truth[k]! + 1.2 * truth[(k + 1) % 4]!;
  }
  return { logits, labels };
}

/** Logits twice as sure as the truth that labels are drawn from. */
function manyClasses(classes: number, n: number, seed: number) {
  const random = new Random(seed);
  const logits = new Float64Array(n * classes);
  const labels = Array.from({ length: n }, (_, i) => {
    const centre = random.below(classes);
    const z = Float64Array.from({ length: classes }, (_, k) => random.normal() + (k === centre ? 4 : 0));
    const sum = z.reduce((all, v) => all + Math.exp(v), 0);
    logits.set(
      z.map((v) => 2 * v),
      i * classes,
    );
    let u = random.uniform() * sum;
    let y = 0;
    while (y < classes - 1 && (u -= Math.exp(z[y]!)) > 0) y++;
    return y;
  });
  return { logits, labels };
}

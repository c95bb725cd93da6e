import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { nll, predictions } from '../metrics/index.ts';
import { Random } from '../random.ts';
import { calibratorLabel, calibratorNames, fitCalibrator, loadCalibrator, softmax } from './index.ts';

describe.each(calibratorNames)('%s', (name) => {
  test('gives distributions, alike in fp32 and fp64, in place and from its file', () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 2, max: 6 }), fc.integer({ min: 1, max: 80 }), (seed, k, n) => {
        const { logits, labels } = draw(seed, n, k);
        const others = draw(seed + 1, 20, k).logits;
        const calibrator = fitCalibrator(name, logits, labels, k);
        const out = calibrator.apply(others);
        predictions(out, new Int32Array(20), { classes: k, tolerance: 1e-6 }); // Throws otherwise.
        const saved = JSON.parse(JSON.stringify(calibrator));
        expect(loadCalibrator(saved).apply(others)).toEqual(out);
        expect(JSON.parse(JSON.stringify(loadCalibrator(saved)))).toEqual(saved);
        const inPlace = others.slice();
        expect(calibrator.apply(inPlace, inPlace)).toBe(inPlace);
        expect(inPlace).toEqual(out);
        expect(calibrator.apply(Float64Array.from(others))).toEqual(out);
      }),
      { numRuns: 60 },
    );
  });

  test('reports the likelihood before and after', () => {
    const { logits, labels } = draw(1, 5000, 3);
    const { apply, report } = fitCalibrator(name, logits, labels, 3);
    expect(report.samples).toBe(5000);
    expect(report.nllBefore).toBeCloseTo(nll(predictions(softmax(logits, 3), labels)), 10);
    expect(report.nllAfter).toBeCloseTo(nll(predictions(apply(logits), labels)), 10);
    expect(report.nllAfter).toBeLessThan(report.nllBefore);
    expect(report.warnings).toEqual([]);
  });

  test('does not depend on the order of samples, nor on a constant added to a row', () => {
    const { logits, labels } = draw(2, 300, 4);
    const rows = new Random(3).shuffle(Array.from(labels, (_, i) => i));
    const shuffled = new Float32Array(logits.length);
    rows.forEach((i, to) => {
      shuffled.set(logits.subarray(i * 4, i * 4 + 4), to * 4);
    });
    const shuffledLabels = Int32Array.from(rows, (i) => labels[i]!);
    const out = fitCalibrator(name, logits, labels, 4).apply(logits);
    const other = fitCalibrator(name, shuffled, shuffledLabels, 4).apply(logits);
    for (let i = 0; i < out.length; i++) expect(other[i]).toBeCloseTo(out[i]!, 5);
    if (name === 'vector' || name === 'matrix') return; // Their factors see the constant.
    const raised = Float64Array.from(logits, (v, i) => v + (Math.floor(i / 4) % 7));
    const third = fitCalibrator(name, raised, labels, 4).apply(raised);
    for (let i = 0; i < out.length; i++) expect(third[i]).toBeCloseTo(out[i]!, 4);
  });

  test('refuses what it cannot be fitted on', () => {
    const { logits, labels } = draw(4, 10, 3);
    const attempt = (z: Float32Array, y: ArrayLike<number>, k = 3) => fitCalibrator(name, z, y, k);
    expect(() => attempt(new Float32Array(0), [])).toThrow('no samples');
    expect(() => attempt(logits, labels, 4)).toThrow('not rows of 4');
    expect(() => attempt(logits, labels.subarray(1))).toThrow('expected 27');
    expect(() => attempt(logits, labels, 1)).toThrow('not rows of 1 classes');
    expect(() =>
      attempt(
        logits,
        labels.map(() => 3),
      ),
    ).toThrow('Row 0: label 3');
    expect(() =>
      attempt(
        logits,
        Array.from(labels, () => 0.5),
      ),
    ).toThrow('label 0.5');
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      const broken = logits.slice();
      broken[7] = bad;
      expect(() => attempt(broken, labels)).toThrow(`Row 2, class 1: logit ${bad}`);
      expect(() => attempt(logits, labels).apply(broken)).toThrow('not finite');
    }
    expect(() => attempt(logits, labels).apply(logits.subarray(1))).toThrow('not rows of 3');
    expect(() => attempt(logits, labels).apply(logits, new Float32Array(3))).toThrow('out has 3');
    expect(() => fitCalibrator(name, logits, labels, 3, { bin: 3 } as object)).toThrow('no option "bin"');
  });

  test('refuses a file that is not its own', () => {
    const { logits, labels } = draw(4, 30, 3);
    const saved = JSON.parse(JSON.stringify(fitCalibrator(name, logits, labels, 3)));
    for (const [change, message] of [
      [{ version: 2 }, 'version is 2'],
      [{ name: 'platt' }, 'name is "platt"'],
      [{ name: 'toString' }, 'name is "toString"'],
      [{ classes: 1 }, 'classes is 1'],
      [{ parameters: null }, 'wrong parameters'],
      [{ parameters: {} }, 'wrong parameters'],
      [{ report: undefined }, 'report is missing'],
    ] as const) {
      expect(() => loadCalibrator({ ...saved, ...change })).toThrow(message);
    }
    if (name !== 'temperature')
      expect(() => loadCalibrator({ ...saved, classes: 4 })).toThrow('wrong parameters');
    expect(() => loadCalibrator(null)).toThrow('not an object');
  });
});

test('the example', () => {
  const logits = Float32Array.of(4, 0, 0, 4, 4, 0, 0, 4);
  const calibrator = fitCalibrator('temperature', logits, [0, 1, 1, 1], 2);
  expect(calibrator.apply(Float32Array.of(4, 0))[0]!.toFixed(4)).toBe('0.7500');
});

test('unknown names and wrong options', () => {
  const { logits, labels } = draw(4, 10, 3);
  expect(() => fitCalibrator('platt', logits, labels, 3)).toThrow('no calibrator "platt"');
  expect(() => calibratorLabel('toString')).toThrow('no calibrator "toString"');
  expect(calibratorLabel('temperature')).toBe('Temperature scaling');
  expect(() => fitCalibrator('temperature', logits, labels, 3, { min: 2, max: 1 })).toThrow('0 < min < max');
  expect(() => fitCalibrator('vector', logits, labels, 3, { ridge: -1 })).toThrow('ridge');
  expect(() => fitCalibrator('histogram', logits, labels, 3, { bins: 0 })).toThrow('bins');
  expect(() => fitCalibrator('histogram', logits, labels, 3, { binning: 'x' as 'mass' })).toThrow(
    'binning "x"',
  );
});

describe('a class without samples in the fit set', () => {
  const { logits, labels } = draw(6, 400, 4);
  const without = labels.map((y) => (y === 2 ? 0 : y));

  test.each(['vector', 'isotonic', 'histogram'] as const)(
    '%s says so, and the class stays possible',
    (name) => {
      const { apply, report } = fitCalibrator(name, logits, without, 4);
      expect(report.warnings.join()).toContain('1 of 4 classes have no sample in the fit set (2)');
      const likely = apply(Float32Array.of(-2, -2, 9, -2));
      expect(likely.indexOf(Math.max(...likely))).toBe(2);
    },
  );

  test('temperature needs none of each', () => {
    expect(fitCalibrator('temperature', logits, without, 4).report.warnings).toEqual([]);
  });

  test('one class only', () => {
    for (const name of calibratorNames) {
      const { apply } = fitCalibrator(
        name,
        logits,
        labels.map(() => 1),
        4,
      );
      predictions(apply(logits), labels); // Throws for what is not a distribution.
    }
  });
});

test('separable classes end at a finite vector, thanks to the ridge', () => {
  const logits = Float32Array.of(3, 0, 4, 1, 0, 3, -1, 2);
  const { parameters, report } = fitCalibrator('vector', logits, [0, 0, 1, 1], 2);
  expect(report.converged).toBe(true);
  expect(report.warnings.join()).toContain('bound');
  expect(parameters.scale.every((v) => Math.abs(v) < 1000)).toBe(true);
});

test('steps that run out are told', () => {
  const { logits, labels } = draw(7, 400, 4);
  const { report } = fitCalibrator('vector', logits, labels, 4, { maxIterations: 2 });
  expect(report).toMatchObject({ converged: false, iterations: 2 });
  expect(report.warnings.join()).toContain('stopped after 2 steps');
});

test('isotonic pools violators and ties, and is linear between points', () => {
  // Probabilities of class 1: 0.1, 0.2, 0.2, 0.6, 0.9 with outcomes 0, 1, 0, 0, 1.
  const p = [0.1, 0.2, 0.2, 0.6, 0.9];
  const logits = Float64Array.from(p.flatMap((v) => [Math.log(1 - v), Math.log(v)]));
  const { parameters } = fitCalibrator('isotonic', logits, [0, 1, 0, 0, 1], 2);
  const { x, y } = parameters.curves[1]!;
  expect(x.map((v) => +v.toFixed(6))).toEqual([0.1, 0.2, 0.6, 0.9]);
  expect(y.map((v) => +v.toFixed(6))).toEqual([0, 0.333333, 0.333333, 1]);
});

test('a row that no class has left keeps its softmax', () => {
  // Every class was right at 0.45 and wrong at 0.40 and 0.15.
  const rows = [0.45, 0.4, 0.15, 0.15, 0.45, 0.4, 0.4, 0.15, 0.45];
  const { apply } = fitCalibrator('isotonic', Float64Array.from(rows, Math.log), [0, 1, 2], 3);
  const judged = [0.36, 0.33, 0.31];
  apply(Float64Array.from(judged, Math.log)).forEach((v, k) => {
    expect(v).toBeCloseTo(judged[k]!, 6);
  });
  // Half-way between wrong and right in one class, which then has all.
  expect([...apply(Float64Array.from([0.425, 0.3, 0.275], Math.log))]).toEqual([1, 0, 0]);
});

/** Over-confident logits on a coarse grid, so that there are ties, and labels of every class (if n allows). */
function draw(seed: number, n: number, k: number) {
  const random = new Random(seed, n, k);
  const logits = new Float32Array(n * k);
  const labels = new Int32Array(n);
  for (let i = 0; i < n; i++) {
    labels[i] = i < k ? i : random.below(k);
    for (let c = 0; c < k; c++)
      logits[i * k + c] = Math.round(20 * (random.normal() + (c === labels[i] ? 1 : 0))) / 8;
  }
  return { logits, labels };
}

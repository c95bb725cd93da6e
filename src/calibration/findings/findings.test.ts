import { describe, expect, test } from 'vitest';
import oracle from '../../../test/fixtures/calibration/findings.json' with { type: 'json' };
import { Random } from '../../random.ts';
import {
  findingCalibratorLabel,
  findingCalibratorNames,
  fitFindingCalibrator,
  loadFindingCalibrator,
  registerFindingCalibrator,
} from './index.ts';
import { sigmoid } from './sigmoid.ts';

const { findings: k, columns, at } = oracle;
const logits = Float64Array.from(oracle.logits);
const known = { values: Float64Array.from(oracle.values), mask: Uint8Array.from(oracle.mask) };
/** The same logits for every finding. */
const grid = Float64Array.from({ length: at.length * k }, (_, i) => at[Math.floor(i / k)]!);

describe('as scikit-learn and SciPy have it, each finding on its known samples alone', () => {
  test.each(['platt', 'isotonic'] as const)('%s', (name) => {
    const calibrator = fitFindingCalibrator(name, logits, known, k);
    const out = calibrator.apply(grid);
    columns.forEach((column, j) => {
      expect(calibrator.report[j]).toMatchObject({ samples: column.samples, positives: column.positives });
      column[name].forEach((p, i) => {
        expect(out[i * k + j], `finding ${j} at ${at[i]}`).toBeCloseTo(p, name === 'platt' ? 5 : 6);
      });
    });
  });

  test('temperature', () => {
    const { parameters } = fitFindingCalibrator('temperature', logits, known, k);
    columns.forEach((column, j) => {
      expect((parameters[j] as { temperature: number }).temperature / column.temperature).toBeCloseTo(1, 9);
    });
  });
});

test('histogram: the mean of the samples in the same bin, ties together', () => {
  const z = [-2, -1, -1, -1, 0, 1, 2, 3];
  const values = [0, 0, 1, 0, 1, 1, 0, 1];
  const { parameters } = fitFindingCalibrator(
    'histogram',
    Float64Array.from(z),
    { values: Float64Array.from(values) },
    1,
    {
      bins: 4,
    },
  );
  // Bins of two: the second takes all three −1, and the third begins after them.
  expect(parameters[0]).toEqual({ edges: [0, 2], values: [0.25, 1, 0.5] });
  const rare = draw(4, 4000, 1, -4);
  const found = fitFindingCalibrator('histogram', rare.logits, rare, 1).parameters[0] as { values: number[] };
  expect(found.values).toHaveLength(15);
  expect(found.values.at(-1)).toBeGreaterThan(0.1);
});

describe.each(findingCalibratorNames)('%s', (name) => {
  test('mends what is over-confident and shifted, as far as it can', () => {
    const { logits: z, values, mask, truth } = draw(1, 20_000, 3, 0);
    const { apply, report } = fitFindingCalibrator(name, z, { values, mask }, 3);
    const p = apply(z);
    for (const { nllBefore, nllAfter } of report) expect(nllAfter).toBeLessThan(nllBefore!);
    if (name === 'temperature') return; // It has no offset.
    let error = 0;
    p.forEach((v, i) => {
      error += Math.abs(v - truth[i]!) / p.length;
    });
    expect(error).toBeLessThan(0.02);
  });

  test('gives the same from its file and in place, and does not see unknown values', () => {
    const { logits: z, values, mask } = draw(2, 300, 2, -1);
    const calibrator = fitFindingCalibrator(name, z, { values, mask }, 2);
    const saved = JSON.parse(JSON.stringify(calibrator));
    const out = calibrator.apply(z);
    expect(loadFindingCalibrator(saved).apply(z)).toEqual(out);
    expect(JSON.parse(JSON.stringify(loadFindingCalibrator(saved)))).toEqual(saved);
    const inPlace = z.slice();
    expect(calibrator.apply(inPlace, inPlace)).toEqual(out);
    const other = values.map((y, i) => (mask[i] === 0 ? Number.NaN : y));
    expect(JSON.stringify(fitFindingCalibrator(name, z, { values: other, mask }, 2))).toBe(
      JSON.stringify(calibrator),
    );
    expect(() => loadFindingCalibrator({ ...saved, name: 'nothing' })).toThrow('its name is "nothing"');
    expect(() => loadFindingCalibrator({ ...saved, findings: 3 })).toThrow('lacks parameters');
    expect(() => loadFindingCalibrator({ ...saved, parameters: [{}, {}] })).toThrow('wrong parameters');
    expect(() => loadFindingCalibrator(null)).toThrow('not an object');
  });

  test('a finding without positives or without known samples keeps its sigmoid, and is named', () => {
    const { logits: z, values } = draw(3, 60, 3, 0);
    const mask = new Uint8Array(180).fill(1);
    for (let i = 0; i < 60; i++) {
      values[i * 3 + 1] = 0;
      mask[i * 3 + 2] = 0;
    }
    const { apply, parameters, warnings, report } = fitFindingCalibrator(name, z, { values, mask }, 3);
    expect([parameters[0] === null, parameters[1], parameters[2]]).toEqual([false, null, null]);
    expect(warnings.join()).toContain('2 of 3 findings');
    expect(report[2]).toEqual({ samples: 0, positives: 0, nllBefore: null, nllAfter: null });
    const out = apply(z);
    for (let i = 0; i < 60; i++) expect(out[i * 3 + 1]).toBeCloseTo(sigmoid(z[i * 3 + 1]!), 6);
  });
});

test('what is separable stays finite', () => {
  const z = Float64Array.of(-3, -2, 2, 3);
  const { parameters } = fitFindingCalibrator('platt', z, { values: Float64Array.of(0, 0, 1, 1) }, 1);
  const { slope, offset } = parameters[0] as { slope: number; offset: number };
  expect(sigmoid(3 * slope + offset)).toBeLessThan(0.9);
  expect(slope).toBeGreaterThan(0);
});

test('the example, labels and wrong input', () => {
  const z = Float64Array.of(2, 1, -1, -2);
  const y = { values: Float64Array.of(1, 0, 1, 0) };
  expect(fitFindingCalibrator('platt', z, y, 1).apply(Float32Array.of(2))[0]!.toFixed(2)).toBe('0.60');
  expect(findingCalibratorLabel('platt')).toBe('Platt scaling');
  const attempt = (name: string, values = y.values, options = {}, findings = 1, scores = z) =>
    expect(() => fitFindingCalibrator(name, scores, { values }, findings, options));
  attempt('nothing').toThrow('no calibrator of findings "nothing"');
  attempt('platt', y.values, { bins: 2 }).toThrow('no option "bins"');
  attempt('histogram', y.values, { bins: 0 }).toThrow('bins must be');
  attempt('temperature', y.values, { min: 3, max: 2 }).toThrow('0 < min < max');
  attempt('platt', y.values, {}, 3).toThrow('not rows of 3');
  attempt('platt', Float64Array.of(1)).toThrow('1 values');
  attempt('platt', Float64Array.of(1, 2, 0, 0)).toThrow('Row 1, finding 0: 2 is not in [0, 1]');
  attempt('platt', y.values, {}, 1, Float64Array.of(1, Number.NaN, 0, 0)).toThrow(
    'Row 1, finding 0: logit NaN',
  );
});

test('another one is registered from outside', () => {
  registerFindingCalibrator('prevalence', {
    label: 'Prevalence',
    options: [],
    fit: ({ values }) => values.reduce((sum, y) => sum + y, 0) / values.length,
    valid: (p): p is number => typeof p === 'number',
    curve: (p) => () => p,
  });
  const calibrator = fitFindingCalibrator(
    'prevalence',
    Float64Array.of(1, 2, 3, 4),
    { values: Float64Array.of(1, 0, 0, 0) },
    1,
  );
  expect([
    ...loadFindingCalibrator(JSON.parse(JSON.stringify(calibrator))).apply(Float32Array.of(9)),
  ]).toEqual([0.25]);
  expect(() => registerFindingCalibrator('platt', null as never)).toThrow('already');
});

/** Logits twice as sure as the truth, and off by 1 in the end; a tenth unknown. */
function draw(seed: number, n: number, findings: number, shift: number) {
  const random = new Random(seed, 77);
  const size = n * findings;
  const truth = new Float64Array(size);
  const scores = new Float32Array(size);
  const values = new Float32Array(size);
  const mask = new Uint8Array(size);
  for (let i = 0; i < size; i++) {
    const z = random.normal() + shift;
    truth[i] = sigmoid(z);
    scores[i] = 2 * z + 1;
    values[i] = random.uniform() < truth[i]! ? 1 : 0;
    mask[i] = random.uniform() < 0.9 ? 1 : 0;
  }
  return { truth, logits: scores, values, mask };
}

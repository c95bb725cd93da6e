import { describe, expect, test } from 'vitest';
import { Random } from '../random.ts';
import {
  auroc,
  balancedAccuracy,
  brier,
  classwiseEce,
  compareSummaries as compare,
  confidenceGap,
  ece,
  eceEqualMass,
  FIGURES,
  mce,
  nll,
  type Predictions,
  predictions,
  summarize,
  top1,
  topK,
  truthDistance,
} from './index.ts';

/** Labels drawn from a known posterior; p ∝ posterior^sharpness, so that 1 is the truth and more is over-confident. */
function phantom(
  n: number,
  classes: number,
  sharpness: number,
  seed: number,
): { p: Predictions; posterior: Float64Array } {
  const random = new Random(seed);
  const posterior = new Float64Array(n * classes);
  const values = new Float32Array(n * classes);
  const labels = new Int32Array(n);
  for (let i = 0; i < n; i++) {
    const z = Array.from({ length: classes }, () => random.normal() * 1.5);
    posterior.set(softmax(z), i * classes);
    values.set(softmax(z.map((x) => x * sharpness)), i * classes);
    let u = random.uniform();
    let y = 0;
    while (y < classes - 1 && (u -= posterior[i * classes + y]!) > 0) y++;
    labels[i] = y;
  }
  return { p: predictions(values, labels), posterior };
}

function softmax(z: number[]): number[] {
  const e = z.map(Math.exp);
  const sum = e.reduce((a, b) => a + b);
  return e.map((x) => x / sum);
}

describe('summarize', () => {
  const { p, posterior } = phantom(600, 6, 2, 1);
  const summary = summarize(p, { posterior, replicates: 200, seed: 5 });

  test('each value is that of the pure function', () => {
    const expected = {
      top1: top1(p),
      top5: topK(p, 5),
      balancedAccuracy: balancedAccuracy(p),
      auroc: auroc(p).macro,
      nll: nll(p),
      brier: brier(p),
      ece: ece(p),
      eceEqualMass: eceEqualMass(p),
      mce: mce(p),
      classwiseEce: classwiseEce(p).ece,
      confidenceGap: confidenceGap(p),
    };
    for (const name of FIGURES) expect(summary[name].value, name).toBeCloseTo(expected[name]!, 12);
    const truth = truthDistance(p, posterior);
    for (const name of ['totalVariation', 'kl', 'squaredError', 'ece'] as const) {
      expect(summary.truth![name].value, name).toBeCloseTo(truth[name], 12);
    }
  });

  test('every figure has an interval, and the means lie inside theirs', () => {
    for (const name of FIGURES) {
      const { low, high } = summary[name];
      expect(high!, name).toBeGreaterThan(low!);
    }
    for (const name of ['top1', 'nll', 'brier', 'confidenceGap', 'auroc'] as const) {
      const { value, low, high } = summary[name];
      expect(low! < value! && value! < high!, name).toBe(true);
    }
  });

  test('survives JSON, and equal seeds give equal bytes', () => {
    const text = JSON.stringify(summary);
    expect(JSON.parse(text)).toEqual(summary);
    expect(JSON.stringify(summarize(p, { posterior, replicates: 200, seed: 5 }))).toBe(text);
  });

  test('an absent class has no AUROC and no recall, and the others keep theirs', () => {
    const few = predictions(
      [
        [0.7, 0.2, 0.1],
        [0.3, 0.6, 0.1],
        [0.6, 0.3, 0.1],
      ],
      [0, 1, 1],
    );
    const { perClass, auroc: area } = summarize(few, { replicates: 50 });
    expect(perClass[2]).toMatchObject({ support: 0, recall: null, auroc: null, ece: expect.closeTo(0.1, 6) });
    expect(area.value).toBeCloseTo(1, 12);
    const single = summarize(predictions([[0.7, 0.3]], [0]), { replicates: 10 });
    expect(single.auroc).toEqual({ value: null, low: null, high: null });
  });

  test('intervals only where asked for', () => {
    const some = summarize(p, { replicates: 20, intervals: ['top1', 'ece'] });
    expect(some.top1.low).not.toBeNull();
    expect(some.auroc).toMatchObject({ value: summary.auroc.value, low: null, high: null });
    expect(() => summarize(p, { intervals: ['f1' as 'ece'] })).toThrow('no figure "f1"');
  });

  test('more confidence than truth shows as over-confidence, less as under-confidence', () => {
    const sharp = summarize(phantom(4000, 5, 2, 2).p, { replicates: 100, intervals: ['confidenceGap'] });
    const flat = summarize(phantom(4000, 5, 0.4, 2).p, { replicates: 100, intervals: ['confidenceGap'] });
    expect(sharp.confidenceGap.low).toBeGreaterThan(0);
    expect(flat.confidenceGap.high).toBeLessThan(0);
  });

  test('the truth itself has no distance to the truth, and what it saves is exactly the distance', () => {
    const exact = phantom(20_000, 4, 1, 3);
    const sharp = phantom(20_000, 4, 1.5, 3);
    expect(truthDistance(exact.p, exact.posterior).kl).toBeLessThan(1e-9);
    const far = truthDistance(sharp.p, sharp.posterior);
    // E[NLL(p) − NLL(q)] = KL(q‖p), E[Brier(p) − Brier(q)] = Σ(p − q)²; same labels, so the noise is small.
    expect(nll(sharp.p) - nll(exact.p)).toBeCloseTo(far.kl, 1);
    expect(Math.abs(nll(sharp.p) - nll(exact.p) - far.kl)).toBeLessThan(0.02);
    expect(Math.abs(brier(sharp.p) - brier(exact.p) - far.squaredError)).toBeLessThan(0.01);
  });
});

describe('several runs', () => {
  const a = phantom(300, 4, 1, 4);
  const b = { ...a.p, probabilities: phantom(300, 4, 2, 4).p.probabilities };

  test('values are means over runs, bins pool them', () => {
    const both = summarize([a.p, b], { replicates: 50 });
    expect(both.runs).toBe(2);
    expect(both.ece.value).toBeCloseTo((ece(a.p) + ece(b)) / 2, 12);
    expect(both.bins.reduce((n, bin) => n + bin.count, 0)).toBe(600);
  });

  test('runs of other samples are refused', () => {
    expect(() => summarize([a.p, phantom(300, 4, 1, 5).p])).toThrow('Run 1 is not of the same samples');
    expect(() => compare(a.p, phantom(299, 4, 1, 4).p)).toThrow('not of the same samples');
    expect(() => summarize([])).toThrow('no runs');
  });

  test('compare: the over-confident method differs in ECE and not in accuracy', () => {
    const { figures, mcnemar, truth } = compare(b, a.p, { replicates: 400, posterior: a.posterior });
    expect(figures.top1).toMatchObject({ value: 0, p: 1 });
    expect(mcnemar).toEqual({ onlyFirst: 0, onlySecond: 0, p: 1 });
    expect(figures.nll.value).toBeCloseTo(nll(b) - nll(a.p), 12);
    expect(figures.ece.low).toBeGreaterThan(0);
    expect(figures.ece.p).toBeLessThan(0.05);
    expect(truth!.kl.low).toBeGreaterThan(0);
    expect(compare([a.p, b], b, { replicates: 5 }).mcnemar).toBeNull();
  });
});

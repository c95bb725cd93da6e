import { beforeAll, describe, expect, test } from 'vitest';
import type { Findings, OneOfK } from '../data/index.ts';
import { setThreads, type Tensor, tensor, tidy } from '../torch/index.ts';
import {
  classWeights,
  doubtLoss,
  expressDoubt,
  expressedDoubt,
  findings,
  oneOfK,
  reorder,
  samplingWeights,
  taskOf,
  weigh,
} from './index.ts';

const labels: OneOfK = {
  kind: 'one-of-k',
  names: ['a', 'b', 'c'],
  values: Int32Array.of(0, 0, 0, 1, 2, 0, 1, 0),
};
const chest: Findings = {
  kind: 'findings',
  names: ['Edema', 'Mass'],
  values: Float32Array.of(1, 0, 0, 0, 0, 0.8, 0, 0, 1, 1, 0, 0),
  mask: Uint8Array.of(1, 1, 1, 0, 1, 1, 1, 1, 1, 1, 0, 1),
  rates: Float32Array.of(0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, -0.1, -0.2),
};
const array = (values: Tensor) => Array.from(values.toTypedArray() as Float32Array, Number);
const logits = (columns: number, rows: number) =>
  tensor(Float32Array.from({ length: columns * rows }, (_, i) => 2 * Math.sin(3 * i + 1))).view([
    -1,
    columns,
  ]);
const sigmoid = (z: number) => 1 / (1 + Math.exp(-z));

beforeAll(() => setThreads(1));

test('targets are gathered in the order of the rows that are asked for', () => {
  tidy(() => {
    const some = oneOfK.gather(labels, Int32Array.of(4, 0), 'cpu');
    expect(some.kind === 'one-of-k' && array(some.labels)).toEqual([2, 0]);
    const batch = findings.gather(chest, Int32Array.of(4, 2), 'cpu');
    if (batch.kind !== 'findings') throw new Error('findings');
    expect(array(batch.values)).toEqual([1, 1, 0, Math.fround(0.8)]);
    expect(array(batch.mask!)).toEqual([1, 1, 1, 1]);
    expect(batch.rates!.shape).toEqual([2, 2]);
    const turned = reorder(findings.gather(chest, undefined, 'cpu'), tensor([5, 1], { dtype: 'int64' }));
    expect(turned.kind === 'findings' && array(turned.mask!)).toEqual([0, 1, 1, 0]);
  });
  expect(() => oneOfK.gather(chest, undefined, 'cpu')).toThrow(
    expect.objectContaining({ code: 'tasks/kind' }),
  );
  expect(() => taskOf('findings').gather(labels, undefined, 'cpu')).toThrow(/expected targets of findings/);
});

describe('cross-entropy', () => {
  test('of one label of K: the label, a smoothed label, and any distribution', () => {
    tidy(() => {
      const batch = oneOfK.gather(labels, undefined, 'cpu');
      const z = logits(3, 8);
      const p = oneOfK.probabilities(z).toArray() as number[][];
      const expected = (target: (y: number, k: number) => number) =>
        p.reduce(
          (sum, row, i) =>
            sum - row.reduce((s, q, k) => s + target(labels.values[i]!, k) * Math.log(q), 0) / 8,
          0,
        );
      for (const smoothing of [0, 0.3]) {
        const value = expected((y, k) => (1 - smoothing) * Number(y === k) + smoothing / 3);
        const target = oneOfK.label(batch, smoothing);
        expect(oneOfK.crossEntropy(z, target, batch).item()).toBeCloseTo(value, 5);
        expect(oneOfK.crossEntropy(z, oneOfK.dense(target, batch), batch).item()).toBeCloseTo(value, 5);
      }
    });
  });

  test('of findings: over known values, with soft targets', () => {
    tidy(() => {
      const batch = findings.gather(chest, undefined, 'cpu');
      const z = logits(2, 6);
      const flat = array(z);
      for (const smoothing of [0, 0.2]) {
        let [sum, known] = [0, 0];
        chest.values.forEach((y, at) => {
          if (chest.mask![at] === 0) return;
          const target = (1 - smoothing) * y + smoothing / 2;
          sum -= target * Math.log(sigmoid(flat[at]!)) + (1 - target) * Math.log(1 - sigmoid(flat[at]!));
          known++;
        });
        const target = findings.label(batch, smoothing);
        expect(findings.crossEntropy(z, target, batch).item()).toBeCloseTo(sum / known, 5);
      }
      expect(findings.terms(batch)).toBe(10);
      const right = chest.values.filter((y, at) => chest.mask![at] === 1 && flat[at]! > 0 === y > 0.5).length;
      expect(findings.correct(z, batch)).toBe(right);
    });
  });
});

describe('class weights', () => {
  test('balanced: of labels N / (K·n), of findings absent / present among what is known', () => {
    expect(Array.from(classWeights(labels, 'balanced'))).toEqual([8 / 15, 8 / 6, 8 / 3].map(Math.fround));
    // Edema: 2 present of 5 known; Mass: 1.8 of 5.
    expect(classWeights(chest, 'balanced')[0]).toBeCloseTo(3 / 2, 6);
    expect(classWeights(chest, 'balanced')[1]).toBeCloseTo(3.2 / 1.8, 6);
  });

  test('by name, scaled to a mean of 1 over the samples of labels', () => {
    const [a, b, c] = classWeights(labels, { c: 4 });
    expect((5 * a! + 2 * b! + c!) / 8).toBeCloseTo(1, 6);
    expect(c! / a!).toBeCloseTo(4, 5);
    expect(b).toBe(a);
    expect(Array.from(classWeights(chest, { Mass: 3 }))).toEqual([1, 3]);
    expect(() => classWeights(chest, { Masses: 3 })).toThrow(/no class or finding 'Masses'/);
    expect(() => classWeights(chest, { Mass: 0 })).toThrow(/above 0/);
  });

  test('weigh each sample’s loss, and the presence of each finding', () => {
    tidy(() => {
      const weights = tensor(Float32Array.of(1, 2, 3));
      const z = logits(3, 8);
      const p = oneOfK.probabilities(z).toArray() as number[][];
      const batch = weigh(oneOfK.gather(labels, undefined, 'cpu'), weights);
      const each = Array.from(labels.values, (y, i) => -Math.log(p[i]![y]!) * (y + 1));
      const mean = each.reduce((sum, value) => sum + value, 0) / 8;
      expect(oneOfK.crossEntropy(z, oneOfK.label(batch), batch).item()).toBeCloseTo(mean, 5);

      const y = logits(2, 6);
      const flat = array(y);
      const known = weigh(findings.gather(chest, undefined, 'cpu'), tensor(Float32Array.of(2, 5)));
      let sum = 0;
      chest.values.forEach((value, at) => {
        if (chest.mask![at] === 0) return;
        const weight = at % 2 === 0 ? 2 : 5;
        sum -= weight * value * Math.log(sigmoid(flat[at]!)) + (1 - value) * Math.log(1 - sigmoid(flat[at]!));
      });
      expect(findings.crossEntropy(y, findings.label(known), known).item()).toBeCloseTo(sum / 10, 5);
    });
  });
});

test('balanced sampling gives each class, and each sample’s rarest finding, the same share', () => {
  const shares = (weights: Float64Array, of: (i: number) => unknown) => {
    const sums = new Map<unknown, number>();
    weights.forEach((weight, i) => {
      sums.set(of(i), (sums.get(of(i)) ?? 0) + weight);
    });
    return [...sums.values()];
  };
  for (const share of shares(samplingWeights(labels, 'balanced'), (i) => labels.values[i]))
    expect(share).toBeCloseTo(1, 12);
  // Sample 4 has both, and Mass is known as often as Edema: two each; the first in order wins.
  const group = ['Edema', 'none', 'Mass', 'none', 'Edema', 'none'];
  for (const share of shares(samplingWeights(chest, 'balanced'), (i) => group[i]))
    expect(share).toBeCloseTo(1, 12);
  // Square root: between the data's shares and equal ones.
  for (const targets of [labels, chest]) {
    const [even, root] = [samplingWeights(targets, 'balanced'), samplingWeights(targets, 'sqrt')];
    root.forEach((weight, i) => {
      expect(weight).toBeCloseTo(Math.sqrt(even[i]!), 12);
    });
  }
});

describe('expressed doubt', () => {
  test('is the positive part of the rates, or of soft values 2·min(y, 1 − y)', () => {
    tidy(() => {
      const { rates: _, ...soft } = chest;
      const rates = array(expressedDoubt(findings.gather(chest, undefined, 'cpu')));
      expect(rates).toEqual(Array.from(chest.rates!, (r) => Math.max(0, r)));
      const values = array(expressedDoubt(findings.gather(soft, undefined, 'cpu')));
      values.forEach((doubt, i) => {
        expect(doubt).toBeCloseTo(2 * Math.min(chest.values[i]!, 1 - chest.values[i]!), 6);
      });
      const hard = { ...soft, values: soft.values.map(Math.round) };
      expect([chest, soft, hard, labels].map(expressDoubt)).toEqual([true, true, false, false]);
    });
  });

  test('is learnt by cross-entropy over known values, whatever weighs the findings', () => {
    tidy(() => {
      const z = logits(2, 6);
      const flat = array(z);
      let [sum, known] = [0, 0];
      chest.rates!.forEach((r, i) => {
        if (chest.mask![i] === 0) return;
        const doubt = Math.max(0, r);
        sum -= doubt * Math.log(sigmoid(flat[i]!)) + (1 - doubt) * Math.log(1 - sigmoid(flat[i]!));
        known++;
      });
      const batch = findings.gather(chest, undefined, 'cpu');
      expect(doubtLoss(z, batch).item()).toBeCloseTo(sum / known, 6);
      expect(doubtLoss(z, weigh(batch, tensor([3, 5]))).item()).toBeCloseTo(sum / known, 6);
    });
  });
});

import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Findings, LabelErrors } from '../data/index.ts';
import { Random } from '../random.ts';
import { findings } from '../tasks/index.ts';
import { Generator, noGrad, setThreads, type Tensor, tensor, tidy } from '../torch/index.ts';
import { createObjective, type ObjectiveRun, parseObjective } from './index.ts';

beforeAll(() => setThreads(1));

/** One finding a column: one sample. */
function one(values: readonly number[], rates: readonly number[], errors?: readonly LabelErrors[]): Findings {
  return {
    kind: 'findings',
    names: values.map((_, k) => `finding ${k}`),
    values: Float32Array.from(values),
    rates: Float32Array.from(rates),
    ...(errors && { errors }),
  };
}

function make(text: string, targets: Findings): ObjectiveRun {
  return createObjective(parseObjective(text), {
    task: findings,
    classes: targets.names.length,
    epochs: 1,
    samples: targets.values.length / targets.names.length,
    targets,
    device: 'cpu',
    generator: new Generator(0),
  });
}

/** dL/dz by finding, for one sample; L is the sum over findings. */
function slopes(text: string, z: readonly number[], targets: Findings): number[] {
  const objective = make(text, targets);
  const result = tidy(() => {
    const logits = tensor(Float32Array.from(z)).view([1, z.length]).requires_grad_();
    const batch = findings.gather(targets, undefined, 'cpu');
    objective.loss({ logits, targets: batch, indices: Int32Array.of(0), inputs: {}, epoch: 0 }).backward();
    return Array.from(logits.grad!.toTypedArray() as Float32Array, (slope) => slope * z.length);
  });
  objective.dispose();
  return result;
}

const error = fc.double({ min: 0, max: 0.3, noNaN: true });
const sigmoid = (z: number) => 1 / (1 + Math.exp(-z));

describe('over labels that are wrong as often as is known', () => {
  const cases = fc.record({
    z: fc.double({ min: -4, max: 4, noNaN: true }),
    truth: fc.constantFrom(0, 1),
    rate: fc.double({ min: 0, max: 0.95, noNaN: true }),
    falsePositive: error,
    miss: error,
  });

  test('the corrected rate has the expected gradient of the clean label with its doubt', () => {
    fc.assert(
      fc.property(cases, ({ z, truth, rate, falsePositive, miss }) => {
        // As good as without a bound.
        const gls = `gls:rates=data,falsePositive=${falsePositive},miss=${miss},cap=1e6`;
        const r = rate * 0.6; // corrected, |r| stays below 0.999
        const errors = truth === 1 ? miss : falsePositive;
        const [right, wrong] = slopes(gls, [z, z], one([truth, 1 - truth], [r, r]));
        const [clean] = slopes('soft', [z], one([truth], [r]));
        fc.pre(2 * Math.max(falsePositive, miss) < 0.99 * (1 - falsePositive - miss));
        expect((1 - errors) * right! + errors * wrong!).toBeCloseTo(clean!, 4);
      }),
      { numRuns: 200 },
    );
  });

  test('forward correction has its minimum where the clean label with its doubt has it, for any errors', () => {
    fc.assert(
      fc.property(cases, ({ truth, rate, falsePositive, miss }) => {
        fc.pre(rate > 0.01);
        const target = (1 - rate) * truth + rate / 2;
        const z = Math.log(target / (1 - target));
        const forward = `forward:falsePositive=${falsePositive},miss=${miss}`;
        const errors = truth === 1 ? miss : falsePositive;
        const [right, wrong] = slopes(forward, [z, z], one([truth, 1 - truth], [rate, rate]));
        expect((1 - errors) * right! + errors * wrong!).toBeCloseTo(0, 4);
      }),
      { numRuns: 200 },
    );
  });

  test('errors of the data are those of each finding, and of hedged statements apart', () => {
    const errors = [
      { falsePositive: 0.1, miss: 0.2, hedged: 0.05 },
      { falsePositive: 0, miss: 0, hedged: 0.3 },
    ];
    const z = [0.7, -0.4];
    for (const name of ['forward', 'gls:rates=data', 'gls:rates=data,bound=floor']) {
      const [definite] = slopes(name, z, one([1, 1], [0, 0], errors));
      const [told] = slopes(
        `${name}${name === 'forward' ? ':' : ','}falsePositive=0.1,miss=0.2`,
        z,
        one([1, 1], [0, 0]),
      );
      expect(definite).toBe(told);
      const hedges = slopes(name, z, one([1, 0], [0.4, 0.4], errors));
      const first = slopes(
        `${name}${name === 'forward' ? ':' : ','}error=0.05`,
        z,
        one([1, 0], [0.4, 0.4]),
      )[0];
      const second = slopes(
        `${name}${name === 'forward' ? ':' : ','}error=0.3`,
        z,
        one([1, 0], [0.4, 0.4]),
      )[1];
      expect(hedges).toEqual([first, second]);
    }
  });

  test('without errors both are cross-entropy on the expressed probability', () => {
    const targets = one([1, 0, 1, 0], [0, 0.3, 0.999, 0.5]);
    const z = [-3, 0.2, 5, 1];
    const plain = slopes('soft', z, targets);
    for (const name of ['gls:rates=data', 'gls:rates=data,error=0', 'forward:error=0']) {
      const found = slopes(name, z, targets);
      for (const [k, slope] of found.entries()) expect(slope).toBeCloseTo(plain[k]!, 6);
    }
    [1, 0.15, 0.5005, 0.25].forEach((p, k) => {
      expect(plain[k]).toBeCloseTo(sigmoid(z[k]!) - p, 5);
    });
  });
});

describe('rates below 0 stay bounded', () => {
  const loss = (text: string, z: number, y: number, r: number) => {
    const targets = one([y], [r]);
    const objective = make(text, targets);
    const value = tidy(() => {
      const logits = tensor(Float32Array.of(z)).view([1, 1]);
      const batch = findings.gather(targets, undefined, 'cpu');
      return objective
        .loss({ logits, targets: batch, indices: Int32Array.of(0), inputs: {}, epoch: 0 })
        .item();
    });
    objective.dispose();
    return value;
  };

  test('never below −|r|·cap/2, and as without a bound near z = 0', () => {
    for (const [y, r] of [
      [1, -0.5],
      [0, -0.5],
      [1, -0.999],
    ] as const) {
      for (const z of [-1e6, -30, -3, 0, 3, 30, 1e6])
        expect(loss('gls:rates=data,error=0', z, y, r)).toBeGreaterThanOrEqual((r * 5) / 2);
      const z = 0.1;
      const unbounded = Math.log1p(Math.exp(z)) - ((1 - r) * y + r / 2) * z;
      expect(loss('gls:rates=data,error=0', z, y, r)).toBeCloseTo(unbounded, 4);
    }
  });

  test('over wrong labels the loss has its minimum where the capped logit is the clean target’s', () => {
    const e = 0.15;
    const r = 0.1; // so that the target is 0.95
    const text = `gls:rates=data,error=${e}`;
    const at = (z: number) => (1 - e) * loss(text, z, 1, r) + e * loss(text, z, 0, r);
    const grid = Array.from({ length: 161 }, (_, i) => i / 16);
    const best = grid.reduce((least, z) => (at(z) < at(least) ? z : least));
    expect(best).toBeCloseTo(5 * Math.atanh(Math.log(0.95 / 0.05) / 5), 0.9);
    expect(at(1e4)).toBeGreaterThan(at(best) + 0.05);
    expect(at(-1e4)).toBeGreaterThan(at(best) + 0.05);
  });

  test('of a certain truth it never falls below its bound, and what is left to gain fades', () => {
    const e = 0.15;
    const text = `gls:rates=data,error=${e}`;
    const at = (z: number) => (1 - e) * loss(text, z, 1, 0) + e * loss(text, z, 0, 0);
    const least = Math.log1p(Math.exp(-5));
    for (const z of [0, 2, 5, 10, 100, 1e6]) expect(at(z)).toBeGreaterThan(least - 1e-5);
    expect(at(10) - at(1e6)).toBeLessThan(0.02);
    const unbounded = (z: number) => Math.log1p(Math.exp(-z));
    expect(at(1)).toBeCloseTo(unbounded(5 * Math.tanh(1 / 5)), 5);
  });
});

describe('a logistic model of labels that are wrong', () => {
  const N = 4000;
  const [slope, intercept] = [2, -1];
  const errors = { falsePositive: 0.05, miss: 0.3 };
  const random = new Random(1, 2, 3);
  const x = Float32Array.from({ length: N }, () => random.normal());
  const truth = Float32Array.from(x, (v) => Number(random.uniform() < sigmoid(slope * v + intercept)));
  const heard = truth.map((y) => {
    const flips = random.uniform() < (y === 1 ? errors.miss : errors.falsePositive);
    return flips ? 1 - y : y;
  });

  /** Slope and intercept that full-batch gradient descent finds. */
  function found(text: string, values: Float32Array): [number, number] {
    const targets: Findings = { kind: 'findings', names: ['x'], values, rates: new Float32Array(N) };
    const objective = make(text, targets);
    const weights = [0, 0];
    const inputs = tensor(x).view([N, 1]);
    const batch = findings.gather(targets, undefined, 'cpu');
    const indices = Int32Array.from({ length: N }, (_, i) => i);
    for (let step = 0; step < 150; step++) {
      tidy(() => {
        const leaf: Tensor = tensor(Float32Array.from(weights)).requires_grad_();
        const logits = inputs.mul(leaf.select(0, 0)).add(leaf.select(0, 1));
        objective.loss({ logits, targets: batch, indices, inputs: {}, epoch: 0 }).backward();
        const gradient = leaf.grad!.toTypedArray() as Float32Array;
        for (const k of [0, 1]) weights[k] = weights[k]! - 4 * gradient[k]!;
      });
    }
    inputs.dispose();
    noGrad(() => objective.dispose());
    return [weights[0]!, weights[1]!];
  }

  test('correction finds the clean model, where cross-entropy finds the labeler’s', () => {
    const clean = found('hard', truth);
    const plain = found('hard', heard);
    const options = `falsePositive=${errors.falsePositive},miss=${errors.miss}`;
    expect(plain[0]).toBeLessThan(clean[0] - 0.4);
    for (const name of [`forward:${options}`, `gls:rates=data,${options},cap=50`]) {
      const [w, b] = found(name, heard);
      expect(Math.abs(w - clean[0]), name).toBeLessThan(0.25);
      expect(Math.abs(b - clean[1]), name).toBeLessThan(0.2);
    }
    // Twice the errors overshoots: why the lower end of an interval is taken.
    const twice = found('forward:falsePositive=0.1,miss=0.45', heard);
    expect(Math.abs(twice[0] - clean[0])).toBeGreaterThan(0.5);
  });
});

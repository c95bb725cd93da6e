import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { unreleased } from '../../test/unreleased.ts';
import type { Findings, LabelErrors } from '../data/index.ts';
import { findings } from '../tasks/index.ts';
import { Generator, noGrad, setThreads, type Tensor, tensor, tidy } from '../torch/index.ts';
import {
  createObjective,
  type ObjectiveContext,
  type ObjectiveRun,
  objectiveDefinitions,
  parseObjective,
  type Seen,
} from './index.ts';

/** From test/oracle/objectives_findings.py. */
interface Oracle {
  /** K. */
  readonly findings: number;
  readonly batchesPerEpoch: number;
  /** Of each finding. */
  readonly errors: readonly LabelErrors[];
  readonly batches: readonly Readonly<
    Record<'logits' | 'values' | 'mask' | 'rates' | 'teacher', readonly number[]>
  >[];
  readonly cases: Readonly<
    Record<string, readonly { loss: number; gradient: number[]; targets?: number[]; counts?: number[] }[]>
  >;
}

const oracle = JSON.parse(
  readFileSync(new URL('../../test/fixtures/objectives/findings.json', import.meta.url), 'utf8'),
) as Oracle;
const K = oracle.findings;
const names = Array.from({ length: K }, (_, k) => `finding ${k}`);

/** The targets of one batch. */
function targetsOf(number: number): Findings {
  const { values, mask, rates } = oracle.batches[number]!;
  return {
    kind: 'findings',
    names,
    values: Float32Array.from(values),
    mask: Uint8Array.from(mask),
    rates: Float32Array.from(rates),
    errors: oracle.errors,
  };
}

/** The training split: the batches of the first epoch. */
function training(): Findings {
  const parts = Array.from({ length: oracle.batchesPerEpoch }, (_, number) => targetsOf(number));
  return {
    kind: 'findings',
    names,
    values: Float32Array.from(parts.flatMap(({ values }) => [...values])),
    mask: Uint8Array.from(parts.flatMap(({ mask }) => [...mask!])),
    rates: Float32Array.from(parts.flatMap(({ rates }) => [...rates!])),
    errors: oracle.errors,
  };
}

function make(text: string, change: Partial<ObjectiveContext> = {}): ObjectiveRun {
  const targets = training();
  return createObjective(parseObjective(text), {
    task: findings,
    classes: K,
    epochs: 3,
    samples: targets.values.length / K,
    targets,
    device: 'cpu',
    generator: new Generator(0),
    ...change,
  });
}

/** One batch as the trainer shows it: the loss, then what the objective observes. */
function show(objective: ObjectiveRun, number: number, change: Partial<Findings> = {}) {
  const { logits, teacher } = oracle.batches[number]!;
  return tidy(() => {
    const matrix = (array: readonly number[]) => tensor(Float32Array.from(array)).view([-1, K]);
    const z = matrix(logits).clone().requires_grad_();
    const targets: Findings = { ...targetsOf(number), ...change };
    const samples = targets.values.length / K;
    const seen: Seen = {
      logits: z,
      targets: findings.gather(targets, undefined, 'cpu'),
      indices: Int32Array.from(
        { length: samples },
        (_, i) => (number % oracle.batchesPerEpoch) * samples + i,
      ),
      inputs: {},
      teacherLogits: matrix(teacher),
      doubtLogits: matrix(teacher),
      epoch: Math.floor(number / oracle.batchesPerEpoch),
    };
    const loss = objective.loss(seen);
    expect(loss.shape).toEqual([]);
    loss.backward();
    noGrad(() => objective.observe({ ...seen, logits: z.detach() }));
    return {
      loss: loss.item(),
      gradient: Array.from(z.grad!.toTypedArray() as Float32Array, (value) => value + 0),
    }; // −0 is 0
  });
}

const numbers = (state: ReadonlyMap<string, Tensor>, name: string) =>
  Array.from(state.get(name)!.toTypedArray() as Float32Array);

beforeAll(() => setThreads(1));

describe('losses, gradients and learnt targets of findings equal those of NumPy and PyTorch over three epochs', () => {
  test.each(Object.entries(oracle.cases))('%s', (text, steps) => {
    const objective = make(text);
    expect(steps).toHaveLength(oracle.batches.length);
    for (const [number, expected] of steps.entries()) {
      const found = show(objective, number);
      expect(found.loss, `loss ${number}`).toBeCloseTo(expected.loss, 5);
      for (const [i, value] of found.gradient.entries())
        expect(value, `gradient ${number}, ${i}`).toBeCloseTo(expected.gradient[i]!, 6);
      if ((number + 1) % oracle.batchesPerEpoch !== 0) continue;
      if (expected.counts !== undefined)
        expect(numbers(objective.stateDict(), 'counts')).toEqual(expected.counts);
      tidy(() => objective.endEpoch());
      for (const [i, value] of (expected.targets ?? []).entries())
        expect(numbers(objective.stateDict(), 'targets')[i], `target ${i}`).toBeCloseTo(value, 6);
    }
    objective.dispose();
  });
});

test('every objective that serves findings is in the fixture', () => {
  const serve = objectiveDefinitions().filter(({ tasks }) => tasks.includes('findings'));
  // Its shuffle is our own generator's: shuffled-rates.test.ts.
  const there = [...Object.keys(oracle.cases), 'soft-shuffled'];
  expect(new Set(there.map((text) => parseObjective(text).name))).toEqual(
    new Set(serve.map(({ name }) => name)),
  );
});

test.each(Object.keys(oracle.cases))('%s: what is not known changes nothing', (text) => {
  const [plain, other] = [make(text), make(text)];
  for (let number = 0; number < 6; number++) {
    const { values, mask } = oracle.batches[number]!;
    // A value of 1 in place of 0 wherever the mask is 0.
    const changed = Float32Array.from(values, (y, at) => (mask[at] === 1 ? y : 1));
    const found = show(plain, number);
    expect(show(other, number, { values: changed })).toEqual(found);
    found.gradient.forEach((slope, at) => {
      if (mask[at] === 0) expect(slope).toBe(0);
    });
    if (number === 2) for (const one of [plain, other]) tidy(() => one.endEpoch());
  }
  for (const one of [plain, other]) one.dispose();
});

test.each(Object.keys(oracle.cases))('%s of findings keeps what it has, and none after dispose', (text) => {
  const before = unreleased();
  const objective = tidy(() => make(text));
  const own = objective.stateDict().size;
  for (let number = 0; number < 6; number++) {
    show(objective, number);
    tidy(() => objective.endEpoch());
    expect(unreleased()).toBe(before + own);
  }
  objective.dispose();
  expect(unreleased()).toBe(before);
});

test('without a mask all values count, and without rates gls:rates=data says so', () => {
  const { values } = oracle.batches[0]!;
  const all = show(make('hard'), 0, { mask: Uint8Array.from(values, () => 1) });
  expect(show(make('hard'), 0, { mask: undefined })).toEqual(all);
  expect(() => show(make('gls:rates=data'), 0, { rates: undefined, errors: undefined })).toThrow(
    expect.objectContaining({ code: 'objectives/rates', hint: expect.stringContaining('gls:rate=0.1') }),
  );
});

test('a batch of which nothing is known has a loss of 0 and moves nothing', () => {
  const { values } = oracle.batches[0]!;
  for (const text of Object.keys(oracle.cases)) {
    const { loss, gradient } = show(make(text), 0, { mask: Uint8Array.from(values, () => 0) });
    expect(loss, text).toBe(0);
    for (const slope of gradient) expect(Math.abs(slope)).toBe(0);
  }
});

test('negative rates of the data stay bounded by the floor', () => {
  const objective = make('gls:rates=data,error=0,warmup=0,bound=floor,floor=0.01');
  const least = (rate: number) => rate * -Math.log(0.01);
  const lossAt = (z: number, rate: number) =>
    tidy(() => {
      const logits = tensor(Float32Array.of(z, z, z)).view([1, K]);
      const targets: Findings = {
        kind: 'findings',
        names,
        values: Float32Array.of(1, 1, 1),
        rates: Float32Array.of(rate, rate, rate),
      };
      const seen = { logits, targets: findings.gather(targets, undefined, 'cpu'), inputs: {}, epoch: 0 };
      return objective.loss({ ...seen, indices: Int32Array.of(0) }).item();
    });
  expect(lossAt(4, -0.4)).toBeLessThan(lossAt(0, -0.4));
  for (const z of [10, 100, 1e4]) expect(lossAt(z, -0.4)).toBeGreaterThanOrEqual(least(-0.4));
});

test('class-similarity smoothing serves one label of K, and says what serves findings', () => {
  expect(() => make('css')).toThrow(
    expect.objectContaining({
      code: 'objectives/task',
      message: 'css serves one label of K, and these data have findings',
      hint: expect.stringContaining('hard, ls, ols'),
    }),
  );
});

import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { unreleased } from '../../test/unreleased.ts';
import { oneOfK } from '../tasks/index.ts';
import { aten, Generator, noGrad, setThreads, type Tensor, tensor, tidy } from '../torch/index.ts';
import {
  createObjective,
  formatObjective,
  needsTeacher,
  type ObjectiveContext,
  type ObjectiveRun,
  objectiveDefinitions,
  objectiveLabel,
  objectiveNames,
  parseObjective,
  type Seen,
  teacherObjective,
} from './index.ts';

/** From test/oracle/objectives.py. */
interface Oracle {
  readonly classes: number;
  readonly batchesPerEpoch: number;
  readonly batches: readonly { logits: number[]; labels: number[]; teacher: number[] }[];
  readonly cases: Readonly<
    Record<string, readonly { loss: number; gradient: number[]; targets?: number[]; counts?: number[] }[]>
  >;
}

const oracle = JSON.parse(
  readFileSync(new URL('../../test/fixtures/objectives/losses.json', import.meta.url), 'utf8'),
) as Oracle;

function context(classes = oracle.classes, epochs = 3): ObjectiveContext {
  const names = Array.from({ length: classes }, (_, k) => `class ${k}`);
  const targets = { kind: 'one-of-k' as const, names, values: new Int32Array(24) };
  return { task: oneOfK, classes, epochs, samples: 24, targets, device: 'cpu', generator: new Generator(0) };
}

function make(text: string, classes?: number, epochs?: number): ObjectiveRun {
  return createObjective(parseObjective(text), context(classes, epochs));
}

/** Labels as the trainer shows them. */
function seenOf(labels: number[], classes = oracle.classes): Pick<Seen, 'targets' | 'indices' | 'inputs'> {
  return {
    targets: { kind: 'one-of-k', classes, labels: tensor(labels, { dtype: 'int64' }) },
    indices: Int32Array.from(labels.keys()),
    inputs: {},
  };
}

/** One batch as the trainer shows it: the loss, then what the objective observes. */
function show(objective: ObjectiveRun, number: number, shift = 0): { loss: number; gradient: number[] } {
  const { logits, labels, teacher } = oracle.batches[number]!;
  return tidy(() => {
    const z = tensor(Float32Array.from(logits, (value) => value + shift))
      .view([-1, oracle.classes])
      .clone()
      .requires_grad_();
    const batch = {
      logits: z,
      ...seenOf(labels),
      teacherLogits: tensor(Float32Array.from(teacher)).view([-1, oracle.classes]),
      epoch: Math.floor(number / oracle.batchesPerEpoch),
    };
    const loss = objective.loss(batch);
    expect(loss.shape).toEqual([]);
    loss.backward();
    noGrad(() => objective.observe({ ...batch, logits: z.detach() }));
    return { loss: loss.item(), gradient: Array.from(z.grad!.toTypedArray() as Float32Array) };
  });
}

function values(state: ReadonlyMap<string, Tensor>, name: string): number[] {
  return Array.from(state.get(name)!.toTypedArray() as Float32Array);
}

beforeAll(() => setThreads(1));

describe('losses, gradients and learnt targets equal those of NumPy over three epochs', () => {
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
        expect(values(objective.stateDict(), 'counts')).toEqual(expected.counts);
      tidy(() => objective.endEpoch());
      if (expected.targets === undefined) continue;
      for (const [i, value] of values(objective.stateDict(), 'targets').entries())
        expect(value, `target ${i}`).toBeCloseTo(expected.targets[i]!, 6);
      expect(values(objective.stateDict(), 'counts')).toEqual(
        expected.targets.map(() => 0).slice(0, oracle.classes),
      );
    }
    objective.dispose();
  });

  test('the fixture has a class that was never right and a class that froze', () => {
    const k = oracle.classes;
    const ends = (text: string) => oracle.cases[text]!.filter((step) => step.targets !== undefined);
    expect(ends('ols').map(({ counts }) => counts!.at(-1) === 0)).toEqual([false, true, true]);
    expect(ends('ols')[1]!.targets!.slice(-k)).toEqual(new Array(k).fill(1 / k));
    const frozen = ends('ols:variant=fine-grained').map(({ targets }) => targets![0]!);
    expect(frozen[0]).toBeGreaterThan(0.88);
    expect(new Set(frozen).size).toBe(1);
    expect(ends('ols')[1]!.targets![0]).toBeLessThan(0.88);
  });
});

test('every objective that serves one label of K is in the fixture', () => {
  const serving = objectiveDefinitions().filter(({ tasks }) => tasks.includes('one-of-k'));
  expect(new Set(Object.keys(oracle.cases).map((text) => parseObjective(text).name))).toEqual(
    new Set(serving.map(({ name }) => name)),
  );
});

test('ls with epsilon 0 is hard, and with 1 forgets the label', () => {
  expect(show(make('ls:epsilon=0'), 0)).toEqual(show(make('hard'), 0));
  const { gradient } = show(make('ls:epsilon=1'), 0);
  const uniform = 1 / oracle.classes;
  const first = gradient.slice(0, oracle.classes).map((value) => value * 8 + uniform);
  expect(first.reduce((sum, p) => sum + p, 0)).toBeCloseTo(1, 5); // p − 1/K, whatever the label was.
  for (const p of first) expect(p).toBeGreaterThan(0);
});

test('gls: a rate above 0 is label smoothing, 0 the hard label, and a negative one stays bounded', () => {
  expect(show(make('gls:rate=0.1'), 0)).toEqual(show(make('ls'), 0));
  expect(show(make('gls:rate=0'), 0)).toEqual(show(make('hard'), 0));
  const objective = make('gls:rate=-0.5,warmup=0');
  const lossAt = (margin: number) =>
    tidy(() => {
      const logits = tensor(Float32Array.from([margin, 0, 0, 0, 0])).view([1, 5]);
      const labels = [0];
      return objective.loss({ logits, ...seenOf(labels), epoch: 0 }).item();
    });
  const least = -0.5 * -Math.log(1e-4);
  expect(lossAt(5)).toBeLessThan(lossAt(0));
  for (const margin of [10, 100, 1e4]) expect(lossAt(margin)).toBeGreaterThanOrEqual(least);
  expect(lossAt(100)).toBeCloseTo(lossAt(1e4), 5);
});

test('gls lowers the learning rate after the warm-up of a negative rate, and only then', () => {
  const scales = (text: string) => [0, 1, 2].map((epoch) => make(text).learningRateScale(epoch));
  expect(scales('gls')).toEqual([1, 1, 0.1]);
  expect(scales('gls:rate=0.1')).toEqual([1, 1, 1]);
  expect(scales('gls:rate=-1,warmup=0.4,scale=0.5')).toEqual([1, 0.5, 0.5]);
});

test.each([
  ['gls', 1],
  ['gls:warmup=0.9', 5],
  ['gls:rate=0.4,warmup=0.99', 3],
])(
  '%s of %i epochs: the last epoch has its rate, and no epoch is hard labels in its name alone',
  (text, epochs) => {
    const k = oracle.classes;
    const objective = make(text, k, epochs);
    const lossIn = (one: ObjectiveRun, epoch: number) =>
      tidy(() => {
        const logits = tensor(Float32Array.from(oracle.batches[0]!.logits)).view([-1, k]);
        const labels = oracle.batches[0]!.labels;
        return one.loss({ logits, ...seenOf(labels), epoch }).item();
      });
    const hard = lossIn(make('hard'), 0);
    expect(Math.abs(lossIn(objective, epochs - 1) - hard)).toBeGreaterThan(0.01);
    for (let epoch = 0; epoch < epochs - 1; epoch++) expect(lossIn(objective, epoch)).toBe(hard);
  },
);

test('tfkd-reg: the virtual teacher is nearly uniform, as the documentation says', () => {
  const k = 165;
  // All of the loss is the divergence from the teacher, so its gradient at uniform probabilities is 1/K − q.
  const objective = make(`tfkd-reg:alpha=1,multiplier=${k}`, k);
  const gradient = tidy(() => {
    const logits = aten.zeros([1, k], { dtype: 'float64' }).requires_grad_();
    const labels = [7];
    objective.loss({ logits, ...seenOf(labels, k), epoch: 0 }).backward();
    return Array.from(logits.grad!.toTypedArray() as Float64Array);
  });
  gradient.forEach((value, y) => {
    expect(1 / k - value, `class ${y}`).toBeCloseTo(y === 7 ? 0.00637 : 0.00606, 5);
  });
});

test('self-training needs a teacher, and says so where there is none', () => {
  expect(objectiveNames().filter(needsTeacher)).toEqual(['tfkd-self', 'u-selftrained']);
  expect(teacherObjective('tfkd-self')).toBe('hard');
  expect(teacherObjective('u-selftrained')).toBe('u-ignore');
  expect(teacherObjective('ols')).toBeUndefined();
  const { logits, labels } = oracle.batches[0]!;
  tidy(() => {
    const batch = {
      logits: tensor(Float32Array.from(logits)).view([-1, oracle.classes]),
      ...seenOf(labels),
      epoch: 0,
    };
    expect(() => make('tfkd-self').loss(batch)).toThrow(
      expect.objectContaining({ code: 'objectives/teacher' }),
    );
  });
});

test('focal is finite, with its gradient, where the network is entirely sure', () => {
  for (const text of ['focal', 'focal:gamma=0.5', 'focal:gamma=0']) {
    tidy(() => {
      const logits = tensor(Float32Array.from([200, 0, 0, 0, 200, 0]))
        .view([2, 3])
        .clone()
        .requires_grad_();
      const labels = [0, 0];
      const loss = make(text, 3).loss({ logits, ...seenOf(labels, 3), epoch: 0 });
      loss.backward();
      expect(loss.item()).toBeCloseTo(100, 4);
      for (const value of logits.grad!.toTypedArray()) expect(Number.isFinite(value)).toBe(true);
    });
  }
});

test.each(Object.keys(oracle.cases))(
  '%s goes on from its saved state, also in the middle of an epoch',
  (text) => {
    const straight = make(text);
    const stopped = make(text);
    for (let number = 0; number < 4; number++) {
      for (const one of [straight, stopped]) {
        show(one, number);
        if (number === 2) tidy(() => one.endEpoch());
      }
    }
    const saved = new Map(Array.from(stopped.stateDict(), ([name, value]) => [name, value.clone()]));
    stopped.dispose();
    const resumed = make(text);
    resumed.loadStateDict(saved);
    for (let number = 4; number < 9; number++) {
      expect(show(resumed, number)).toEqual(show(straight, number));
      if (number % 3 === 2) for (const one of [straight, resumed]) tidy(() => one.endEpoch());
    }
    for (const [name, value] of straight.stateDict())
      expect(resumed.stateDict().get(name)!.equal(value)).toBe(true);
  },
);

test.each(Object.keys(oracle.cases))(
  '%s keeps the same number of tensors, and none after dispose',
  (text) => {
    const before = unreleased();
    const objective = tidy(() => make(text));
    const own = objective.stateDict().size;
    for (let number = 0; number < 9; number++) {
      show(objective, number);
      tidy(() => objective.endEpoch());
      expect(unreleased()).toBe(before + own);
    }
    objective.dispose();
    expect(unreleased()).toBe(before);
  },
);

test('learnt similarity does not change when a constant is added to the logits', () => {
  const [plain, shifted] = [make('css'), make('css')];
  for (let number = 0; number < oracle.batchesPerEpoch; number++) {
    show(plain, number);
    show(shifted, number, 3);
  }
  tidy(() => plain.endEpoch());
  tidy(() => shifted.endEpoch());
  const targets = values(plain.stateDict(), 'targets');
  // Not uniform: what the shift would have hidden.
  expect(Math.max(...targets.slice(1, 5)) - Math.min(...targets.slice(1, 5))).toBeGreaterThan(0.01);
  values(shifted.stateDict(), 'targets').forEach((value, i) => {
    expect(value).toBeCloseTo(targets[i]!, 5);
  });
  plain.dispose();
  shifted.dispose();
});

test('a state of another number of classes is refused before anything changes', () => {
  const objective = make('ols');
  const other = make('ols', 7);
  const error = expect.objectContaining({
    code: 'objectives/state',
    message: expect.stringContaining('5×5'),
  });
  expect(() => objective.loadStateDict(other.stateDict())).toThrow(error);
  expect(() => objective.loadStateDict(new Map())).toThrow(error);
  expect(values(objective.stateDict(), 'targets')).toEqual(new Array(25).fill(Math.fround(0.2)));
});

test('names and options as text, there and back', () => {
  for (const text of Object.keys(oracle.cases)) expect(formatObjective(parseObjective(text))).toBe(text);
  expect(parseObjective(' ols : variant = paper , alpha = 0.3 ')).toEqual({
    name: 'ols',
    options: { variant: 'paper', alpha: 0.3 },
  });
  expect(objectiveLabel('hard')).toBe('Hard labels');
  expect(objectiveLabel('ls:epsilon=0.2')).toBe('Label smoothing (epsilon 0.2)');
});

test.each([
  ['olz', 'objectives/unknown', /there is no objective 'olz'/],
  ['', 'objectives/unknown', /there is no objective ''/],
  ['constructor', 'objectives/unknown', /'constructor'/],
  ['focal:gamma=-1', 'objectives/option', /focal: gamma must be 0 or more, got -1/],
  ['gls:rate=1.1', 'objectives/option', /gls: rate must be 1 or less, got 1.1/],
  ['gls:rate=-Infinity', 'objectives/option', /gls: rate must be a finite number/],
  ['gls:warmup=1', 'objectives/option', /gls: warmup must be in \[0, 1\), got 1/],
  ['gls:rates=data,rate=0.1', 'objectives/option', /gls: rates=data takes no rate/],
  ['gls:scale=0', 'objectives/option', /gls: scale must be above 0, got 0/],
  ['gls:floor=0', 'objectives/option', /gls: floor must be in \(0, 1\), got 0/],
  ['tfkd-reg:alpha=2', 'objectives/option', /tfkd-reg: alpha must be in \[0, 1\], got 2/],
  ['tfkd-self:temperature=0', 'objectives/option', /tfkd-self: temperature must be above 0, got 0/],
  ['tfkd-self:multiplier=-1', 'objectives/option', /tfkd-self: multiplier must be above 0, got -1/],
  ['css:epsilon=2', 'objectives/option', /css: epsilon must be in \[0, 1\], got 2/],
  ['css:similarity=near', 'objectives/option', /css: there is no similarity 'near'/],
  ['css:temperature=0', 'objectives/option', /css: temperature must be above 0, got 0/],
  ['hard:alpha=1', 'objectives/option', /hard has no option 'alpha=1'/],
  ['ls:eps=0.1', 'objectives/option', /ls has no option 'eps=0.1'/],
  ['ls:epsilon', 'objectives/option', /ls has no option 'epsilon'/],
  ['ls:epsilon=0.1=2', 'objectives/option', /ls has no option 'epsilon=0.1=2'/],
  ['ls:', 'objectives/option', /ls has no option ''/],
  ['ls:epsilon=much', 'objectives/option', /ls: epsilon must be a number, got 'much'/],
  ['ls:epsilon=1.5', 'objectives/option', /ls: epsilon must be in \[0, 1\], got 1.5/],
  ['ls:epsilon=Infinity', 'objectives/option', /ls: epsilon/],
  ['ols:variant=fine', 'objectives/option', /ols: there is no variant 'fine'/],
  ['ols:alpha=-1', 'objectives/option', /ols: alpha must be in \[0, 1\], got -1/],
  ['ols:variant=fine-grained,alpha=0.5', 'objectives/option', /fine-grained.*takes no alpha/],
])('%j is an error that says why', (text, code, message) => {
  const tensors = unreleased();
  expect(() => parseObjective(text)).toThrow(
    expect.objectContaining({ code, message: expect.stringMatching(message) }),
  );
  expect(unreleased()).toBe(tensors);
});

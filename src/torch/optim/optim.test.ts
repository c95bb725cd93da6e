import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { distance, type Summary, summary, uniform, weights } from '../../../test/oracle/fill.ts';
import { unreleased } from '../../../test/unreleased.ts';
import { aten, fromTypedArray, Generator, Scope, setThreads, type Tensor, tensor, tidy } from '../index.ts';
import { BatchNorm2d, Conv2d, Linear, Module } from '../nn/index.ts';
import {
  Adam,
  AdamW,
  constant,
  cosine,
  Lion,
  multiStep,
  type Optimizer,
  type ParameterGroup,
  RMSprop,
  type Schedule,
  SGD,
  warmUp,
} from './index.ts';

const STEPS = 20;
const BATCH = 8;
const CLASSES = 3;
const TOLERANCE = 1e-5;

/** The network of test/oracle/optim.py. */
class Network extends Module {
  private readonly conv1: Conv2d;
  private readonly bn1: BatchNorm2d;
  private readonly conv2: Conv2d;
  private readonly fc: Linear;

  constructor() {
    super();
    const generator = new Generator(0);
    this.conv1 = this.child('conv1', new Conv2d(2, 6, 3, { generator, padding: 1 }));
    this.bn1 = this.child('bn1', new BatchNorm2d(6));
    this.conv2 = this.child('conv2', new Conv2d(6, 8, 3, { generator, stride: 2, padding: 1, bias: true }));
    this.fc = this.child('fc', new Linear(8, CLASSES, { generator }));
    tidy(() => {
      const state = Array.from(this.stateDict(), ([name, { shape }]): [string, Tensor] => [
        name,
        fromTypedArray(weights(name, shape), { shape }),
      ]);
      this.loadStateDict(new Map(state));
    });
  }

  override forward(input: Tensor): Tensor {
    const hidden = this.bn1.forward(this.conv1.forward(input)).tanh();
    return this.fc.forward(this.conv2.forward(hidden).tanh().mean([2, 3]));
  }

  /** No decay for biases and batch norms. */
  groups(): ParameterGroup[] {
    const all = [...this.namedParameters()];
    return [
      { parameters: new Map(all.filter(([, { ndim }]) => ndim > 1)) },
      { parameters: new Map(all.filter(([, { ndim }]) => ndim <= 1)), weightDecay: 0 },
    ];
  }
}

/** Step `step` of the oracle's training; its loss. */
function trainStep(net: Network, optimizer: Optimizer, rate: number, step: number): number {
  return tidy(() => {
    optimizer.learningRate = rate * (1 - step / (2 * STEPS));
    const images = fromTypedArray(uniform(`batch ${step}`, BATCH * 2 * 100), { shape: [BATCH, 2, 10, 10] });
    const labels = tensor(
      Array.from({ length: BATCH }, (_, i) => (step + i) % CLASSES),
      { dtype: 'int64' },
    );
    const loss = aten.cross_entropy_loss(net.forward(images), labels);
    optimizer.zeroGrad();
    loss.backward();
    optimizer.step();
    return loss.item();
  });
}

interface Trajectory {
  readonly losses: readonly number[];
  readonly parameters: Readonly<Record<string, Summary>>;
}

function fixture<T>(name: string): T {
  const path = new URL(`../../../test/fixtures/optim/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(path, 'utf8')) as T;
}

const optimizers: Readonly<Record<string, (net: Network) => Optimizer>> = {
  sgd: (net) => new SGD(net.namedParameters(), { learningRate: 0.1 }),
  'sgd, weight decay': (net) => new SGD(net.namedParameters(), { learningRate: 0.1, weightDecay: 0.05 }),
  'sgd, momentum': (net) =>
    new SGD(net.namedParameters(), { learningRate: 0.1, momentum: 0.9, weightDecay: 5e-4 }),
  'sgd, nesterov': (net) =>
    new SGD(net.namedParameters(), { learningRate: 0.1, momentum: 0.9, weightDecay: 5e-4, nesterov: true }),
  'sgd, groups': (net) =>
    new SGD(net.groups(), { learningRate: 0.1, momentum: 0.9, weightDecay: 0.05, nesterov: true }),
  adamw: (net) => new AdamW(net.namedParameters(), { learningRate: 0.01 }),
  'adamw, betas': (net) =>
    new AdamW(net.namedParameters(), { learningRate: 0.01, betas: [0.8, 0.95], eps: 1e-6, weightDecay: 0.2 }),
  'adamw, groups': (net) => new AdamW(net.groups(), { learningRate: 0.01, weightDecay: 0.2 }),
  adam: (net) => new Adam(net.namedParameters(), { learningRate: 0.01 }),
  'adam, weight decay': (net) =>
    new Adam(net.namedParameters(), { learningRate: 0.01, betas: [0.8, 0.95], eps: 1e-6, weightDecay: 0.2 }),
  rmsprop: (net) => new RMSprop(net.namedParameters(), { learningRate: 0.01 }),
  'rmsprop, momentum': (net) =>
    new RMSprop(net.namedParameters(), {
      ...{ learningRate: 0.003, alpha: 0.9, eps: 1e-6, momentum: 0.9, weightDecay: 0.1 },
    }),
  'rmsprop, groups': (net) => new RMSprop(net.groups(), { learningRate: 0.01, weightDecay: 0.1 }),
  lion: (net) => new Lion(net.namedParameters(), { learningRate: 0.003 }),
  'lion, weight decay': (net) =>
    new Lion(net.namedParameters(), { learningRate: 0.003, betas: [0.8, 0.95], weightDecay: 0.5 }),
};

beforeAll(() => setThreads(1));

describe('20 steps equal those of PyTorch', () => {
  const trajectories = fixture<Record<string, Trajectory>>('trajectories');

  test('every optimizer here is in the fixture, and the other way round', () => {
    expect(Object.keys(optimizers)).toEqual(Object.keys(trajectories));
  });

  test.each(Object.entries(trajectories))('%s', (name, oracle) => {
    const net = new Network();
    const optimizer = optimizers[name]!(net);
    const rate = optimizer.learningRate;
    for (const [step, expected] of oracle.losses.entries())
      expect(Math.abs(trainStep(net, optimizer, rate, step) / expected - 1), `loss ${step}`).toBeLessThan(
        TOLERANCE,
      );
    for (const [key, parameter] of net.namedParameters()) {
      const found = summary(key, parameter.toTypedArray() as Float32Array);
      expect(distance(found, oracle.parameters[key]!), key).toBeLessThan(TOLERANCE);
    }
    optimizer.dispose();
    net.dispose();
  });
});

test.each(Object.keys(optimizers))('%s goes on from its saved state bit for bit', (name) => {
  const straight = new Network().to({ memoryFormat: 'channels_last' });
  const broken = new Network().to({ memoryFormat: 'channels_last' });
  const first = optimizers[name]!(straight);
  const second = optimizers[name]!(broken);
  const rate = first.learningRate;
  for (let step = 0; step < 3; step++)
    for (const [net, one] of [
      [straight, first],
      [broken, second],
    ] as const)
      trainStep(net, one, rate, step);
  // The state as a file holds it: contiguous copies.
  const saved = new Map(Array.from(second.stateDict(), ([key, value]) => [key, value.contiguous().clone()]));
  second.dispose();
  const third = optimizers[name]!(broken);
  third.loadStateDict(saved);
  for (let step = 3; step < 6; step++) {
    expect(trainStep(broken, third, rate, step)).toBe(trainStep(straight, first, rate, step));
  }
  const others = broken.stateDict();
  for (const [key, value] of straight.stateDict()) expect(others.get(key)!.equal(value), key).toBe(true);
  const state = third.stateDict();
  expect([...state.keys()]).toEqual([...first.stateDict().keys()]);
  for (const [key, value] of first.stateDict()) expect(state.get(key)!.strides, key).toEqual(value.strides);
});

test('a step makes no tensor that stays, and dispose gives the state back', () => {
  const net = new Network();
  const before = unreleased();
  const optimizer = optimizers.adamw!(net);
  trainStep(net, optimizer, 0.01, 0);
  const parameters = net.parameters().length;
  // Two moments and a step count for each; gradients belong to their parameters.
  const after = unreleased();
  trainStep(net, optimizer, 0.01, 1);
  expect(unreleased()).toBe(after);
  expect(optimizer.stateDict().size).toBe(3 * parameters);
  optimizer.zeroGrad();
  for (const parameter of net.parameters()) expect(parameter.grad).toBeNull();
  optimizer.dispose();
  expect(unreleased()).toBeLessThanOrEqual(before);
});

test('a parameter without a gradient is left alone', () => {
  const used = aten.ones([2]).requires_grad_();
  const unused = aten.ones([2]).requires_grad_();
  const optimizer = new SGD(
    [
      ['used', used],
      ['unused', unused],
    ],
    { learningRate: 0.5, weightDecay: 0.1 },
  );
  tidy(() => used.mul(2).sum().backward());
  optimizer.step();
  expect(used.toArray()).toEqual([expect.closeTo(1 - 0.5 * 2.1, 6), expect.closeTo(1 - 0.5 * 2.1, 6)]);
  expect(unused.toArray()).toEqual([1, 1]);
});

test('wrong use is an error that says what', () => {
  const parameters = (): [string, Tensor][] => [['w', aten.ones([2]).requires_grad_()]];
  expect(() => new SGD(parameters(), { learningRate: -1 })).toThrow(
    'learning rate: expected a number ≥ 0, got -1',
  );
  expect(() => new SGD(parameters(), { learningRate: Number.NaN })).toThrow('got NaN');
  expect(() => new SGD([], { learningRate: 1 })).toThrow('no parameters were given');
  expect(() => new AdamW([{ parameters: new Map() }], { learningRate: 1 })).toThrow(
    'no parameters were given',
  );
  const optimizer = new SGD(parameters(), { learningRate: 1, momentum: 0.9 });
  expect(() => optimizer.loadStateDict(new Map([['momentum.v', aten.ones([2])]]))).toThrow(
    'unknown parameter: momentum.v',
  );
  expect(() => optimizer.loadStateDict(new Map([['momentum.w', aten.ones([3])]]))).toThrow(
    expect.objectContaining({ code: 'torch/optimizer', message: expect.stringContaining('momentum.w') }),
  );
});

describe('schedules equal those of PyTorch', () => {
  const schedules: Readonly<Record<string, Schedule>> = {
    'multi-step': multiStep([3, 7, 8], 0.2),
    cosine: cosine(10),
    'cosine, minimum': cosine(10, 0.05),
    'warm-up': warmUp(constant(), 4),
    'warm-up, multi-step': warmUp(multiStep([2, 6]), 3, 0.1),
  };
  test.each(Object.entries(fixture<Record<string, number[]>>('schedules')))('%s', (name, rates) => {
    for (const [epoch, rate] of rates.entries())
      expect(schedules[name]!(epoch), `epoch ${epoch}`).toBeCloseTo(rate, 12);
  });
});

test('schedules move inside an epoch, and end where they should', () => {
  const schedule = warmUp(cosine(4), 1);
  const values = Array.from({ length: 41 }, (_, i) => schedule(i / 10));
  expect(values[0]).toBeCloseTo(0.01, 12);
  expect(Math.max(...values)).toBe(values[10]);
  for (let i = 1; i < values.length; i++) expect(values[i]! > values[i - 1]!, `at ${i / 10}`).toBe(i <= 10);
  expect(values[40]).toBeCloseTo(0, 12);
  expect(cosine(4, 0.1)(9)).toBeCloseTo(0.1, 12);
  expect(() => cosine(0)).toThrow('cosine: expected a positive number of epochs, got 0');
});

test.each([
  [
    'SGD',
    (groups: ParameterGroup[], learningRate: number) => new SGD(groups, { learningRate, momentum: 0.9 }),
  ],
  ['Adam', (groups: ParameterGroup[], learningRate: number) => new Adam(groups, { learningRate })],
  ['AdamW', (groups: ParameterGroup[], learningRate: number) => new AdamW(groups, { learningRate })],
  [
    'Lion',
    (groups: ParameterGroup[], learningRate: number) => new Lion(groups, { learningRate, weightDecay: 0.1 }),
  ],
  ['RMSprop', (groups: ParameterGroup[], learningRate: number) => new RMSprop(groups, { learningRate })],
])('%s: a group with a factor moves as one by itself at that rate', (_, make) => {
  using _scope = new Scope();
  const parameter = () => fromTypedArray(uniform('parameter', 6), { shape: [6] }).requires_grad_();
  const run = (optimizer: Optimizer, ...parameters: Tensor[]) => {
    for (let step = 0; step < 3; step++) {
      optimizer.zeroGrad();
      for (const one of parameters) one.pow(3).sum().backward();
      optimizer.step();
    }
    optimizer.dispose();
  };
  const group = (name: string, one: Tensor) => ({ parameters: new Map([[name, one]]) });
  const [a, b, alone, slow] = [parameter(), parameter(), parameter(), parameter()];
  run(make([group('a', a), { ...group('b', b), learningRateFactor: 0.25 }], 0.25), a, b);
  run(make([group('a', alone)], 0.25), alone);
  run(make([group('a', slow)], 0.0625), slow);
  expect(a.equal(alone)).toBe(true);
  expect(b.equal(slow)).toBe(true);
  expect(a.equal(b)).toBe(false);
});

import { beforeAll, describe, expect, test } from 'vitest';
import { aten, Generator, memoryStatistics, noGrad, Scope, setThreads, type Tensor, tidy } from '../index.ts';
import { BatchNorm2d, Conv2d, chain, Linear, Sequential } from './index.ts';

beforeAll(() => setThreads(1));

function network(): Sequential {
  const generator = new Generator(3);
  return new Sequential(new Conv2d(2, 4, 3, generator, { bias: true }), new BatchNorm2d(4));
}

describe('modules', () => {
  test('name their parameters, buffers and state as PyTorch does', () => {
    const net = network();
    expect(Array.from(net.namedParameters(), ([name]) => name)).toEqual([
      '0.weight',
      '0.bias',
      '1.weight',
      '1.bias',
    ]);
    expect(Array.from(net.namedBuffers(), ([name]) => name)).toEqual([
      '1.running_mean',
      '1.running_var',
      '1.num_batches_tracked',
    ]);
    expect([...net.stateDict().keys()].sort()).toEqual(
      [...net.namedParameters(), ...net.namedBuffers()].map(([name]) => name).sort(),
    );
    expect(net.parameterCount).toBe(4 * 2 * 9 + 4 + 4 + 4);
    for (const parameter of net.parameters()) expect(parameter.requiresGrad).toBe(true);
    for (const [, buffer] of net.namedBuffers()) expect(buffer.requiresGrad).toBe(false);
  });

  test('batch norm learns its statistics in training only, and normalizes by the batch', () => {
    using _scope = new Scope();
    const norm = new BatchNorm2d(2, { momentum: 0.5 });
    const input = aten.arange(16).to({ dtype: 'float32' }).view([2, 2, 2, 2]);
    const output = norm.forward(input);
    // Channel 0 holds 0…3 and 8…11: mean 5.5, biased variance 17.25, unbiased 138/7.
    expect(norm.runningMean.toArray()).toEqual([expect.closeTo(2.75, 5), expect.closeTo(4.75, 5)]);
    expect((norm.runningVar.toArray() as number[])[0]).toBeCloseTo(0.5 + (0.5 * 138) / 7, 4);
    expect(norm.batches.item()).toBe(1);
    expect(output.mean([0, 2, 3]).abs().max().item()).toBeLessThan(1e-6);
    expect((output.toTypedArray() as Float32Array)[0]).toBeCloseTo(-5.5 / Math.sqrt(17.25 + 1e-5), 5);
    norm.eval();
    const evaluated = norm.forward(input);
    expect(norm.batches.item()).toBe(1);
    expect((evaluated.toTypedArray() as Float32Array)[0]).toBeCloseTo(
      -2.75 / Math.sqrt(0.5 + (0.5 * 138) / 7),
      4,
    );
  });

  test('train and eval reach every part', () => {
    const net = network();
    net.eval();
    expect(Array.from(net.modules(), ({ training }) => training)).toEqual([false, false, false]);
    net.train();
    expect(Array.from(net.modules(), ({ training }) => training)).toEqual([true, true, true]);
  });

  test('grouped convolutions have the weight of each group', () => {
    using _scope = new Scope();
    const conv = new Conv2d(4, 6, 3, new Generator(0), { groups: 2, stride: 2, padding: 1 });
    expect(conv.weight.shape).toEqual([6, 2, 3, 3]);
    expect(conv.forward(aten.ones([1, 4, 8, 8])).shape).toEqual([1, 6, 4, 4]);
  });

  test('to() changes the memory of the same tensors', () => {
    const net = network();
    const weight = net.parameters()[0]!;
    const before = weight.toTypedArray();
    const tensors = memoryStatistics().tensors;
    net.to({ memoryFormat: 'channels_last' });
    expect(net.parameters()[0]).toBe(weight);
    expect(weight.isContiguous('channels_last')).toBe(true);
    expect(weight.isContiguous()).toBe(false);
    expect(weight.requiresGrad).toBe(true);
    expect(weight.toTypedArray()).toEqual(before);
    expect(memoryStatistics().tensors).toBe(tensors);
  });

  test('zeroGrad forgets, dispose releases all', () => {
    const before = memoryStatistics().tensors;
    const net = network();
    tidy(() =>
      net
        .forward(aten.ones([2, 2, 5, 5]))
        .square()
        .sum()
        .backward(),
    );
    expect(net.parameters().every(({ grad }) => grad !== null)).toBe(true);
    net.zeroGrad();
    expect(net.parameters().every(({ grad }) => grad === null)).toBe(true);
    net.dispose();
    expect([...net.stateDict().values()].every(({ released }) => released)).toBe(true);
    expect(memoryStatistics().tensors).toBeLessThanOrEqual(before + 8); // The gradients that were looked at.
  });
});

describe('loading a state', () => {
  const state = (change: (state: Map<string, Tensor>) => void) => {
    const copy = new Map(
      Array.from(network().stateDict(), ([name, value]) => [name, noGrad(() => value.add(1))]),
    );
    change(copy);
    return copy;
  };

  test('copies every tensor', () => {
    const net = network();
    const other = state(() => {});
    expect(net.loadStateDict(other)).toEqual({ missing: [], unexpected: [], mismatched: [] });
    for (const [name, value] of net.stateDict()) {
      expect(value.equal(other.get(name)!), name).toBe(true);
      expect(value).not.toBe(other.get(name));
    }
  });

  test('names what does not fit, before anything changes', () => {
    const net = network();
    const before = net.parameters()[0]!.toTypedArray();
    const other = state((one) => {
      one.delete('1.bias');
      one.set('2.weight', aten.ones([1]));
      one.set('0.bias', aten.ones([5]));
    });
    expect(() => net.loadStateDict(other)).toThrow(
      'the weights do not fit the network: missing: 1.bias; unexpected: 2.weight; of another shape: 0.bias (5, expected 4)',
    );
    expect(net.parameters()[0]!.toTypedArray()).toEqual(before);
    const report = net.loadStateDict(other, { strict: false });
    expect(report).toEqual({ missing: ['1.bias'], unexpected: ['2.weight'], mismatched: ['0.bias'] });
    expect(net.stateDict().get('0.weight')!.equal(other.get('0.weight')!)).toBe(true);
  });

  test('a long list of names is cut', () => {
    expect(() => network().loadStateDict(new Map())).toThrow(/missing: .* and 2 more$/);
  });
});

test('chain lets go of what lies between, and neither of its input nor of its result', () => {
  using _scope = new Scope();
  const input = aten.ones([2, 3]);
  const between: Tensor[] = [];
  const linear = new Linear(3, 2, new Generator(0));
  const output = chain(
    input,
    (x) => x,
    (x) => {
      between.push(x.add(1));
      return between[0]!;
    },
    (x) => x.relu_(),
    linear,
  );
  expect(input.released).toBe(false);
  expect(between[0]!.released).toBe(true);
  expect(output.released).toBe(false);
  expect(output.shape).toEqual([2, 2]);
  expect(chain(input)).toBe(input);
});

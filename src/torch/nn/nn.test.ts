import { beforeAll, describe, expect, test } from 'vitest';
import { unreleased } from '../../../test/unreleased.ts';
import { aten, autocast, Generator, grad, noGrad, Scope, setThreads, type Tensor, tidy } from '../index.ts';
import {
  BatchNorm2d,
  Conv2d,
  chain,
  Dropout,
  hooked,
  LayerNorm,
  Linear,
  MultiheadAttention,
  relu_,
  relu6,
  Sequential,
} from './index.ts';

beforeAll(() => setThreads(1));

function network(): Sequential {
  const generator = new Generator(3);
  return new Sequential(new Conv2d(2, 4, 3, { generator, bias: true }), new BatchNorm2d(4));
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
    const conv = new Conv2d(4, 6, 3, { generator: new Generator(0), groups: 2, stride: 2, padding: 1 });
    expect(conv.weight.shape).toEqual([6, 2, 3, 3]);
    expect(conv.forward(aten.ones([1, 4, 8, 8])).shape).toEqual([1, 6, 4, 4]);
  });

  test('rows of layers are named by position or by key, and functions have a position but no name', () => {
    const generator = new Generator(0);
    const linear = () => new Linear(1, 1, { generator });
    const names = (row: Sequential) => Array.from(row.namedParameters(), ([name]) => name);
    expect(names(new Sequential(linear(), relu_, linear()))).toEqual([
      '0.weight',
      '0.bias',
      '2.weight',
      '2.bias',
    ]);
    const named = new Sequential({ first: linear(), act: relu_, 3: linear() });
    expect(names(named).sort()).toEqual(['3.bias', '3.weight', 'first.bias', 'first.weight']);
    using _scope = new Scope();
    noGrad(() => {
      for (const [i, parameter] of named.parameters().entries()) parameter.fill_(i - 1);
    });
    // Integer keys come first: -1·x + 0, then 1·x + 2, then ReLU.
    expect(named.forward(aten.full([1, 1], 5)).item()).toBe(0);
    expect(named.forward(aten.full([1, 1], 1)).item()).toBe(1);
    expect(new Sequential().forward(aten.ones([1])).item()).toBe(1);
  });

  test('layer norm gives each row mean 0 and variance 1, then scale and shift', () => {
    using _scope = new Scope();
    const norm = new LayerNorm(4, { eps: 0 });
    const input = aten.arange(8).to({ dtype: 'float32' }).square().view([2, 1, 4]);
    // 0, 1, 4, 9: mean 3.5, variance 12.25.
    const root = Math.sqrt(12.25);
    const first = [-3.5, -2.5, 0.5, 5.5].map((x) => expect.closeTo(x / root, 5));
    expect((norm.forward(input).toArray() as number[][][])[0]).toEqual([first]);
    noGrad(() => {
      norm.weight.fill_(2);
      norm.bias.fill_(1);
    });
    const scaled = [-3.5, -2.5, 0.5, 5.5].map((x) => expect.closeTo(1 + (2 * x) / root, 5));
    expect((norm.forward(input).toArray() as number[][][])[0]).toEqual([scaled]);
  });

  test('relu_ works in place, relu6 leaves its input', () => {
    using _scope = new Scope();
    const x = aten.arange(-2, 9).to({ dtype: 'float32' });
    expect(relu6(x).toArray()).toEqual([0, 0, 0, 1, 2, 3, 4, 5, 6, 6, 6]);
    expect((x.toArray() as number[]).at(-1)).toBe(8);
    expect(relu_(x)).toBe(x);
    expect(x.toArray()).toEqual([0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
  });

  test('strided depthwise convolutions of bfloat16 images are computed in single precision', () => {
    using _scope = new Scope();
    const conv = new Conv2d(4, 4, 3, {
      generator: new Generator(0),
      groups: 4,
      stride: 2,
      padding: 1,
      bias: true,
    });
    const images = aten.randn([2, 4, 9, 9], { generator: new Generator(1), dtype: 'bfloat16' });
    images.requires_grad_();
    const before = unreleased();
    const output = autocast(() => conv.forward(images));
    expect(unreleased()).toBe(before + 1);
    expect(output.dtype).toBe('bfloat16');
    const exact = aten.conv2d(
      images.to({ dtype: 'float32' }),
      conv.weight,
      conv.bias,
      [2, 2],
      [1, 1],
      [1, 1],
      4,
    );
    expect(output.equal(exact.to({ dtype: 'bfloat16' }))).toBe(true);
    const leaves = [images, ...conv.parameters()];
    const found = grad([output.to({ dtype: 'float32' }).sum()], leaves);
    for (const [i, expected] of grad([exact.sum()], leaves).entries()) {
      expect(found[i]!.dtype).toBe(leaves[i]!.dtype);
      expect(aten.allclose(found[i]!, expected!, 1e-5, 1e-6)).toBe(true);
    }
  });

  describe('convolutions of small images, as matrix products', () => {
    const shapes = [
      // images, inputs, height, width, outputs, kernel, stride, padding
      [3, 8, 2, 2, 16, 3, 1, 1],
      [2, 16, 4, 4, 8, 3, 2, 1],
      [2, 5, 7, 3, 6, 3, 1, 1],
      [1, 7, 9, 5, 3, 5, 2, 2],
      [4, 6, 4, 4, 10, 1, 2, 0],
      [4, 6, 4, 4, 10, 1, 1, 0],
      [2, 3, 16, 16, 5, 7, 2, 3],
      [2, 4, 3, 3, 4, 3, 1, 0],
    ];
    test.each(shapes)(
      '%i images of %i x %i x %i',
      (n, inputs, height, width, outputs, kernel, stride, padding) => {
        using _scope = new Scope();
        const generator = new Generator(1);
        const conv = new Conv2d(inputs!, outputs!, kernel!, { generator, stride, padding, bias: true });
        noGrad(() => conv.bias!.copy_(aten.randn([outputs!], { generator })));
        const images = aten.randn([n!, inputs!, height!, width!], { generator, dtype: 'bfloat16' });
        images.requires_grad_();
        const before = unreleased();
        const output = autocast(() => conv.forward(images));
        expect(unreleased()).toBe(before + 1);
        // The same in double precision, from the numbers that bfloat16 makes of the weights.
        const leaves = [images, conv.weight, conv.bias!];
        const doubles = leaves.map((leaf) =>
          leaf.detach().to({ dtype: 'bfloat16' }).to({ dtype: 'float64' }).requires_grad_(),
        );
        const [x, w, b] = doubles as [Tensor, Tensor, Tensor];
        const exact = aten.conv2d(x, w, b, [stride!, stride!], [padding!, padding!]);
        expect(output.shape).toEqual(exact.shape);
        expect(output.isContiguous('channels_last')).toBe(true);
        expect(aten.allclose(output.to({ dtype: 'float64' }), exact, 2 ** -8, 2 ** -6)).toBe(true);
        const upstream = aten.randn(exact.shape, { generator, dtype: 'bfloat16' });
        const found = grad([output], leaves, { gradOutputs: [upstream] });
        const expected = grad([exact], doubles, { gradOutputs: [upstream.to({ dtype: 'float64' })] });
        for (const [i, gradient] of found.entries()) {
          expect(gradient!.dtype).toBe(leaves[i]!.dtype);
          const difference = gradient!.to({ dtype: 'float64' }).sub(expected[i]!).norm().item() as number;
          expect(difference).toBeLessThan(2 ** -7 * (expected[i]!.norm().item() as number));
        }
      },
    );

    test('what is returned can be changed in place', () => {
      using _scope = new Scope();
      const conv = new Conv2d(4, 6, 3, { generator: new Generator(2), padding: 1 });
      const images = aten.randn([2, 4, 4, 4], { generator: new Generator(1), dtype: 'bfloat16' });
      const output = autocast(() => relu_(conv.forward(images)));
      grad([output.to({ dtype: 'float32' }).sum()], [conv.weight]);
      expect(output.min().item()).toBe(0);
    });

    test('gradients of gradients are LibTorch’s', () => {
      using _scope = new Scope();
      const generator = new Generator(2);
      const conv = new Conv2d(4, 6, 3, { generator, padding: 1 });
      const images = aten.randn([2, 4, 4, 4], { generator, dtype: 'bfloat16' });
      images.requires_grad_();
      const second = (output: Tensor) => {
        const [first] = grad([output.to({ dtype: 'float32' }).square().sum()], [images], {
          createGraph: true,
        });
        return grad([first!.to({ dtype: 'float32' }).square().sum()], [conv.weight])[0]!;
      };
      const ours = second(autocast(() => conv.forward(images)));
      const theirs = second(autocast(() => aten.conv2d(images, conv.weight, null, [1, 1], [1, 1])));
      const difference = ours.sub(theirs).norm().item() as number;
      expect(difference).toBeLessThan(2 ** -5 * (theirs.norm().item() as number));
    });

    test('images of other channels than the weight', () => {
      const conv = new Conv2d(4, 6, 3, { generator: new Generator(0), padding: 1 });
      const images = aten.zeros([1, 3, 4, 4], { dtype: 'bfloat16' });
      expect(() => autocast(() => conv.forward(images))).toThrow(/convolve takes images/);
    });
  });

  test('to() changes the memory of the same tensors', () => {
    const net = network();
    const weight = net.parameters()[0]!;
    const before = weight.toTypedArray();
    const tensors = unreleased();
    net.to({ memoryFormat: 'channels_last' });
    expect(net.parameters()[0]).toBe(weight);
    expect(weight.isContiguous('channels_last')).toBe(true);
    expect(weight.isContiguous()).toBe(false);
    expect(weight.requiresGrad).toBe(true);
    expect(weight.toTypedArray()).toEqual(before);
    expect(unreleased()).toBe(tensors);
  });

  test('to() changes the type of what is of floating point, and gradients follow', () => {
    using _scope = new Scope();
    const net = network().to({ dtype: 'float64' });
    const input = aten.ones([2, 2, 5, 5], { dtype: 'float64' });
    for (const dtype of ['float64', 'float32'] as const) {
      net.to({ dtype }).zeroGrad();
      expect(Array.from(net.stateDict().values(), (one) => one.dtype)).toEqual([
        ...Array.from({ length: 6 }, () => dtype),
        'int64',
      ]);
      net.forward(input.to({ dtype })).square().sum().backward();
      for (const parameter of net.parameters()) expect(parameter.grad!.dtype).toBe(dtype);
    }
    net.dispose();
  });

  test('zeroGrad forgets, dispose releases all', () => {
    const before = unreleased();
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
    expect(unreleased()).toBeLessThanOrEqual(before + 8); // The gradients that were looked at.
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
  const linear = new Linear(3, 2, { generator: new Generator(0) });
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

describe('dropout', () => {
  test('zeroes a share p, divides the rest by 1 - p, and lets gradients through alike', () => {
    using _scope = new Scope();
    const dropout = new Dropout(0.3, { generator: new Generator(1) });
    const input = aten.ones([200, 500]).requires_grad_();
    const output = dropout.forward(input);
    const values = new Set(output.toTypedArray() as Float32Array);
    expect(values).toEqual(new Set([0, Math.fround(1 / Math.fround(0.7))]));
    // Six deviations of a share of 100,000.
    const dropped = output.eq(0).to({ dtype: 'float32' });
    expect(Math.abs(dropped.mean().item() - 0.3)).toBeLessThan(6 * Math.sqrt((0.3 * 0.7) / 1e5));
    // No row and no column is dropped by more than chance.
    for (const [dim, n] of [
      [0, 200],
      [1, 500],
    ] as const)
      expect(dropped.mean([dim]).sub(0.3).abs().max().item()).toBeLessThan(6 * Math.sqrt((0.3 * 0.7) / n));
    const [gradient] = grad([output.sum()], [input]);
    expect(gradient!.equal(output)).toBe(true);
  });

  test('repeats itself from a saved state of its generator, and draws anew otherwise', () => {
    using _scope = new Scope();
    const generator = new Generator(2);
    const dropout = new Dropout(0.5, { generator });
    const input = aten.ones([64, 64]);
    const state = generator.state;
    const first = dropout.forward(input);
    expect(dropout.forward(input).equal(first)).toBe(false);
    generator.state = state;
    expect(dropout.forward(input).equal(first)).toBe(true);
  });

  test('in evaluation and at p = 0 returns its very input and draws nothing', () => {
    using _scope = new Scope();
    const generator = new Generator(3);
    const dropout = new Dropout(0.5, { generator });
    const state = generator.state;
    const input = aten.ones([4]);
    expect(dropout.eval().forward(input)).toBe(input);
    dropout.train().p = 0;
    expect(dropout.forward(input)).toBe(input);
    expect(generator.state.equal(state)).toBe(true);
  });

  test('keeps bfloat16, also under autocast, and leaks nothing', () => {
    using _scope = new Scope();
    const dropout = new Dropout(0.5, { generator: new Generator(4) });
    const input = aten.ones([3, 8], { dtype: 'bfloat16' });
    const before = unreleased();
    const output = autocast(() => dropout.forward(input));
    expect(unreleased()).toBe(before + 1);
    expect(output.dtype).toBe('bfloat16');
    expect(new Set(output.toTypedArray() as Float32Array)).toEqual(new Set([0, 2]));
  });
});

describe('attention', () => {
  test('is the softmax of scaled products over each head', () => {
    using _scope = new Scope();
    const attention = new MultiheadAttention(6, 2, { generator: new Generator(0) });
    noGrad(() => attention.inProjBias.normal_(0, 1, { generator: new Generator(1) }));
    const input = aten.randn([3, 5, 6], { generator: new Generator(2) });
    const state = attention.stateDict();
    const projected = aten.linear(input, attention.inProjWeight, attention.inProjBias);
    const heads = [0, 1].map((head) => {
      const [q, k, v] = [0, 6, 12].map((start) => projected.narrow(-1, start + 3 * head, 3));
      const scores = q!.matmul(k!.transpose(1, 2)).div(Math.sqrt(3));
      return scores.softmax(-1).matmul(v!);
    });
    const expected = aten.linear(
      aten.cat(heads, -1),
      state.get('out_proj.weight')!,
      state.get('out_proj.bias')!,
    );
    expect(aten.allclose(attention.forward(input), expected, 1e-4, 1e-5)).toBe(true);
  });

  test('of some queries only is a part of the whole, and so are its gradients', () => {
    using _scope = new Scope();
    const attention = new MultiheadAttention(8, 4, { generator: new Generator(0) });
    const input = aten.randn([2, 7, 8], { generator: new Generator(1) }).requires_grad_();
    const whole = attention.forward(input).narrow(1, 0, 2);
    const part = attention.forward(input, { queries: 2 });
    expect(part.shape).toEqual([2, 2, 8]);
    expect(aten.allclose(part, whole, 1e-5, 1e-6)).toBe(true);
    const leaves = [input, ...attention.parameters()];
    const expected = grad([whole.square().sum()], leaves);
    for (const [i, gradient] of grad([part.square().sum()], leaves).entries())
      expect(aten.allclose(gradient!, expected[i]!, 1e-4, 1e-5)).toBe(true);
  });

  test('in bfloat16 is near that in float32, with gradients, without, and of long sequences', () => {
    using _scope = new Scope();
    const attention = new MultiheadAttention(32, 2, { generator: new Generator(0) });
    for (const length of [9, 600]) {
      const input = aten.randn([2, length, 32], { generator: new Generator(1) }).requires_grad_();
      const exact = attention.forward(input);
      const before = unreleased();
      const half = autocast(() => attention.forward(input));
      expect(unreleased()).toBe(before + 1);
      expect(half.dtype).toBe('bfloat16');
      const far = (a: Tensor, b: Tensor) => a.sub(b).norm().item() / b.norm().item();
      expect(far(half, exact)).toBeLessThan(0.01);
      expect(
        far(
          noGrad(() => autocast(() => attention.forward(input))),
          exact,
        ),
      ).toBeLessThan(0.01);
      const leaves = [input, ...attention.parameters()];
      const expected = grad([exact.square().sum()], leaves);
      const found = grad([half.to({ dtype: 'float32' }).square().sum()], leaves);
      for (const [i, gradient] of found.entries()) expect(far(gradient!, expected[i]!)).toBeLessThan(0.02);
    }
  });
});

describe('a hook', () => {
  test('sees what a module is given and gives, may replace it, and is gone after the call', () => {
    using _scope = new Scope();
    const first = new Linear(2, 2, { generator: new Generator(0) });
    const network = new Sequential(first, (x) => x.mul(2));
    const input = aten.ones([1, 2]);
    const plain = network.forward(input);
    const seen: Tensor[] = [];
    const replaced = hooked(
      first,
      (output, given) => {
        seen.push(given, output);
        return output.add(1);
      },
      () => network.forward(input),
    );
    expect(seen[0]).toBe(input);
    expect(aten.allclose(replaced, plain.add(2))).toBe(true);
    expect(network.forward(input).equal(plain)).toBe(true);
    expect(Object.hasOwn(first, 'forward')).toBe(false);
  });

  test('stands inside another of the same module, and goes where the call fails', () => {
    using _scope = new Scope();
    const layer = new Linear(2, 2, { generator: new Generator(0) });
    const input = aten.ones([1, 2]);
    const twice = hooked(
      layer,
      (output) => output.add(1),
      () =>
        hooked(
          layer,
          (output) => output.mul(3),
          () => layer.forward(input),
        ),
    );
    expect(aten.allclose(twice, layer.forward(input).add(1).mul(3))).toBe(true);
    expect(() =>
      hooked(
        layer,
        (output) => output,
        () => {
          throw new Error('no');
        },
      ),
    ).toThrow('no');
    expect(Object.hasOwn(layer, 'forward')).toBe(false);
  });
});

test('weights of attention are those by which the values are summed', () => {
  using _scope = new Scope();
  const attention = new MultiheadAttention(8, 2, { generator: new Generator(0) });
  const input = aten.randn([2, 5, 8], { generator: new Generator(1) });
  const weights = attention.weights(input);
  expect(weights.shape).toEqual([2, 2, 5, 5]);
  const value = aten
    .linear(input, attention.inProjWeight.narrow(0, 16, 8), attention.inProjBias.narrow(0, 16, 8))
    .unflatten(-1, [2, 4])
    .transpose(1, 2);
  const summed = weights.matmul(value).transpose(1, 2).flatten(2);
  const output = attention.submodule('out_proj').forward(summed);
  expect(aten.allclose(output, attention.forward(input), 1e-4, 1e-5)).toBe(true);
});

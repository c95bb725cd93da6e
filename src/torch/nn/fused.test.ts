import { beforeAll, describe, expect, test, vi } from 'vitest';
import { unreleased } from '../../../test/unreleased.ts';
import { createModel, modelNames } from '../../models/index.ts';
import { Random } from '../../random.ts';
import {
  aten,
  autocast,
  type DType,
  Generator,
  grad,
  memoryStatistics,
  noGrad,
  setThreads,
  type Tensor,
  tidy,
} from '../index.ts';
import {
  type Activation,
  BatchNorm2d,
  Conv2d,
  canFuse,
  chain,
  fusing,
  hooked,
  relu_,
  relu6,
  Sequential,
} from './index.ts';

beforeAll(() => setThreads(1));
vi.setConfig({ testTimeout: 300_000 });

type Type = 'float32' | 'bfloat16';
const kernels = (dtype: Type) => describe.skipIf(!canFuse(dtype));
const needed = 'the processor has no AVX-512 for it';

interface Case {
  readonly shape: readonly number[];
  readonly activation: Activation;
  readonly added: boolean;
  readonly dtype: Type;
  /** Mean of the input, whose standard deviation is 1. */
  readonly mean?: number;
}

/** What one way to compute gives, in double precision. */
interface Outcome {
  readonly output: Tensor;
  readonly inputGradient: Tensor;
  readonly weightGradient: Tensor;
  readonly biasGradient: Tensor;
  readonly runningMean: Tensor;
  readonly runningVar: Tensor;
  readonly addedGradient?: Tensor;
}

/** The largest part of the exact value's norm by which each way is off, and what errors are measured in. */
interface Errors {
  readonly fused: Record<string, number>;
  readonly plain: Record<string, number>;
}

function outcomes(one: Case, seed: number): Record<'fused' | 'plain' | 'exact', Outcome> {
  const generator = new Generator(seed);
  const channels = one.shape[1]!;
  const draw = (mean = 0) =>
    aten
      .randn(one.shape, { generator })
      .add(mean)
      .to({ dtype: one.dtype })
      .contiguous({ memory_format: 'channels_last' });
  const [input, added, gradient] = [draw(one.mean), draw(), draw()];
  const weight = aten.randn([channels], { generator });
  const bias = aten.randn([channels], { generator });
  const run = (fused: boolean, dtype: DType): Outcome => {
    const norm = new BatchNorm2d(channels, { momentum: 0.3 });
    noGrad(() => {
      norm.weight.copy_(weight);
      norm.bias.copy_(bias);
    });
    if (dtype === 'float64') norm.to({ dtype });
    const [x, s] = [input, added].map((tensor) => tensor.to({ dtype }).detach().requires_grad_());
    const y = fusing(fused, () => norm.activated(x!, one.activation, one.added ? s! : null));
    const inputs = [x!, norm.weight, norm.bias, ...(one.added ? [s!] : [])];
    const gradients = grad([y], inputs, { gradOutputs: [gradient.to({ dtype })] });
    expect(y.dtype).toBe(dtype);
    const [dx, dw, db, ds] = gradients.map((tensor) => tensor!.to({ dtype: 'float64' }));
    return {
      output: y.detach().to({ dtype: 'float64' }),
      inputGradient: dx!,
      weightGradient: dw!,
      biasGradient: db!,
      ...(ds && { addedGradient: ds }),
      runningMean: norm.runningMean.to({ dtype: 'float64' }),
      runningVar: norm.runningVar.to({ dtype: 'float64' }),
    };
  };
  return { fused: run(true, one.dtype), plain: run(false, one.dtype), exact: run(false, 'float64') };
}

/**
 * Relative errors in the Euclidean norm. What is near zero because it cancels, as gradients of a batch of two do, is
 * measured in numbers of the size that it is made of.
 */
function errorsOf(one: Case, seed: number): Errors {
  return tidy(() => {
    const { fused, plain, exact } = outcomes(one, seed);
    const norm = (tensor: Tensor) => tensor.norm().item() as number;
    const of = (found: Outcome) =>
      Object.fromEntries(
        Object.entries(exact).map(([name, truth]: [string, Tensor]) => {
          const unit = Math.max(norm(truth), Math.sqrt(truth.size) / 4);
          return [name, norm(found[name as keyof Outcome]!.sub(truth)) / unit];
        }),
      );
    return { fused: of(fused), plain: of(plain) };
  });
}

/** What rounding may do in any case: to results in float32, and to tensors of the type. */
const ROUNDING = { float32: { results: 1e-6, tensors: 1e-6 }, bfloat16: { results: 1e-6, tensors: 0.0022 } };

/** @param factor of LibTorch's own error: in a case of few numbers chance decides between two that are equally good */
function expectNoWorse(one: Case, seed: number, factor = 1.05): Errors {
  const errors = errorsOf(one, seed);
  const rounding = ROUNDING[one.dtype];
  for (const [name, error] of Object.entries(errors.fused)) {
    const own = /^(output|inputGradient|addedGradient)$/.test(name) ? rounding.tensors : rounding.results;
    const limit = Math.max(own * (1 + Math.abs(one.mean ?? 0)), factor * errors.plain[name]!);
    expect(error, `${name} of ${JSON.stringify(one)}, seed ${seed}`).toBeLessThanOrEqual(limit);
  }
  return errors;
}

/** Every batch norm of every network at 224 pixels, for two images. */
function casesOfNetworks(): Omit<Case, 'dtype'>[] {
  const cases = new Map<string, Omit<Case, 'dtype'>>();
  const { activated } = BatchNorm2d.prototype;
  const asked = vi.spyOn(BatchNorm2d.prototype, 'activated');
  try {
    const generator = new Generator(0);
    for (const name of modelNames().filter((name) => /resnet|mobilenet|densenet|_bn$/.test(name))) {
      tidy(() => {
        const net = createModel(name, { classes: 3, channels: 3, size: 224, generator }).eval();
        // While the network goes on its inputs are there to be asked.
        asked.mockImplementation(function (this: BatchNorm2d, input, activation, added) {
          const one = { shape: [2, ...input.shape.slice(1)], activation, added: Boolean(added) };
          cases.set(JSON.stringify(one), one);
          return activated.call(this, input, activation, added);
        });
        noGrad(() => net.forward(aten.zeros([1, 3, 224, 224])));
        net.dispose();
      });
    }
  } finally {
    asked.mockRestore();
  }
  return [...cases.values()];
}

let ofNetworks: Omit<Case, 'dtype'>[] | undefined;

for (const dtype of ['float32', 'bfloat16'] as const) {
  kernels(dtype)(`batch norm in one pass, ${dtype}${canFuse(dtype) ? '' : ` (skipped: ${needed})`}`, () => {
    test('is no further from double precision than LibTorch, over every shape of every network', () => {
      ofNetworks ??= casesOfNetworks();
      expect(ofNetworks.length).toBeGreaterThan(100);
      for (const one of ofNetworks) expectNoWorse({ ...one, dtype }, 1);
    });

    test('the same over 1,000 random shapes', () => {
      const random = new Random(dtype === 'float32' ? 5 : 6);
      const total = { fused: 0, plain: 0 };
      for (let seed = 0; seed < 1000; seed++) {
        const shape = [1 + random.below(4), 1 + random.below(90), 1 + random.below(9), 1 + random.below(9)];
        if (shape[0]! * shape[2]! * shape[3]! === 1) shape[0] = 2;
        const activation = (['none', 'relu', 'relu6'] as const)[random.below(3)]!;
        const mean = [0, 0, 1, -3][random.below(4)]!;
        const added = random.below(2) === 1;
        const { fused, plain } = expectNoWorse({ shape, activation, added, dtype, mean }, seed, 4);
        total.fused += fused.output! + fused.inputGradient!;
        total.plain += plain.output! + plain.inputGradient!;
      }
      expect(total.fused).toBeLessThanOrEqual(total.plain);
    });

    test('many rows and few channels; a mean far from zero; more threads', () => {
      for (const threads of [1, 2, 3]) {
        setThreads(threads);
        try {
          for (const channels of [1, 3, 130])
            for (const mean of [0, 100])
              expectNoWorse(
                { shape: [3, channels, 61, 53], activation: 'relu', added: true, dtype, mean },
                7,
              );
        } finally {
          setThreads(1);
        }
      }
    });

    test('repeats to the bit', () => {
      setThreads(2);
      try {
        tidy(() => {
          const one = { shape: [4, 96, 30, 31], activation: 'relu', added: true, dtype } as const;
          const [first, second] = [outcomes(one, 3).fused, outcomes(one, 3).fused];
          for (const [name, tensor] of Object.entries(first))
            expect(aten.equal(tensor, second[name as keyof Outcome]!), name).toBe(true);
        });
      } finally {
        setThreads(1);
      }
    });

    test('keeps what is not a number, as LibTorch does', () => {
      tidy(() => {
        const input = aten.randn([2, 3, 4, 4], { generator: new Generator(1) }).to({ dtype });
        input.select(1, 1).select(0, 0).fill_(Number.NaN);
        const last = input.contiguous({ memory_format: 'channels_last' });
        for (const activation of ['none', 'relu', 'relu6'] as const) {
          const [fused, plain] = [true, false].map((on) =>
            fusing(on, () => new BatchNorm2d(3).activated(last, activation).isnan()),
          );
          expect(aten.equal(fused!, plain!)).toBe(true);
          expect(fused!.sum().item()).toBe(32);
        }
      });
    });

    test('a gradient of the gradient is that of LibTorch', () => {
      tidy(() => {
        for (const [activation, added] of [
          ['relu', false],
          ['relu6', true],
          ['none', true],
        ] as const) {
          const second = [true, false].map((on) => {
            const generator = new Generator(2);
            const draw = () =>
              aten
                .randn([2, 5, 4, 3], { generator })
                .contiguous({ memory_format: 'channels_last' })
                .requires_grad_();
            const [x, s] = [draw(), draw()];
            const norm = new BatchNorm2d(5);
            const y = fusing(on, () => norm.activated(x, activation, added ? s : null));
            const [dx] = grad([y.pow(2).sum()], [x], { createGraph: true });
            return grad([dx!.pow(3).sum()], [x, norm.weight, ...(added ? [s] : [])]);
          });
          for (const [i, tensor] of second[0]!.entries())
            expect(aten.allclose(tensor!, second[1]![i]!, 1e-3, 1e-4), `${activation} ${i}`).toBe(true);
        }
      });
    });

    test('memory stays flat, and no more is held for the backward pass than by LibTorch', () => {
      const held = (on: boolean) => {
        const before = memoryStatistics().allocated;
        return tidy(() => {
          const generator = new Generator(1);
          const input = aten
            .randn([4, 64, 40, 40], { generator })
            .to({ dtype })
            .contiguous({ memory_format: 'channels_last' })
            .requires_grad_();
          const norm = new BatchNorm2d(64);
          const output = fusing(on, () => chain(input, norm, relu6));
          const bytes = memoryStatistics().allocated - before;
          output.sum().backward();
          norm.dispose();
          return bytes;
        });
      };
      held(true);
      const [bytes, tensors] = [memoryStatistics().allocated, unreleased()];
      for (let i = 0; i < 100; i++) held(true);
      expect(memoryStatistics().allocated).toBe(bytes);
      expect(unreleased()).toBe(tensors);
      expect(held(true)).toBeLessThanOrEqual(held(false));
    });
  });
}

describe('where the kernels do not fit, all is as LibTorch computes it', () => {
  const bits = (run: () => readonly (Tensor | null)[]) =>
    tidy(() => {
      const [fused, plain] = [fusing(true, run), fusing(false, run)];
      for (const [i, tensor] of fused.entries()) expect(aten.equal(tensor!, plain[i]!), `${i}`).toBe(true);
    });
  const images = (shape = [4, 8, 6, 6]) => aten.randn(shape, { generator: new Generator(1) });
  const last = (tensor: Tensor) => tensor.contiguous({ memory_format: 'channels_last' });

  test.each([
    ['double precision', () => [last(images()).to({ dtype: 'float64' }), new BatchNorm2d(8)] as const],
    ['channels first', () => [images(), new BatchNorm2d(8)] as const],
    ['a strided view', () => [last(images([4, 8, 6, 12])).slice(3, 0, 12, 2), new BatchNorm2d(8)] as const],
    ['evaluation', () => [last(images()), new BatchNorm2d(8).eval()] as const],
  ])('%s', (_name, make) => {
    bits(() => {
      const [given, norm] = make();
      if (given.dtype === 'float64') norm.to({ dtype: 'float64' });
      const input = given.detach().requires_grad_();
      const output = norm.activated(input, 'relu', given);
      const [dx] = grad([output.sum()], [input]);
      return [output.detach(), dx!, norm.runningMean, norm.runningVar];
    });
  });

  test('an addition of another type or shape', () => {
    bits(() => [
      new BatchNorm2d(8).activated(last(images()), 'relu', last(images()).to({ dtype: 'bfloat16' })).detach(),
      new BatchNorm2d(8).activated(last(images()), 'relu', images([1, 8, 1, 1])).detach(),
    ]);
  });
});

describe('layers in a row', () => {
  const images = () =>
    aten.randn([2, 3, 8, 8], { generator: new Generator(1) }).contiguous({ memory_format: 'channels_last' });

  test.each([
    ['relu', relu_],
    ['relu6', relu6],
  ] as const)('a batch norm and the %s behind it are asked for at once', (name, layer) => {
    const asked = vi.spyOn(BatchNorm2d.prototype, 'activated');
    try {
      tidy(() => {
        const net = new Sequential(
          new Conv2d(3, 4, 3, { generator: new Generator(1) }),
          new BatchNorm2d(4),
          layer,
          new BatchNorm2d(4),
        );
        expect([...net.stateDict().keys()]).toContain('3.running_var');
        net.forward(images());
        expect(asked.mock.calls.map(([, activation]) => activation)).toEqual([name, 'none']);
      });
    } finally {
      asked.mockRestore();
    }
  });

  test('a hook sees the batch norm itself, and what it returns passes through the activation', () => {
    tidy(() => {
      const norm = new BatchNorm2d(3);
      const seen: number[] = [];
      const output = hooked(
        norm,
        (value) => {
          seen.push(value.min().item() as number);
          return value.sub(10);
        },
        () => chain(images(), norm, relu_),
      );
      expect(seen[0]).toBeLessThan(0);
      expect(output.max().item()).toBe(0);
    });
  });

  test('without gradients and under autocast it gives the same values', () => {
    tidy(() => {
      const net = new Sequential(
        new Conv2d(3, 4, 3, { generator: new Generator(1) }).to({ memoryFormat: 'channels_last' }),
        new BatchNorm2d(4),
        relu_,
      );
      const run = () => autocast(() => net.forward(images()));
      expect(aten.equal(run(), noGrad(run))).toBe(true);
    });
  });
});

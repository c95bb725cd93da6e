import { describe, expect, test } from 'vitest';
import {
  aten,
  autocast,
  enableGrad,
  Generator,
  grad,
  noGrad,
  type Tensor,
  tensor,
  tidy,
} from '../../src/torch/index.ts';
import { native } from '../../src/torch/native.ts';

const generator = new Generator(1);
const random = (...shape: number[]) => aten.randn(shape, { generator, dtype: 'float64' });

describe('gradients equal central differences', () => {
  test.each<[string, (inputs: Tensor[]) => Tensor, number[][]]>([
    ['linear', ([x, w, b]) => aten.linear(x!, w!, b!), [[3, 4], [2, 4], [2]]],
    ['matmul of a matrix with itself', ([x]) => x!.matmul(x!), [[3, 3]]],
    [
      'conv2d',
      ([x, w]) => aten.conv2d(x!, w!, null, [2, 1], [1, 0]),
      [
        [2, 2, 5, 4],
        [3, 2, 3, 2],
      ],
    ],
    [
      'batch_norm',
      ([x, w, b]) => aten.batch_norm(x!, w!, b!, null, null, true, 0.1, 1e-5, false),
      [[4, 2, 3, 3], [2], [2]],
    ],
    ['log_softmax', ([x]) => aten.log_softmax(x!, 1), [[3, 5]]],
    [
      'cross entropy with soft targets',
      ([x, t]) => aten.cross_entropy_loss(x!, aten.softmax(t!, 1)),
      [
        [4, 3],
        [4, 3],
      ],
    ],
    [
      'sigmoid and broadcasting',
      ([x, y]) => x!.sigmoid().mul(y!),
      [
        [3, 1],
        [1, 4],
      ],
    ],
    ['max_pool2d', ([x]) => aten.max_pool2d(x!, [2, 2]), [[1, 2, 4, 4]]],
    ['index', ([x]) => aten.index(x!, [tensor([0, 2, 2], { dtype: 'int64' })]), [[3, 2]]],
    [
      'cat and norm',
      ([x, y]) => aten.cat([x!, y!.t()], 1).pow(2).sum([1]).sqrt(),
      [
        [2, 3],
        [2, 2],
      ],
    ],
  ])('%s', (_, f, shapes) => {
    tidy(() => {
      const inputs = shapes.map((shape) => random(...shape));
      const weights = noGrad(() => random(...f(inputs).shape));
      const value = () => f(inputs).mul(weights).sum();
      for (const input of inputs) input.requires_grad_();
      value().backward();
      for (const input of inputs) {
        const analytic = input.grad!.contiguous().data() as Float64Array;
        const data = input.data() as Float64Array;
        for (let i = 0; i < data.length; i++) {
          const numeric = noGrad(() => {
            const kept = data[i]!;
            data[i] = kept + 1e-5;
            const above = value().item();
            data[i] = kept - 1e-5;
            const below = value().item();
            data[i] = kept;
            return (above - below) / 2e-5;
          });
          expect(Math.abs(analytic[i]! - numeric)).toBeLessThan(1e-6 * (1 + Math.abs(numeric)));
        }
      }
    });
  });
});

describe('the graph', () => {
  test('second derivatives through createGraph', () => {
    tidy(() => {
      const x = tensor([2], { dtype: 'float64' }).requires_grad_();
      const [first] = grad([x.pow(4)], [x], { createGraph: true });
      const [second] = grad([first!], [x], { createGraph: true });
      const [third] = grad([second!], [x]);
      expect([first!.item(), second!.item(), third!.item()]).toEqual([32, 48, 48]);
      // grad() leaves nobody's grad behind.
      expect(x.grad).toBeNull();
    });
  });

  test('a second backward needs retainGraph', () => {
    tidy(() => {
      const x = tensor([3]).requires_grad_();
      const y = x.mul(x).sum();
      y.backward({ retainGraph: true });
      y.backward();
      expect(x.grad!.item()).toBe(12);
      expect(() => y.backward()).toThrow(
        expect.objectContaining({ code: 'torch/operator', message: expect.stringMatching(/second time/) }),
      );
    });
  });

  test('a gradient for a result that is no scalar, unused inputs, and setting grad', () => {
    tidy(() => {
      const x = tensor([1, 2]).requires_grad_();
      const other = tensor([1]).requires_grad_();
      expect(() => x.mul(2).backward()).toThrow(/scalar/);
      x.mul(2).backward({ gradient: tensor([1, 10]) });
      expect(x.grad!.toArray()).toEqual([2, 20]);
      x.grad = null;
      expect(x.grad).toBeNull();
      x.grad = tensor([5, 5]);
      expect(x.grad!.toArray()).toEqual([5, 5]);
      expect(grad([x.sum()], [x, other], { allowUnused: true }).map((g) => g?.toArray() ?? null)).toEqual([
        [1, 1],
        null,
      ]);
      expect(() => grad([x.sum()], [x, other])).toThrow(/unused|not have been used/);
    });
  });

  test('survives the release of the tensors that it needs', () => {
    tidy(() => {
      const x = tensor([3]).requires_grad_();
      const y = tidy(() => x.mul(x).mul(2).sum());
      y.backward();
      expect(x.grad!.item()).toBe(12);
    });
  });
});

describe('modes', () => {
  test('noGrad and enableGrad nest, and are restored also by an exception', () => {
    tidy(() => {
      const x = tensor([1]).requires_grad_();
      expect(noGrad(() => x.mul(2).requiresGrad)).toBe(false);
      expect(noGrad(() => enableGrad(() => x.mul(2).requiresGrad))).toBe(true);
      for (const mode of [noGrad, enableGrad]) {
        expect(() =>
          mode(() => {
            throw new Error('out');
          }),
        ).toThrow('out');
        expect(native.gradEnabled()).toBe(true);
      }
    });
  });

  test('autocast: products in bfloat16, losses in float32, and off again afterwards', () => {
    tidy(() => {
      const x = aten.ones([2, 3]);
      const w = aten.ones([4, 3]).requires_grad_();
      const [product, loss] = autocast(() => {
        const y = aten.linear(x, w);
        return [y, aten.mse_loss(y, aten.zeros([2, 4]))] as const;
      });
      expect([product.dtype, loss.dtype]).toEqual(['bfloat16', 'float32']);
      loss.backward();
      expect(w.grad!.dtype).toBe('float32');
      expect(w.grad!.toArray()).toEqual(Array(4).fill(Array(3).fill(1.5)));
      expect(aten.linear(x, w).dtype).toBe('float32');
      expect(autocast(() => aten.linear(x, w), { dtype: 'float16' }).dtype).toBe('float16');
      expect(autocast(() => aten.linear(x, w)).dtype).toBe('bfloat16');
      expect(() =>
        autocast(() => {
          throw new Error('out');
        }),
      ).toThrow('out');
      expect(aten.linear(x, w).dtype).toBe('float32');
      // Weights that change between two regions are converted again.
      noGrad(() => w.fill_(2));
      expect(
        autocast(() => aten.linear(x, w))
          .to({ dtype: 'float32' })
          .toArray()[0 as never],
      ).toEqual([6, 6, 6, 6]);
    });
  });
});

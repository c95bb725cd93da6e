import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { aten, Generator, tensor, tidy } from './index.ts';

test.each([
  [
    () =>
      tensor([
        [1, 2],
        [3, -4],
      ]),
    'Tensor(float32[2, 2])\n[[ 1.,  2.],\n [ 3., -4.]]',
  ],
  [() => tensor([0.5, 1 / 3, -2]), 'Tensor(float32[3]) [ 0.5000,  0.3333, -2.0000]'],
  [() => tensor([1e-7, 1]), 'Tensor(float32[2]) [1.0000e-7, 1.0000e+0]'],
  [() => tensor([Number.NaN, Infinity, 1.5]), 'Tensor(float32[3]) [   nan,    inf, 1.5000]'],
  [() => tensor([1, 20], { dtype: 'int64' }), 'Tensor(int64[2]) [ 1, 20]'],
  [() => tensor([1, 0], { dtype: 'bool' }), 'Tensor(bool[2]) [ true, false]'],
  [() => tensor(2.5), 'Tensor(float32[]) 2.5000'],
  [() => aten.zeros([0, 3]), 'Tensor(float32[0, 3]) []'],
  [() => aten.ones([2, 1, 1]).to({ dtype: 'bfloat16' }), 'Tensor(bfloat16[2, 1, 1])\n[[[1.]],\n\n [[1.]]]'],
])('%#: type, shape and values', (make, printed) => {
  tidy(() => expect(inspect(make())).toBe(printed));
});

test('many elements: the ends of long dimensions', () => {
  tidy(() => {
    const lines = inspect(aten.arange(4 * 500).view([4, 500])).split('\n');
    expect(lines).toHaveLength(5);
    expect(lines[1]).toBe('[[   0,    1,    2, …,  497,  498,  499],');
  });
});

test('a tensor that needs a gradient, and one that was released', () => {
  const weight = aten.randn([2], { generator: new Generator(0) }).requires_grad_();
  expect(inspect(weight)).toMatch(/^Tensor\(float32\[2\]\) \[/);
  weight.dispose();
  expect(inspect(weight)).toBe('Tensor(released)');
});

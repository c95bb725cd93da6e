import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { aten, readSafetensors, type Tensor, tidy } from '../../src/torch/index.ts';

interface Case {
  operator: string;
  arguments: unknown[];
  results: string[];
  list: boolean;
}

const folder = join(import.meta.dirname, '../fixtures/torch');
const cases = JSON.parse(readFileSync(join(folder, 'operators.json'), 'utf8')) as Case[];
const { tensors } = readSafetensors(join(folder, 'operators.safetensors'));

/** `{"tensor": NAME}` anywhere in the arguments stands for a fresh copy of that input. */
function build(value: unknown, change = (tensor: Tensor) => tensor.clone()): unknown {
  if (Array.isArray(value)) return value.map((item) => build(item, change));
  if (typeof value === 'object' && value !== null && 'tensor' in value)
    return change(tensors.get(`in.${value.tensor}`)!);
  return value;
}

/** Sums of products: their rounding error follows the same sum of absolute values, however small the sum is. */
const SUMS_OF_PRODUCTS = new Set(['matmul', 'linear', 'bmm', 'addmm', 'einsum', 'outer', 'conv2d']);
/** The most products that one element of those cases adds up (27 of the convolutions), and some for the bias. */
const TERMS = 32;
/** Unit roundoff. */
const UNIT: Readonly<Record<string, number>> = {
  float64: 2 ** -53,
  float32: 2 ** -24,
  float16: 2 ** -11,
  bfloat16: 2 ** -8,
};

/**
 * How far each element may lie from PyTorch's on another processor, by the arithmetic alone (Higham, Accuracy and
 * Stability of Numerical Algorithms, 2002): two sums in different orders differ by at most 2·n·u·Σ|terms| (§3.1), two
 * solutions of a system by a multiple of n·u times its condition number (§9.3); the rest are a few operations a value.
 */
function allowances(
  { operator, arguments: given }: Case,
  expected: Tensor,
): (i: number, y: number) => number {
  const unit = UNIT[expected.dtype] ?? 0;
  if (SUMS_OF_PRODUCTS.has(operator)) {
    const call = (aten as unknown as Record<string, (...args: unknown[]) => Tensor>)[operator]!;
    const sums = call(...given.map((value) => build(value, (tensor) => tensor.abs()))).toTypedArray();
    return (i) => 2 * TERMS * unit * Number(sums[i]);
  }
  if (operator === 'linalg_solve' || operator === 'linalg_det') {
    const matrix = (build(given[0]) as Tensor).to({ dtype: 'float64' });
    const condition = aten
      .linalg_norm(matrix)
      .mul(aten.linalg_norm(aten.linalg_inv(matrix)))
      .item();
    const largest = expected.abs().max().item();
    return () => 8 * matrix.shape[0]! * unit * condition * largest;
  }
  return (_, y) => 16 * unit * (1 + Math.abs(y));
}

/** Equal types, shapes and, for whole numbers, values. */
function compare(found: Tensor, expected: Tensor, allowed: (i: number, y: number) => number): void {
  expect(found.dtype).toBe(expected.dtype);
  expect(found.shape).toEqual(expected.shape);
  const a = found.toTypedArray();
  const b = expected.toTypedArray();
  for (let i = 0; i < b.length; i++) {
    const [x, y] = [Number(a[i]), Number(b[i])];
    if (!Object.is(x, y) && !(Math.abs(x - y) <= allowed(i, y)))
      expect.fail(`element ${i}: ${x}, PyTorch has ${y}`);
  }
}

test('the fixture is of many operators', () => {
  expect(new Set(cases.map((each) => each.operator)).size).toBeGreaterThanOrEqual(60);
});

test.each(
  cases.map((each) => [`${each.operator}(${JSON.stringify(each.arguments).slice(1, -1)})`, each] as const),
)('PyTorch: %s', (_, each) => {
  tidy(() => {
    const { operator, arguments: given, results, list } = each;
    const call = (aten as unknown as Record<string, (...args: unknown[]) => unknown>)[operator]!;
    const found = call(...given.map((value) => build(value)));
    expect(Array.isArray(found)).toBe(list);
    const all = (list ? found : [found]) as Tensor[];
    expect(all.length).toBe(results.length);
    for (const [i, name] of results.entries()) {
      const expected = tensors.get(name)!;
      compare(all[i]!, expected, allowances(each, expected));
    }
  });
});

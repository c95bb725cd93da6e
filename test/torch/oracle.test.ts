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
function build(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(build);
  if (typeof value === 'object' && value !== null && 'tensor' in value)
    return tensors.get(`in.${value.tensor}`)!.clone();
  return value;
}

/** Equal types, shapes and, for whole numbers, values; sums may be added in another order on another processor. */
function compare(found: Tensor, expected: Tensor): void {
  expect(found.dtype).toBe(expected.dtype);
  expect(found.shape).toEqual(expected.shape);
  const a = found.toTypedArray();
  const b = expected.toTypedArray();
  const tolerance =
    { float64: 1e-12, float32: 1e-6, float16: 1e-3, bfloat16: 1e-2 }[found.dtype as string] ?? 0;
  for (let i = 0; i < b.length; i++) {
    const [x, y] = [Number(a[i]), Number(b[i])];
    if (!Object.is(x, y) && !(Math.abs(x - y) <= tolerance * (1 + Math.abs(y))))
      expect.fail(`element ${i}: ${x}, PyTorch has ${y}`);
  }
}

test('the fixture is of many operators', () => {
  expect(new Set(cases.map((each) => each.operator)).size).toBeGreaterThanOrEqual(60);
});

test.each(
  cases.map((each) => [`${each.operator}(${JSON.stringify(each.arguments).slice(1, -1)})`, each] as const),
)('PyTorch: %s', (_, { operator, arguments: given, results, list }) => {
  tidy(() => {
    const call = (aten as unknown as Record<string, (...args: unknown[]) => unknown>)[operator]!;
    const found = call(...given.map(build));
    expect(Array.isArray(found)).toBe(list);
    const all = (list ? found : [found]) as Tensor[];
    expect(all.length).toBe(results.length);
    for (const [i, name] of results.entries()) compare(all[i]!, tensors.get(name)!);
  });
});

import { expect, test } from 'vitest';
import { assemble, f64x2, i32, loop } from './wasm.ts';

test('whole numbers of any size, addresses and loops', () => {
  const constants = [0, 1, 63, 64, 127, 128, 8191, 8192, 65536, -1, -64, -65, -8192, -8193];
  const { memory, calls } = assemble([
    {
      name: 'write',
      parameters: 1,
      // As two double numbers whose bits are twice the number, four times.
      body: ([out]) =>
        constants.map((value, i) => [...i32.add(out!.get, i32.of(4 * i)), ...i32.of(value), 0x36, 2, 0]),
    },
    {
      name: 'count',
      parameters: 2,
      body: ([out, end], locals) => {
        const [at] = locals('i32', 1);
        return [
          at!.set(out!.get),
          loop(
            i32.less(at!.get, end!.get),
            f64x2.store(at!.get, f64x2.add(f64x2.load(at!.get), f64x2.loadTwice(out!.get))),
            at!.set(i32.add(at!.get, i32.shiftLeft(i32.of(1), 4))),
          ),
        ];
      },
    },
  ]);
  calls.write!(128);
  expect([...new Int32Array(memory.buffer, 128, constants.length)]).toEqual(constants);
  const numbers = new Float64Array(memory.buffer, 1024, 6);
  numbers.set([1, 2, 3, 4, 5, 6]);
  calls.count!(1024, 1024 + 32);
  // The first pair is doubled by its own first number before the second is reached.
  expect([...numbers]).toEqual([2, 3, 5, 6, 5, 6]);
});

test('two numbers at a time are what JavaScript makes of each', () => {
  const pairs = [
    [0.1, 0.2],
    [1e308, 1e308],
    [-3.5, 7 / 3],
    [2 ** -1074, 2 ** -1074],
  ] as const;
  const names = ['add', 'sub', 'mul', 'min', 'max'] as const;
  const { memory, calls } = assemble(
    names.map((name) => ({
      name,
      parameters: 1,
      body: ([at]) => [f64x2.store(at!.get, f64x2[name](f64x2.load(at!.get), f64x2.load(at!.get, 16)), 32)],
    })),
  );
  const numbers = new Float64Array(memory.buffer, 512, 6);
  for (const [a, b] of pairs) {
    const expected = { add: a + b, sub: a - b, mul: a * b, min: Math.min(a, b), max: Math.max(a, b) };
    for (const name of names) {
      numbers.set([a, b, b, a]);
      calls[name]!(512);
      expect(numbers[4]).toBe(expected[name]);
      expect(numbers[5]).toBe({ ...expected, sub: b - a }[name]);
    }
  }
});

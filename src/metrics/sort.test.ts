import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Random } from '../random.ts';
import { argsort, argsortForGood } from './sort.ts';

/** What JavaScript's own stable sort says. */
const plain = (values: Float32Array | Float64Array) =>
  Int32Array.from([...values.keys()].sort((i, j) => values[i]! - values[j]!));

const numbers = fc.array(
  fc.oneof(
    fc.double({ min: 0, max: 1, noNaN: true }),
    fc.constantFrom(0, -0, 1, 0.5, 2 ** -1074, 0.5 + 2 ** -53, 1e300, Number.POSITIVE_INFINITY),
  ),
  { maxLength: 80 },
);

test('non-negative numbers in ascending order, equal ones and −0 where they stood', () => {
  fc.assert(
    fc.property(numbers, fc.constantFrom(Float32Array, Float64Array), (list, type) => {
      const values = type.from(list);
      expect(argsort(values)).toEqual(plain(values));
    }),
    { numRuns: 500 },
  );
});

test.each([
  ['a few numbers that differ in their last bits', 20],
  ['many of them', 2000],
])('%s', (_, many) => {
  const random = new Random(1);
  const values = Float64Array.from({ length: many }, () => 0.5 + random.below(50) * 2 ** -52);
  expect(argsort(values)).toEqual(plain(values));
  const mixed = values.map((v, i) => (i % 3 === 0 ? random.uniform() : v));
  expect(argsort(mixed)).toEqual(plain(mixed));
});

test('a part of an array, and an order that is kept and may be changed', () => {
  const values = Float64Array.of(9, 3, 1, 2, 0).subarray(1, 4);
  expect([...argsort(values)]).toEqual([1, 2, 0]);
  argsortForGood(values).fill(7);
  expect([...argsort(values)]).toEqual([1, 2, 0]);
});

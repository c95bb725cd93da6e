import type { Floats } from './predictions.ts';

/** Digits of 11 bits: 2,048 counters stay in the first cache, and three digits cover 32 bits. */
const DIGIT = 11;
const BUCKETS = 1 << DIGIT;

const orders = new WeakMap<Floats, Int32Array>();

/**
 * {@link argsort} of numbers that nobody will change any more: later calls for the same array take the order from here,
 * as long as the array lives. Many figures sort the same column of a large table.
 */
export function argsortForGood(values: Floats): Int32Array {
  const order = argsort(values);
  if (!orders.has(values)) orders.set(values, order.slice());
  return order;
}

/**
 * The indices that sort non-negative numbers in ascending order; equal numbers keep their order. A stable radix sort on
 * the bits (the bits of non-negative IEEE numbers sort as unsigned integers): O(N), no comparisons. −0 counts as 0.
 */
export function argsort(values: Floats): Int32Array {
  const known = orders.get(values);
  if (known !== undefined) return known.slice();
  const n = values.length;
  let order = new Int32Array(n);
  let next = new Int32Array(n);
  for (let i = 0; i < n; i++) order[i] = i;
  const counts = new Uint32Array(BUCKETS);
  const keys = new Uint32Array(n);
  // The low word first, then the high one.
  const words = wordsOf(values);
  for (let w = 0; w < words; w++) {
    readWord(values, w, keys);
    for (let shift = 0; shift < 32; shift += DIGIT) {
      counts.fill(0);
      for (let i = 0; i < n; i++) {
        const d = (keys[i]! >>> shift) & (BUCKETS - 1);
        counts[d] = counts[d]! + 1;
      }
      if (n > 0 && counts[(keys[0]! >>> shift) & (BUCKETS - 1)] === n) continue; // All alike in this digit.
      startsOf(counts);
      for (let i = 0; i < n; i++) {
        const index = order[i]!;
        const d = (keys[index]! >>> shift) & (BUCKETS - 1);
        const to = counts[d]!;
        counts[d] = to + 1;
        next[to] = index;
      }
      [order, next] = [next, order];
    }
  }
  return order;
}

/**
 * Sorts unsigned integers below 2³¹, using `spare` (of the same length) as scratch. Returns the one of the two arrays
 * that holds the result.
 */
export function radixSort(keys: Uint32Array, spare: Uint32Array): Uint32Array {
  const n = keys.length;
  const low = new Uint32Array(BUCKETS);
  const middle = new Uint32Array(BUCKETS);
  const high = new Uint32Array(BUCKETS);
  for (let i = 0; i < n; i++) {
    const key = keys[i]!;
    low[key & 2047]!++;
    middle[(key >>> 11) & 2047]!++;
    high[key >>> 22]!++;
  }
  let from = keys;
  let to = spare;
  for (const [counts, shift] of [
    [low, 0],
    [middle, 11],
    [high, 22],
  ] as const) {
    if (n > 0 && counts[(from[0]! >>> shift) & 2047] === n) continue;
    startsOf(counts);
    scatter(from, to, counts, shift);
    [from, to] = [to, from];
  }
  return from;
}

function scatter(from: Uint32Array, to: Uint32Array, starts: Uint32Array, shift: number): void {
  for (let i = 0; i < from.length; i++) {
    const key = from[i]!;
    const d = (key >>> shift) & 2047;
    const at = starts[d]!;
    starts[d] = at + 1;
    to[at] = key;
  }
}

/** Counts become the position of each bucket's first element. */
function startsOf(counts: Uint32Array): void {
  let sum = 0;
  for (let d = 0; d < counts.length; d++) {
    const c = counts[d]!;
    counts[d] = sum;
    sum += c;
  }
}

function wordsOf(values: Floats): number {
  return values.BYTES_PER_ELEMENT / 4;
}

function readWord(values: Floats, word: number, keys: Uint32Array): void {
  if (values instanceof Float32Array) {
    const single = new Float32Array(keys.buffer);
    for (let i = 0; i < keys.length; i++) single[i] = values[i]! + 0; // −0 + 0 = 0.
    return;
  }
  const view = new DataView(new ArrayBuffer(8));
  const offset = word === 0 ? 0 : 4;
  for (let i = 0; i < keys.length; i++) {
    view.setFloat64(0, values[i]! + 0, true);
    keys[i] = view.getUint32(offset, true);
  }
}

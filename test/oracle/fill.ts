/** Numbers that need no file: the same array from a name and an index, here and in fill.py. */

export function uniform(name: string, count: number, low = -1, high = 1): Float32Array {
  const seed = fnv1a(name);
  const values = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    let h = Math.imul(i, 0x9e3779b9) ^ seed;
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    h = (h ^ (h >>> 16)) >>> 0;
    values[i] = low + (high - low) * (h / 4294967296);
  }
  return values;
}

/** One parameter or buffer of a network; see fill.py. */
export function weights(name: string, shape: readonly number[]): Float32Array | BigInt64Array {
  const count = shape.reduce((product, size) => product * size, 1);
  const last = name.slice(name.lastIndexOf('.') + 1);
  if (last === 'num_batches_tracked') return new BigInt64Array(count);
  if (last === 'running_var') return uniform(name, count, 0.7, 1.3);
  if (last === 'running_mean') return uniform(name, count, -0.1, 0.1);
  if (last === 'weight' && shape.length === 1) return uniform(name, count, 0.2, 0.4);
  if (last === 'bias' && !name.startsWith('fc.')) return uniform(name, count, 0.2, 0.8);
  if (last === 'weight') {
    const bound = Math.sqrt(6 / shape.slice(1).reduce((product, size) => product * size, 1));
    return uniform(name, count, -bound, bound);
  }
  return uniform(name, count, -0.1, 0.1);
}

export interface Summary {
  readonly norm: number;
  readonly projection: number;
  readonly ends: readonly number[];
}

export function summary(name: string, values: Float32Array | Float64Array): Summary {
  const direction = uniform(`direction of ${name}`, values.length);
  let squares = 0;
  let product = 0;
  let length = 0;
  for (let i = 0; i < values.length; i++) {
    squares += values[i]! ** 2;
    product += values[i]! * direction[i]!;
    length += direction[i]! ** 2;
  }
  return {
    norm: Math.sqrt(squares),
    projection: product / Math.sqrt(length),
    ends: [values[0]!, values[values.length - 1]!],
  };
}

/** The largest difference of two summaries, as a share of the second one's norm or of `least` where that is larger. */
export function distance(actual: Summary, expected: Summary, least = 0): number {
  const parts = [
    actual.norm - expected.norm,
    actual.projection - expected.projection,
    ...actual.ends.map((end, i) => end - expected.ends[i]!),
  ];
  return Math.max(...parts.map(Math.abs)) / Math.max(expected.norm, least);
}

function fnv1a(name: string): number {
  let h = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name)) h = Math.imul(h ^ byte, 0x01000193);
  return h;
}

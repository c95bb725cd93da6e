import { assemble, f64x2, i32, type Local, loop, type WasmFunction } from './wasm.ts';

/**
 * The two inner loops of calibration intervals and tests, which are most of a report's work: noise of many gaps, and norms
 * of gaps under noise. Sums are made in the order that is told, one number after the other, whatever is computed beside.
 */

/**
 * Draws of gaps, out[r, m] = Σ_l V[l, m]·z[r, l], added up from l = 0.
 *
 * @param rows V: L rows of `size` numbers
 * @param reach V[l, m] is 0 wherever l > reach + m; L where nothing is known
 * @param z count × `stride` numbers, the first L of each row to be used
 * @returns count × size numbers
 */
export function noiseOf(
  rows: readonly Float64Array[],
  size: number,
  reach: number,
  z: Float64Array,
  stride: number,
  count: number,
): Float64Array {
  const result = new Float64Array(count * size);
  const blocks = Math.ceil(size / COLUMNS);
  const width = blocks * COLUMNS;
  const block = rows.length * COLUMNS;
  const { numbers, at } = memoryFor(blocks * block, DRAWS * stride, DRAWS * width);
  const [matrix, normals, out] = at as [number, number, number];
  rows.forEach((row, l) => {
    for (let b = 0, m = 0; b < blocks; b++, m += COLUMNS)
      numbers.set(row.subarray(m, m + COLUMNS), matrix + b * block + l * COLUMNS);
  });
  for (let r0 = 0; r0 < count; r0 += DRAWS) {
    const draws = Math.min(DRAWS, count - r0);
    numbers.set(z.subarray(r0 * stride, (r0 + draws) * stride), normals);
    for (let b = 0, m = 0; b < blocks; b++, m += COLUMNS) {
      const columns = Math.min(COLUMNS, size - m);
      calls.products!(
        8 * (matrix + b * block),
        8 * normals,
        8 * (normals + draws * stride),
        8 * stride,
        8 * Math.min(rows.length, reach + m + columns),
        8 * (out + m),
        8 * width,
        8 * columns,
      );
    }
    for (let r = 0; r < draws; r++) {
      const from = out + r * width;
      result.set(numbers.subarray(from, from + size), (r0 + r) * size);
    }
  }
  return result;
}

/**
 * N₁ or N₃ of s·D + E for every s and every draw E: the largest |signed sum| of each run's gaps with at most one, or three,
 * changes of sign, added up over runs.
 *
 * @param values D: M gaps
 * @param starts where each run's gaps start, and M at the end
 * @param noise E: draws × M numbers
 * @returns for each s a number a draw
 */
export function normsOf(
  norm: 'oneChange' | 'threeChanges',
  values: Float64Array,
  starts: readonly number[],
  scales: readonly number[],
  noise: Float64Array,
): Float64Array[] {
  if (scales.length === 0) return [];
  const size = values.length;
  const count = noise.length / size;
  const width = 2 * Math.ceil(scales.length / 2);
  const most = Math.max(1, Math.floor(NOISE / size));
  const { numbers, at } = memoryFor(size, starts.length, width, most * size, most * width);
  const [gaps, bounds, factors, draws, out] = at as [number, number, number, number, number];
  numbers.set(values, gaps);
  new Int32Array(numbers.buffer, 8 * bounds, starts.length).set(starts.map((start) => 8 * start));
  numbers.set(scales, factors);
  const results = scales.map(() => new Float64Array(count));
  for (let r0 = 0; r0 < count; r0 += most) {
    const now = Math.min(most, count - r0);
    numbers.set(noise.subarray(r0 * size, (r0 + now) * size), draws);
    calls[norm]!(
      8 * draws,
      8 * (draws + now * size),
      8 * gaps,
      8 * bounds,
      8 * bounds + 4 * (starts.length - 1),
      8 * factors,
      8 * (factors + width),
      8 * out,
    );
    results.forEach((result, s) => {
      for (let r = 0, from = out + s; r < now; r++, from += width) result[r0 + r] = numbers[from]!;
    });
  }
  return results;
}

/** What is held at a time: columns and draws of noise, so that they stay in the caches, and numbers of noise under norms. */
const COLUMNS = 64;
const DRAWS = 128;
const NOISE = 1 << 16;

/** Four draws of two times two gaps at a time: eight sums, so that none waits for its last addition. */
const products: WasmFunction = {
  name: 'products',
  parameters: 8,
  body(parameters, locals) {
    const [matrix, z, zEnd, stride, width, out, outStride, columns] = parameters as Eight;
    const [m, a, end] = locals('i32', 3) as Three;
    const places = locals('i32', 4);
    const sums = locals('f64x2', 8);
    const [left, right, one] = locals('f64x2', 3) as Three;
    return [
      loop(
        i32.less(z.get, zEnd.get),
        m.set(i32.of(0)),
        loop(
          i32.less(m.get, columns.get),
          ...sums.map((sum) => sum.set(f64x2.zero)),
          a.set(i32.add(matrix.get, m.get)),
          end.set(i32.add(z.get, width.get)),
          ...places.map((place, r) => place.set(r === 0 ? z.get : i32.add(places[r - 1]!.get, stride.get))),
          loop(
            i32.less(places[0]!.get, end.get),
            left.set(f64x2.load(a.get)),
            right.set(f64x2.load(a.get, 16)),
            ...places.flatMap((place, r) => [
              one.set(f64x2.loadTwice(place.get)),
              increase(sums[2 * r]!, f64x2.mul(one.get, left.get)),
              increase(sums[2 * r + 1]!, f64x2.mul(one.get, right.get)),
              place.set(i32.add(place.get, i32.of(8))),
            ]),
            a.set(i32.add(a.get, i32.of(8 * COLUMNS))),
          ),
          a.set(i32.add(out.get, m.get)),
          ...places.flatMap((_, r) => [
            f64x2.store(a.get, sums[2 * r]!.get),
            f64x2.store(a.get, sums[2 * r + 1]!.get, 16),
            a.set(i32.add(a.get, outStride.get)),
          ]),
          m.set(i32.add(m.get, i32.of(32))),
        ),
        z.set(i32.add(z.get, i32.shiftLeft(stride.get, 2))),
        out.set(i32.add(out.get, i32.shiftLeft(outStride.get, 2))),
      ),
    ];
  },
};

/**
 * A norm for two scales at a time.
 * @param each what one gap does to a run's state, which begins with zeros
 * @param end the run's norm
 */
function normFunction(
  name: string,
  states: number,
  each: (state: readonly Local[], gap: Local) => readonly (readonly number[])[],
  end: (state: readonly Local[]) => readonly number[],
): WasmFunction {
  return {
    name,
    parameters: 8,
    body(parameters, locals) {
      const [noise, noiseEnd, values, starts, startsEnd, scales, scalesEnd, out] = parameters as Eight;
      const [scaleAt, start, gapAt, noiseAt, runEnd] = locals('i32', 5) as Five;
      const [scale, gap, sum] = locals('f64x2', 3) as Three;
      const state = locals('f64x2', states);
      return [
        loop(
          i32.less(noise.get, noiseEnd.get),
          scaleAt.set(scales.get),
          loop(
            i32.less(scaleAt.get, scalesEnd.get),
            scale.set(f64x2.load(scaleAt.get)),
            sum.set(f64x2.zero),
            start.set(starts.get),
            gapAt.set(values.get),
            noiseAt.set(noise.get),
            loop(
              i32.less(start.get, startsEnd.get),
              ...state.map((one) => one.set(f64x2.zero)),
              runEnd.set(i32.add(noise.get, i32.load(start.get, 4))),
              loop(
                i32.less(noiseAt.get, runEnd.get),
                gap.set(
                  f64x2.add(f64x2.mul(scale.get, f64x2.loadTwice(gapAt.get)), f64x2.loadTwice(noiseAt.get)),
                ),
                ...each(state, gap),
                gapAt.set(i32.add(gapAt.get, i32.of(8))),
                noiseAt.set(i32.add(noiseAt.get, i32.of(8))),
              ),
              increase(sum, end(state)),
              start.set(i32.add(start.get, i32.of(4))),
            ),
            f64x2.store(out.get, sum.get),
            out.set(i32.add(out.get, i32.of(16))),
            scaleAt.set(i32.add(scaleAt.get, i32.of(16))),
          ),
          noise.set(noiseAt.get),
        ),
      ];
    },
  };
}

/** N₁ by running sums C, that before the first gap among them: max(|C_K|, max_j |C_K − 2C_j|). */
const oneChange = normFunction(
  'oneChange',
  3,
  (state, gap) => {
    const [sum, least, most] = state as Three;
    return [
      increase(sum, gap.get),
      least.set(f64x2.min(least.get, sum.get)),
      most.set(f64x2.max(most.get, sum.get)),
    ];
  },
  (state) => {
    const [sum, least, most] = state as Three;
    const twice = (one: Local) => f64x2.add(one.get, one.get);
    return f64x2.max(f64x2.sub(sum.get, twice(least)), f64x2.sub(twice(most), sum.get));
  },
);

/**
 * N₃ by dynamic programming over the number of changes so far, for patterns that start with + (the first four) and with −.
 * Those with three changes are never below the others, since a stretch may be empty.
 */
const threeChanges = normFunction(
  'threeChanges',
  8,
  (state, gap) =>
    [3, 2, 1, 0, 7, 6, 5, 4].map((i) => {
      const one = state[i]!;
      const best = i % 4 === 0 ? one.get : f64x2.max(one.get, state[i - 1]!.get);
      const plus = i < 4 ? i % 2 === 0 : i % 2 === 1;
      return one.set((plus ? f64x2.add : f64x2.sub)(best, gap.get));
    }),
  (state) => f64x2.max(state[3]!.get, state[7]!.get),
);

const { memory, calls } = assemble([products, oneChange, threeChanges]);

/** The memory as numbers, with room for so many each time, and where each begins. */
function memoryFor(...lengths: readonly number[]): { numbers: Float64Array; at: number[] } {
  // Vectors are loaded fastest from multiples of 16 bytes.
  const at = lengths.map((_, i) =>
    lengths.slice(0, i).reduce((sum, length) => sum + length + (length & 1), 0),
  );
  const bytes = 8 * (at.at(-1)! + lengths.at(-1)!);
  const lacking = bytes - memory.buffer.byteLength;
  if (lacking > 0) memory.grow(Math.ceil(lacking / 65536));
  return { numbers: new Float64Array(memory.buffer), at };
}

function increase(sum: Local, value: readonly number[]): readonly number[] {
  return sum.set(f64x2.add(sum.get, value));
}

type Three = [Local, Local, Local];
type Five = [...Three, Local, Local];
type Eight = [...Five, Local, Local, Local];

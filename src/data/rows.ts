/** Rows 0…n−1, on shared memory. */
export function allRows(n: number): Uint32Array<SharedArrayBuffer> {
  const rows = new Uint32Array(new SharedArrayBuffer(n * 4));
  for (let i = 0; i < n; i++) rows[i] = i;
  return rows;
}

/** The same numbers, on shared memory. */
export function sharedRows(values: ArrayLike<number>): Uint32Array<SharedArrayBuffer> {
  const rows = new Uint32Array(new SharedArrayBuffer(values.length * 4));
  rows.set(values);
  return rows;
}

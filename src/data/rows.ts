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

/** Integers of 32 bits, as many as come: 4 bytes each, where a plain array may take 16. */
export class IntegerList {
  length = 0;
  private values = new Int32Array(256);

  push(value: number): void {
    if (this.length === this.values.length) {
      const grown = new Int32Array(this.values.length * 2);
      grown.set(this.values);
      this.values = grown;
    }
    this.values[this.length++] = value;
  }

  /** The integers so far, as a view that the next `push` may leave behind. */
  view(): Int32Array<ArrayBuffer> {
    return this.values.subarray(0, this.length);
  }
}

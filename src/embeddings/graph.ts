/** A sparse matrix by rows: row i has the columns `columns[starts[i] … starts[i + 1])`, ascending, with `values`. */
export interface Graph {
  readonly starts: Int32Array;
  readonly columns: Int32Array;
  readonly values: Float64Array;
}

/**
 * The symmetric graph of directed edges i → `indices[i·k …]` with `weights`: every pair that has an edge in one of the
 * directions gets `combine(there, back)`, where a direction without an edge counts 0.
 * @param n rows
 */
export function symmetric(
  indices: Int32Array,
  weights: Float64Array,
  n: number,
  combine: (there: number, back: number) => number,
): Graph {
  const k = indices.length / n;
  const there = byRows(indices, weights, n);
  // Transposed twice, so the columns are sorted; the first transposition is the way back.
  const back = transposed(there, n);
  const sorted = transposed(back, n);
  const starts = new Int32Array(n + 1);
  const columns = new Int32Array(2 * n * k);
  const values = new Float64Array(2 * n * k);
  let size = 0;
  for (let i = 0; i < n; i++) {
    let a = sorted.starts[i]!;
    let b = back.starts[i]!;
    const aEnd = sorted.starts[i + 1]!;
    const bEnd = back.starts[i + 1]!;
    while (a < aEnd || b < bEnd) {
      const ja = a < aEnd ? sorted.columns[a]! : n;
      const jb = b < bEnd ? back.columns[b]! : n;
      columns[size] = Math.min(ja, jb);
      values[size++] = combine(ja <= jb ? sorted.values[a++]! : 0, jb <= ja ? back.values[b++]! : 0);
    }
    starts[i + 1] = size;
  }
  return { starts, columns: columns.slice(0, size), values: values.slice(0, size) };
}

function byRows(indices: Int32Array, weights: Float64Array, n: number): Graph {
  const k = indices.length / n;
  return { starts: Int32Array.from({ length: n + 1 }, (_, i) => i * k), columns: indices, values: weights };
}

function transposed({ starts, columns, values }: Graph, n: number): Graph {
  const next = new Int32Array(n + 1);
  for (const j of columns) next[j + 1]!++;
  for (let j = 0; j < n; j++) next[j + 1] = next[j + 1]! + next[j]!;
  const result = {
    starts: next.slice(),
    columns: new Int32Array(columns.length),
    values: new Float64Array(columns.length),
  };
  for (let i = 0; i < n; i++) {
    for (let e = starts[i]!; e < starts[i + 1]!; e++) {
      const to = next[columns[e]!]!++;
      result.columns[to] = i;
      result.values[to] = values[e]!;
    }
  }
  return result;
}

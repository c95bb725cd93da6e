import { aten, fromTypedArray, noGrad, Scope, type Tensor } from '../torch/index.ts';

/** Euclidean: |a − b|. Cosine: 1 − a·b/(|a|·|b|), and 1 where a vector is zero (scikit-learn's conventions). */
export type Metric = 'euclidean' | 'cosine';

/** Rows of a matrix of numbers, row-major. */
export interface Rows {
  readonly values: Float32Array;
  /** Numbers in a row. */
  readonly width: number;
}

/** The distances of some queries to some references. */
export interface DistanceBlock {
  /** Number of the first query and of the first reference. */
  readonly query: number;
  readonly reference: number;
  /** [queries, references] float64, contiguous; valid until the visit ends. */
  readonly distances: Tensor;
}

/** 1,024 × 8,192 float64 distances are 64 MiB. */
const QUERIES = 1024;
const REFERENCES = 8192;
/**
 * Squared distances below this share of |a|² + |b|² are 0. About a thousand roundings of float64: more than a product of
 * long rows makes, less than float32 features can tell apart. So copies of a sample are at distance 0 exactly, wherever
 * in a product they stand.
 */
const ROUNDING = 1e-13;

/**
 * Visits all distances, block by block: every block of queries with all blocks of references, both in ascending order.
 *
 * In float64 through one matrix product, |a|² + |b|² − 2ab, around the references' mean: features after a ReLU lie far
 * from the origin, and the products would lose what tells them apart. Memory does not grow with the number of rows.
 */
export function forEachDistances(
  queries: Rows,
  references: Rows,
  metric: Metric,
  visit: (block: DistanceBlock) => void,
): void {
  const m = queries.values.length / queries.width;
  const n = references.values.length / references.width;
  using _outer = new Scope();
  noGrad(() => {
    const prepare = metric === 'cosine' ? normalized : centred(meanOf(references));
    for (let i = 0; i < m; i += QUERIES) {
      using _queries = new Scope();
      const a = prepare(rowsOf(queries, i, Math.min(i + QUERIES, m)));
      for (let j = 0; j < n; j += REFERENCES) {
        using _block = new Scope();
        const b = prepare(rowsOf(references, j, Math.min(j + REFERENCES, n)));
        visit({
          query: i,
          reference: j,
          distances: metric === 'cosine' ? cosineDistances(a, b) : euclideanDistances(a, b),
        });
      }
    }
  });
}

/** Rows [from, to) as float64. */
export function rowsOf({ values, width }: Rows, from: number, to: number): Tensor {
  return fromTypedArray(values.subarray(from * width, to * width), { shape: [to - from, width] }).to({
    dtype: 'float64',
  });
}

/** The mean row, [width] float64. */
export function meanOf(rows: Rows): Tensor {
  const n = rows.values.length / rows.width;
  const sum = aten.zeros([rows.width], { dtype: 'float64' });
  for (let i = 0; i < n; i += REFERENCES) {
    using _scope = new Scope();
    sum.add_(rowsOf(rows, i, Math.min(i + REFERENCES, n)).sum([0]));
  }
  return sum.div_(n);
}

function centred(mean: Tensor): (rows: Tensor) => Tensor {
  return (rows) => rows.sub_(mean);
}

/** Rows of length 1; a zero row stays zero. */
function normalized(rows: Tensor): Tensor {
  const length = aten.linalg_vector_norm(rows, 2, [1], true);
  return rows.div_(length.masked_fill(length.eq(0), 1));
}

function euclideanDistances(a: Tensor, b: Tensor): Tensor {
  const squares = (x: Tensor) =>
    x
      .square()
      .sum([1])
      .mul_(1 - ROUNDING);
  return aten.addmm(squares(b), a, b.t(), { alpha: -2 }).add_(squares(a).unsqueeze(1)).clamp_min_(0).sqrt_();
}

function cosineDistances(a: Tensor, b: Tensor): Tensor {
  const distances = a
    .matmul(b.t())
    .mul_(-(1 + ROUNDING))
    .add_(1);
  return distances.clamp_(0, 2);
}

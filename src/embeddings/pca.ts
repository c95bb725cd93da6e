import { aten, noGrad, Scope, type Tensor, tidy } from '../torch/index.ts';
import { meanOf, type Rows, rowsOf } from './distances.ts';
import { checkFeatures, checkWhole } from './features.ts';

export interface PrincipalComponents {
  /** How many: as many as were asked for, at most min(N, D). */
  readonly k: number;
  /** N×k coordinates along the components, centred. */
  readonly scores: Float32Array;
  /** k sample variances (over N − 1) of the scores, descending. */
  readonly variances: Float64Array;
}

/** Rows that are taken to float64 at once. */
const CHUNK = 2048;

/**
 * Principal component analysis in float64, exact: eigenvectors of the smaller of the D×D and the N×N product.
 *
 * An eigenvector's sign is free; here the component's entry of the largest absolute value is positive (the first of
 * several), as in scikit-learn. A direction without variance has scores 0.
 * @param features N×D
 * @param k components, at least 1
 */
export function principalComponents(
  features: Float32Array,
  n: number,
  d: number,
  k: number,
): PrincipalComponents {
  checkFeatures(features, n, d);
  checkWhole('components', k, 1);
  const most = Math.min(k, n, d);
  const rows: Rows = { values: features, width: d };
  const [scores, variances] = tidy(() =>
    noGrad(() => {
      const mean = meanOf(rows);
      return d <= n ? byCovariance(rows, mean, most) : byGram(rows, mean, most);
    }),
  );
  const result = {
    k: most,
    scores: scores!.toTypedArray() as Float32Array,
    variances: variances!.toTypedArray() as Float64Array,
  };
  scores!.dispose();
  variances!.dispose();
  return result;
}

/** [n, k] float32 scores and [k] variances. */
type Result = [scores: Tensor, variances: Tensor];

function byCovariance(rows: Rows, mean: Tensor, k: number): Result {
  const { width } = rows;
  const n = rows.values.length / width;
  const product = aten.zeros([width, width], { dtype: 'float64' });
  forEachChunk(rows, mean, (x) => product.addmm_(x.t(), x));
  const [values, vectors] = largest(product, k);
  const components = vectors.mul(signs(vectors));
  const scores = aten.empty([n, k], { dtype: 'float32' });
  forEachChunk(rows, mean, (x, from, to) => scores.slice(0, from, to).copy_(x.matmul(components)));
  return [scores, values.div(Math.max(1, n - 1))];
}

function byGram(rows: Rows, mean: Tensor, k: number): Result {
  const n = rows.values.length / rows.width;
  const x = rowsOf(rows, 0, n).sub_(mean);
  const [values, vectors] = largest(x.matmul(x.t()), k);
  const scores = vectors.mul(values.sqrt()).mul(signs(x.t().matmul(vectors)));
  return [scores.to({ dtype: 'float32' }), values.div(Math.max(1, n - 1))];
}

/** Eigenvalues of a symmetric matrix, descending, and their vectors as columns; 0 below what rounding makes. */
function largest(matrix: Tensor, k: number): [values: Tensor, vectors: Tensor] {
  const [ascending, vectors] = aten.linalg_eigh(matrix);
  const size = matrix.shape[0]!;
  const order = aten.arange(size - 1, size - 1 - k, -1, { dtype: 'int64' });
  const values = ascending.index_select(0, order);
  const rounding = Math.max(0, values.slice(0, 0, 1).item()) * size * 2 ** -52;
  const kept = values.gt(rounding);
  return [values.mul(kept), vectors.index_select(1, order).mul(kept)];
}

/** [k]: ±1 by each column's entry of the largest absolute value; 1 for a column of zeros. */
function signs(columns: Tensor): Tensor {
  const at = columns.abs().argmax(0, true);
  return columns.gather(0, at).squeeze(0).lt(0).to({ dtype: 'float64' }).mul(-2).add(1);
}

function forEachChunk(rows: Rows, mean: Tensor, visit: (x: Tensor, from: number, to: number) => void): void {
  const n = rows.values.length / rows.width;
  for (let from = 0; from < n; from += CHUNK) {
    using _scope = new Scope();
    const to = Math.min(from + CHUNK, n);
    visit(rowsOf(rows, from, to).sub_(mean), from, to);
  }
}

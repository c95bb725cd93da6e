import { PenumbraError } from '../errors.ts';
import { forEachDistances, type Rows } from './distances.ts';
import { checkFeatures, checkWhole } from './features.ts';
import { nearestNeighbours } from './neighbours.ts';

/**
 * How far the neighbours in a picture are neighbours in truth (Venna and Kaski, ICANN 2001; scikit-learn's
 * `trustworthiness`):
 *
 *     T = 1 − 2/(N·k·(2N − 3k − 1)) · Σ_i Σ_{j among the k nearest of i in the picture} max(0, rank_i(j) − k),
 *
 * where rank_i(j) counts from 1 by the Euclidean distance of features. In [0, 1]; 1 where no false neighbour is drawn.
 * @param features N×D
 * @param points N×2
 * @param k less than N/2
 */
export function trustworthiness(
  features: Float32Array,
  points: Float32Array,
  n: number,
  d: number,
  k = 12,
): number {
  checkFeatures(features, n, d);
  checkFeatures(points, n, 2);
  checkWhole('k', k, 1);
  if (2 * k >= n) {
    throw new PenumbraError('embeddings/option', `k must be less than half of the ${n} samples, got ${k}`, {
      where: { option: 'k' },
    });
  }
  const drawn = nearestNeighbours(points, n, 2, k).indices;
  const own = new Float64Array(n * k); // The true distance of each drawn neighbour,
  const nearer = new Int32Array(n * k); // and how many samples are nearer.
  const rows: Rows = { values: features, width: d };
  forEachDistances(rows, rows, 'euclidean', ({ query, reference, distances }) => {
    const [m, columns] = distances.shape as [number, number];
    const values = distances.data() as Float64Array;
    for (let i = 0; i < m; i++)
      for (let e = (query + i) * k; e < (query + i + 1) * k; e++) {
        const j = drawn[e]! - reference;
        if (j >= 0 && j < columns) own[e] = values[i * columns + j]!;
      }
  });
  forEachDistances(rows, rows, 'euclidean', ({ query, reference, distances }) => {
    const [m, columns] = distances.shape as [number, number];
    const values = distances.data() as Float64Array;
    for (let i = 0; i < m; i++) {
      const self = query + i - reference;
      for (let e = (query + i) * k; e < (query + i + 1) * k; e++) {
        const limit = own[e]!;
        let count = 0;
        for (let j = 0, at = i * columns; j < columns; j++, at++)
          if (values[at]! < limit && j !== self) count++;
        nearer[e] = nearer[e]! + count;
      }
    }
  });
  let penalty = 0;
  for (const count of nearer) penalty += Math.max(0, count + 1 - k);
  return 1 - (2 * penalty) / (n * k * (2 * n - 3 * k - 1));
}

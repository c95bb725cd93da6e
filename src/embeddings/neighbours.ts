import { PenumbraError } from '../errors.ts';
import { type DistanceBlock, forEachDistances, type Metric, type Rows } from './distances.ts';
import { checkFeatures, checkWhole } from './features.ts';

/** The k nearest references of each query. */
export interface Neighbours {
  readonly k: number;
  /** N×k row numbers, the nearest first; of equally near ones the lower number first. */
  readonly indices: Int32Array;
  /** N×k distances. */
  readonly distances: Float32Array;
}

/**
 * The exact k nearest neighbours of every row among the other rows.
 * @param features N×D
 * @throws `embeddings/neighbours` where there are not more than k rows
 */
export function nearestNeighbours(
  features: Float32Array,
  n: number,
  d: number,
  k: number,
  metric: Metric = 'euclidean',
): Neighbours {
  checkFeatures(features, n, d);
  const lists = new NeighbourLists(n, n - 1, k, true);
  const rows: Rows = { values: features, width: d };
  forEachDistances(rows, rows, metric, (block) => lists.add(block));
  return lists;
}

/**
 * Lists of nearest references that grow block by block. Distances are compared in float32, which drops the last
 * roundings of the matrix products: rows that are equally near stay equally near, and the lower number wins.
 */
export class NeighbourLists implements Neighbours {
  readonly k: number;
  readonly indices: Int32Array;
  readonly distances: Float32Array;
  private readonly skipSelf: boolean;

  /**
   * @param candidates how many references each query can choose from
   * @param skipSelf whether queries and references are the same rows, and a row is no neighbour of itself
   */
  constructor(queries: number, candidates: number, k: number, skipSelf: boolean) {
    needNeighbours(k, candidates);
    this.k = k;
    this.indices = new Int32Array(queries * k).fill(-1);
    this.distances = new Float32Array(queries * k).fill(Number.POSITIVE_INFINITY);
    this.skipSelf = skipSelf;
  }

  add({ query, reference, distances }: DistanceBlock): void {
    const [rows, columns] = distances.shape as [number, number];
    const narrow = distances.to({ dtype: 'float32' });
    const values = narrow.data() as Float32Array;
    for (let i = 0; i < rows; i++) {
      const self = this.skipSelf ? query + i - reference : -1;
      this.scan(values, i * columns, columns, self, (query + i) * this.k, reference);
    }
    narrow.dispose();
  }

  private scan(
    values: Float32Array,
    at: number,
    columns: number,
    self: number,
    list: number,
    first: number,
  ): void {
    const { indices, distances } = this;
    const last = list + this.k - 1;
    let farthest = distances[last]!;
    for (let j = 0; j < columns; j++) {
      const value = values[at + j]!;
      if (value >= farthest || j === self) continue;
      let to = last;
      while (to > list && distances[to - 1]! > value) {
        distances[to] = distances[to - 1]!;
        indices[to] = indices[to - 1]!;
        to--;
      }
      distances[to] = value;
      indices[to] = first + j;
      farthest = distances[last]!;
    }
  }
}

/**
 * Whether so many neighbours can be had: known before any feature is.
 * @param candidates how many references each query can choose from
 * @throws `embeddings/neighbours`
 */
export function needNeighbours(k: number, candidates: number): void {
  checkWhole('k', k, 1);
  if (candidates >= k) return;
  throw new PenumbraError(
    'embeddings/neighbours',
    `${k} nearest neighbours were asked for, and there are ${candidates} other samples`,
    { hint: 'ask for fewer neighbours, or give more samples' },
  );
}

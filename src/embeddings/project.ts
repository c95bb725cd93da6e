import { PenumbraError } from '../errors.ts';
import { checkFeatures, checkWhole } from './features.ts';
import { type Neighbours, nearestNeighbours } from './neighbours.ts';
import { principalComponents } from './pca.ts';
import { type OnProgress, tsne, tsneNeighbours, tsneSimilarities } from './tsne.ts';
import { fuzzyGraph, umap } from './umap.ts';

export const PROJECTIONS = ['tsne', 'umap'] as const;
export type Projection = (typeof PROJECTIONS)[number];

export interface ProjectOptions {
  /** Default `tsne`. */
  readonly method?: Projection;
  /** Names the stream of random numbers. Default 0. */
  readonly seed?: number;
  /** Principal components that are kept before neighbours are looked for. Default 50. */
  readonly components?: number;
  /** t-SNE's effective number of neighbours. Default 30, or a third of the other samples where that is less. */
  readonly perplexity?: number;
  /** UMAP's neighbours, the point itself not counted. Default 14 (umap-learn's 15), or all other samples. */
  readonly neighbours?: number;
  /** How close UMAP may pack points. Default 0.1. */
  readonly minDistance?: number;
}

/** Fewer samples have no neighbourhoods to show. */
const LEAST_SAMPLES = 4;

/**
 * Places N samples in the plane so that near ones stay near: 50 principal components, exact nearest neighbours among
 * them, then t-SNE or UMAP from the first two components. Equal features, options and engine threads give equal pictures.
 *
 * @param features N×D, row-major
 * @param onProgress called after every step of the descent with the steps done and in all
 * @returns N×2
 * @throws `embeddings/empty`, `embeddings/shape`, `embeddings/value`, `embeddings/samples` (fewer than 4),
 *   `embeddings/option`
 */
export function project(
  features: Float32Array,
  n: number,
  d: number,
  options: ProjectOptions = {},
  onProgress: OnProgress = () => {},
): Float32Array {
  const { method = 'tsne', seed = 0, components = 50 } = options;
  checkFeatures(features, n, d);
  if (n < LEAST_SAMPLES) {
    throw new PenumbraError(
      'embeddings/samples',
      `a picture needs at least ${LEAST_SAMPLES} samples, got ${n}`,
    );
  }
  if (!PROJECTIONS.includes(method)) throw badOption('method', PROJECTIONS.join(' or '), method);
  checkWhole('components', components, 1);
  const { k, scores } = principalComponents(features, n, d, components);
  const initial = new Float64Array(2 * n);
  for (let i = 0; i < n; i++) {
    initial[2 * i] = scores[i * k]!;
    if (k > 1) initial[2 * i + 1] = scores[i * k + 1]!;
  }
  const near = (count: number): Neighbours => nearestNeighbours(scores, n, k, count);
  if (method === 'tsne') {
    const { perplexity = Math.min(30, (n - 1) / 3) } = options;
    if (!(perplexity >= 1 && perplexity <= n - 1)) {
      throw badOption('perplexity', `a number from 1 to ${n - 1} for ${n} samples`, perplexity);
    }
    const similarities = tsneSimilarities(near(tsneNeighbours(n, perplexity)), perplexity);
    return Float32Array.from(tsne(similarities, initial, seed, onProgress));
  }
  const { neighbours = Math.min(14, n - 1), minDistance = 0.1 } = options;
  checkWhole('neighbours', neighbours, 1);
  if (!(minDistance >= 0 && minDistance < 3))
    throw badOption('minDistance', 'a number in [0, 3)', minDistance);
  return Float32Array.from(umap(fuzzyGraph(near(neighbours)), initial, minDistance, seed, onProgress));
}

function badOption(option: string, expected: string, found: unknown): PenumbraError {
  return new PenumbraError(
    'embeddings/option',
    `${option} must be ${expected}, got ${typeof found === 'string' ? JSON.stringify(found) : found}`,
    { where: { option } },
  );
}

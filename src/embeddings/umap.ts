import { Random } from '../random.ts';
import { type Graph, symmetric } from './graph.ts';
import type { Neighbours } from './neighbours.ts';
import type { OnProgress } from './tsne.ts';

/** Samples drawn to push away for each one drawn to pull. */
const NEGATIVES = 5;

/**
 * Uniform manifold approximation and projection into the plane (McInnes, Healy and Melville, arXiv 1802.03426), as its
 * reference implementation umap-learn does it: stochastic gradient descent over the edges of the fuzzy graph, each drawn
 * in proportion to its membership, five random points pushed away for each.
 * @param graph of {@link fuzzyGraph}
 * @param initial N×2 start, scaled here to ±10 (umap-learn's `init='pca'`): a start that knows the data keeps the large
 *   structure, which a random one loses (Kobak and Linderman, Nature Biotechnology 2021)
 * @param minDistance how close points may be packed in the picture; umap-learn's default 0.1
 * @param seed for the noise of the start and the points that push
 * @returns N×2
 */
export function umap(
  graph: Graph,
  initial: Float64Array,
  minDistance: number,
  seed: number,
  onProgress: OnProgress = () => {},
): Float64Array {
  const n = initial.length / 2;
  const epochs = n <= 10_000 ? 500 : 200;
  const [a, b] = curve(minDistance);
  const { heads, tails, periods } = edges(graph, epochs);
  const random = new Random(seed, 0x3a9);
  const largest = initial.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const y = initial.map((value) => (largest > 0 ? (10 * value) / largest : 0) + 1e-4 * random.normal());
  const pull = periods.slice();
  const push = periods.map((period) => period / NEGATIVES);
  const scale = n / 4294967296;
  for (let epoch = 1; epoch <= epochs; epoch++) {
    const rate = 1 - (epoch - 1) / epochs;
    for (let e = 0; e < heads.length; e++) {
      if (pull[e]! > epoch) continue;
      const period = periods[e]!;
      const i = 2 * heads[e]!;
      const j = 2 * tails[e]!;
      let dx = y[i]! - y[j]!;
      let dy = y[i + 1]! - y[j + 1]!;
      let square = dx * dx + dy * dy;
      if (square > 0) {
        const power = square ** b;
        const force = (-2 * a * b * power) / (square * (a * power + 1));
        const sx = rate * clip(force * dx);
        const sy = rate * clip(force * dy);
        y[i] = y[i]! + sx;
        y[i + 1] = y[i + 1]! + sy;
        y[j] = y[j]! - sx;
        y[j + 1] = y[j + 1]! - sy;
      }
      pull[e] = pull[e]! + period;
      const negatives = Math.floor((epoch - push[e]!) / (period / NEGATIVES)) + 1;
      for (let s = 0; s < negatives; s++) {
        const other = 2 * Math.floor(random.uint32() * scale);
        if (other === i) continue;
        dx = y[i]! - y[other]!;
        dy = y[i + 1]! - y[other + 1]!;
        square = dx * dx + dy * dy;
        if (square === 0) continue;
        const force = (2 * b) / ((0.001 + square) * (a * square ** b + 1));
        y[i] = y[i]! + rate * clip(force * dx);
        y[i + 1] = y[i + 1]! + rate * clip(force * dy);
      }
      push[e] = push[e]! + (negatives * period) / NEGATIVES;
    }
    onProgress(epoch, epochs);
  }
  return y;
}

/**
 * The fuzzy graph of UMAP: memberships exp(−max(0, d_ij − ρ_i)/σ_i), with ρ_i the distance to the nearest neighbour that
 * is no copy and σ_i such that the memberships of i sum to log2(k + 1); both directions joined by the probabilistic or,
 * p + q − pq. umap-learn counts a point among its own neighbours, so its `n_neighbors` is k + 1.
 */
export function fuzzyGraph(neighbours: Neighbours): Graph {
  const { k, indices, distances } = neighbours;
  const n = indices.length / k;
  const weights = new Float64Array(n * k);
  let total = 0;
  for (const distance of distances) total += distance;
  const meanOfAll = total / (n * (k + 1));
  for (let i = 0; i < n; i++) {
    const own = distances.subarray(i * k, (i + 1) * k);
    memberships(own, Math.log2(k + 1), meanOfAll, weights.subarray(i * k, (i + 1) * k));
  }
  return symmetric(indices, weights, n, (there, back) => there + back - there * back);
}

/** Least width σ of a membership, as a share of the mean distance: umap-learn's MIN_K_DIST_SCALE. */
const LEAST_WIDTH = 1e-3;

function memberships(
  distances: Float32Array,
  target: number,
  meanOfAll: number,
  weights: Float64Array,
): void {
  const k = distances.length;
  const rho = distances.find((distance) => distance > 0) ?? 0;
  let low = 0;
  let high = Number.POSITIVE_INFINITY;
  let sigma = 1;
  for (let step = 0; step < 64; step++) {
    let sum = 0;
    for (let j = 0; j < k; j++) sum += distances[j]! > rho ? Math.exp(-(distances[j]! - rho) / sigma) : 1;
    if (Math.abs(sum - target) < 1e-5) break;
    if (sum > target) high = sigma;
    else low = sigma;
    sigma = high === Number.POSITIVE_INFINITY ? 2 * sigma : (low + high) / 2;
  }
  const mean = rho > 0 ? distances.reduce((sum, distance) => sum + distance, 0) / (k + 1) : meanOfAll;
  sigma = Math.max(sigma, LEAST_WIDTH * mean);
  for (let j = 0; j < k; j++)
    weights[j] = distances[j]! <= rho || sigma === 0 ? 1 : Math.exp(-(distances[j]! - rho) / sigma);
}

/** The graph's edges with the number of epochs between two draws; those not drawn once are left out. */
function edges(
  { starts, columns, values }: Graph,
  epochs: number,
): { heads: Int32Array; tails: Int32Array; periods: Float64Array } {
  const largest = values.reduce((most, value) => Math.max(most, value), 0);
  const heads: number[] = [];
  const tails: number[] = [];
  const periods: number[] = [];
  for (let i = 0; i + 1 < starts.length; i++) {
    for (let e = starts[i]!; e < starts[i + 1]!; e++) {
      if (values[e]! < largest / epochs) continue;
      heads.push(i);
      tails.push(columns[e]!);
      periods.push(largest / values[e]!);
    }
  }
  return {
    heads: Int32Array.from(heads),
    tails: Int32Array.from(tails),
    periods: Float64Array.from(periods),
  };
}

/**
 * a and b of 1/(1 + a·d^{2b}), fitted by least squares on 300 distances from 0 to 3 to the curve that is 1 up to
 * `minDistance` and then falls as exp(−(d − minDistance)).
 */
export function curve(minDistance: number): [a: number, b: number] {
  const points = Array.from({ length: 299 }, (_, i) => {
    const d = (3 * (i + 1)) / 299;
    return { d, wanted: d < minDistance ? 1 : Math.exp(minDistance - d) };
  });
  const error = (a: number, b: number) =>
    points.reduce((sum, { d, wanted }) => sum + (1 / (1 + a * d ** (2 * b)) - wanted) ** 2, 0);
  let a = 1;
  let b = 1;
  let damping = 1e-3; // Levenberg and Marquardt: two unknowns, so the equations are solved by hand.
  for (let step = 0; step < 200 && damping < 1e12; step++) {
    let aa = 0;
    let ab = 0;
    let bb = 0;
    let ga = 0;
    let gb = 0;
    for (const { d, wanted } of points) {
      const power = d ** (2 * b);
      const value = 1 / (1 + a * power);
      const da = -power * value * value;
      const db = a * da * 2 * Math.log(d);
      aa += da * da;
      ab += da * db;
      bb += db * db;
      ga += da * (value - wanted);
      gb += db * (value - wanted);
    }
    aa *= 1 + damping;
    bb *= 1 + damping;
    const determinant = aa * bb - ab * ab;
    const nextA = a - (bb * ga - ab * gb) / determinant;
    const nextB = b - (aa * gb - ab * ga) / determinant;
    if (nextA > 0 && nextB > 0 && error(nextA, nextB) < error(a, b)) {
      [a, b] = [nextA, nextB];
      damping /= 10;
    } else {
      damping *= 10;
    }
  }
  return [a, b];
}

function clip(value: number): number {
  return value > 4 ? 4 : value < -4 ? -4 : value;
}

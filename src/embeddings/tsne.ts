import { Random } from '../random.ts';
import { getThreads, setThreads } from '../torch/index.ts';
import { type Graph, symmetric } from './graph.ts';
import type { Neighbours } from './neighbours.ts';
import { Repulsion } from './repulsion.ts';

/** What a projection tells of its progress: steps done and steps in all. */
export type OnProgress = (done: number, total: number) => void;

const EXAGGERATED_STEPS = 250;
/** Steps over which the exaggeration falls from {@link EXAGGERATION} to 1, evenly. */
const FALLING_STEPS = 500;
const STEPS = 1000;
const EXAGGERATION = 12;

/** Neighbours that t-SNE looks at: three times the perplexity and one more, as in scikit-learn; fewer in small sets. */
export function tsneNeighbours(n: number, perplexity: number): number {
  return Math.min(n - 1, Math.floor(3 * perplexity + 1));
}

/**
 * t-distributed stochastic neighbour embedding into the plane (van der Maaten and Hinton, JMLR 2008), by gradient descent
 * with momentum 0.5, then 0.8, and per-coordinate gains: 250 steps with similarities exaggerated 12 times, 500 over which
 * the exaggeration falls to 1, and 250 without. Falling at once, as published, leaves the points in one of many poor minima,
 * and the last digit of the start decides in which: on the 300 points of our test the divergence is 1.05 to 1.14 (that of
 * scikit-learn 1.04 to 1.08). Falling slowly, an annealing, it is 1.031 to 1.034 whatever the processor's rounding.
 * Learning rate N/12 and at least 200 (Belkina et al., Nature Communications 2019). Repulsion by {@link Repulsion}.
 * @param similarities P of {@link tsneSimilarities}
 * @param initial N×2 start, scaled here to a standard deviation of 1e-4 (Kobak and Berens, Nature Communications 2019)
 * @param seed for the little noise that tells points with the same start apart
 * @returns N×2
 */
export function tsne(
  similarities: Graph,
  initial: Float64Array,
  seed: number,
  onProgress: OnProgress = () => {},
): Float64Array {
  const n = initial.length / 2;
  const y = start(initial, seed);
  const update = new Float64Array(2 * n);
  const gains = new Float64Array(2 * n).fill(1);
  const gradient = new Float64Array(2 * n);
  const rate = Math.max(n / EXAGGERATION, 200);
  using repulsion = new Repulsion(n);
  // The transforms are small: more threads would gain little, and on a busy machine wait for each other.
  using _threads = oneThread();
  for (let step = 0; step < STEPS; step++) {
    const early = step < EXAGGERATED_STEPS;
    attract(similarities, y, exaggeration(step), gradient);
    const z = repulsion.compute(y);
    const { fx, fy } = repulsion;
    for (let i = 0; i < n; i++) {
      gradient[2 * i] = gradient[2 * i]! - fx[i]! / z;
      gradient[2 * i + 1] = gradient[2 * i + 1]! - fy[i]! / z;
    }
    const momentum = early ? 0.5 : 0.8;
    for (let i = 0; i < y.length; i++) {
      const g = gradient[i]!;
      const gain = g * update[i]! < 0 ? gains[i]! + 0.2 : Math.max(0.01, gains[i]! * 0.8);
      gains[i] = gain;
      update[i] = momentum * update[i]! - rate * gain * g;
      y[i] = y[i]! + update[i]!;
    }
    centre(y);
    onProgress(step + 1, STEPS);
  }
  return y;
}

/**
 * The joint similarities P of t-SNE, sum 1: p_{j|i} ∝ exp(−β_i·d_ij²) over the neighbours of i, with β_i such that their
 * entropy is log(perplexity), made symmetric as (p_{j|i} + p_{i|j})/2N.
 */
export function tsneSimilarities(neighbours: Neighbours, perplexity: number): Graph {
  const { k, indices, distances } = neighbours;
  const n = indices.length / k;
  const weights = new Float64Array(n * k);
  const squares = new Float64Array(k);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < k; j++) squares[j] = distances[i * k + j]! ** 2 - distances[i * k]! ** 2;
    calibrate(squares, perplexity, weights.subarray(i * k, (i + 1) * k));
  }
  return symmetric(indices, weights, n, (there, back) => (there + back) / (2 * n));
}

/** KL(P ‖ Q) of a picture, Q over all pairs: what t-SNE minimises. N² work. */
export function klDivergence(similarities: Graph, y: ArrayLike<number>): number {
  const { starts, columns, values } = similarities;
  const n = starts.length - 1;
  const kernel = (i: number, j: number) =>
    1 / (1 + (y[2 * i]! - y[2 * j]!) ** 2 + (y[2 * i + 1]! - y[2 * j + 1]!) ** 2);
  let z = 0;
  for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) z += 2 * kernel(i, j);
  let sum = 0;
  for (let i = 0; i < n; i++)
    for (let e = starts[i]!; e < starts[i + 1]!; e++)
      if (values[e]! > 0) sum += values[e]! * Math.log((values[e]! * z) / kernel(i, columns[e]!));
  return sum;
}

/** Writes weights of sum 1 and the given perplexity; `squares` ascend from 0. */
function calibrate(squares: Float64Array, perplexity: number, weights: Float64Array): void {
  const target = Math.log(perplexity);
  let low = 0;
  let high = Number.POSITIVE_INFINITY;
  // In units of the mean: the search starts near its end whatever the features' scale.
  let beta = squares.length / squares.reduce((sum, square) => sum + square, 0);
  if (!Number.isFinite(beta)) {
    weights.fill(1 / weights.length); // All neighbours are equally near, no β changes that.
    return;
  }
  for (let step = 0; step < 200; step++) {
    let sum = 0;
    let mean = 0;
    for (let j = 0; j < squares.length; j++) {
      const weight = Math.exp(-beta * squares[j]!);
      weights[j] = weight;
      sum += weight;
      mean += weight * squares[j]!;
    }
    for (let j = 0; j < weights.length; j++) weights[j] = weights[j]! / sum;
    const surplus = Math.log(sum) + (beta * mean) / sum - target;
    if (Math.abs(surplus) < 1e-10) return;
    if (surplus > 0) low = beta;
    else high = beta;
    beta = high === Number.POSITIVE_INFINITY ? 2 * beta : (low + high) / 2;
  }
}

function exaggeration(step: number): number {
  const fallen = (step - EXAGGERATED_STEPS) / FALLING_STEPS;
  return EXAGGERATION + (1 - EXAGGERATION) * Math.min(1, Math.max(0, fallen));
}

function oneThread(): Disposable {
  const threads = getThreads();
  setThreads(1);
  return { [Symbol.dispose]: () => setThreads(threads) };
}

/** Σ_j p_ij·(y_i − y_j)/(1 + |y_i − y_j|²) times `exaggeration`, into `gradient`. */
function attract(p: Graph, y: Float64Array, exaggeration: number, gradient: Float64Array): void {
  const { starts, columns, values } = p;
  const n = starts.length - 1;
  for (let i = 0; i < n; i++) {
    const x0 = y[2 * i]!;
    const y0 = y[2 * i + 1]!;
    let gx = 0;
    let gy = 0;
    const end = starts[i + 1]!;
    for (let e = starts[i]!; e < end; e++) {
      const j = 2 * columns[e]!;
      const dx = x0 - y[j]!;
      const dy = y0 - y[j + 1]!;
      const pull = values[e]! / (1 + dx * dx + dy * dy);
      gx += pull * dx;
      gy += pull * dy;
    }
    gradient[2 * i] = exaggeration * gx;
    gradient[2 * i + 1] = exaggeration * gy;
  }
}

/** Standard deviation 1e-4 along the first axis, and noise of a hundredth of it. */
function start(initial: Float64Array, seed: number): Float64Array {
  const n = initial.length / 2;
  const random = new Random(seed, 0x745e);
  let mean = 0;
  for (let i = 0; i < n; i++) mean += initial[2 * i]! / n;
  let variance = 0;
  for (let i = 0; i < n; i++) variance += (initial[2 * i]! - mean) ** 2 / n;
  const scale = variance > 0 ? 1e-4 / Math.sqrt(variance) : 0;
  return initial.map((value) => value * scale + 1e-6 * random.normal());
}

function centre(y: Float64Array): void {
  let cx = 0;
  let cy = 0;
  for (let i = 0; i < y.length; i += 2) {
    cx += y[i]!;
    cy += y[i + 1]!;
  }
  cx /= y.length / 2;
  cy /= y.length / 2;
  for (let i = 0; i < y.length; i += 2) {
    y[i] = y[i]! - cx;
    y[i + 1] = y[i + 1]! - cy;
  }
}

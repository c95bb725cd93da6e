import { PenumbraError } from '../../errors.ts';
import { Random } from '../../random.ts';

/** A phrase and what is known of it: an anchor has a probability, a candidate none. */
export interface RankedPhrase {
  readonly phrase: string;
  readonly probability: number;
  /** Standard deviation of logit(p), from the curvature of the likelihood. */
  readonly deviation: number;
  readonly comparisons: number;
}

/** Which of two phrases expresses more certainty that the finding is there? `null`: cannot say. */
export type Compare = (
  a: string,
  b: string,
  progress: { done: number; total: number },
) => Promise<'a' | 'b' | null>;

export interface CompareOptions {
  /** Comparisons per candidate; default 24. */
  rounds?: number;
  seed?: number;
  /** Comparisons under way at once; default 4. */
  concurrency?: number;
}

/**
 * Probabilities for phrases from comparisons in pairs (by a language model or a person), with anchors whose
 * probability is known.
 *
 * Bradley–Terry (1952): P(i before j) = σ(θ_i − θ_j), fitted by Newton's method with a weak normal prior (deviation 3)
 * that keeps phrases finite which always win. A line through the anchors' (θ, logit p) gives logit p for the rest. Each
 * pair is asked both ways round, since language models favour a position. Deterministic for a deterministic `compare`.
 */
export async function rankByComparisons(
  candidates: readonly string[],
  anchors: readonly { readonly phrase: string; readonly probability: number }[],
  compare: Compare,
  options: CompareOptions = {},
): Promise<RankedPhrase[]> {
  if (anchors.length < 3) {
    throw new PenumbraError(
      'reports/anchors',
      `Ranking needs at least three anchors with a probability; there are ${anchors.length}.`,
    );
  }
  const rounds = options.rounds ?? 24;
  const random = new Random(options.seed ?? 0, 0x62f);
  const phrases = [...anchors.map((a) => a.phrase), ...candidates];
  const pairs: [number, number][] = [];
  // Anchors among themselves give the scale, candidates against anchors their place on it.
  for (let i = 0; i + 1 < anchors.length; i++) pairs.push([i, i + 1], [i, random.below(anchors.length)]);
  for (let c = 0; c < candidates.length; c++) {
    for (let k = 0; k < Math.ceil(rounds / 2); k++)
      pairs.push([anchors.length + c, random.below(anchors.length)]);
  }
  const asked = pairs.filter(([i, j]) => i !== j).flatMap(([i, j]) => [[i, j] as const, [j, i] as const]);
  const wins: { winner: number; loser: number }[] = [];
  const counts = new Int32Array(phrases.length);
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < asked.length) {
      const [i, j] = asked[next++]!;
      const answer = await compare(phrases[i]!, phrases[j]!, { done: next, total: asked.length });
      if (answer === null) continue;
      wins.push(answer === 'a' ? { winner: i, loser: j } : { winner: j, loser: i });
      counts[i]!++;
      counts[j]!++;
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, options.concurrency ?? 4) }, worker));
  const { theta, deviation } = bradleyTerry(phrases.length, wins);
  const line = lineThrough(
    anchors.map((_, i) => theta[i]!),
    anchors.map(({ probability }) => logit(Math.min(0.99, Math.max(0.01, probability)))),
  );
  return candidates.map((phrase, c) => {
    const i = anchors.length + c;
    return {
      phrase,
      probability: Math.round(sigmoid(line.offset + line.slope * theta[i]!) * 1000) / 1000,
      deviation: Math.abs(line.slope) * deviation[i]!,
      comparisons: counts[i]!,
    };
  });
}

/** Maximum a posteriori strengths of `n` players and their standard deviations (diagonal of the inverse Hessian). */
export function bradleyTerry(
  n: number,
  wins: readonly { readonly winner: number; readonly loser: number }[],
  priorDeviation = 3,
): { theta: Float64Array; deviation: Float64Array } {
  const theta = new Float64Array(n);
  const prior = 1 / priorDeviation ** 2;
  let inverse = new Float64Array(n * n);
  for (let iteration = 0; iteration < 100; iteration++) {
    const gradient = Float64Array.from(theta, (t) => -prior * t);
    const hessian = new Float64Array(n * n);
    for (let i = 0; i < n; i++) hessian[i * n + i] = prior;
    for (const { winner: i, loser: j } of wins) {
      const p = sigmoid(theta[i]! - theta[j]!);
      gradient[i]! += 1 - p;
      gradient[j]! -= 1 - p;
      const w = p * (1 - p);
      hessian[i * n + i]! += w;
      hessian[j * n + j]! += w;
      hessian[i * n + j]! -= w;
      hessian[j * n + i]! -= w;
    }
    inverse = invert(hessian, n);
    let largest = 0;
    for (let i = 0; i < n; i++) {
      let step = 0;
      for (let j = 0; j < n; j++) step += inverse[i * n + j]! * gradient[j]!;
      step = Math.max(-2, Math.min(2, step));
      theta[i]! += step;
      largest = Math.max(largest, Math.abs(step));
    }
    if (largest < 1e-10) break;
  }
  return { theta, deviation: Float64Array.from(theta, (_, i) => Math.sqrt(inverse[i * n + i]!)) };
}

/** Inverse of a symmetric positive definite matrix (Gauss–Jordan; the matrices here are small). */
function invert(matrix: Float64Array, n: number): Float64Array<ArrayBuffer> {
  const a = Float64Array.from(matrix);
  const b = new Float64Array(n * n);
  for (let i = 0; i < n; i++) b[i * n + i] = 1;
  for (let i = 0; i < n; i++) {
    const pivot = a[i * n + i]!;
    for (let k = 0; k < n; k++) {
      a[i * n + k]! /= pivot;
      b[i * n + k]! /= pivot;
    }
    for (let j = 0; j < n; j++) {
      const factor = a[j * n + i]!;
      if (j === i || factor === 0) continue;
      for (let k = 0; k < n; k++) {
        a[j * n + k]! -= factor * a[i * n + k]!;
        b[j * n + k]! -= factor * b[i * n + k]!;
      }
    }
  }
  return b;
}

function lineThrough(x: readonly number[], y: readonly number[]): { slope: number; offset: number } {
  const mx = x.reduce((a, b) => a + b, 0) / x.length;
  const my = y.reduce((a, b) => a + b, 0) / y.length;
  let xy = 0;
  let xx = 0;
  x.forEach((value, i) => {
    xy += (value - mx) * (y[i]! - my);
    xx += (value - mx) ** 2;
  });
  const slope = xx === 0 ? 0 : xy / xx;
  return { slope, offset: my - slope * mx };
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const logit = (p: number): number => Math.log(p / (1 - p));

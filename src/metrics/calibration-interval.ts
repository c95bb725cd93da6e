import { PenumbraError } from '../errors.ts';
import { normalQuantile } from '../normal.ts';
import { Random } from '../random.ts';
import { quantile } from './bootstrap.ts';
import { type BinOptions, calibrationError, reliability } from './calibration.ts';
import { type CalibrationRun, type Gaps, gapsOf } from './calibration-gaps.ts';
import { foldedMean } from './debiased-ece.ts';

export interface CalibrationIntervalOptions extends BinOptions {
  /**
   * The group (patient) of each sample, N whole numbers of any kind. Groups then count as the independent units, so that
   * several images of one patient do not.
   */
  readonly groups?: ArrayLike<number>;
  /** Coverage of the interval, in (0, 1). Default 0.95. */
  readonly level?: number;
  /** Names the stream of random numbers: equal seeds give equal intervals. Default 0. */
  readonly seed?: number;
  /** How many draws of the noise. Default 1,000 for an interval, 2,000 for a test. */
  readonly draws?: number;
}

/** A calibration error with an interval for the TRUE error. JSON-serialisable. */
export interface CalibrationEstimate {
  /** The debiased error, inside [low, high]. Biased upwards near 0: never show it without its interval. */
  readonly value: number;
  readonly low: number;
  readonly high: number;
  /**
   * The published figure: plug-in error over bins of equal width (`bins`, `edges`), the mean over runs. It has no
   * interval: noise alone puts it above 0, so that it can lie above `high`.
   */
  readonly plugIn: number;
}

/** `first − second` of two methods' true calibration errors. */
export interface CalibrationDifference {
  /** Difference of the debiased errors, inside [low, high]. */
  readonly value: number;
  readonly low: number;
  readonly high: number;
  /** Two-sided; below 1 − level exactly where [low, high] leaves 0 out. */
  readonly p: number;
}

/**
 * Interval of the true calibration error E|E[outcome | confidence] − confidence|, unbinned; of several runs the mean of
 * their errors (seeds of one method; the findings of a macro figure, with masks; the classes of a class-wise figure).
 * `docs/calibration-coverage.md` has the simulations of its coverage.
 *
 * Over K = clip(round(1.5·n^⅓), 5, 30) bins of equal mass, ties together, with gaps D, plug-in error T = Σ|D_b| and noise
 * E ~ N(0, S), S from patient sums:
 * - low: N₁(x), the largest |signed sum| over sign patterns that change at most once along the confidence, never exceeds
 *   Σ|x_b|, also of the unbinned error, and is a norm; so N₁(D) − q(N₁(E)) is below the true error with the level's
 *   probability;
 * - high: the error t whose plug-in error exceeds T with that probability, where the gaps are in proportion to their
 *   standard errors, which makes the mean plug-in error least at a given t;
 * - value: 2T − E Σ|D_b + E_b|, put between the two.
 *
 * The cost is one sort for each run and work on gaps alone; nothing is resampled over samples.
 *
 * @example
 * const run = { confidence: Float64Array.of(0.9, 0.8, 0.7, 0.95), outcome: [1, 0, 1, 1] };
 * const { low, value, high } = calibrationInterval([run]);
 * low <= value && value <= high; // true
 *
 * @throws PenumbraError `metrics/shape`, `metrics/empty`, `metrics/probability`, `metrics/option`.
 */
export function calibrationInterval(
  runs: readonly CalibrationRun[],
  options: CalibrationIntervalOptions = {},
): CalibrationEstimate {
  const { level, seed, draws } = checked(options, 1000);
  const gaps = gapsOf(
    runs,
    runs.map(() => 1 / runs.length),
    options.groups,
  );
  const noise = gaps.draw(new Random(seed, 0xca1), draws);
  const low = lowerEnd(gaps, noise, draws, level);
  const high = Math.max(low, upperEnd(gaps, noise, draws, level));
  const value = Math.min(high, Math.max(low, debiased(gaps)));
  return { value, low, high, plugIn: plugIn(runs, options) };
}

/** Published plug-in error, the mean over runs. */
function plugIn(runs: readonly CalibrationRun[], options: BinOptions): number {
  let sum = 0;
  for (const run of runs) {
    const { confidence, outcome } = known(run);
    sum += calibrationError(reliability(confidence, outcome, options));
  }
  return sum / runs.length;
}

/** The rows of a run whose outcome is known. */
function known({ confidence, outcome, mask }: CalibrationRun): CalibrationRun {
  if (mask === undefined) return { confidence, outcome };
  const keep = (_: number, i: number) => Boolean(mask[i]);
  return { confidence: confidence.filter(keep), outcome: Float64Array.from(outcome).filter(keep) };
}

function lowerEnd(gaps: Gaps, noise: Float64Array, draws: number, level: number): number {
  const { values, starts } = gaps;
  const size = values.length;
  const norms = new Float64Array(draws);
  for (let r = 0; r < draws; r++) norms[r] = oneChange(noise, starts, r * size);
  return Math.max(0, oneChange(values, starts, 0) - quantile(norms.sort(), (1 + level) / 2));
}

function upperEnd(gaps: Gaps, noise: Float64Array, draws: number, level: number): number {
  const { values, errors } = gaps;
  const size = values.length;
  const plugIn = absoluteSum(values);
  const total = absoluteSum(errors);
  if (total === 0) return plugIn; // No scatter at all: what was seen is the truth.
  const sums = new Float64Array(draws);
  const below = (t: number): boolean => {
    for (let r = 0, at = 0; r < draws; r++) {
      let sum = 0;
      for (let m = 0; m < size; m++, at++) sum += Math.abs((t * errors[m]!) / total + noise[at]!);
      sums[r] = sum;
    }
    return quantile(sums.sort(), (1 - level) / 2) <= plugIn;
  };
  let low = 0;
  let high = Math.min(1, plugIn + 3 * total);
  if (!below(0)) high = 0;
  else while (high < 1 && below(high)) high = Math.min(1, 2 * high);
  for (let step = 0; step < 14 && high > 0; step++) {
    const middle = (low + high) / 2;
    if (below(middle)) low = middle;
    else high = middle;
  }
  let variance = 0;
  for (let r = 0, at = 0; r < draws; r++) {
    let sum = 0;
    for (let m = 0; m < size; m++, at++) sum += noise[at]!;
    variance += (sum * sum) / draws;
  }
  return Math.min(1, Math.max(high, normalQuantile((1 + level) / 2) * Math.sqrt(variance)));
}

/** 2T − E Σ|D_b + E_b|: what the noise added, taken off once. */
function debiased({ values, errors }: Pick<Gaps, 'values' | 'errors'>): number {
  let sum = 0;
  for (let m = 0; m < values.length; m++)
    sum += 2 * Math.abs(values[m]!) - foldedMean(values[m]!, errors[m]!);
  return sum;
}

/**
 * The paired test of two methods' calibration errors on the same samples, and the interval of their difference by its
 * inversion. Each method may have several runs; what is compared is the mean of their errors.
 *
 * With N₁ as in {@link calibrationInterval}, W = N₁(D_A) − N₁(D_B) is set against its distribution under every pair of
 * true errors (t_A, t_B) with t_A − t_B = δ, along the observed shapes of the gaps, X_A = N₁(t_A·D_A/N₁(D_A) + E_A) and
 * X_B alike with joint noise (E_A, E_B); p(δ) is the largest two-sided p over the pairs that the observed sum N₁(D_A) +
 * N₁(D_B) does not rule out at 0.5 %, plus these 0.5 %. `p` is p(0), and the interval is every δ with p(δ) of at least
 * 1 − level.
 *
 * It compares errors whose calibration curve crosses the diagonal at most once: with several crossings N₁ is below the
 * error, and equal errors can then differ in N₁.
 *
 * @throws as {@link calibrationInterval}; `metrics/shape` where the methods are not of the same samples.
 */
export function calibrationDifference(
  first: readonly CalibrationRun[],
  second: readonly CalibrationRun[],
  options: CalibrationIntervalOptions = {},
): CalibrationDifference {
  if (first.length === 0 || second.length === 0) {
    throw new PenumbraError('metrics/empty', 'There are no runs to compare.', {
      hint: 'Give at least one each.',
    });
  }
  const { level, seed, draws } = checked(options, 2000);
  const gaps = gapsOf(
    [...first, ...second],
    [...first.map(() => 1 / first.length), ...second.map(() => 1 / second.length)],
    options.groups,
  );
  const a = part(gaps, 0, first.length);
  const b = part(gaps, first.length, first.length + second.length);
  const value = Math.max(0, debiased(a)) - Math.max(0, debiased(b));
  const normA = oneChange(a.values, a.starts, 0);
  const normB = oneChange(b.values, b.starts, 0);
  if (normA === 0 && normB === 0) return { value: 0, low: 0, high: 0, p: 1 };
  const noise = gaps.draw(new Random(seed, 0xca2), draws);
  const step = (REACH * Math.max(normA, normB)) / (GRID - 1);
  const seen: Seen = {
    a: profile(a, normA, noise, draws, step),
    b: profile(b, normB, noise, draws, step),
    difference: normA - normB,
    sum: normA + normB,
  };
  // p at every difference of the grid, from −(GRID − 1) to GRID − 1 steps.
  const ps = Float64Array.from({ length: 2 * GRID - 1 }, (_, at) => largestP(seen, at - (GRID - 1)));
  const peak = ps.indexOf(ps.reduce((most, p) => Math.max(most, p), 0));
  // Monotone on both sides of the peak, so that the interval has no holes.
  for (let at = 1; at < peak; at++) ps[at] = Math.max(ps[at]!, ps[at - 1]!);
  for (let at = ps.length - 2; at > peak; at--) ps[at] = Math.max(ps[at]!, ps[at + 1]!);
  const low = (crossing(ps, peak, -1, 1 - level) - (GRID - 1)) * step;
  const high = (crossing(ps, peak, 1, 1 - level) - (GRID - 1)) * step;
  return { value: Math.min(high, Math.max(low, value)), low, high, p: ps[GRID - 1]! };
}

/** Points of the grid of true errors, from 0 to {@link REACH} times the greater norm. */
const GRID = 16;
const REACH = 1.3;
/** The chance that the observed sum rules out the true pair, which p pays for. */
const RULED_OUT = 0.005;

/** One side's own gaps. `offset` and `stride` say where they stand in the joint noise. */
interface Part {
  readonly values: Float64Array;
  readonly errors: Float64Array;
  readonly starts: readonly number[];
  readonly offset: number;
  readonly stride: number;
}

function part(gaps: Gaps, from: number, to: number): Part {
  const offset = gaps.starts[from]!;
  const end = gaps.starts[to]!;
  return {
    values: gaps.values.subarray(offset, end),
    errors: gaps.errors.subarray(offset, end),
    starts: gaps.starts.slice(from, to + 1).map((start) => start - offset),
    offset,
    stride: gaps.values.length,
  };
}

interface Seen {
  /** For each true error of the grid, N₁ in every draw. */
  readonly a: readonly Float64Array[];
  readonly b: readonly Float64Array[];
  readonly difference: number;
  readonly sum: number;
}

function profile(
  { values, starts, offset, stride }: Part,
  norm: number,
  noise: Float64Array,
  draws: number,
  step: number,
): Float64Array[] {
  const size = values.length;
  const x = new Float64Array(size);
  return Array.from({ length: GRID }, (_, i) => {
    const scale = norm === 0 ? 0 : (i * step) / norm;
    const result = new Float64Array(draws);
    for (let r = 0; r < draws; r++) {
      const at = r * stride + offset;
      for (let m = 0; m < size; m++) x[m] = scale * values[m]! + noise[at + m]!;
      result[r] = oneChange(x, starts, 0);
    }
    return result;
  });
}

/** The largest p over the pairs of true errors that are `shift` steps apart. */
function largestP(seen: Seen, shift: number): number {
  let most = 0;
  let mostOfAll = 0;
  let any = false;
  // Equal gaps of two methods differ by the rounding of a singular covariance's factor.
  const same = 1e-6 * seen.sum;
  for (let i = Math.max(0, shift); i < GRID && i - shift < GRID; i++) {
    const a = seen.a[i]!;
    const b = seen.b[i - shift]!;
    let below = 1;
    let above = 1;
    let lessSum = 0;
    let moreSum = 0;
    for (let r = 0; r < a.length; r++) {
      const difference = a[r]! - b[r]!;
      const sum = a[r]! + b[r]!;
      if (difference <= seen.difference + same) below++;
      if (difference >= seen.difference - same) above++;
      if (sum <= seen.sum) lessSum++;
      if (sum >= seen.sum) moreSum++;
    }
    const p = Math.min(1, (2 * Math.min(below, above)) / (a.length + 1));
    mostOfAll = Math.max(mostOfAll, p);
    if (2 * Math.min(lessSum, moreSum) >= RULED_OUT * a.length) {
      any = true;
      most = Math.max(most, p);
    }
  }
  return Math.min(1, (any ? most : mostOfAll) + RULED_OUT);
}

/** Where p falls below alpha on one side of its peak, linear between the points of the grid. */
function crossing(ps: Float64Array, peak: number, sign: 1 | -1, alpha: number): number {
  let at = peak;
  while (at + sign >= 0 && at + sign < ps.length && ps[at + sign]! >= alpha) at += sign;
  const outside = at + sign;
  if (outside < 0 || outside >= ps.length || ps[at]! < alpha) return at;
  return at + (sign * (ps[at]! - alpha)) / (ps[at]! - ps[outside]!);
}

/**
 * N₁ of each run's part, added up: max(|C_K|, max_j |C_K − 2C_j|) with the running sums C.
 *
 * @param x holds the gaps from `offset` on.
 */
function oneChange(x: Float64Array, starts: readonly number[], offset: number): number {
  let result = 0;
  for (let j = 0; j + 1 < starts.length; j++) {
    const from = offset + starts[j]!;
    const to = offset + starts[j + 1]!;
    let sum = 0;
    let least = 0; // The extremes of the running sum, that before the first gap among them.
    let most = 0;
    for (let m = from; m < to; m++) {
      sum += x[m]!;
      if (sum < least) least = sum;
      else if (sum > most) most = sum;
    }
    result += Math.max(sum - 2 * least, 2 * most - sum);
  }
  return result;
}

function absoluteSum(x: Float64Array): number {
  let sum = 0;
  for (const v of x) sum += Math.abs(v);
  return sum;
}

function checked(
  { level = 0.95, seed = 0, draws }: CalibrationIntervalOptions,
  usual: number,
): { level: number; seed: number; draws: number } {
  if (!(level > 0 && level < 1)) {
    throw new PenumbraError('metrics/option', `level must be between 0 and 1, got ${level}.`, {
      where: { option: 'level' },
    });
  }
  const count = draws ?? usual;
  if (!Number.isInteger(count) || count < 100) {
    throw new PenumbraError('metrics/option', `draws must be a whole number of at least 100, got ${count}.`, {
      where: { option: 'draws' },
    });
  }
  return { level, seed, draws: count };
}

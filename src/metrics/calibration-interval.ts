import { PenumbraError } from '../errors.ts';
import { normalQuantile } from '../normal.ts';
import { quantile } from './bootstrap.ts';
import { type BinOptions, calibrationError, reliability } from './calibration.ts';
import { type CalibrationRun, CalibrationSide, type Gaps, gapsOf } from './calibration-gaps.ts';
import { foldedMean } from './debiased-ece.ts';
import { normsOf } from './gap-loops.ts';
import { checkShape, floatsLike, type Predictions } from './predictions.ts';

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
 *   standard errors, which makes the mean plug-in error least at a given t; and never below the upper end of the plain
 *   signed sum of the gaps, with a correction for skewness;
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
  runs: readonly CalibrationRun[] | CalibrationSide,
  options: CalibrationIntervalOptions = {},
): CalibrationEstimate {
  const { level, seed, draws } = checked(options, 1000);
  const side = sideOf(runs, options);
  const joint = gapsOf([side]);
  const gaps = joint.sides[0]!;
  // One patient says nothing of another.
  if (side.units.count < 2)
    return { value: clamp01(debiased(gaps)), low: 0, high: 1, plugIn: plugIn(side.runs, options) };
  const noise = joint.draw(seed, draws)[0]!;
  const low = lowerEnd(gaps, side.units.count, noise, level);
  const high = Math.max(low, upperEnd(gaps, side.signed(), noise, draws, level));
  const value = Math.min(high, Math.max(low, debiased(gaps)));
  return { value, low, high, plugIn: plugIn(side.runs, options) };
}

/** A method that is set against several others is better made a side once. */
function sideOf(
  runs: readonly CalibrationRun[] | CalibrationSide,
  { groups }: CalibrationIntervalOptions,
): CalibrationSide {
  return runs instanceof CalibrationSide ? runs : new CalibrationSide(runs, groups);
}

/**
 * The K classes of one-of-K predictions as runs, p_ik against 1[y_i = k]: {@link calibrationInterval} and
 * {@link calibrationDifference} of them are those of the class-wise error (the mean over classes, see
 * {@link classwiseEce}). N·K memory.
 *
 * @example
 * const p = predictions([[0.9, 0.1], [0.2, 0.8]], [0, 1]);
 * classwiseRuns(p).map((run) => Array.from(run.outcome)); // [[1, 0], [0, 1]]
 */
export function classwiseRuns(p: Predictions): CalibrationRun[] {
  checkShape(p);
  const { probabilities, labels, classes } = p;
  const n = labels.length;
  return Array.from({ length: classes }, (_, k) => {
    const confidence = floatsLike(probabilities, n);
    const outcome = new Uint8Array(n);
    for (let i = 0; i < n; i++) {
      confidence[i] = probabilities[i * classes + k]!;
      outcome[i] = labels[i] === k ? 1 : 0;
    }
    return { confidence, outcome };
  });
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

function lowerEnd({ values, starts }: Gaps, units: number, noise: Float64Array, level: number): number {
  const norms = normOfNoise('oneChange', { values, starts }, noise);
  // Few patients: the noise of an estimated covariance, as a t-value makes up for that of one variance.
  const bins = Math.max(...starts.slice(1).map((end, j) => end - starts[j]!));
  const inflation = Math.sqrt(units / Math.max(units / 2, units - bins));
  const seen = normOf('oneChange', { values, starts });
  return Math.max(0, seen - inflation * quantile(norms.sort(), (1 + level) / 2));
}

function upperEnd(
  gaps: Gaps,
  signed: ReturnType<CalibrationSide['signed']>,
  noise: Float64Array,
  draws: number,
  level: number,
): number {
  const { values, errors } = gaps;
  const size = values.length;
  const plugIn = absoluteSum(values);
  const total = absoluteSum(errors);
  if (total === 0) return plugIn; // No scatter at all: what was seen is the truth.
  const shape = errors.map((s) => s / total);
  /** Is the plug-in error that was seen in reach of a true error t? */
  const below = (t: number): boolean => {
    let less = 0;
    for (let r = 0, at = 0; r < draws; r++) {
      let sum = 0;
      for (let m = 0; m < size; m++, at++) sum += Math.abs(t * shape[m]! + noise[at]!);
      if (sum <= plugIn) less++;
    }
    return less > (draws * (1 - level)) / 2;
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
  return Math.min(1, Math.max(high, signedEnd(gaps, signed, noise, draws, level)));
}

/**
 * Upper end of Σ_j |Σ_b D_jb|, which never exceeds the error: a one-sample interval with Hall's correction for skewness
 * (Hall, JASA 1992), without which a few errors among many right answers (or a few patients with all of them) have too
 * short an upper end.
 */
function signedEnd(
  { values, starts }: Gaps,
  { total, skew }: ReturnType<CalibrationSide['signed']>,
  noise: Float64Array,
  draws: number,
  level: number,
): number {
  const size = values.length;
  const signs = new Float64Array(size);
  for (let j = 0; j + 1 < starts.length; j++) {
    const sum = values.subarray(starts[j]!, starts[j + 1]!).reduce((a, b) => a + b, 0);
    signs.fill(sum < 0 ? -1 : 1, starts[j]!, starts[j + 1]!);
  }
  let variance = 0;
  for (let r = 0, at = 0; r < draws; r++) {
    let sum = 0;
    for (let m = 0; m < size; m++, at++) sum += signs[m]! * noise[at]!;
    variance += (sum * sum) / draws;
  }
  const z = normalQuantile((1 + level) / 2);
  return total + z * Math.sqrt(variance) + (Math.max(0, skew) * (2 * z * z + 1)) / 6;
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
 * X_B alike with joint noise (E_A, E_B). A level α is spent in two parts (Berger and Boos 1994): a fifth rules out the pairs
 * that the observed sum N₁(D_A) + N₁(D_B) speaks against, the rest tests under those that are left, so that p(δ) is the
 * largest of min(p/0.8, 5s) over the pairs, where p is the two-sided p of the difference and s that of the sum. The same
 * is done with N₃, which lets the sign change three times, and the larger p counts. `p` is p(0), at least 2.5/(draws + 1),
 * and the interval is every δ with p(δ) of at least 1 − level.
 *
 * It compares errors whose calibration curves cross the diagonal at most three times: with more crossings both norms are
 * below the error, and equal errors can then differ in them.
 *
 * @throws as {@link calibrationInterval}; `metrics/shape` where the methods are not of the same samples.
 */
export function calibrationDifference(
  first: readonly CalibrationRun[] | CalibrationSide,
  second: readonly CalibrationRun[] | CalibrationSide,
  options: CalibrationIntervalOptions = {},
): CalibrationDifference {
  for (const runs of [first, second]) {
    if (runs instanceof CalibrationSide || runs.length > 0) continue;
    throw new PenumbraError('metrics/empty', 'There are no runs to compare.', {
      hint: 'Give at least one each.',
    });
  }
  const { level, seed, draws } = checked(options, 2000);
  const sides = [sideOf(first, options), sideOf(second, options)] as const;
  checkSameRows(...sides);
  const joint = gapsOf(sides);
  const [a, b] = joint.sides as [Gaps, Gaps];
  const value = Math.max(0, debiased(a)) - Math.max(0, debiased(b));
  if (a.values.length === b.values.length && a.values.every((gap, m) => gap === b.values[m]))
    return { value: 0, low: 0, high: 0, p: 1 };
  if (sides[0].units.count < 2) return { value: Math.min(1, Math.max(-1, value)), low: -1, high: 1, p: 1 };
  const [noiseA, noiseB] = joint.draw(seed, draws) as [Float64Array, Float64Array];
  const knots = NORMS.map((norm) => knotsOf(norm, { ...a, noise: noiseA }, { ...b, noise: noiseB }));
  if (knots.some((k) => k === null)) return { value: 0, low: 0, high: 0, p: 1 };
  const p = Math.max(...knots.map((k) => k!.none));
  // Both norms must leave a difference out.
  const ends = knots.map((k) => intervalOf([...k!.ps, [0, p] as const], 1 - level));
  const low = Math.min(...ends.map((e) => e[0]));
  const high = Math.max(...ends.map((e) => e[1]));
  // Where the set of differences has a hole at 0, or the norms disagree on its side, p says what the interval says.
  const consistent = low <= 0 && high >= 0 ? Math.max(p, 1 - level) : p;
  return { value: Math.min(high, Math.max(low, value)), low, high, p: consistent };
}

/** The test must reject by both: the first has power and little bias, the second knows curves with three crossings. */
const NORMS = ['oneChange', 'threeChanges'] as const;
type Norm = (typeof NORMS)[number];

/** Steps of the grids on each side of what was seen: of equal errors, and of each method's own. */
const EQUAL_STEPS = 4;
const STEPS = 8;
/** The share of a level that is spent on ruling pairs out. */
const RULING_OUT = 0.2;

/** One method's gaps with their noise, draws × M numbers. */
interface Noisy extends Gaps {
  readonly noise: Float64Array;
}

/** p at some differences; `none` is p at 0. */
interface Knots {
  readonly none: number;
  readonly ps: readonly (readonly [difference: number, p: number])[];
}

/**
 * p(δ) by one norm N, at 0 and around what was seen; `null` where there is neither error nor noise. As
 * |N(d + E) − N(d)| ≤ N(E), a reach q that N(E_A) + N(E_B) all but never exceeds bounds both t_A + t_B and t_A − t_B, so
 * that the grids are as fine as the noise asks.
 */
function knotsOf(norm: Norm, a: Noisy, b: Noisy): Knots | null {
  const seen = { a: normOf(norm, a), b: normOf(norm, b) };
  const [sums, others] = [normOfNoise(norm, a, a.noise), normOfNoise(norm, b, b.noise)];
  for (let r = 0; r < sums.length; r++) sums[r] = sums[r]! + others[r]!;
  const reach = quantile(sums.sort(), 0.9975);
  if (reach === 0)
    return seen.a === 0 && seen.b === 0 ? null : { none: seen.a === seen.b ? 1 : 1 / sums.length, ps: [] };
  const grid = (size: number) => Array.from({ length: 2 * size + 1 }, (_, i) => ((i - size) * reach) / size);
  const steps = grid(STEPS);
  const profiles = (side: Noisy, own: number, ts: readonly number[]): (Float64Array | null)[] => {
    const known = ts.filter((t) => t >= 0).map((t) => (own === 0 ? 0 : t / own));
    const found = normsOf(norm, side.values, side.starts, known, side.noise);
    return ts.map((t) => (t < 0 ? null : found.shift()!));
  };
  // Equal errors: t_A = t_B, about half of the sum.
  const equal = grid(EQUAL_STEPS).map((step) => Math.max(0, (seen.a + seen.b + step) / 2));
  const equalA = profiles(a, seen.a, equal);
  const equalB = profiles(b, seen.b, equal);
  const none = largestP(
    equal.map((_, i) => [equalA[i]!, equalB[i]!] as const),
    seen,
  );
  const aroundA = profiles(
    a,
    seen.a,
    steps.map((step) => seen.a + step),
  );
  const aroundB = profiles(
    b,
    seen.b,
    steps.map((step) => seen.b + step),
  );
  const ps: [number, number][] = [];
  for (let shift = -STEPS; shift <= STEPS; shift++) {
    const pairs: (readonly [Float64Array, Float64Array])[] = [];
    for (let i = 0; i < steps.length; i++) {
      const j = i - shift;
      const x = aroundA[i];
      const y = aroundB[j];
      // The sum is within reach, too.
      if (x && y && Math.abs(i + j - 2 * STEPS) <= STEPS) pairs.push([x, y]);
    }
    if (pairs.length > 0) ps.push([seen.a - seen.b + (shift * reach) / STEPS, largestP(pairs, seen)]);
  }
  return { none, ps };
}

/**
 * The least level that rejects every pair of true errors: each is rejected by its difference (p within the share of the level
 * that is left for it) or ruled out by its sum (s within the other share). A grid whose sums are all in the tail says
 * nothing beyond the level that would rule all of it out: there the differences alone decide.
 */
function largestP(
  pairs: readonly (readonly [Float64Array, Float64Array])[],
  seen: { readonly a: number; readonly b: number },
): number {
  const seenDifference = seen.a - seen.b;
  const seenSum = seen.a + seen.b;
  // Equal gaps of two methods differ by the rounding of a singular covariance's factor.
  const same = 1e-6 * seenSum;
  let level = 0;
  let byDifference = 0;
  let rulesOutAll = 0;
  for (const [a, b] of pairs) {
    let below = 1;
    let above = 1;
    let lessSum = 0;
    let moreSum = 0;
    for (let r = 0; r < a.length; r++) {
      const difference = a[r]! - b[r]! - seenDifference;
      const sum = a[r]! + b[r]!;
      if (difference <= same) below++;
      if (difference >= -same) above++;
      if (sum <= seenSum) lessSum++;
      if (sum >= seenSum) moreSum++;
    }
    const tested = Math.min(1, (2 * Math.min(below, above)) / (a.length + 1)) / (1 - RULING_OUT);
    const ruledOut = (2 * Math.min(lessSum, moreSum)) / a.length / RULING_OUT;
    byDifference = Math.max(byDifference, tested);
    rulesOutAll = Math.max(rulesOutAll, ruledOut);
    level = Math.max(level, Math.min(tested, ruledOut));
  }
  const floor = 2 / ((1 - RULING_OUT) * ((pairs[0]?.[0].length ?? 0) + 1));
  return Math.min(1, Math.max(floor, byDifference > rulesOutAll ? byDifference : level));
}

/** Where p, made monotone on both sides of its peak so that there are no holes, falls below alpha; linear between knots. */
function intervalOf(knots: readonly (readonly [number, number])[], alpha: number): [number, number] {
  const sorted = [...knots].sort((x, y) => x[0] - y[0]);
  const ps = sorted.map((knot) => knot[1]);
  const peak = ps.indexOf(Math.max(...ps));
  for (let k = 1; k < peak; k++) ps[k] = Math.max(ps[k]!, ps[k - 1]!);
  for (let k = ps.length - 2; k > peak; k--) ps[k] = Math.max(ps[k]!, ps[k + 1]!);
  const end = (sign: 1 | -1): number => {
    let k = peak;
    while (ps[k + sign] !== undefined && ps[k + sign]! >= alpha) k += sign;
    const outside = sorted[k + sign];
    if (outside === undefined || ps[k]! < alpha) return sorted[k]![0];
    const share = (ps[k]! - alpha) / (ps[k]! - ps[k + sign]!);
    return sorted[k]![0] + share * (outside[0] - sorted[k]![0]);
  };
  return [end(-1), end(1)];
}

/** The norm of the gaps themselves. */
function normOf(norm: Norm, { values, starts }: Pick<Gaps, 'values' | 'starts'>): number {
  return normsOf(norm, values, starts, [1], new Float64Array(values.length))[0]![0]!;
}

/** The norm of every draw of noise. */
function normOfNoise(
  norm: Norm,
  { values, starts }: Pick<Gaps, 'values' | 'starts'>,
  noise: Float64Array,
): Float64Array {
  return normsOf(norm, values, starts, [0], noise)[0]!;
}

function checkSameRows(first: CalibrationSide, second: CalibrationSide): void {
  const [n, other] = [first, second].map(({ runs }) => runs[0]!.confidence.length);
  if (n === other) return;
  throw new PenumbraError('metrics/shape', `The methods are of ${n} and of ${other} samples.`, {
    hint: 'Give the same samples in the same order for both.',
  });
}

function clamp01(x: number): number {
  return Math.min(1, Math.max(0, x));
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

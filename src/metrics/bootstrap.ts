import { PenumbraError } from '../errors.ts';
import { Random } from '../random.ts';
import type { Measure } from './measures.ts';

/** A figure with its interval; `null` where it is undefined or no interval was asked for. JSON-serialisable. */
export interface Estimate {
  readonly value: number | null;
  readonly low: number | null;
  readonly high: number | null;
}

/** `first − second` with its interval and two-sided p-value. */
export interface Difference extends Estimate {
  readonly p: number | null;
}

export interface BootstrapOptions {
  /** How many resamples. Default 1,000; 0 gives no intervals. */
  readonly replicates?: number;
  /** Names the stream of random numbers: equal seeds give equal intervals. Default 0. */
  readonly seed?: number;
  /** Coverage of the interval, in (0, 1). Default 0.95. */
  readonly level?: number;
  /**
   * The group (patient) of each sample, N whole numbers of any kind. Groups are then drawn instead of samples, so that
   * several images of one patient do not count as independent.
   */
  readonly groups?: ArrayLike<number>;
  /**
   * `percentile` (default): the quantiles of the replicates (Efron 1979). `basic`: mirrored at the value, 2v − q, which
   * takes out the bias that resampling adds to ECE, MCE and class-wise ECE (sums of absolute values grow with noise, so
   * their replicates sit above the value; Davison and Hinkley 1997, §5.2). A basic end can leave the figure's range.
   */
  readonly interval?: 'percentile' | 'basic';
}

/** One method: for each of its runs (seeds), the measures of that run, in the same order everywhere. */
export type Runs = readonly (readonly Measure[])[];

/**
 * The replicates of every measure of every method, all from the same resamples of the same N samples (hence paired).
 *
 * One resample draws N samples with replacement (or as many groups as there are, each with all its samples) and, where
 * a method has S > 1 runs, S of its runs with replacement; the replicate is the mean over the drawn runs. Runs of
 * different methods are drawn independently. With few runs this hierarchical bootstrap understates the spread between
 * runs by the factor √((S−1)/S).
 *
 * @returns `[method][measure][replicate]`; NaN where the resample leaves a measure undefined.
 */
export function replicate(
  methods: readonly Runs[],
  n: number,
  options: BootstrapOptions = {},
): Float64Array[][] {
  const { replicates, seed } = checkOptions(options);
  const draw = drawer(n, options.groups);
  const results = methods.map((runs) => (runs[0] ?? []).map(() => new Float64Array(replicates)));
  const counts = new Int32Array(n);
  for (let r = 0; r < replicates; r++) {
    const random = new Random(seed, r);
    draw(random, counts);
    for (let m = 0; m < methods.length; m++) {
      const runs = methods[m]!;
      const drawn = new Int32Array(runs.length);
      for (let s = 0; s < runs.length; s++) drawn[runs.length === 1 ? 0 : random.below(runs.length)]!++;
      results[m]!.forEach((values, k) => {
        let sum = 0;
        for (let s = 0; s < runs.length; s++) if (drawn[s]! > 0) sum += drawn[s]! * runs[s]![k]!(counts);
        values[r] = sum / runs.length;
      });
    }
  }
  return results;
}

/**
 * A measure with its non-parametric bootstrap interval over samples.
 *
 * @param n how many samples the measure was made from.
 *
 * @example
 * const e = bootstrap(meanMeasure([1, 0, 1, 1]), 4, { seed: 1 });
 * e.value; // 0.75
 */
export function bootstrap(measure: Measure, n: number, options: BootstrapOptions = {}): Estimate {
  const runs: Runs = [[measure]];
  return estimate(plainValue(runs, n, 0), replicate([runs], n, options)[0]![0]!, options);
}

/**
 * The difference `first − second` of one measure of two methods on the same samples, by the paired bootstrap.
 *
 * @example
 * const d = bootstrapDifference(meanMeasure([1, 1, 1, 0]), meanMeasure([0, 0, 1, 0]), 4);
 * d.value; // 0.5
 */
export function bootstrapDifference(
  first: Measure,
  second: Measure,
  n: number,
  options: BootstrapOptions = {},
): Difference {
  const methods: Runs[] = [[[first]], [[second]]];
  const [a, b] = replicate(methods, n, options);
  return difference(plainValue(methods[0]!, n, 0), plainValue(methods[1]!, n, 0), a![0]!, b![0]!, options);
}

/** The mean over runs of measure `k` with every sample counted once. */
export function plainValue(runs: Runs, n: number, k: number): number {
  const ones = new Int32Array(n).fill(1);
  return runs.reduce((sum, measures) => sum + measures[k]!(ones), 0) / runs.length;
}

/** A value and its replicates as an {@link Estimate}. Undefined replicates are left out. */
export function estimate(value: number, replicates: Float64Array, options: BootstrapOptions = {}): Estimate {
  const { level, interval } = checkOptions(options);
  const sorted = replicates.filter((x) => !Number.isNaN(x)).sort();
  if (Number.isNaN(value)) return { value: null, low: null, high: null };
  if (sorted.length === 0) return { value, low: null, high: null };
  const lower = quantile(sorted, (1 - level) / 2);
  const upper = quantile(sorted, (1 + level) / 2);
  return interval === 'basic'
    ? { value, low: 2 * value - upper, high: 2 * value - lower }
    : { value, low: lower, high: upper };
}

/**
 * Two values and their paired replicates as a {@link Difference}. The p-value is the least level at which the percentile
 * interval leaves 0 out, 2·min(#{d* ≤ 0} + 1, #{d* ≥ 0} + 1)/(B + 1), at most 1 (Davison and Hinkley 1997, §4.4.1), so
 * that B replicates can show no p below 2/(B + 1).
 */
export function difference(
  first: number,
  second: number,
  firstReplicates: Float64Array,
  secondReplicates: Float64Array,
  options: BootstrapOptions = {},
): Difference {
  const differences = firstReplicates.map((x, r) => x - secondReplicates[r]!).filter((x) => !Number.isNaN(x));
  const result = estimate(first - second, differences, options);
  if (result.low === null) return { ...result, p: null };
  let below = 1;
  let above = 1;
  for (const d of differences) {
    if (d <= 0) below++;
    if (d >= 0) above++;
  }
  return { ...result, p: Math.min(1, (2 * Math.min(below, above)) / (differences.length + 1)) };
}

/** The q-quantile of sorted numbers, linear between neighbours (Hyndman and Fan's type 7, NumPy's default). */
export function quantile(sorted: Float64Array, q: number): number {
  const at = (sorted.length - 1) * q;
  const i = Math.floor(at);
  const low = sorted[i]!;
  const high = sorted[Math.min(i + 1, sorted.length - 1)]!;
  return low + (high - low) * (at - i);
}

type Draw = (random: Random, counts: Int32Array) => void;

function drawer(n: number, groups: ArrayLike<number> | undefined): Draw {
  if (groups === undefined) return (random, counts) => drawCounts(random, counts, n);
  if (groups.length !== n) {
    throw new PenumbraError('metrics/shape', `Got ${groups.length} groups for ${n} samples.`, {
      hint: 'Give the group of every sample.',
    });
  }
  const index = new Map<number, number>();
  const groupOf = Int32Array.from(groups, (g) => {
    const known = index.get(g);
    if (known !== undefined) return known;
    index.set(g, index.size);
    return index.size - 1;
  });
  const groupCounts = new Int32Array(index.size);
  return (random, counts) => {
    drawCounts(random, groupCounts, index.size);
    for (let i = 0; i < n; i++) counts[i] = groupCounts[groupOf[i]!]!;
  };
}

/** How often each of n things comes up in n draws with replacement. */
function drawCounts(random: Random, counts: Int32Array, n: number): void {
  counts.fill(0);
  // Multiply and shift instead of rejection: a bias below n/2³² for twice the speed.
  const scale = n / 4294967296;
  for (let i = 0; i < n; i++) {
    const j = (random.uint32() * scale) | 0;
    counts[j] = counts[j]! + 1;
  }
}

function checkOptions(options: BootstrapOptions): Required<Omit<BootstrapOptions, 'groups'>> {
  const { replicates = 1000, seed = 0, level = 0.95, interval = 'percentile' } = options;
  const fail = (option: string, message: string): never => {
    throw new PenumbraError('metrics/option', message, { where: { option } });
  };
  if (!Number.isInteger(replicates) || replicates < 0) {
    fail('replicates', `replicates must be a whole number of at least 0, got ${replicates}.`);
  }
  if (!(level > 0 && level < 1)) fail('level', `level must be between 0 and 1, got ${level}.`);
  if (interval !== 'percentile' && interval !== 'basic') {
    fail('interval', `interval must be "percentile" or "basic", got "${String(interval)}".`);
  }
  return { replicates, seed, level, interval };
}

import type { Difference, Estimate } from '../metrics/index.ts';
import { mean } from '../metrics/index.ts';
import { studentCdf, studentQuantile } from '../student-t.ts';
import type { Kinds, Scale, Statistic } from './statistics.ts';

/**
 * How a figure's value would scatter over other samples and other runs. Of several runs (seeds) the figure is the mean,
 * of several findings too; the difference of two methods has a spread like each of them.
 */
export interface Spread {
  /** NaN where the figure is not defined. */
  readonly value: number;
  readonly scale: Scale;
  /** Σ of the influence over each independent unit's samples; empty where no interval is wanted. */
  readonly sums: Float64Array;
  /** Variance that few samples of a kind hide, as where five of five are right. */
  readonly hidden: number;
  /** Degrees of freedom by how many units there are of the kinds of samples that decide. */
  readonly freedom: number;
  /** Variance of the mean over runs that comes from the runs, and how many they are. */
  readonly betweenRuns: number;
  readonly runs: number;
}

/** The independent units of N samples: the samples, or groups (patients) of them. */
export class Units {
  readonly samples: number;
  readonly count: number;
  /** N: the unit of each sample; absent where every sample is its own. */
  private readonly of: Int32Array | undefined;
  /** Samples, unit after unit. */
  private order: Int32Array | undefined;

  constructor(samples: number, groups: ArrayLike<number> | undefined) {
    this.samples = samples;
    this.count = samples;
    if (groups === undefined) return;
    const index = new Map<number, number>();
    const of = new Int32Array(samples);
    for (let i = 0; i < samples; i++) {
      const known = index.get(groups[i]!);
      if (known === undefined) index.set(groups[i]!, index.size);
      of[i] = known ?? index.size - 1;
    }
    this.of = of;
    this.count = index.size;
  }

  sums(influence: Float64Array): Float64Array {
    if (this.of === undefined) return influence;
    const sums = new Float64Array(this.count);
    for (let i = 0; i < influence.length; i++) {
      const g = this.of[i]!;
      sums[g] = sums[g]! + influence[i]!;
    }
    return sums;
  }

  /** How many units have a sample of each kind. */
  countsOf({ of, pulls }: Kinds): Float64Array {
    const counts = new Float64Array(pulls.length);
    if (of === undefined) return counts.fill(this.count);
    if (this.of === undefined) {
      for (const kind of of) if (kind >= 0) counts[kind] = counts[kind]! + 1;
      return counts;
    }
    const last = new Int32Array(pulls.length).fill(-1);
    const order = this.byUnit(this.of);
    for (let t = 0; t < order.length; t++) {
      const i = order[t]!;
      const kind = of[i]!;
      if (kind < 0) continue;
      const unit = this.of[i]!;
      if (last[kind] === unit) continue;
      last[kind] = unit;
      counts[kind] = counts[kind]! + 1;
    }
    return counts;
  }

  private byUnit(of: Int32Array): Int32Array {
    if (this.order !== undefined) return this.order;
    const starts = new Int32Array(this.count + 1);
    for (const unit of of) starts[unit + 1] = starts[unit + 1]! + 1;
    for (let g = 0; g < this.count; g++) starts[g + 1] = starts[g + 1]! + starts[g]!;
    const order = new Int32Array(this.samples);
    for (let i = 0; i < this.samples; i++) {
      const unit = of[i]!;
      order[starts[unit]!] = i;
      starts[unit] = starts[unit]! + 1;
    }
    this.order = order;
    return order;
  }
}

/** @param bare only the value is wanted. @param stats one for each run. */
export function spreadOf(stats: readonly (Statistic | undefined)[], units: Units, bare: boolean): Spread {
  const values = stats.map((one) => one?.value() ?? Number.NaN);
  const value = mean(values);
  const scale = stats[0]?.scale ?? 'real';
  const runs = stats.length;
  const none = { value, scale, sums: new Float64Array(0), hidden: 0, freedom: 1, betweenRuns: 0, runs };
  if (Number.isNaN(value) || bare) return none;
  const parts = stats.map((one) => oneRun(one!, units));
  const hidden = mean(parts.map((part) => part.hidden));
  const freedom = mean(parts.map((part) => part.freedom));
  if (runs === 1) return { ...none, sums: parts[0]!.sums, hidden, freedom };
  const sums = new Float64Array(units.count);
  for (const part of parts) for (let g = 0; g < sums.length; g++) sums[g] = sums[g]! + part.sums[g]! / runs;
  // Runs differ on these samples more than they would on all: what is due to the samples is in the sums already.
  let own = 0;
  for (const part of parts) for (let g = 0; g < sums.length; g++) own += (part.sums[g]! - sums[g]!) ** 2;
  const scatter = values.reduce((sum, v) => sum + (v - value) ** 2, 0);
  const betweenRuns = Math.max(0, (scatter - own / units.samples ** 2) / (runs - 1) / runs);
  return { ...none, sums, hidden, freedom, betweenRuns };
}

function oneRun(stat: Statistic, units: Units): Pick<Spread, 'sums' | 'hidden' | 'freedom'> {
  const influence = stat.influence();
  const n = units.samples;
  const kinds = stat.kinds();
  const counts = units.countsOf(kinds);
  const variance = new Float64Array(counts.length);
  const { of } = kinds;
  if (of === undefined) variance[0] = squaresOf(influence) / n ** 2;
  else {
    for (let i = 0; i < n; i++) {
      const kind = of[i]!;
      const one = influence[i]! / n;
      if (kind >= 0) variance[kind] = variance[kind]! + one * one;
    }
  }
  let hidden = 0;
  let all = 0;
  let squares = 0;
  counts.forEach((count, kind) => {
    if (count === 0) return;
    const least = (kinds.pulls[kind]! / (count + 1)) ** 2;
    hidden += least;
    all += variance[kind]! + least;
    squares += (variance[kind]! + least) ** 2 / Math.max(1, count - 1);
  });
  // Kinds with much of the variance count for much (Satterthwaite, Biometrics Bulletin 1946).
  const freedom = squares > 0 ? all ** 2 / squares : Math.max(1, Math.max(...counts) - 1);
  return { sums: units.sums(influence), hidden, freedom };
}

/** The mean over findings. Runs of several findings vary together at most fully, which is what is assumed. */
export function meanSpread(parts: readonly Spread[]): Spread {
  const many = parts.length;
  const sums = new Float64Array(parts[0]?.sums.length ?? 0);
  for (const one of parts) for (let g = 0; g < sums.length; g++) sums[g] = sums[g]! + one.sums[g]! / many;
  let all = 0;
  let squares = 0;
  for (const one of parts) {
    const variance = one.hidden + squaresOf(one.sums);
    all += variance;
    squares += variance ** 2 / one.freedom;
  }
  return {
    value: mean(parts.map(({ value }) => value)),
    scale: parts[0]?.scale ?? 'real',
    sums,
    hidden: mean(parts.map(({ hidden }) => hidden)) / Math.max(1, many),
    freedom: squares > 0 ? all ** 2 / squares : mean(parts.map(({ freedom }) => freedom)),
    betweenRuns: mean(parts.map(({ betweenRuns }) => Math.sqrt(betweenRuns))) ** 2,
    runs: parts[0]?.runs ?? 1,
  };
}

/**
 * The figure with its interval, from how its value scatters (its influence function), not from resampling: a bootstrap's
 * percentiles cannot hold a value that few samples decide (docs/calibration-coverage.md has both in numbers).
 * Shares and areas: Wilson's score interval of as many samples as have that variance. Positive numbers: on the logarithm;
 * correlations: on Fisher's z.
 * Others: value ± t·deviation. With Student's t of as many degrees of freedom as the few samples of a kind, and the few
 * that make up most of the variance, allow (Satterthwaite).
 */
export function estimateOf(spread: Spread, units: Units, level: number): Estimate {
  const { value, scale } = spread;
  if (Number.isNaN(value)) return { value: null, low: null, high: null };
  if (spread.sums.length === 0) return { value, low: null, high: null };
  const seen = sampleVariance(spread, units);
  if (scale === 'share') return score(spread, seen, units, level);
  const variance = seen + spread.betweenRuns;
  if (variance === 0) return { value, low: null, high: null }; // Nothing is known of how it scatters.
  const reach = quantile(spread, seen, units, level) * Math.sqrt(variance);
  if (scale === 'correlation') {
    // Fisher's z, whose derivative is 1/(1 − r²).
    const [z, far] = [Math.atanh(value), reach / (1 - value * value)];
    return { value, low: Math.tanh(z - far), high: Math.tanh(z + far) };
  }
  if (scale === 'real' || value <= 0) return { value, low: value - reach, high: value + reach };
  const factor = Math.exp(Math.min(100, reach / value));
  return { value, low: value / factor, high: value * factor };
}

function score(spread: Spread, seen: number, units: Units, level: number): Estimate {
  const { value } = spread;
  const most = value * (1 - value);
  const few = spread.freedom + 1;
  // A mean of m numbers from 0 to 1 cannot have a variance above v(1 − v)/m; for an AUROC, Birnbaum and Klose 1957.
  const own = Math.max(seen, Math.min(seen + spread.hidden, most / few));
  const variance = own + spread.betweenRuns;
  const n = variance > 0 && most > 0 ? most / variance : few;
  const t = quantile(spread, own, units, level) ** 2;
  const middle = value + t / (2 * n);
  const reach = Math.sqrt(t * (most / n + t / (4 * n * n)));
  const scale = 1 + t / n;
  return {
    value,
    low: value === 0 ? 0 : Math.max(0, Math.min(value, (middle - reach) / scale)),
    high: value === 1 ? 1 : Math.min(1, Math.max(value, (middle + reach) / scale)),
  };
}

/**
 * `first − second` on the same samples, tested and with the interval that goes with the test: p < 1 − level where it
 * leaves 0 out. Student's t of the difference's influence; it is never surer than the units are that decide, all saying
 * the same.
 */
export function differenceOf(first: Spread, second: Spread, units: Units, level: number): Difference {
  const value = first.value - second.value;
  if (Number.isNaN(value)) return { value: null, low: null, high: null, p: null };
  if (first.sums.length === 0) return { value, low: null, high: null, p: null };
  const apart: Spread = {
    ...first,
    value,
    sums: first.sums.map((v, g) => v - second.sums[g]!),
    freedom: Math.max(first.freedom, second.freedom),
    betweenRuns: first.betweenRuns + second.betweenRuns,
    // A method of one run, as an ensemble is, says nothing of how runs scatter, and takes nothing from the other's.
    runs: Math.min(...[first, second].map(({ runs }) => (runs > 1 ? runs : Number.POSITIVE_INFINITY))),
  };
  const seen = Math.max(sampleVariance(apart, units), value ** 2 / (apart.freedom + 1));
  const deviation = Math.sqrt(seen + apart.betweenRuns);
  const freedom = freedomOf(apart, seen, units);
  const reach = studentQuantile((1 + level) / 2, freedom) * deviation;
  const p = value === 0 ? 1 : Math.min(1, 2 * studentCdf(-Math.abs(value) / deviation, freedom));
  const most = first.scale === 'share' ? 1 : Number.POSITIVE_INFINITY;
  return { value, low: Math.max(-most, value - reach), high: Math.min(most, value + reach), p };
}

function quantile(spread: Spread, seen: number, units: Units, level: number): number {
  return studentQuantile((1 + level) / 2, freedomOf(spread, seen, units));
}

function freedomOf({ sums, freedom, betweenRuns, runs }: Spread, seen: number, units: Units): number {
  let fourth = 0;
  let square = 0;
  for (let g = 0; g < sums.length; g++) {
    const own = sums[g]! * sums[g]!;
    square += own;
    fourth += own * own;
  }
  // Few units that make up most of Σψ² leave it uncertain by Var(Σψ²)/(Σψ²)² = Σψ⁴/(Σψ²)² − 1/G.
  const doubt = square > 0 ? fourth / square ** 2 - 1 / units.count : 0;
  const own = Math.min(freedom, doubt > 0 ? Math.max(1, 2 / doubt) : Number.POSITIVE_INFINITY);
  if (betweenRuns === 0) return own;
  return (seen + betweenRuns) ** 2 / (seen ** 2 / own + betweenRuns ** 2 / (runs - 1));
}

function sampleVariance({ sums }: Spread, { samples, count }: Units): number {
  return (squaresOf(sums) / samples ** 2) * (count / Math.max(1, count - 1));
}

function squaresOf(sums: Float64Array): number {
  let square = 0;
  for (let g = 0; g < sums.length; g++) square += sums[g]! * sums[g]!;
  return square;
}

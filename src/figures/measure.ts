import { PenumbraError } from '../errors.ts';
import {
  type BinOptions,
  type BootstrapOptions,
  type CalibrationRun,
  calibrationDifference,
  calibrationInterval,
  type Difference,
  difference,
  type Estimate,
  estimate,
  holm,
  type Measure,
  mean,
  replicate,
} from '../metrics/index.ts';
import { normalCdf, normalQuantile } from '../normal.ts';
import { type CalibrationPart, type Figure, figureNamed, figuresOf } from './figure.ts';
import { asRuns, checkSame, type Outputs, samplesOf } from './outputs.ts';
import { Seen } from './seen.ts';
import type { Statistic } from './statistics.ts';

export interface FigureOptions extends BinOptions, BootstrapOptions {
  /** Names of the figures to measure; default all that the outputs allow. */
  readonly figures?: readonly string[];
  /** Findings: whether each finding's own figures are wanted beside the means. Default true. */
  readonly perFinding?: boolean;
}

export interface JointOptions extends FigureOptions {
  /** Which methods are set against each other: each with `baseline` (default: the first), or `all` pairs, or `none`. */
  readonly pairs?: 'baseline' | 'all' | 'none';
  /** The method that the others are compared with, by its id. */
  readonly baseline?: string;
  /** Called between figures. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** A figure with its interval. JSON-serialisable. */
export interface FigureEstimate extends Estimate {
  /** Findings: each one's own, by name. */
  readonly perFinding?: Readonly<Record<string, Estimate>>;
}

/** `first − second` with interval and p-values. */
export interface TestedDifference extends Difference {
  /** p after Holm's correction over the family; `null` where nothing was tested. */
  readonly adjusted: number | null;
}

export interface FigureDifference extends TestedDifference {
  /** Each finding's own. Corrected over findings and pairs together. */
  readonly perFinding?: Readonly<Record<string, TestedDifference>>;
}

export type Estimates = Readonly<Record<string, FigureEstimate>>;
export type Differences = Readonly<Record<string, FigureDifference>>;

export interface PairDifferences {
  /** Ids: differences are `first − second`. */
  readonly first: string;
  readonly second: string;
  readonly figures: Differences;
}

export interface Joint {
  /** The figures of each method, by its id, in the order given. */
  readonly methods: ReadonlyMap<string, Estimates>;
  readonly pairs: readonly PairDifferences[];
}

/**
 * All figures of one method with their intervals.
 *
 * @param input one run, or several of the same samples (seeds): a figure is then the mean over runs.
 *
 * @example
 * const targets = { kind: 'one-of-k', names: ['a', 'b'], values: Int32Array.of(0, 1, 1) } as const;
 * const outputs = { targets, probabilities: Float64Array.of(0.9, 0.1, 0.2, 0.8, 0.6, 0.4) };
 * measureFigures(outputs, { replicates: 200 }).top1.value.toFixed(3); // '0.667'
 *
 * @throws PenumbraError `metrics/runs` where the runs are not of the same samples; `figures/name`; `metrics/option`.
 */
export function measureFigures(input: Outputs | readonly Outputs[], options: FigureOptions = {}): Estimates {
  return measureMethods(new Map([['', asRuns(input)]]), { ...options, pairs: 'none' }).methods.get('')!;
}

/** Every figure's difference `first − second` of two methods on the same samples. A family is one figure. */
export function compareFigures(
  first: Outputs | readonly Outputs[],
  second: Outputs | readonly Outputs[],
  options: FigureOptions = {},
): Differences {
  const methods = new Map([
    ['first', asRuns(first)],
    ['second', asRuns(second)],
  ]);
  return measureMethods(methods, { ...options, pairs: 'all' }).pairs[0]!.figures;
}

/** Beyond this many visits of a number, Σ over resamples, an interval comes from the influence function instead. */
const MOST_VISITS = 3e8;

/**
 * All figures of several methods on the same samples, with the differences of pairs of them. A method's figure is the
 * mean over its runs (seeds).
 *
 * - Statistics are resampled together, methods and all, by samples or groups and by runs ({@link replicate}); where that
 *   would take long (many samples), intervals and p-values are normal, from the influence function.
 * - Calibration errors get interval and test from {@link calibrationInterval} and {@link calibrationDifference}: the
 *   interval covers the true error. The printed figure, when noise puts it outside, widens its interval.
 * - p-values are Holm-corrected over the pairs, a family for each figure; for single findings over pairs and findings.
 *
 * @throws PenumbraError `metrics/runs`, `figures/name`, `figures/baseline`, `metrics/option`.
 */
export function measureMethods(
  methods: ReadonlyMap<string, readonly Outputs[]>,
  options: JointOptions = {},
): Joint {
  const job = new Job(methods, options);
  const results = new Map(job.ids.map((id): [string, Record<string, FigureEstimate>] => [id, {}]));
  const tested = job.pairs.map((): Record<string, Untested> => ({}));
  job.measureAll((figure, made) => {
    job.ids.forEach((id, m) => {
      results.get(id)![figure.name] = made.estimates[m]!;
    });
    made.differences.forEach((one, p) => {
      tested[p]![figure.name] = one;
    });
  });
  const corrected = correct(tested, job.figures);
  return {
    methods: results,
    pairs: job.pairs.map(({ first, second }, p) => ({
      first: job.ids[first]!,
      second: job.ids[second]!,
      figures: corrected[p]!,
    })),
  };
}

/** A difference before the correction. */
interface Untested extends Difference {
  readonly perFinding?: Readonly<Record<string, Difference>>;
}

interface Made {
  /** By method. */
  readonly estimates: FigureEstimate[];
  /** By pair. */
  readonly differences: Untested[];
}

interface Pair {
  /** Places of the methods. */
  readonly first: number;
  readonly second: number;
}

const NONE: Difference = { value: null, low: null, high: null, p: null };

class Job {
  readonly ids: readonly string[];
  readonly pairs: readonly Pair[];
  readonly figures: readonly Figure[];
  private readonly options: JointOptions;
  /** By method, then by run. */
  private readonly seen: readonly (readonly Seen[])[];
  private readonly samples: number;
  /** Findings: K numbers; one of K: `undefined` alone. */
  private readonly columns: readonly (number | undefined)[];
  private readonly names: readonly string[];
  private readonly intervals = new Map<string, ReturnType<typeof calibrationInterval>>();
  private readonly tests = new Map<string, ReturnType<typeof calibrationDifference>>();
  private readonly numbers = new WeakMap<CalibrationRun, number>();
  private known = 0;

  constructor(methods: ReadonlyMap<string, readonly Outputs[]>, options: JointOptions) {
    this.options = options;
    this.ids = [...methods.keys()];
    const runs = [...methods.values()].map(asRuns);
    const first = runs[0]?.[0];
    if (first === undefined) asRuns([]);
    runs.forEach((one, m) => {
      if (m > 0) checkSame(first!, one[0]!, m);
    });
    this.seen = runs.map((one) => one.map((outputs) => new Seen(outputs, options)));
    this.samples = samplesOf(first!);
    this.names = first!.targets.names;
    const { kind } = first!.targets;
    this.columns = kind === 'findings' ? this.names.map((_, k) => k) : [undefined];
    const wanted = options.figures?.map((name) => figureNamed(kind, name)) ?? figuresOf(kind);
    const all = runs.flat();
    this.figures = wanted.filter(
      ({ needs }) => needs === undefined || all.every((o) => o[needs] !== undefined),
    );
    this.pairs = pairsOf(this.ids, options);
  }

  measureAll(take: (figure: Figure, made: Made) => void): void {
    const resampled = this.figures.filter((figure) => figure.sort === 'statistic');
    let done = 0;
    const finished = (figure: Figure, made: Made): void => {
      take(figure, made);
      this.options.onProgress?.(++done, this.figures.length);
    };
    // In batches, so that draws are shared and memory stays bounded.
    const quick = resampled.filter((figure) => this.isQuick(figure));
    this.resample(quick, finished);
    for (const figure of this.figures) {
      if (figure.sort === 'statistic') {
        if (!quick.includes(figure)) finished(figure, this.byInfluence(figure));
      } else if (figure.sort === 'calibration') finished(figure, this.calibrated(figure));
      else finished(figure, this.plain(figure));
    }
  }

  private statistic(figure: Figure, seen: Seen, k: number | undefined): Statistic | undefined {
    return figure.sort === 'statistic' ? figure.of(seen, k) : undefined;
  }

  /** Whether the bootstrap of one run's figure is affordable. */
  private isQuick(figure: Figure): boolean {
    const replicates = this.options.replicates ?? 1000;
    const [seen] = this.seen[0]!;
    let cost = 0; // Findings are of the same samples, and cost alike.
    for (const k of this.columns) if (cost === 0) cost = this.statistic(figure, seen!, k)?.cost ?? 0;
    return cost * this.columns.length * replicates <= MOST_VISITS;
  }

  private resample(figures: readonly Figure[], take: (figure: Figure, made: Made) => void): void {
    if (figures.length === 0) return; // Drawing alone would take long where samples are many.
    const undefinedMeasure: Measure = () => Number.NaN;
    const items = figures.flatMap((figure) => this.columns.map((k) => ({ figure, k })));
    const values = this.seen.map((runs) => items.map(() => runs.map(() => Number.NaN)));
    const measures = this.seen.map((runs, m) =>
      runs.map((seen, s) =>
        items.map(({ figure, k }, at) => {
          const one = this.statistic(figure, seen, k);
          if (one === undefined) return undefinedMeasure;
          values[m]![at]![s] = one.value();
          return this.options.replicates === 0 ? undefinedMeasure : one.measure();
        }),
      ),
    );
    const replicates = replicate(measures, this.samples, this.options);
    figures.forEach((figure, f) => {
      const at = this.columns.map((_, c) => f * this.columns.length + c);
      // By method and column.
      const value = this.seen.map((_, m) => at.map((i) => mean(values[m]![i]!)));
      const drawn = this.seen.map((_, m) => at.map((i) => replicates[m]![i]!));
      const used = this.columns.map((_, c) => c).filter((c) => value.every((one) => !Number.isNaN(one[c]!)));
      const macroValue = value.map((one) => mean(used.map((c) => one[c]!)));
      const macroDrawn = drawn.map((one) => meanOfDefined(used.map((c) => one[c]!)));
      take(
        figure,
        this.gather(
          (m, c) => estimate(value[m]![c]!, drawn[m]![c]!, this.options),
          ({ first, second }, c) =>
            difference(
              value[first]![c]!,
              value[second]![c]!,
              drawn[first]![c]!,
              drawn[second]![c]!,
              this.options,
            ),
          (m) => estimate(macroValue[m]!, macroDrawn[m]!, this.options),
          ({ first, second }) =>
            difference(
              macroValue[first]!,
              macroValue[second]!,
              macroDrawn[first]!,
              macroDrawn[second]!,
              this.options,
            ),
        ),
      );
    });
  }

  private byInfluence(figure: Figure): Made {
    const sums = new GroupSums(this.samples, this.options.groups);
    const level = this.options.level ?? 0.95;
    const none = this.options.replicates === 0;
    const many = this.columns.length;
    const parts = this.seen.map(() => new Array<Spread>(many));
    this.columns.forEach((k, c) => {
      this.seen.forEach((runs, m) => {
        const stats = runs.map((seen) => this.statistic(figure, seen, k));
        parts[m]![c] = spreadOf(stats, sums, none);
      });
    });
    const used = this.columns
      .map((_, c) => c)
      .filter((c) => parts.every((all) => !Number.isNaN(all[c]!.value)));
    const macros = parts.map((all) => meanSpread(used.map((c) => all[c]!)));
    const shown = (one: Spread): Estimate => normalEstimate(one, sums, level, none);
    const tested = (a: Spread, b: Spread): Difference => {
      const apart: Spread = {
        value: a.value - b.value,
        sums: a.sums.map((v, g) => v - (b.sums[g] ?? 0)),
        betweenRuns: a.betweenRuns + b.betweenRuns,
      };
      return withP(normalEstimate(apart, sums, level, none), apart, sums);
    };
    return this.gather(
      (m, c) => shown(parts[m]![c]!),
      ({ first, second }, c) => tested(parts[first]![c]!, parts[second]![c]!),
      (m) => shown(macros[m]!),
      ({ first, second }) => tested(macros[first]!, macros[second]!),
    );
  }

  private calibrated(figure: Figure & { readonly sort: 'calibration' }): Made {
    // By method, column and run.
    const parts = this.seen.map((runs) => this.columns.map((k) => runs.map((seen) => figure.of(seen, k))));
    const used = this.columns.map((_, c) => c).filter((c) => parts.every((one) => one[c]!.every(isDefined)));
    const of = (m: number, columns: readonly number[]): CalibrationPart[] =>
      columns.flatMap((c) => parts[m]![c]! as CalibrationPart[]);
    const own = parts.map((one) =>
      one.map((column) =>
        column.every(isDefined) && column[0]!.value ? mean(column.map((p) => p!.value!())) : undefined,
      ),
    );
    const value = (m: number, columns: readonly number[]): number | undefined => {
      const values = columns.map((c) => own[m]![c]);
      return values.every(isDefined) ? mean(values) : undefined;
    };
    const shown = (m: number, columns: readonly number[]): Estimate => {
      if (columns.length === 0) return { value: null, low: null, high: null };
      const interval = this.interval(of(m, columns));
      return around(value(m, columns) ?? interval.value, interval, this.options.replicates === 0);
    };
    const tested = ({ first, second }: Pair, columns: readonly number[]): Difference => {
      if (columns.length === 0) return NONE;
      const [a, b] = [shown(first, columns).value!, shown(second, columns).value!];
      if (this.options.replicates === 0) return { value: a - b, low: null, high: null, p: null };
      const test = this.test(of(first, columns), of(second, columns));
      const { value: apart, low, high } = around(a - b, test, false);
      // Where noise puts the printed difference on the other side, nothing is claimed.
      const p = low! > 0 || high! < 0 || !(test.low > 0 || test.high < 0) ? test.p : 1;
      return { value: apart, low, high, p };
    };
    const alone = (c: number): number[] => (used.includes(c) ? [c] : []);
    return this.gather(
      (m, c) => shown(m, alone(c)),
      (pair, c) => tested(pair, alone(c)),
      (m) => shown(m, used),
      (pair) => tested(pair, used),
    );
  }

  private plain(figure: Figure & { readonly sort: 'plain' }): Made {
    const values = this.seen.map((runs) =>
      this.columns.map((k) => mean(runs.map((seen) => figure.of(seen, k) ?? Number.NaN))),
    );
    const bare = (value: number): Difference => ({ ...NONE, value: Number.isNaN(value) ? null : value });
    const plain = (value: number): Estimate => {
      const { p: _, ...rest } = bare(value);
      return rest;
    };
    return this.gather(
      (m, c) => plain(values[m]![c]!),
      ({ first, second }, c) => bare(values[first]![c]! - values[second]![c]!),
      (m) => plain(meanDefined(values[m]!)),
      ({ first, second }) => bare(meanDefined(values[first]!) - meanDefined(values[second]!)),
    );
  }

  /** The figure of every method and pair: one column's, or the mean with each finding's own beside it. */
  private gather(
    estimateOf: (method: number, column: number) => Estimate,
    differenceOf: (pair: Pair, column: number) => Difference,
    macroOf: (method: number) => Estimate,
    macroDifference: (pair: Pair) => Difference,
  ): Made {
    if (this.columns[0] === undefined) {
      return {
        estimates: this.ids.map((_, m) => estimateOf(m, 0)),
        differences: this.pairs.map((pair) => differenceOf(pair, 0)),
      };
    }
    const perFinding = this.options.perFinding ?? true;
    const each = <T>(of: (column: number) => T) =>
      perFinding && { perFinding: Object.fromEntries(this.names.map((name, c) => [name, of(c)])) };
    return {
      estimates: this.ids.map((_, m) => ({ ...macroOf(m), ...each((c) => estimateOf(m, c)) })),
      differences: this.pairs.map((pair) => ({
        ...macroDifference(pair),
        ...each((c) => differenceOf(pair, c)),
      })),
    };
  }

  private key(parts: readonly CalibrationPart[]): string {
    return parts
      .map(({ run }) => {
        if (!this.numbers.has(run)) this.numbers.set(run, this.known++);
        return this.numbers.get(run);
      })
      .join(' ');
  }

  /** Several figures share what they compare, so that interval and test are made once. */
  private interval(parts: readonly CalibrationPart[]): ReturnType<typeof calibrationInterval> {
    return kept(this.intervals, this.key(parts), () =>
      calibrationInterval(
        parts.map(({ run }) => run),
        calibrationOptions(this.options),
      ),
    );
  }

  private test(
    first: readonly CalibrationPart[],
    second: readonly CalibrationPart[],
  ): ReturnType<typeof calibrationDifference> {
    return kept(this.tests, `${this.key(first)}/${this.key(second)}`, () =>
      calibrationDifference(
        first.map(({ run }) => run),
        second.map(({ run }) => run),
        calibrationOptions(this.options),
      ),
    );
  }
}

function pairsOf(ids: readonly string[], { pairs = 'baseline', baseline = ids[0]! }: JointOptions): Pair[] {
  if (pairs === 'none') return [];
  if (pairs === 'all')
    return ids.flatMap((_, i) => ids.slice(i + 1).map((_, j) => ({ first: i, second: i + 1 + j })));
  const base = ids.indexOf(baseline);
  if (base < 0) {
    throw new PenumbraError('figures/baseline', `There is no method "${baseline}" to compare with.`, {
      hint: `The methods are ${ids.join(', ')}.`,
    });
  }
  return ids.flatMap((_, m) => (m === base ? [] : [{ first: m, second: base }]));
}

function correct(
  tested: readonly Readonly<Record<string, Untested>>[],
  figures: readonly Figure[],
): Differences[] {
  const result = tested.map((): Record<string, FigureDifference> => ({}));
  for (const { name } of figures) {
    const all = tested.map((one) => one[name]!);
    const adjusted = holm(all.map(({ p }) => p));
    const singles = all.flatMap(({ perFinding }, pair) =>
      Object.entries(perFinding ?? {}).map(([finding, one]) => ({ pair, finding, one })),
    );
    const adjustedSingles = holm(singles.map(({ one }) => one.p));
    const perFinding = tested.map((): Record<string, TestedDifference> => ({}));
    singles.forEach(({ pair, finding, one }, i) => {
      perFinding[pair]![finding] = { ...one, adjusted: adjustedSingles[i]! };
    });
    all.forEach((one, pair) => {
      const { perFinding: own, ...rest } = one;
      result[pair]![name] = {
        ...rest,
        adjusted: adjusted[pair]!,
        ...(own !== undefined && { perFinding: perFinding[pair]! }),
      };
    });
  }
  return result;
}

/** A value with the interval for the truth, widened to hold the value. */
function around(value: number, { low, high }: { low: number; high: number }, bare: boolean): Estimate {
  return bare
    ? { value, low: null, high: null }
    : { value, low: Math.min(low, value), high: Math.max(high, value) };
}

/** Without `replicates`: they say how often samples are drawn, and calibration errors draw noise instead. */
function calibrationOptions({ bins, edges, groups, level, seed }: FigureOptions) {
  return {
    ...(bins !== undefined && { bins }),
    ...(edges !== undefined && { edges }),
    ...(groups !== undefined && { groups }),
    ...(level !== undefined && { level }),
    ...(seed !== undefined && { seed }),
  };
}

/** A value, how its error is made up of independent units, and how much its runs differ. */
interface Spread {
  readonly value: number;
  /** Σ of the influence over each unit's samples. */
  readonly sums: Float64Array;
  /** Variance of the mean over runs that comes from the runs. */
  readonly betweenRuns: number;
}

class GroupSums {
  readonly units: number;
  readonly samples: number;
  private readonly unit: Int32Array | undefined;

  constructor(samples: number, groups: ArrayLike<number> | undefined) {
    this.samples = samples;
    this.units = samples;
    if (groups === undefined) return;
    const index = new Map<number, number>();
    const unit = new Int32Array(samples);
    for (let i = 0; i < samples; i++) {
      const known = index.get(groups[i]!);
      if (known === undefined) index.set(groups[i]!, index.size);
      unit[i] = known ?? index.size - 1;
    }
    this.unit = unit;
    this.units = index.size;
  }

  of(influence: Float64Array): Float64Array {
    if (this.unit === undefined) return influence;
    const sums = new Float64Array(this.units);
    for (let i = 0; i < influence.length; i++) {
      const g = this.unit[i]!;
      sums[g] = sums[g]! + influence[i]!;
    }
    return sums;
  }
}

function spreadOf(stats: readonly (Statistic | undefined)[], groups: GroupSums, bare: boolean): Spread {
  const values = stats.map((one) => one?.value() ?? Number.NaN);
  const value = mean(values);
  if (Number.isNaN(value) || bare) return { value, sums: new Float64Array(0), betweenRuns: 0 };
  if (stats.length === 1) return { value, sums: groups.of(stats[0]!.influence()), betweenRuns: 0 };
  const sums = new Float64Array(groups.units);
  for (const one of stats) {
    const own = groups.of(one!.influence());
    for (let g = 0; g < sums.length; g++) sums[g] = sums[g]! + own[g]! / stats.length;
  }
  const spread = values.reduce((sum, v) => sum + (v - value) ** 2, 0);
  return { value, sums, betweenRuns: spread / Math.max(1, stats.length - 1) / stats.length };
}

/** The mean over findings. Runs of several findings vary together at most fully, which is what is assumed. */
function meanSpread(parts: readonly Spread[]): Spread {
  const sums = new Float64Array(parts[0]?.sums.length ?? 0);
  for (const one of parts)
    for (let g = 0; g < sums.length; g++) sums[g] = sums[g]! + one.sums[g]! / parts.length;
  return {
    value: mean(parts.map(({ value }) => value)),
    sums,
    betweenRuns: mean(parts.map(({ betweenRuns }) => Math.sqrt(betweenRuns))) ** 2,
  };
}

function deviationOf({ sums, betweenRuns }: Spread, { units, samples }: GroupSums): number {
  let square = 0;
  for (let g = 0; g < sums.length; g++) square += sums[g]! * sums[g]!;
  return Math.sqrt((square / samples ** 2) * (units / Math.max(1, units - 1)) + betweenRuns);
}

function normalEstimate(spread: Spread, groups: GroupSums, level: number, bare: boolean): Estimate {
  const { value } = spread;
  if (Number.isNaN(value)) return { value: null, low: null, high: null };
  if (bare) return { value, low: null, high: null };
  const reach = normalQuantile((1 + level) / 2) * deviationOf(spread, groups);
  return { value, low: value - reach, high: value + reach };
}

function withP(shown: Estimate, spread: Spread, groups: GroupSums): Difference {
  if (shown.low === null) return { ...shown, p: null };
  const deviation = deviationOf(spread, groups);
  const p = deviation > 0 ? 2 * normalCdf(-Math.abs(spread.value) / deviation) : spread.value === 0 ? 1 : 0;
  return { ...shown, p: Math.min(1, p) };
}

/** The mean over the findings whose replicate is defined, for each resample. */
function meanOfDefined(columns: readonly Float64Array[]): Float64Array {
  const result = new Float64Array(columns[0]?.length ?? 0);
  for (let r = 0; r < result.length; r++) {
    let sum = 0;
    let many = 0;
    for (const column of columns) {
      if (Number.isNaN(column[r]!)) continue;
      sum += column[r]!;
      many++;
    }
    result[r] = sum / many;
  }
  return result;
}

function meanDefined(values: readonly number[]): number {
  return mean(values.filter((v) => !Number.isNaN(v)));
}

function isDefined<T>(value: T | undefined): value is T {
  return value !== undefined;
}

function kept<T>(map: Map<string, T>, key: string, make: () => T): T {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}

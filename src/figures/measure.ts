import type { Targets } from '../data/targets.ts';
import { PenumbraError } from '../errors.ts';
import {
  type BinOptions,
  type BootstrapOptions,
  type CalibrationRun,
  CalibrationSide,
  calibrationDifference,
  calibrationInterval,
  type Difference,
  type Estimate,
  holm,
  mean,
} from '../metrics/index.ts';
import { type CalibrationPart, type Figure, figureNamed, figuresOf } from './figure.ts';
import { asRuns, checkSame, expressedDoubt, type Outputs, samplesOf } from './outputs.ts';
import { Seen } from './seen.ts';
import { differenceOf, estimateOf, meanSpread, type Spread, spreadOf, Units } from './spread.ts';
import type { Statistic } from './statistics.ts';

export interface FigureOptions extends BinOptions, Pick<BootstrapOptions, 'seed' | 'level' | 'groups'> {
  /** 0: values alone, without intervals and tests. Nothing is resampled. */
  readonly replicates?: number;
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

/**
 * All figures of several methods on the same samples, with the differences of pairs of them. A method's figure is the
 * mean over its runs (seeds). Outputs that are measured several times are better given as what was {@link Seen} of them.
 *
 * - Statistics get interval and test from their influence functions, by samples or groups and by runs: nothing is
 *   resampled, and they hold where few samples decide, as a bootstrap's do not ({@link estimateOf}, {@link differenceOf}).
 * - Calibration errors get interval and test from {@link calibrationInterval} and {@link calibrationDifference}: the
 *   interval covers the true error. The printed figure, when noise puts it outside, widens its interval.
 * - p-values are Holm-corrected over the pairs, a family for each figure; for single findings over pairs and findings.
 *
 * @throws PenumbraError `metrics/runs`, `figures/name`, `figures/baseline`, `metrics/option`.
 */
export function measureMethods(
  methods: ReadonlyMap<string, readonly (Outputs | Seen)[]>,
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

/** One method's statistics, and their differences from the baseline; `null` for the baseline itself. */
export interface MeasuredStatistics {
  readonly method: string;
  readonly figures: Readonly<Record<string, Estimate>>;
  readonly versus: Readonly<Record<string, TestedDifference>> | null;
}

/**
 * Any statistics of several methods on the same N samples, with intervals and tests like those of figures.
 * @param methods each method's runs (seeds), by its id, in the order of the result
 */
export function measureStatistics(
  methods: ReadonlyMap<string, readonly Readonly<Record<string, Statistic>>[]>,
  samples: number,
  options: Pick<FigureOptions, 'groups' | 'level' | 'replicates'>,
  baseline: string,
): MeasuredStatistics[] {
  const { level = 0.95 } = options;
  const ids = [...methods.keys()];
  const names = Object.keys(methods.get(ids[0]!)![0]!);
  const units = new Units(samples, options.groups);
  const spreads = ids.map((id) =>
    names.map((name) =>
      spreadOf(
        methods.get(id)!.map((run) => run[name]),
        units,
        options.replicates === 0,
      ),
    ),
  );
  const base = ids.indexOf(baseline);
  const tests = spreads.map((own, m) =>
    base < 0 || m === base ? null : own.map((one, f) => differenceOf(one, spreads[base]![f]!, units, level)),
  );
  const adjusted = names.map((_, f) => holm(tests.map((own) => own?.[f]?.p ?? null)));
  return ids.map((method, m) => ({
    method,
    figures: Object.fromEntries(names.map((name, f) => [name, estimateOf(spreads[m]![f]!, units, level)])),
    versus:
      tests[m] === null
        ? null
        : Object.fromEntries(
            names.map((name, f) => [name, { ...tests[m]![f]!, adjusted: adjusted[f]![m]! }]),
          ),
  }));
}

/** Whether outputs have what a figure needs; predicted doubt is measured only beside doubt that was expressed. */
function holds(outputs: Outputs, needs: NonNullable<Figure['needs']>): boolean {
  if (needs !== 'wording' && outputs[needs] === undefined) return false;
  if (needs !== 'wording' && needs !== 'doubt') return true;
  const { targets } = outputs;
  return expressedDoubt(targets)?.some((r, i) => r > 0 && knownAt(targets, i)) ?? false;
}

function knownAt(targets: Targets, i: number): boolean {
  return targets.kind !== 'findings' || targets.mask?.[i] !== 0;
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
  private readonly units: Units;
  /** Findings: K numbers; one of K: `undefined` alone. */
  private readonly columns: readonly (number | undefined)[];
  private readonly names: readonly string[];
  private readonly intervals = new Map<string, ReturnType<typeof calibrationInterval>>();
  private readonly tests = new Map<string, ReturnType<typeof calibrationDifference>>();
  /** By method: what its tests share, of the two methods that are compared now, since it can be large. */
  private readonly sides = new Map<number, Map<string, CalibrationSide>>();
  private readonly numbers = new WeakMap<CalibrationRun, number>();
  private known = 0;

  constructor(methods: ReadonlyMap<string, readonly (Outputs | Seen)[]>, options: JointOptions) {
    this.options = options;
    this.ids = [...methods.keys()];
    const given = [...methods.values()];
    const runs = given.map((one) => asRuns(one.map((run) => (run instanceof Seen ? run.outputs : run))));
    const first = runs[0]?.[0];
    if (first === undefined) asRuns([]);
    runs.forEach((one, m) => {
      if (m > 0) checkSame(first!, one[0]!, m);
    });
    this.seen = given.map((one) => one.map((run) => (run instanceof Seen ? run : new Seen(run, options))));
    this.units = new Units(samplesOf(first!), options.groups);
    this.names = first!.targets.names;
    const { kind } = first!.targets;
    this.columns = kind === 'findings' ? this.names.map((_, k) => k) : [undefined];
    const wanted = options.figures?.map((name) => figureNamed(kind, name)) ?? figuresOf(kind);
    const all = runs.flat();
    this.figures = wanted.filter(({ needs }) => {
      if (needs === undefined) return true;
      // Some methods predict doubt, and some do not.
      return needs === 'doubt' ? all.some((o) => holds(o, needs)) : all.every((o) => holds(o, needs));
    });
    this.pairs = pairsOf(this.ids, options);
  }

  measureAll(take: (figure: Figure, made: Made) => void): void {
    this.figures.forEach((figure, done) => {
      take(figure, this.made(figure));
      this.options.onProgress?.(done + 1, this.figures.length);
    });
  }

  private made(figure: Figure): Made {
    if (figure.sort === 'statistic') return this.scattered(figure);
    return figure.sort === 'calibration' ? this.calibrated(figure) : this.plain(figure);
  }

  private scattered(figure: Figure & { readonly sort: 'statistic' }): Made {
    const { units } = this;
    const level = this.options.level ?? 0.95;
    const bare = this.options.replicates === 0;
    // By method and column.
    const parts = this.seen.map((runs) =>
      this.columns.map((k) =>
        spreadOf(
          runs.map((seen) => figure.of(seen, k)),
          units,
          bare,
        ),
      ),
    );
    const used = this.commonColumns(parts.map((all) => all.map(({ value }) => !Number.isNaN(value))));
    const macros = parts.map((all) => meanSpread(used.map((c) => all[c]!)));
    const tested = (a: Spread, b: Spread): Difference => differenceOf(a, b, units, level);
    return this.gather(
      (m, c) => estimateOf(parts[m]![c]!, units, level),
      ({ first, second }, c) => tested(parts[first]![c]!, parts[second]![c]!),
      (m) => estimateOf(macros[m]!, units, level),
      ({ first, second }) => tested(macros[first]!, macros[second]!),
    );
  }

  private calibrated(figure: Figure & { readonly sort: 'calibration' }): Made {
    // By method, column and run.
    const parts = this.seen.map((runs) => this.columns.map((k) => runs.map((seen) => figure.of(seen, k))));
    const defined = parts.map((one) => one.map((column) => column.every(isDefined)));
    const used = this.commonColumns(defined);
    const able = defined.map((one) => one.includes(true));
    const of = (m: number, columns: readonly number[]): CalibrationPart[] =>
      columns.flatMap((c) => parts[m]![c]! as CalibrationPart[]);
    const own = parts.map((one, m) =>
      one.map((column, c) =>
        column.every(isDefined) && column[0]!.value
          ? mean(column.map((p, s) => this.seen[m]![s]!.keep(`value ${figure.name} ${c}`, () => p!.value!())))
          : undefined,
      ),
    );
    const value = (m: number, columns: readonly number[]): number | undefined => {
      const values = columns.map((c) => own[m]![c]);
      return values.every(isDefined) ? mean(values) : undefined;
    };
    const bare = this.options.replicates === 0;
    const shown = (m: number, columns: readonly number[]): Estimate => {
      if (columns.length === 0 || !able[m]) return { value: null, low: null, high: null };
      const known = value(m, columns);
      if (bare && known !== undefined) return { value: known, low: null, high: null };
      const interval = this.interval(of(m, columns));
      return bare
        ? { value: interval.value, low: null, high: null }
        : around(known ?? interval.value, interval);
    };
    const tested = ({ first, second }: Pair, columns: readonly number[]): Difference => {
      if (columns.length === 0 || !able[first] || !able[second]) return NONE;
      const [a, b] = [shown(first, columns).value!, shown(second, columns).value!];
      if (bare) return { value: a - b, low: null, high: null, p: null };
      const test = this.test(first, of(first, columns), second, of(second, columns));
      const { value: apart, low, high } = around(a - b, test);
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

  /**
   * Findings whose figure every method has that has it at all: means over them can be compared. A method without what a
   * figure needs (predicted doubt) has none, and takes none from the others.
   * @param defined by method and column
   */
  private commonColumns(defined: readonly (readonly boolean[])[]): number[] {
    const able = defined.filter((one) => one.includes(true));
    return this.columns.map((_, c) => c).filter((c) => able.every((one) => one[c]));
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
      calibrationInterval(this.sideOf(parts), calibrationOptions(this.options)),
    );
  }

  private test(
    first: number,
    firstParts: readonly CalibrationPart[],
    second: number,
    secondParts: readonly CalibrationPart[],
  ): ReturnType<typeof calibrationDifference> {
    return kept(this.tests, `${this.key(firstParts)}/${this.key(secondParts)}`, () => {
      this.hold(first, second);
      return calibrationDifference(
        this.side(first, firstParts),
        this.side(second, secondParts),
        calibrationOptions(this.options),
      );
    });
  }

  private hold(...methods: readonly number[]): void {
    for (const m of this.sides.keys()) if (!methods.includes(m)) this.sides.delete(m);
    for (const m of methods) if (!this.sides.has(m)) this.sides.set(m, new Map());
  }

  private side(method: number, parts: readonly CalibrationPart[]): CalibrationSide {
    return kept(this.sides.get(method)!, this.key(parts), () => this.sideOf(parts));
  }

  private sideOf(parts: readonly CalibrationPart[]): CalibrationSide {
    return new CalibrationSide(
      parts.map(({ run }) => run),
      this.options.groups,
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
function around(value: number, { low, high }: { low: number; high: number }): Estimate {
  return { value, low: Math.min(low, value), high: Math.max(high, value) };
}

function calibrationOptions({ bins, edges, level, seed }: FigureOptions) {
  return {
    ...(bins !== undefined && { bins }),
    ...(edges !== undefined && { edges }),
    ...(level !== undefined && { level }),
    ...(seed !== undefined && { seed }),
  };
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

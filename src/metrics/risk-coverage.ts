import { PenumbraError } from '../errors.ts';
import {
  type BootstrapOptions,
  type Difference,
  difference,
  type Estimate,
  estimate,
  plainValue,
  type Runs,
  replicate,
} from './bootstrap.ts';
import type { Measure } from './measures.ts';
import { type Floats, type Predictions, topLabels } from './predictions.ts';
import { asRuns } from './runs.ts';
import { argsort } from './sort.ts';

/** One point of a risk–coverage curve. */
export interface RiskPoint {
  /** The share of samples that are answered, the most confident ones, in (0, 1]. */
  readonly coverage: number;
  /** The error rate among these, in [0, 1]. */
  readonly risk: number;
}

export interface RiskCoverageOptions extends BootstrapOptions {
  /** Where selective accuracy is read, each in (0, 1]. Default 0.8, 0.9 and 0.95. */
  readonly coverages?: readonly number[];
  /** How many points the curve gets, at most one for each sample. Default 100. */
  readonly points?: number;
}

/** Selective classification by the top-1 confidence. Plain data. */
export interface RiskCoverage {
  readonly samples: number;
  /** How many runs (seeds) the figures and the curve are means of. */
  readonly runs: number;
  readonly aurc: Estimate;
  readonly augrc: Estimate;
  readonly excessAurc: Estimate;
  readonly selective: readonly { readonly coverage: number; readonly accuracy: Estimate }[];
  readonly curve: readonly RiskPoint[];
}

/** `first − second` of each figure of {@link RiskCoverage}. */
export interface RiskCoverageDifference {
  readonly aurc: Difference;
  readonly augrc: Difference;
  readonly excessAurc: Difference;
  readonly selective: readonly { readonly coverage: number; readonly accuracy: Difference }[];
}

/**
 * How well the top-1 confidence tells right answers from wrong ones: the risk–coverage curve, its area, and the accuracy
 * that is left when only the most confident share is answered, with bootstrap intervals.
 *
 * @param input one run, or several of the same samples (seeds), over which figures are means.
 *
 * @example
 * const labels = [0, 1, 1, 0];
 * const p = predictions([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.7, 0.3]], labels);
 * const r = riskCoverage(p, { coverages: [0.75], replicates: 200 });
 * r.selective[0].accuracy.value; // 1
 * r.curve.map((point) => point.risk); // [0, 0, 0, 0.25]
 *
 * @throws PenumbraError `metrics/option`, `metrics/shape`, `metrics/runs`.
 */
export function riskCoverage(
  input: Predictions | readonly Predictions[],
  options: RiskCoverageOptions = {},
): RiskCoverage {
  const runs = asRuns(input);
  const n = runs[0]!.labels.length;
  const sides = runs.map(side);
  const measures: Runs = sides.map((s) => measuresOf(s, options));
  const replicates = replicate([measures], n, options)[0]!;
  const estimates = replicates.map((values, k) => estimate(plainValue(measures, n, k), values, options));
  const curves = sides.map((s) => curveOf(s, options.points));
  return {
    samples: n,
    runs: runs.length,
    ...named(estimates, options),
    curve: curves[0]!.map(({ coverage }, j) => ({
      coverage,
      risk: curves.reduce((sum, curve) => sum + curve[j]!.risk, 0) / curves.length,
    })),
  };
}

/** Two methods on the same samples: every figure's difference `first − second` by the paired bootstrap. */
export function compareRiskCoverage(
  first: Predictions | readonly Predictions[],
  second: Predictions | readonly Predictions[],
  options: RiskCoverageOptions = {},
): RiskCoverageDifference {
  const methods = [asRuns(first), asRuns(second)];
  asRuns([methods[0]![0]!, methods[1]![0]!]);
  const n = methods[0]![0]!.labels.length;
  const [a, b] = methods.map((runs) => runs.map((p) => measuresOf(side(p), options)));
  const [left, right] = replicate([a!, b!], n, options);
  const differences = left!.map((values, k) =>
    difference(plainValue(a!, n, k), plainValue(b!, n, k), values, right![k]!, options),
  );
  return named(differences, options);
}

/**
 * Area under the risk–coverage curve, (1/N)·Σ_i risk(i/N), where risk(i/N) is the error rate of the i most confident
 * samples (Geifman, Uziel and El-Yaniv, "Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers", ICLR 2019).
 * In [0, 1], less is better. Samples of equal confidence stand in every order at once: each place among them carries
 * their mean error, so that nothing depends on the order of samples.
 *
 * @example
 * aurc(predictions([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], [0, 1, 1])).toFixed(4); // '0.1111'
 */
export function aurc(p: Predictions): number {
  return aurcMeasure(side(p))(ones(p));
}

/**
 * {@link aurc} above that of the best order of the same answers, in which every wrong one comes last (E-AURC, ibid.):
 * what the order costs, whatever the accuracy. The best area is the exact finite sum, (1/N)·Σ_{j=1..E} j/(N − E + j)
 * with E errors.
 */
export function excessAurc(p: Predictions): number {
  return excessAurcMeasure(side(p))(ones(p));
}

/**
 * Area under the generalised risk–coverage curve (Traub et al., "Overcoming Common Flaws in the Evaluation of Selective
 * Classification Systems", NeurIPS 2024, arXiv 2407.01032): of the share of all samples that are answered AND wrong,
 * against coverage, from (0, 0) to (1, error rate), by the trapezoid rule, straight across ties. In [0, ½], less is
 * better. Unlike {@link aurc}, which weighs the few most confident samples by far the most, every pair counts alike:
 * AUGRC = (1 − AUROC_f)·acc·(1 − acc) + (1 − acc)²/2, with AUROC_f that of confidence for right against wrong. It is
 * the mean risk of an undetected failure over all coverages; the authors print it times 1,000.
 *
 * @example
 * augrc(predictions([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], [0, 1, 1])).toFixed(4); // '0.0556'
 */
export function augrc(p: Predictions): number {
  return augrcMeasure(side(p))(ones(p));
}

/** Accuracy of the ⌈coverage·N⌉ most confident samples, in [0, 1]; ties as in {@link aurc}. */
export function selectiveAccuracy(p: Predictions, coverage: number): number {
  return selectiveMeasure(side(p), coverage)(ones(p));
}

/** Samples from the most to the least confident. */
export interface ByConfidence {
  /** N indices. */
  readonly order: Int32Array;
  /** N, in that order: 1 where the answer is wrong. */
  readonly wrong: Uint8Array;
  /** N, in that order: 1 where the next has a lower confidence. */
  readonly ends: Uint8Array;
}

/** Sorts samples by confidence (N numbers, not negative); `correct` has N of 0 and 1. */
export function byConfidence(confidence: Floats, correct: ArrayLike<number>): ByConfidence {
  const order = argsort(confidence).reverse();
  const n = order.length;
  const wrong = new Uint8Array(n);
  const ends = new Uint8Array(n);
  for (let t = 0; t < n; t++) {
    wrong[t] = correct[order[t]!] ? 0 : 1;
    ends[t] = t + 1 === n || confidence[order[t + 1]!] !== confidence[order[t]!] ? 1 : 0;
  }
  return { order, wrong, ends };
}

/** {@link aurc} as a function of how often each sample counts. */
export function aurcMeasure(samples: ByConfidence): Measure {
  return (counts) => areaAndErrors(samples, counts).area;
}

/** {@link excessAurc} as a function of how often each sample counts. */
export function excessAurcMeasure(samples: ByConfidence): Measure {
  return (counts) => {
    const { area, errors, total } = areaAndErrors(samples, counts);
    return area - (errors - (total - errors) * (harmonic(total) - harmonic(total - errors))) / total;
  };
}

/** {@link augrc} as a function of how often each sample counts. */
export function augrcMeasure(samples: ByConfidence): Measure {
  return (counts) => {
    let area = 0;
    const { total } = walk(samples, counts, (_, errors, tied, tiedErrors) => {
      area += tied * (errors + tiedErrors / 2);
      return true;
    });
    return area / (total * total);
  };
}

/** {@link selectiveAccuracy} as a function of how often each sample counts. */
export function selectiveMeasure(samples: ByConfidence, coverage: number): Measure {
  if (!(coverage > 0 && coverage <= 1)) {
    throw new PenumbraError('metrics/option', `A coverage must be above 0 and at most 1, got ${coverage}.`, {
      where: { option: 'coverages' },
    });
  }
  return (counts) => {
    let total = 0;
    for (let i = 0; i < counts.length; i++) total += counts[i]!;
    const m = answered(coverage, total);
    return (m - errorsAmong(samples, counts, m)) / m;
  };
}

/** The least whole number of samples that is `coverage` of `total`, forgiving the rounding of 0.95·20. */
function answered(coverage: number, total: number): number {
  return Math.max(1, Math.ceil(coverage * total - 1e-9 * total));
}

/** How many of the m most confident samples are wrong. NaN where there are fewer. */
function errorsAmong(samples: ByConfidence, counts: Int32Array, m: number): number {
  let found = Number.NaN;
  walk(samples, counts, (before, errors, tied, tiedErrors) => {
    if (before + tied < m || tied === 0) return true;
    found = errors + ((m - before) * tiedErrors) / tied;
    return false;
  });
  return found;
}

function areaAndErrors(samples: ByConfidence, counts: Int32Array) {
  let area = 0;
  const { errors, total } = walk(samples, counts, (before, wrong, tied, tiedErrors) => {
    if (tied === 1) area += (wrong + tiedErrors) / (before + 1);
    else if (tied > 1) {
      // Σ_{i=1..tied} (wrong + i·rate)/(before + i), with rate = tiedErrors/tied.
      const sum = harmonic(before + tied) - harmonic(before);
      area += tiedErrors + (wrong - (before * tiedErrors) / tied) * sum;
    }
    return true;
  });
  return { area: area / total, errors, total };
}

/**
 * Goes from the most to the least confident samples, those of one confidence at once.
 * @param visit what came before them, and they: how many, and how many of these are wrong; `false` ends the walk
 */
function walk(
  { order, wrong, ends }: ByConfidence,
  counts: Int32Array,
  visit: (before: number, errors: number, tied: number, tiedErrors: number) => boolean,
): { total: number; errors: number } {
  let total = 0;
  let errors = 0;
  let tied = 0;
  let tiedErrors = 0;
  for (let t = 0; t < order.length; t++) {
    const c = counts[order[t]!]!;
    tied += c;
    tiedErrors += c * wrong[t]!;
    if (ends[t] === 0) continue;
    if (visit(total, errors, tied, tiedErrors) === false) break;
    total += tied;
    errors += tiedErrors;
    tied = tiedErrors = 0;
  }
  return { total, errors };
}

/** H_n of n up to 256; above it the asymptotic series is exact to the last digits. */
const SMALL_HARMONIC = new Float64Array(257);
for (let n = 1; n < SMALL_HARMONIC.length; n++) SMALL_HARMONIC[n] = SMALL_HARMONIC[n - 1]! + 1 / n;

/** H_n = 1 + 1/2 + … + 1/n. */
function harmonic(n: number): number {
  if (n < SMALL_HARMONIC.length) return SMALL_HARMONIC[n]!;
  const square = 1 / (n * n);
  return Math.log(n) + 0.5772156649015329 + 0.5 / n - square * (1 / 12 - square / 120);
}

function side(p: Predictions): ByConfidence {
  const { confidence, correct } = topLabels(p);
  return byConfidence(confidence, correct);
}

function ones(p: Predictions): Int32Array {
  return new Int32Array(p.labels.length).fill(1);
}

const COVERAGES: readonly number[] = [0.8, 0.9, 0.95];

function measuresOf(samples: ByConfidence, { coverages = COVERAGES }: RiskCoverageOptions): Measure[] {
  return [
    aurcMeasure(samples),
    augrcMeasure(samples),
    excessAurcMeasure(samples),
    ...coverages.map((coverage) => selectiveMeasure(samples, coverage)),
  ];
}

/** Gives the figures of {@link measuresOf} their names. */
function named<T>(
  [aurc, augrc, excessAurc, ...rest]: readonly T[],
  { coverages = COVERAGES }: RiskCoverageOptions,
) {
  return {
    aurc: aurc!,
    augrc: augrc!,
    excessAurc: excessAurc!,
    selective: coverages.map((coverage, j) => ({ coverage, accuracy: rest[j]! })),
  };
}

function curveOf({ order, wrong, ends }: ByConfidence, points = 100): RiskPoint[] {
  if (!Number.isInteger(points) || points < 1) {
    throw new PenumbraError('metrics/option', `points must be a whole number of at least 1, got ${points}.`, {
      where: { option: 'points' },
    });
  }
  const n = order.length;
  const size = Math.min(points, n);
  const curve: RiskPoint[] = [];
  let errors = 0;
  for (let start = 0, end = 0; start < n; start = end) {
    let tiedErrors = 0;
    do tiedErrors += wrong[end]!;
    while (ends[end++] === 0);
    for (; curve.length < size; ) {
      const m = Math.ceil(((curve.length + 1) * n) / size);
      if (m > end) break;
      const among = ((m - start) * tiedErrors) / (end - start);
      curve.push({ coverage: m / n, risk: (errors + among) / m });
    }
    errors += tiedErrors;
  }
  return curve;
}

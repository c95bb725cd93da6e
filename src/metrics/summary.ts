import { PenumbraError } from '../errors.ts';
import { balancedAccuracy, confusionMatrix, recalls, topKHits } from './accuracy.ts';
import { auroc } from './auroc.ts';
import {
  type BootstrapOptions,
  type Difference,
  difference,
  type Estimate,
  estimate,
  type Runs,
  replicate,
} from './bootstrap.ts';
import {
  type BinOptions,
  calibrationError,
  classwiseEce,
  type ReliabilityBin,
  reliability,
  reliabilityEqualMass,
} from './calibration.ts';
import {
  aurocMeasure,
  balancedAccuracyMeasure,
  calibrationMeasure,
  classwiseMeasure,
  equalMassMeasure,
  type Measure,
  meanMeasure,
} from './measures.ts';
import { type Floats, floatsLike, mean, type Predictions, topLabels } from './predictions.ts';
import { sampleBrier, sampleNll } from './scoring.ts';
import { type McNemar, mcnemar } from './significance.ts';
import { probabilityOf, sampleTruthDistance } from './truth.ts';

/** The figures of a summary, in the order in which they are shown. All are fractions, `nll` is in nats. */
export const FIGURES = [
  'top1',
  'top5',
  'balancedAccuracy',
  'auroc',
  'nll',
  'brier',
  'ece',
  'eceEqualMass',
  'mce',
  'classwiseEce',
  'confidenceGap',
] as const;
export type FigureName = (typeof FIGURES)[number];

/** The figures against a known truth. See {@link truthDistance}. */
export const TRUTH_FIGURES = ['totalVariation', 'kl', 'squaredError', 'ece'] as const;
export type TruthFigureName = (typeof TRUTH_FIGURES)[number];

export interface SummaryOptions extends BinOptions, BootstrapOptions {
  /** N×K true posteriors, where a phantom knows them: adds `truth`. */
  readonly posterior?: Floats;
  /**
   * The figures that get an interval; default all. `auroc` and `classwiseEce` cost N·K work for each replicate, the
   * others N: at 100,000 × 165 leave these two out, or lower `replicates`.
   */
  readonly intervals?: readonly FigureName[];
}

export interface ClassSummary {
  /** Class index. */
  readonly label: number;
  /** How many samples have it. */
  readonly support: number;
  /** `null` where no sample has it. */
  readonly recall: number | null;
  readonly auroc: number | null;
  readonly ece: number;
}

export interface TruthSummary extends Readonly<Record<TruthFigureName, Estimate>> {
  /** Top-1 confidence against the true probability of the predicted class. */
  readonly bins: readonly ReliabilityBin[];
}

/** Everything that is measured of one method. Plain data: `JSON.stringify` loses nothing. */
export interface Summary extends Readonly<Record<FigureName, Estimate>> {
  readonly samples: number;
  readonly classes: number;
  /** How many runs (seeds) the figures are means of. */
  readonly runs: number;
  /** Equal-width reliability bins of the top-1 confidence, all runs together. */
  readonly bins: readonly ReliabilityBin[];
  readonly binsEqualMass: readonly ReliabilityBin[];
  readonly perClass: readonly ClassSummary[];
  /** Present where `posterior` was given. */
  readonly truth?: TruthSummary;
  readonly settings: {
    readonly bins: number;
    readonly edges: string;
    readonly replicates: number;
    readonly seed: number;
    readonly level: number;
    readonly interval: string;
    /** What was resampled: samples, or groups of samples. */
    readonly resampled: 'samples' | 'groups';
  };
}

/**
 * All figures of one method with their intervals.
 *
 * Given several runs (the same method from different seeds, on the same samples in the same order), each figure is the
 * mean over runs, its interval is the hierarchical bootstrap over runs and samples, and the bins pool all runs.
 *
 * @example
 * const s = summarize(predictions([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], [0, 1, 1]), { replicates: 200 });
 * s.top1.value?.toFixed(4); // '0.6667'
 * s.bins.length; // 15
 *
 * @throws PenumbraError `metrics/runs` where the runs are not of the same samples; `metrics/option`; `metrics/shape`.
 */
export function summarize(
  input: Predictions | readonly Predictions[],
  options: SummaryOptions = {},
): Summary {
  const runs = asRuns(input);
  const first = runs[0]!;
  const views = runs.map((p) => view(p, options));
  const names = figureNames(options);
  const withInterval = intervalNames(names, options);
  const estimates = estimateFigures(views, names, withInterval, first.labels.length, options);

  const confidence = concatenate(views.map((v) => v.top.confidence));
  const correct = concatenate(views.map((v) => Float64Array.from(v.top.correct)));
  const result = {
    samples: first.labels.length,
    classes: first.classes,
    runs: runs.length,
    ...pick(estimates, FIGURES, ''),
    bins: reliability(confidence, correct, options),
    binsEqualMass: reliabilityEqualMass(confidence, correct, options),
    perClass: classSummaries(runs, views),
    settings: settingsOf(options),
  };
  if (options.posterior === undefined) return result;
  const chance = concatenate(views.map((v) => v.chance!));
  const truth = {
    ...pick(estimates, TRUTH_FIGURES, 'truth.'),
    bins: reliability(confidence, chance, options),
  };
  return { ...result, truth };
}

export interface Comparison {
  /** `first − second` of each figure. */
  readonly figures: Readonly<Record<FigureName, Difference>>;
  /** The same against the truth, where `posterior` was given. */
  readonly truth?: Readonly<Record<TruthFigureName, Difference>>;
  /** McNemar's test of the top-1 accuracy; `null` where a method has several runs, for which it is not defined. */
  readonly mcnemar: McNemar | null;
}

/**
 * Two methods on the same samples: every figure's difference `first − second` by the paired bootstrap (over samples or
 * groups, and over the runs of each method independently), with two-sided p-values. Correct these with {@link holm}
 * where several are read together.
 *
 * @example
 * const labels = [0, 1, 1, 0];
 * const sure = predictions([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.7, 0.3]], labels);
 * const wrong = predictions([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.7, 0.3]], labels);
 * compareSummaries(sure, wrong).figures.top1.value; // 0.25
 *
 * @throws PenumbraError `metrics/runs` where the samples are not the same.
 */
export function compare(
  first: Predictions | readonly Predictions[],
  second: Predictions | readonly Predictions[],
  options: SummaryOptions = {},
): Comparison {
  const a = asRuns(first);
  const b = asRuns(second);
  asRuns([a[0]!, b[0]!]);
  const names = figureNames(options);
  const withInterval = intervalNames(names, options);
  const sides = [a, b].map((runs) => runs.map((p) => view(p, options)));
  const methods: Runs[] = sides.map((views) =>
    views.map((v) => withInterval.map((name) => v.figures[name]!.measure())),
  );
  const [left, right] = replicate(methods, a[0]!.labels.length, options);
  const differences: Record<string, Difference> = {};
  for (const name of names) {
    const at = withInterval.indexOf(name);
    const none = new Float64Array(0);
    differences[name] = difference(
      meanOver(sides[0]!, name),
      meanOver(sides[1]!, name),
      at < 0 ? none : left![at]!,
      at < 0 ? none : right![at]!,
      options,
    );
  }
  const result = {
    figures: pick(differences, FIGURES, ''),
    mcnemar:
      a.length === 1 && b.length === 1 ? mcnemar(sides[0]![0]!.top.correct, sides[1]![0]!.top.correct) : null,
  };
  return options.posterior === undefined
    ? result
    : { ...result, truth: pick(differences, TRUTH_FIGURES, 'truth.') };
}

/** One figure, twice: worked out at once with little memory, and as a function of how often each sample counts. */
interface Figure {
  readonly value: () => number;
  readonly measure: () => Measure;
}

interface View {
  readonly top: ReturnType<typeof topLabels>;
  readonly perClassAuroc: readonly (number | null)[];
  readonly perClassEce: readonly number[];
  /** The true probability of the predicted class. */
  readonly chance: Floats | undefined;
  readonly figures: Readonly<Record<string, Figure>>;
}

function view(p: Predictions, options: SummaryOptions): View {
  const top = topLabels(p);
  const { confidence, correct } = top;
  const area = auroc(p);
  const classwise = classwiseEce(p, options);
  const equalWidth = reliability(confidence, correct, options);
  const gap = Float64Array.from(confidence, (c, i) => c - correct[i]!);
  const figures: Record<string, Figure> = {
    top1: meanFigure(correct),
    top5: meanFigure(topKHits(p, 5)),
    balancedAccuracy: { value: () => balancedAccuracy(p), measure: () => balancedAccuracyMeasure(p) },
    auroc: { value: () => area.macro ?? Number.NaN, measure: () => aurocMeasure(p) },
    nll: meanFigure(sampleNll(p)),
    brier: meanFigure(sampleBrier(p)),
    ece: {
      value: () => calibrationError(equalWidth),
      measure: () => calibrationMeasure(confidence, correct, options),
    },
    eceEqualMass: {
      value: () => calibrationError(reliabilityEqualMass(confidence, correct, options)),
      measure: () => equalMassMeasure(confidence, correct, options),
    },
    mce: {
      value: () => calibrationError(equalWidth, 'max'),
      measure: () => calibrationMeasure(confidence, correct, options, 'max'),
    },
    classwiseEce: { value: () => classwise.ece, measure: () => classwiseMeasure(p, options) },
    confidenceGap: meanFigure(gap),
  };
  let chance: Floats | undefined;
  if (options.posterior !== undefined) {
    const distances = sampleTruthDistance(p, options.posterior);
    const truth = probabilityOf(options.posterior, top.predicted, p.classes);
    figures['truth.totalVariation'] = meanFigure(distances.totalVariation);
    figures['truth.kl'] = meanFigure(distances.kl);
    figures['truth.squaredError'] = meanFigure(distances.squaredError);
    figures['truth.ece'] = {
      value: () => calibrationError(reliability(confidence, truth, options)),
      measure: () => calibrationMeasure(confidence, truth, options),
    };
    chance = truth;
  }
  return { top, perClassAuroc: area.perClass, perClassEce: classwise.perClass, chance, figures };
}

function meanFigure(values: ArrayLike<number>): Figure {
  return { value: () => mean(values), measure: () => meanMeasure(values) };
}

function estimateFigures(
  views: readonly View[],
  names: readonly string[],
  withInterval: readonly string[],
  n: number,
  options: SummaryOptions,
): Record<string, Estimate> {
  const replicates = replicate(
    [views.map((v) => withInterval.map((name) => v.figures[name]!.measure()))],
    n,
    options,
  )[0]!;
  const result: Record<string, Estimate> = {};
  for (const name of names) {
    const at = withInterval.indexOf(name);
    result[name] = estimate(meanOver(views, name), at < 0 ? new Float64Array(0) : replicates[at]!, options);
  }
  return result;
}

function meanOver(views: readonly View[], name: string): number {
  return mean(views.map((v) => v.figures[name]!.value()));
}

function figureNames(options: SummaryOptions): string[] {
  return options.posterior === undefined
    ? [...FIGURES]
    : [...FIGURES, ...TRUTH_FIGURES.map((t) => `truth.${t}`)];
}

function intervalNames(names: readonly string[], options: SummaryOptions): string[] {
  if (options.replicates === 0) return [];
  const wanted: readonly string[] = options.intervals ?? FIGURES;
  for (const name of wanted) {
    if (!names.includes(name)) {
      throw new PenumbraError('metrics/option', `There is no figure "${name}".`, {
        hint: `The figures are ${FIGURES.join(', ')}.`,
        where: { option: 'intervals' },
      });
    }
  }
  return names.filter((name) => wanted.includes(name) || name.startsWith('truth.'));
}

function pick<N extends string, T>(
  from: Record<string, T>,
  names: readonly N[],
  prefix: string,
): Record<N, T> {
  return Object.fromEntries(names.map((name) => [name, from[prefix + name]])) as Record<N, T>;
}

function classSummaries(runs: readonly Predictions[], views: readonly View[]): ClassSummary[] {
  const { labels, classes } = runs[0]!;
  const support = new Int32Array(classes);
  for (let i = 0; i < labels.length; i++) support[labels[i]!]!++;
  const recall = runs.map((p) => recalls(confusionMatrix(p)));
  return Array.from(support, (count, label) => ({
    label,
    support: count,
    recall: meanDefined(recall.map((r) => r[label]!)),
    auroc: meanDefined(views.map((v) => v.perClassAuroc[label]!)),
    ece: mean(views.map((v) => v.perClassEce[label]!)),
  }));
}

/** Labels are the same in all runs, so that a figure is defined in all of them or in none. */
function meanDefined(values: readonly (number | null)[]): number | null {
  return values.some((v) => v === null) ? null : mean(values as number[]);
}

function concatenate(parts: readonly Floats[]): Floats {
  if (parts.length === 1) return parts[0]!;
  const all = parts.every((p) => p instanceof Float32Array) ? parts[0]! : new Float64Array(0);
  const result = floatsLike(
    all,
    parts.reduce((sum, p) => sum + p.length, 0),
  );
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.length;
  }
  return result;
}

/** One run or several as several, all of the same samples. */
export function asRuns(input: Predictions | readonly Predictions[]): readonly Predictions[] {
  const runs = 'labels' in input ? [input] : input;
  const first = runs[0];
  if (first === undefined) {
    throw new PenumbraError('metrics/empty', 'There are no runs to measure.', { hint: 'Give at least one.' });
  }
  runs.forEach((run, s) => {
    const same =
      run.classes === first.classes &&
      run.labels.length === first.labels.length &&
      run.labels.every((y, i) => y === first.labels[i]);
    if (!same) {
      throw new PenumbraError(
        'metrics/runs',
        `Run ${s} is not of the same samples as run 0: its labels differ.`,
        {
          hint: 'Give predictions for the same samples in the same order.',
          where: { run: s },
        },
      );
    }
  });
  return runs;
}

function settingsOf(options: SummaryOptions): Summary['settings'] {
  return {
    bins: options.bins ?? 15,
    edges: options.edges ?? 'right-closed',
    replicates: options.replicates ?? 1000,
    seed: options.seed ?? 0,
    level: options.level ?? 0.95,
    interval: options.interval ?? 'percentile',
    resampled: options.groups === undefined ? 'samples' : 'groups',
  };
}

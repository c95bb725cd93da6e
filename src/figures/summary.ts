import { concatenate } from '../concatenate.ts';
import {
  auroc,
  confusionMatrix,
  type Floats,
  mean,
  type ReliabilityBin,
  recalls,
  reliability,
  reliabilityEqualMass,
} from '../metrics/index.ts';
import type { Kind } from './figure.ts';
import { type Estimates, type FigureOptions, measureFigures } from './measure.ts';
import { chanceOf, classwiseOf } from './one-of-k.ts';
import { asRuns, type Outputs } from './outputs.ts';
import { Seen } from './seen.ts';

/** One class of K. */
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

/** One finding. */
export interface FindingSummary {
  readonly name: string;
  /** How many samples are known to have it or not, and of these to have it. */
  readonly known: number;
  readonly positives: number;
  /** Its probability against its frequency, all runs together. */
  readonly bins: readonly ReliabilityBin[];
}

/** Bins for reliability diagrams, all runs together. */
export interface Bins {
  /** Of equal width: the top-1 confidence against being right, or all findings' probabilities against what is there. */
  readonly bins: readonly ReliabilityBin[];
  /** One of K. */
  readonly binsEqualMass?: readonly ReliabilityBin[];
  /** Against the true probability of the predicted class, where a posterior is known. */
  readonly truthBins?: readonly ReliabilityBin[];
}

/** Everything that is measured of one method. Plain data: `JSON.stringify` loses nothing. */
export interface Summary extends Bins {
  readonly kind: Kind;
  readonly samples: number;
  /** K. */
  readonly classes: number;
  /** How many runs (seeds) the figures are means of. */
  readonly runs: number;
  /** By name; see `figuresOf`. */
  readonly figures: Estimates;
  /** One of K. */
  readonly perClass?: readonly ClassSummary[];
  /** Findings. */
  readonly findings?: readonly FindingSummary[];
  readonly settings: FigureSettings;
}

/** How figures were made. */
export interface FigureSettings {
  readonly bins: number;
  readonly edges: string;
  readonly seed: number;
  readonly level: number;
  /** What counts as independent of each other: samples, or groups of samples. */
  readonly independent: 'samples' | 'groups';
}

/**
 * One method: every figure with its interval, the bins of its reliability diagrams, and its classes or findings.
 *
 * @example
 * const targets = { kind: 'one-of-k', names: ['a', 'b'], values: Int32Array.of(0, 1, 1) } as const;
 * const s = summarize({ targets, probabilities: Float64Array.of(0.9, 0.1, 0.2, 0.8, 0.6, 0.4) }, { replicates: 200 });
 * s.figures.top1.value?.toFixed(4); // '0.6667'
 * s.bins.length; // 15
 *
 * @throws as {@link measureFigures}
 */
export function summarize(input: Outputs | readonly Outputs[], options: FigureOptions = {}): Summary {
  return { ...describe(input, options), figures: measureFigures(input, options) };
}

/** {@link summarize} without the figures, for who has measured them already. */
export function describe(
  input: Outputs | readonly Outputs[],
  options: FigureOptions = {},
): Omit<Summary, 'figures'> {
  const runs = asRuns(input);
  const seen = runs.map((outputs) => new Seen(outputs, options));
  const [first] = seen;
  const { kind } = runs[0]!.targets;
  return {
    kind,
    samples: first!.samples,
    classes: first!.classes,
    runs: runs.length,
    ...(kind === 'one-of-k' ? classesOf(seen) : findingsOf(seen)),
    settings: settingsOf(options),
  };
}

/**
 * A summary as it stands in `figures.json`: each figure at the top level, those against the truth in `truth`.
 *
 * @example
 * figuresJson({ 'top1': { value: 1, low: 1, high: 1 }, 'truth.kl': { value: 0, low: 0, high: 0 } }).truth.kl.value; // 0
 */
export function figuresJson<T>(figures: Readonly<Record<string, T>>): Record<string, T | Record<string, T>> {
  const result: Record<string, T | Record<string, T>> = {};
  for (const [name, figure] of Object.entries(figures)) {
    const [group, rest] = name.split('.') as [string, string?];
    if (rest === undefined) result[name] = figure;
    else result[group] = { ...(result[group] as Record<string, T> | undefined), [rest]: figure };
  }
  return result;
}

function classesOf(seen: readonly Seen[]) {
  const { bins: options } = seen[0]!;
  const confidence = together(seen.map(({ top }) => top.confidence));
  const correct = concatenate(seen.map(({ top }) => top.correct));
  const known = seen.every(({ outputs }) => outputs.posterior !== undefined);
  return {
    bins: reliability(confidence, correct, options),
    binsEqualMass: reliabilityEqualMass(confidence, correct, options),
    ...(known && { truthBins: reliability(confidence, together(seen.map(chanceOf)), options) }),
    perClass: classSummaries(seen),
  };
}

function classSummaries(seen: readonly Seen[]): ClassSummary[] {
  const { labels, classes } = seen[0]!.predictions;
  const support = new Int32Array(classes);
  for (let i = 0; i < labels.length; i++) support[labels[i]!]!++;
  const recall = seen.map(({ predictions }) => recalls(confusionMatrix(predictions)));
  const areas = seen.map(({ predictions }) => auroc(predictions).perClass);
  return Array.from(support, (count, label) => ({
    label,
    support: count,
    recall: meanDefined(recall.map((r) => r[label]!)),
    auroc: meanDefined(areas.map((a) => a[label]!)),
    ece: mean(seen.map((one) => classwiseOf(one).perClass[label]!)),
  }));
}

function findingsOf(seen: readonly Seen[]) {
  const { bins: options, findings, classes } = seen[0]!;
  const all = Array.from({ length: classes }, (_, k) => {
    const known = seen.map((one) => one.known(k)).filter((one) => one !== undefined);
    return {
      confidence: together(known.map((one) => one.confidence)),
      outcome: together(known.map((one) => one.outcome as Float32Array)),
    };
  });
  const confidence = together(all.map((one) => one.confidence));
  const outcome = together(all.map((one) => one.outcome));
  return {
    bins: binsOf(confidence, outcome, options),
    findings: findings.names.map((name, k): FindingSummary => {
      const { known, positives } = seen[0]!.column(k);
      return { name, known, positives, bins: binsOf(all[k]!.confidence, all[k]!.outcome, options) };
    }),
  };
}

function binsOf(confidence: Floats, outcome: Floats, options: FigureOptions): ReliabilityBin[] {
  return confidence.length === 0 ? [] : reliability(confidence, outcome, options);
}

/** Labels are the same in all runs, so that a figure is defined in all of them or in none. */
function meanDefined(values: readonly (number | null)[]): number | null {
  return values.some((v) => v === null) ? null : mean(values as number[]);
}

/** In one precision: a bin edge is rounded to the precision of what it sorts. */
function together(parts: readonly Floats[]): Floats {
  const double = parts.length === 0 || parts.some((part) => part instanceof Float64Array);
  return concatenate<Floats>(parts, double ? Float64Array : Float32Array);
}

export function settingsOf(options: FigureOptions): FigureSettings {
  return {
    bins: options.bins ?? 15,
    edges: options.edges ?? 'right-closed',
    seed: options.seed ?? 0,
    level: options.level ?? 0.95,
    independent: options.groups === undefined ? 'samples' : 'groups',
  };
}

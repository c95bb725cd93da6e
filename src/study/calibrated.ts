import { type CalibratorName, fitCalibrator } from '../calibration/index.ts';
import {
  type Comparison,
  compareSummaries as compare,
  type Difference,
  FIGURES,
  type FigureName,
  holm,
  type Predictions,
  predictions,
  type Summary,
  type SummaryOptions,
  summarize,
  TRUTH_FIGURES,
  type TruthFigureName,
} from '../metrics/index.ts';
import type { RunOutput } from './cell.ts';
import { record } from './jointly.ts';
import type { StudyResult } from './result.ts';
import type {
  CalibratedMethod,
  CalibratedResults,
  CalibratedSeed,
  TestedDifference,
} from './study-result.ts';

/** A method's runs, read when they are needed: all of a study's outputs at once can be more than the memory. */
export interface MethodRuns {
  readonly method: string;
  readonly seeds: readonly {
    readonly seed: number;
    /** Of the judged split. */
    readonly judged: () => Promise<RunOutput>;
    /** Of the validation split, where there is one to fit on. */
    readonly validation: () => Promise<RunOutput>;
  }[];
}

/** The results without a calibrator, as the comparison has them, with the figures of each seed. */
export async function uncalibrated(
  comparison: StudyResult,
  methods: readonly MethodRuns[],
  options: SummaryOptions,
): Promise<CalibratedResults> {
  const { baseline, pairs } = comparison;
  const tested = testedOf(
    comparison.methods.map(({ objective }) =>
      objective === baseline ? null : (pairs.find(({ first }) => first === objective)?.comparison ?? null),
    ),
  );
  const results: CalibratedMethod[] = [];
  for (const [m, { method, seeds }] of methods.entries()) {
    const points: CalibratedSeed[] = [];
    for (const { seed, judged } of seeds)
      points.push(seedResult(seed, summarize(await judged(), { ...options, replicates: 0 }), null, []));
    const { summary } = comparison.methods[m]!;
    results.push({ method, ...figuresOf(summary), ...tested[m]!, seeds: points });
  }
  return { calibrator: 'none', methods: results };
}

/** Every method under one calibrator, each run's fitted on its own validation outputs. */
export async function calibrated(
  calibrator: CalibratorName,
  methods: readonly MethodRuns[],
  options: SummaryOptions,
  baseline: string,
): Promise<CalibratedResults> {
  const base = methods.find(({ method }) => method === baseline);
  const baseRuns = base && (await fittedRuns(calibrator, base));
  const results: Omit<CalibratedMethod, 'versus' | 'versusTruth'>[] = [];
  const comparisons: (Comparison | null)[] = [];
  for (const one of methods) {
    const runs = one === base ? baseRuns! : await fittedRuns(calibrator, one);
    const all = runs.map((run) => run.predictions);
    comparisons.push(
      one === base || baseRuns === undefined
        ? null
        : compare(
            all,
            baseRuns.map((run) => run.predictions),
            options,
          ),
    );
    results.push({
      method: one.method,
      ...figuresOf(summarize(all, options)),
      seeds: runs.map(({ seed, predictions: p, temperature, warnings }) =>
        seedResult(seed, summarize(p, { ...options, replicates: 0 }), temperature, warnings),
      ),
    });
  }
  const tested = testedOf(comparisons);
  return { calibrator, methods: results.map((result, m) => ({ ...result, ...tested[m]! })) };
}

interface FittedRun {
  readonly seed: number;
  readonly predictions: Predictions;
  readonly temperature: number | null;
  readonly warnings: readonly string[];
}

async function fittedRuns(name: CalibratorName, { seeds }: MethodRuns): Promise<FittedRun[]> {
  const runs: FittedRun[] = [];
  for (const { seed, judged, validation } of seeds) {
    const fitOn = await validation();
    const fitted = fitCalibrator(name, fitOn.logits, fitOn.labels, fitOn.classes);
    const { logits, labels, classes } = await judged();
    runs.push({
      seed,
      predictions: predictions(fitted.apply(logits), labels, { classes }),
      temperature: fitted.name === 'temperature' ? fittedTemperature(fitted.parameters) : null,
      warnings: fitted.report.warnings,
    });
  }
  return runs;
}

function fittedTemperature(parameters: object): number {
  return (parameters as { readonly temperature: number }).temperature;
}

function figuresOf(summary: Summary): Pick<CalibratedMethod, 'figures' | 'truth' | 'reliability'> {
  return {
    figures: record(FIGURES, (name) => summary[name]),
    truth: summary.truth === undefined ? null : record(TRUTH_FIGURES, (name) => summary.truth![name]),
    reliability: summary.bins,
  };
}

function seedResult(
  seed: number,
  summary: Summary,
  temperature: number | null,
  warnings: readonly string[],
): CalibratedSeed {
  return {
    seed,
    figures: record(FIGURES, (name) => summary[name].value),
    truth: summary.truth === undefined ? null : record(TRUTH_FIGURES, (name) => summary.truth![name].value),
    temperature,
    warnings,
  };
}

/** Comparisons of methods with one baseline, with p-values corrected over them; null for the baseline itself. */
function testedOf(
  comparisons: readonly (Comparison | null)[],
): Pick<CalibratedMethod, 'versus' | 'versusTruth'>[] {
  const corrected = <N extends string>(
    names: readonly N[],
    of: (comparison: Comparison, name: N) => Difference,
  ): (Record<N, TestedDifference> | null)[] => {
    const adjusted = record(names, (name) =>
      holm(comparisons.map((comparison) => (comparison === null ? null : of(comparison, name).p))),
    );
    return comparisons.map(
      (comparison, m) =>
        comparison && record(names, (name) => ({ ...of(comparison, name), corrected: adjusted[name][m]! })),
    );
  };
  const versus = corrected<FigureName>(FIGURES, (comparison, name) => comparison.figures[name]);
  const truth = comparisons.some((comparison) => comparison?.truth !== undefined)
    ? corrected<TruthFigureName>(TRUTH_FIGURES, (comparison, name) => comparison.truth![name])
    : comparisons.map(() => null);
  return comparisons.map((_, m) => ({ versus: versus[m]!, versusTruth: truth[m]! }));
}

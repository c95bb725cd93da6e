import {
  type BinOptions,
  type BootstrapOptions,
  balancedAccuracyMeasure,
  calibrationMeasure,
  difference,
  type Estimate,
  estimate,
  holm,
  type Measure,
  meanMeasure,
  type Predictions,
  replicate,
  sampleBrier,
  sampleNll,
  topLabels,
} from '../metrics/index.ts';
import type { MethodFigures, TestedDifference } from './study-result.ts';

/** A run's figures as functions of how often each sample counts. */
export type RunMeasures<N extends string> = Readonly<Record<N, Measure>>;

/**
 * Some figures of several methods, all from the same resamples of the same N samples, and each method's differences from
 * the baseline. A method's figure is the mean over its runs (seeds); runs are resampled too. p-values are Holm-corrected
 * over the methods, a family for each figure.
 * @param methods each method's runs, by its id, in the order of the result
 */
export function jointly<N extends string>(
  methods: ReadonlyMap<string, readonly RunMeasures<N>[]>,
  names: readonly N[],
  samples: number,
  options: BootstrapOptions,
  baseline: string,
): MethodFigures<N>[] {
  const ids = [...methods.keys()];
  const runs = ids.map((id) => methods.get(id)!.map((run) => names.map((name) => run[name])));
  const replicates = replicate(runs, samples, options);
  const once = new Int32Array(samples).fill(1);
  const values = runs.map((one) =>
    names.map((_, f) => one.reduce((sum, measures) => sum + measures[f]!(once), 0) / one.length),
  );
  const base = ids.indexOf(baseline);
  const others = ids.map((_, m) => m).filter((m) => base >= 0 && m !== base);
  const tested = names.map((_, f) => {
    const plain = others.map((m) =>
      difference(values[m]![f]!, values[base]![f]!, replicates[m]![f]!, replicates[base]![f]!, options),
    );
    const corrected = holm(plain.map(({ p }) => p));
    return plain.map((one, i) => ({ ...one, corrected: corrected[i]! }));
  });
  return ids.map((method, m) => ({
    method,
    figures: record<N, Estimate>(names, (_, f) => estimate(values[m]![f]!, replicates[m]![f]!, options)),
    versus:
      base < 0 || m === base
        ? null
        : record<N, TestedDifference>(names, (_, f) => tested[f]![others.indexOf(m)]!),
  }));
}

/** Top-1, balanced accuracy, NLL, Brier score and ECE of one run: what is cheap to resample. */
export function plainMeasures(
  p: Predictions,
  bins: BinOptions,
): RunMeasures<'top1' | 'balancedAccuracy' | 'nll' | 'brier' | 'ece'> {
  const { confidence, correct } = topLabels(p);
  return {
    top1: meanMeasure(correct),
    balancedAccuracy: balancedAccuracyMeasure(p),
    nll: meanMeasure(sampleNll(p)),
    brier: meanMeasure(sampleBrier(p)),
    ece: calibrationMeasure(confidence, correct, bins),
  };
}

/** An object with a value for each name. */
export function record<N extends string, T>(
  names: readonly N[],
  value: (name: N, at: number) => T,
): Record<N, T> {
  return Object.fromEntries(names.map((name, at) => [name, value(name, at)])) as Record<N, T>;
}

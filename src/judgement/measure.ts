import {
  type BootstrapOptions,
  type Difference,
  difference,
  type Estimate,
  estimate,
  holm,
  type Measure,
  replicate,
} from '../metrics/index.ts';
import type { Measured, Tested } from './shown.ts';

/** A run's figures as functions of how often each sample counts. */
export type RunMeasures = Readonly<Record<string, Measure>>;

/**
 * Some figures of several methods, all from the same resamples of the same N samples, and each method's differences from
 * the baseline. A method's figure is the mean over its runs (seeds); runs are resampled too. p-values are Holm-corrected
 * over the methods, a family for each figure.
 * @param methods each method's runs, by its id, in the order of the result
 */
export function jointly(
  methods: ReadonlyMap<string, readonly RunMeasures[]>,
  samples: number,
  options: BootstrapOptions,
  baseline: string,
): Measured[] {
  const ids = [...methods.keys()];
  const names = Object.keys(methods.get(ids[0]!)![0]!);
  const runs = ids.map((id) => methods.get(id)!.map((run) => names.map((name) => run[name]!)));
  const replicates = replicate(runs, samples, options);
  const once = new Int32Array(samples).fill(1);
  const values = runs.map((one) =>
    names.map((_, f) => one.reduce((sum, measures) => sum + measures[f]!(once), 0) / one.length),
  );
  const base = ids.indexOf(baseline);
  const versus = adjusted(
    ids.map((_, m) =>
      base < 0 || m === base
        ? null
        : record(names, (_name, f) =>
            difference(values[m]![f]!, values[base]![f]!, replicates[m]![f]!, replicates[base]![f]!, options),
          ),
    ),
  );
  return ids.map((method, m) => ({
    method,
    figures: record(names, (_, f): Estimate => estimate(values[m]![f]!, replicates[m]![f]!, options)),
    versus: versus[m]!,
  }));
}

/** Differences with p-values Holm-corrected over all that are there, a family for each figure; null stays null. */
export function adjusted(
  differences: readonly (Readonly<Record<string, Difference>> | null)[],
): (Record<string, Tested> | null)[] {
  const names = Object.keys(differences.find((one) => one !== null) ?? {});
  const ps = record(names, (name) => holm(differences.map((one) => one?.[name]?.p ?? null)));
  return differences.map(
    (one, i) => one && record(names, (name) => ({ ...one[name]!, adjusted: ps[name]![i]! })),
  );
}

/** An object with a value for each name. */
export function record<T>(
  names: readonly string[],
  value: (name: string, at: number) => T,
): Record<string, T> {
  return Object.fromEntries(names.map((name, at) => [name, value(name, at)]));
}

export function append<K, T>(map: Map<K, T[]>, key: K, value: T): void {
  const own = map.get(key);
  if (own === undefined) map.set(key, [value]);
  else own.push(value);
}

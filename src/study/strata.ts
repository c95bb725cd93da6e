import type { Predictions, SummaryOptions } from '../metrics/index.ts';
import { jointly, plainMeasures, type RunMeasures } from './jointly.ts';
import { pickRows } from './known.ts';
import { STRATUM_FIGURES, type StratumFigureName, type StratumResults } from './study-result.ts';

/**
 * The figures of the images whose class has one value of an attribute, for each attribute and value in the order of the
 * classes. Values without a judged image are left out.
 * @param strata K values by attribute
 */
export function strataOf(
  strata: Readonly<Record<string, readonly string[]>>,
  methods: ReadonlyMap<string, readonly Predictions[]>,
  options: SummaryOptions,
  baseline: string,
): StratumResults[] {
  const first = [...methods.values()][0]![0]!;
  return Object.entries(strata).flatMap(([attribute, values]) =>
    [...new Set(values)].flatMap((value): StratumResults[] => {
      const rows = Int32Array.from(first.labels.keys()).filter((i) => values[first.labels[i]!] === value);
      if (rows.length === 0) return [];
      const classes = values.filter((one) => one === value).length;
      return [{ attribute, value, classes, samples: rows.length, methods: figuresOf(rows) }];
    }),
  );

  function figuresOf(rows: Int32Array): StratumResults['methods'] {
    const { groups, posterior: _, intervals: __, ...rest } = options;
    const own = groups && Int32Array.from(rows, (i) => groups[i]!);
    const measured = new Map(
      [...methods].map(([id, runs]): [string, RunMeasures<StratumFigureName>[]] => [
        id,
        runs.map((run) => plainMeasures(rowsOf(run, rows), options)),
      ]),
    );
    return jointly(
      measured,
      STRATUM_FIGURES,
      rows.length,
      { ...rest, ...(own && { groups: own }) },
      baseline,
    );
  }
}

/** Some rows of predictions, still over all classes. */
function rowsOf({ probabilities, labels, classes }: Predictions, rows: Int32Array): Predictions {
  return {
    probabilities: pickRows(probabilities, rows, classes),
    labels: Int32Array.from(rows, (i) => labels[i]!),
    classes,
  };
}

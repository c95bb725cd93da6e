import {
  aurcMeasure,
  type BootstrapOptions,
  byConfidence,
  excessAurcMeasure,
  type Predictions,
  riskCoverage,
  selectiveMeasure,
  topLabels,
} from '../metrics/index.ts';
import { jointly, type RunMeasures } from './jointly.ts';
import { SELECTIVE_FIGURES, type SelectiveFigureName, type SelectiveResults } from './study-result.ts';

/** How well each method's confidence ranks its errors. @param methods each method's runs, by its id */
export function selectiveOf(
  methods: ReadonlyMap<string, readonly Predictions[]>,
  options: BootstrapOptions,
  baseline: string,
): SelectiveResults[] {
  const samples = [...methods.values()][0]![0]!.labels.length;
  const measured = new Map(
    [...methods].map(([id, runs]): [string, RunMeasures<SelectiveFigureName>[]] => [
      id,
      runs.map(measuresOf),
    ]),
  );
  return jointly(measured, SELECTIVE_FIGURES, samples, options, baseline).map((result) => {
    const { curve } = riskCoverage(methods.get(result.method)!, { replicates: 0, points: 100 });
    return { ...result, curve: curve.map(({ coverage, risk }) => ({ coverage, risk })) };
  });
}

function measuresOf(p: Predictions): RunMeasures<SelectiveFigureName> {
  const { confidence, correct } = topLabels(p);
  const samples = byConfidence(confidence, correct);
  return {
    aurc: aurcMeasure(samples),
    excessAurc: excessAurcMeasure(samples),
    accuracy80: selectiveMeasure(samples, 0.8),
    accuracy90: selectiveMeasure(samples, 0.9),
    accuracy95: selectiveMeasure(samples, 0.95),
  };
}

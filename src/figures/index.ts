/**
 * Figures as data, of one label of K and of findings alike: a list of entries that tables, drawings, reports, JSON and
 * tests of significance iterate. Knows arrays only; nothing of runs, files or tensors.
 */
import './one-of-k.ts';
import './findings.ts';

export { type BestPerFinding, bestPerFinding, type FindingCandidate } from './best-per-finding.ts';
export {
  type CalibrationPart,
  type Figure,
  figureNamed,
  figuresOf,
  type Kind,
  registerFigure,
  shownFigures,
} from './figure.ts';
export {
  compareFigures,
  type Differences,
  type Estimates,
  type FigureDifference,
  type FigureEstimate,
  type FigureOptions,
  type Joint,
  type JointOptions,
  type MeasuredStatistics,
  measureFigures,
  measureMethods,
  measureStatistics,
  type PairDifferences,
  type TestedDifference,
} from './measure.ts';
export { asRuns, checkOutputs, type Outputs, outputsOf, predictionsOf, samplesOf } from './outputs.ts';
export { type Column, Seen as SeenOutputs } from './seen.ts';
export {
  augrcStatistic,
  auprcStatistic,
  aurcStatistic,
  aurocStatistic,
  excessAurcStatistic,
  type Kinds,
  meanStatistic,
  type Ranked,
  rankCorrelationStatistic,
  ratioStatistic,
  type Scale,
  type Statistic,
  selectiveStatistic,
} from './statistics.ts';
export {
  type Bins,
  type ClassSummary,
  describe,
  type FigureSettings,
  type FindingSummary,
  figuresJson,
  type Summary,
  summarize,
} from './summary.ts';
export {
  betterArrow,
  figureHead,
  formatFigure,
  formatInterval,
  formatNumber,
  formatP,
  UNDEFINED,
  type Verdict,
  verdictOf,
} from './text.ts';
export { chooseThresholds, type ThresholdRule } from './thresholds.ts';

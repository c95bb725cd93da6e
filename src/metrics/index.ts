/**
 * Measurement: pure functions of probabilities and labels, accumulators that give the same from batches, intervals and
 * tests. Knows nothing of runs, files or tensors.
 */
export {
  type Accumulator,
  accumulateBrier,
  accumulateClasswiseEce,
  accumulateConfidenceGap,
  accumulateConfusion,
  accumulateNll,
  accumulatePredictions,
  accumulateReliability,
  accumulateTopK,
} from './accumulators.ts';
export { balancedAccuracy, confusionMatrix, meanRecall, recalls, top1, topK, topKHits } from './accuracy.ts';
export { type Auroc, auroc, binaryAuroc } from './auroc.ts';
export {
  type BootstrapOptions,
  bootstrap,
  bootstrapDifference,
  type Difference,
  difference,
  type Estimate,
  estimate,
  quantile,
  type Runs,
  replicate,
} from './bootstrap.ts';
export {
  type BinOptions,
  type ClasswiseCalibration,
  calibrationError,
  classBins,
  classwiseEce,
  confidenceGap,
  type Edges,
  ece,
  eceEqualMass,
  equalMassBins,
  mce,
  type ReliabilityBin,
  reliability,
  reliabilityBins,
  reliabilityEqualMass,
} from './calibration.ts';
export { type CalibrationRun, CalibrationSide } from './calibration-gaps.ts';
export {
  type CalibrationDifference,
  type CalibrationEstimate,
  type CalibrationIntervalOptions,
  calibrationDifference,
  calibrationInterval,
  classwiseRuns,
} from './calibration-interval.ts';
export { type DebiasedEceOptions, debiasedEce } from './debiased-ece.ts';
export { normalizedLogitConfidence } from './logit-confidence.ts';
export {
  aurocMeasure,
  balancedAccuracyMeasure,
  calibrationMeasure,
  classwiseMeasure,
  equalMassMeasure,
  type Measure,
  meanMeasure,
} from './measures.ts';
export {
  checkDistributions,
  type Floats,
  floatsLike,
  mean,
  type Predictions,
  type PredictionsOptions,
  predictions,
  type TopLabels,
  topLabels,
} from './predictions.ts';
export {
  augrc,
  augrcMeasure,
  aurc,
  aurcMeasure,
  type ByConfidence,
  byConfidence,
  compareRiskCoverage,
  excessAurc,
  excessAurcMeasure,
  type RiskCoverage,
  type RiskCoverageDifference,
  type RiskCoverageOptions,
  type RiskPoint,
  riskCoverage,
  selectiveAccuracy,
  selectiveMeasure,
} from './risk-coverage.ts';
export { brier, NLL_FLOOR, nll, sampleBrier, sampleNll } from './scoring.ts';
export { holm, type McNemar, mcnemar } from './significance.ts';
export { smoothEce } from './smooth-ece.ts';
export { argsort, argsortForGood } from './sort.ts';
export { probabilityOf, sampleTruthDistance, type TruthDistance, truthDistance } from './truth.ts';

/**
 * After training, on validation samples: maps from logits to probabilities that can be believed, prediction sets that
 * cover, and certificates of confidence under noise. Pure functions of arrays; knows nothing of runs, files or tensors.
 */
export type { CalibrationMethod, CalibratorReport, FitSet, Fitted } from './calibrator.ts';
export {
  type CertificateMethod,
  type Certificates,
  type CertifyOptions,
  certificateMethods,
  certifiedRadius,
  certify,
  certifyByDraws,
  type DrawsPoint,
  type SplitDraws,
  splitDraws,
} from './certify.ts';
export {
  type ClassConformalPredictor,
  type ClassOrder,
  type ConformalKind,
  type ConformalMethod,
  type ConformalOptions,
  type ConformalPredictor,
  type ConformalResult,
  type ConformalScore,
  conformalMethods,
  conformalSets,
  defaultConformalMethods,
  fitClassConformal,
  fitConformal,
  fitWeightedConformal,
  registerConformalMethod,
  type WeightedConformalPredictor,
} from './conformal.ts';
export { ensembleProbabilities } from './ensemble.ts';
export {
  type FindingCalibrator,
  type FindingMethod,
  type FindingReport,
  type FindingSamples,
  type FindingValues,
  findingCalibratorLabel,
  findingCalibratorNames,
  fitFindingCalibrator,
  loadFindingCalibrator,
  registerFindingCalibrator,
  type SavedFindingCalibrator,
} from './findings/index.ts';
export type { HistogramOptions, HistogramParameters } from './histogram.ts';
export type { IsotonicOptions, IsotonicParameters } from './isotonic.ts';
export type { MatrixOptions, MatrixParameters } from './matrix.ts';
export {
  type ClassSets,
  type PredictionSets,
  type SetOptions,
  type SetSummary,
  type SizeStratum,
  summarizeSets,
} from './prediction-sets.ts';
export {
  type Calibrator,
  type CalibratorName,
  type CalibratorOptions,
  type CalibratorParameters,
  calibratorLabel,
  calibratorNames,
  defaultCalibrators,
  fitCalibrator,
  loadCalibrator,
  registerCalibrator,
  type SavedCalibrator,
} from './registry.ts';
export {
  controlRisk,
  type FlaggedImage,
  type Risk,
  type RiskControl,
  type RiskOptions,
  registerRisk,
  riskNames,
} from './risk-control.ts';
export { fitShift, type Shift, type ShiftOptions } from './shift.ts';
export { logitsOf, softmax } from './softmax.ts';
export type { TemperatureOptions, TemperatureParameters } from './temperature.ts';
export type { VectorOptions, VectorParameters } from './vector.ts';
export { wilson } from './wilson.ts';

/**
 * What finished runs say of images, known and new: which runs are meant, one network or an ensemble, calibrators that lie
 * with their runs, prediction sets and abstention. Knows nothing of reports, studies or training.
 */
export { type Calibrated, type CalibrateOptions, calibrateRun } from './calibrate-run.ts';
export { chooseRuns, type RunChoice } from './choose-runs.ts';
export { type Collected, collect } from './collect.ts';
export {
  type Abstention,
  type AbstentionRule,
  chooseThreshold,
  fitAbstention,
  fitSets,
  type SetRequest,
  type SetRule,
  validationOf,
} from './conclusions.ts';
export {
  type Explained,
  type ExplainedCase,
  type ExplainedPart,
  type ExplainOptions,
  explainRuns,
} from './explain-runs.ts';
export {
  brokenPathOf,
  checkPredictionsFile,
  type PredictedImages,
  type PredictImagesOptions,
  predictImages,
  UNKNOWN,
} from './predict-images.ts';
export { type PredictedRows, Predictor, type PredictorOptions, type Reading } from './predictor.ts';
export { type RunCalibration, readCalibration } from './run-calibration.ts';
export { type WriteExplainedOptions, writeExplained } from './write-explained.ts';

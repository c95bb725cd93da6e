export { type Checkpoint, loadCheckpoint, loadNewestCheckpoint, saveCheckpoint } from './checkpoint.ts';
export {
  resolveConfig,
  settingNames,
  settingSchemas,
  type TrainConfig,
  type TrainOptions,
} from './config.ts';
export { embedRun, type RunFeatures } from './embed-run.ts';
export {
  checkSubset,
  evaluateRun,
  type InspectOptions,
  inspectRun,
  kindOf,
  type LoadedRun,
  type LoadOptions,
  loadRun,
  type OpenRun,
  openRun,
  type RunPredictions,
  runLoaderOptions,
  splitOf,
} from './evaluate-run.ts';
export { type FitOptions, type FitResult, fit } from './fit.ts';
export type { FitEvent } from './fit-event.ts';
export { chooseMode, type Mode } from './mode.ts';
export { type NoiseOptions, type NoisyConfidences, noisyConfidences } from './noisy-confidences.ts';
export { importCode, importModel, importObjective, type OwnCode } from './own-code.ts';
export {
  inMode,
  type NetworkOutput,
  outputOf,
  type PredictOptions,
  predict,
  predictBatch,
  type SplitPredictions,
} from './predict.ts';
export {
  type EpochMetrics,
  type Extension,
  fingerprint,
  type RunDescription,
  RunFolder,
  writeAtomically,
} from './run-folder.ts';
export { diverged, freshProgress, type Progress, RunState } from './run-state.ts';
export { loadTeacher, teacherFingerprint, teacherWeights } from './teacher.ts';
export { alone, asTeam, GroupTeam, type Team, type TeamOptions } from './team.ts';
export { firstThatPays, type TimedSteps, timeSteps } from './time-steps.ts';
export type { ValFigures } from './val-figures.ts';

/**
 * Penumbra trains medical-image classifiers whose probabilities can be believed.
 *
 * This door gives the whole jobs (train, evaluate, compare, study) and the errors; the parts have doors of their own:
 * `penumbra/torch`, `penumbra/models`, `penumbra/objectives`, `penumbra/tasks`, `penumbra/training`, `penumbra/inference`, `penumbra/data`, `penumbra/phantom`,
 * `penumbra/metrics`, `penumbra/figures`, `penumbra/judge`, `penumbra/calibration`, `penumbra/embeddings`, `penumbra/reports` and `penumbra/reports/llm`. A name
 * means the same thing behind every door.
 */
export { formatError, PenumbraError } from './errors.ts';
export type { Judgement, Report as JudgementReport } from './judgement/index.ts';
export {
  type Classifier,
  createModel,
  loadPretrained,
  type ModelOptions,
  modelNames,
  type PretrainedOptions,
} from './models/index.ts';
export { drawPhantoms, type PhantomOptions, type Phantoms } from './phantom/index.ts';
export { Random } from './random.ts';
export { type CompareFiles, type CompareOptions, type CompareOutcome, compare } from './study/compare.ts';
export {
  openStudy,
  runStudy,
  type StudyEvent,
  type StudyOptions,
  type StudyOutcome,
} from './study/study.ts';
export { readStudyFile, resolveStudy, type StudySpec } from './study/study-file.ts';
export {
  type EpochMetrics,
  evaluateRun,
  type FitEvent,
  type FitOptions,
  type FitResult,
  fit,
  inspectRun,
  type NetworkOutput,
  predict,
  RunFolder,
  resolveConfig,
  type TrainConfig,
  type TrainOptions,
} from './training/index.ts';

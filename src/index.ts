/**
 * Penumbra trains medical-image classifiers whose probabilities can be believed.
 *
 * This door gives the whole jobs (train, evaluate, compare) and the errors; the parts have doors of their own:
 * `penumbra/torch`, `penumbra/objectives`, `penumbra/metrics`, `penumbra/data` and `penumbra/reports`.
 */
export { formatError, PenumbraError } from './errors.ts';
export { type Classifier, createModel, type ModelOptions, modelNames } from './models/index.ts';
export { drawPhantoms, type PhantomOptions, type Phantoms } from './phantom/index.ts';
export { Random } from './random.ts';
export { type CompareEvent, type CompareFiles, type CompareOptions, compare } from './study/compare.ts';
export type { StudyMethod, StudyPair, StudyResult, StudyRun } from './study/result.ts';
export {
  type EpochMetrics,
  evaluateRun,
  type FitEvent,
  type FitOptions,
  type FitResult,
  fit,
  predict,
  RunFolder,
  resolveConfig,
  type TrainConfig,
  type TrainOptions,
} from './training/index.ts';

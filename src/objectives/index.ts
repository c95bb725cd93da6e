export {
  type ClassSimilarity,
  ClassSimilaritySmoothing,
  type ClassSimilaritySmoothingOptions,
} from './class-similarity-smoothing.ts';
export { Focal, type FocalOptions } from './focal.ts';
export {
  GeneralizedLabelSmoothing,
  type GeneralizedLabelSmoothingOptions,
} from './generalized-label-smoothing.ts';
export { Hard } from './hard.ts';
export { LabelSmoothing, type LabelSmoothingOptions } from './label-smoothing.ts';
export type { Objective, ObjectiveBatch, ObjectiveContext } from './objective.ts';
export {
  OnlineLabelSmoothing,
  type OnlineLabelSmoothingOptions,
  type OnlineLabelSmoothingVariant,
} from './online-label-smoothing.ts';
export {
  createObjective,
  formatObjective,
  needsTeacher,
  type ObjectiveSpec,
  objectiveLabel,
  objectiveNames,
  parseObjective,
} from './registry.ts';
export { type TeacherFreeOptions, TeacherFreeRegularization, TeacherFreeSelf } from './teacher-free-kd.ts';

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
  type ObjectiveSpec,
  objectiveLabel,
  objectiveNames,
  parseObjective,
} from './registry.ts';

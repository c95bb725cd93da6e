export { z } from 'zod';
export { classSimilaritySmoothing } from './class-similarity-smoothing.ts';
export { focal } from './focal.ts';
export { generalizedLabelSmoothing } from './generalized-label-smoothing.ts';
export { hard } from './hard.ts';
export { labelSmoothing } from './label-smoothing.ts';
export {
  defineObjective,
  type Objective,
  type ObjectiveContext,
  type ObjectiveDefinition,
  type Seen,
} from './objective.ts';
export { ObjectiveRun } from './objective-run.ts';
export { onlineLabelSmoothing } from './online-label-smoothing.ts';
export { type OptionDoc, objectiveHelp, objectiveMarkdown, optionDocs } from './option-docs.ts';
export {
  checkServes,
  createObjective,
  formatObjective,
  needsTeacher,
  type ObjectiveSpec,
  objectiveDefinitions,
  objectiveLabel,
  objectiveNamed,
  objectiveNames,
  parseObjective,
  registerObjective,
} from './registry.ts';
export { teacherFreeRegularization, teacherFreeSelf, virtualTeacher } from './teacher-free-kd.ts';

export { z } from 'zod';
export { asymmetric } from './asymmetric.ts';
export { aucMargin } from './auc-margin.ts';
export { classSimilaritySmoothing } from './class-similarity-smoothing.ts';
export { focal } from './focal.ts';
export { forwardCorrection } from './forward-correction.ts';
export { generalizedLabelSmoothing } from './generalized-label-smoothing.ts';
export { hard } from './hard.ts';
export { labelSmoothing } from './label-smoothing.ts';
export { maplez } from './maplez.ts';
export { neighbourRelabelling } from './neighbour-relabelling.ts';
export { nvum } from './nvum.ts';
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
  needsDoubt,
  needsOneProcess,
  needsTeacher,
  type ObjectiveSpec,
  objectiveDefinitions,
  objectiveLabel,
  objectiveNamed,
  objectiveNames,
  objectiveSpec,
  parseObjective,
  registerObjective,
  teacherObjective,
} from './registry.ts';
export { shuffledRates } from './shuffled-rates.ts';
export { smallLoss } from './small-loss.ts';
export { soft } from './soft.ts';
export { teacherFreeRegularization, teacherFreeSelf, virtualTeacher } from './teacher-free-kd.ts';
export { uMultiClass } from './u-multiclass.ts';
export {
  uIgnore,
  uOnes,
  uOnesSmoothed,
  uSelfTrained,
  uZeros,
  uZerosSmoothed,
} from './uncertainty-policies.ts';

export { AdamW, type AdamWOptions } from './adamw.ts';
export { Optimizer, type OptimizerState, type ParameterGroup } from './optimizer.ts';
export { constant, cosine, multiStep, type Schedule, warmUp } from './schedule.ts';
export { SGD, type SgdOptions } from './sgd.ts';

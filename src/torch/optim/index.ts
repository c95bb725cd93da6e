export { Adam, type AdamOptions, AdamW } from './adam.ts';
export { Lion, type LionOptions } from './lion.ts';
export { LossScale, scaledLoss, stepScaled } from './loss-scale.ts';
export { Optimizer, type OptimizerState, type ParameterGroup } from './optimizer.ts';
export { RMSprop, type RmsPropOptions } from './rmsprop.ts';
export { constant, cosine, multiStep, type Schedule, warmUp } from './schedule.ts';
export { SGD, type SgdOptions } from './sgd.ts';

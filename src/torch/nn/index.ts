export { MultiheadAttention } from './attention.ts';
export {
  type Initializer,
  kaimingNormal_,
  kaimingNormalFanIn_,
  normal_,
  uniformFanIn_,
  xavierUniform_,
  zeros_,
} from './init.ts';
export {
  BatchNorm2d,
  Conv2d,
  type Conv2dOptions,
  Dropout,
  LayerNorm,
  Linear,
  type LinearOptions,
  relu_,
  relu6,
} from './layers.ts';
export {
  chain,
  type Layer,
  type LoadOptions,
  type LoadReport,
  Module,
  Sequential,
  type StateDict,
} from './module.ts';

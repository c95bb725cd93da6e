export { type AttentionOptions, MultiheadAttention } from './attention.ts';
export { type BatchNormArguments, batchNormValues, canFuse, fusing } from './fused.ts';
export { type ForwardHook, hooked } from './hook.ts';
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
  type Activation,
  BatchNorm2d,
  type BatchNormalizer,
  Conv2d,
  type Conv2dOptions,
  Dropout,
  Embedding,
  type EmbeddingOptions,
  GroupNorm,
  LayerNorm,
  Linear,
  type LinearOptions,
  relu_,
  relu6,
  synchronizeBatchNorm,
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
export { AdaptiveAvgPool2d, AvgPool2d, MaxPool2d, type PoolOptions } from './pooling.ts';
export { TransformerEncoder, TransformerEncoderLayer, type TransformerOptions } from './transformer.ts';

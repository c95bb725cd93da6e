export type { Classifier, ModelOptions } from './classifier.ts';
export { DenseNet, densenet121 } from './densenet.ts';
export { withDoubt } from './doubt.ts';
export { MobileNetV2, mobilenet_v2 } from './mobilenet-v2.ts';
export {
  defineModel,
  type ModelDefaults,
  type ModelDefinition,
  type Network,
  type Places,
} from './network.ts';
export { createModel, modelDefaults, modelNames, registerModel } from './registry.ts';
export { ResNet, resnet10, resnet18, resnet34, resnet50, resnet101 } from './resnet.ts';
export { VGG, vgg16, vgg16_bn, vgg19, vgg19_bn } from './vgg.ts';
export {
  lu_vit_b_16,
  lu_vit_s_16,
  lu_vit_ti_16,
  VisionTransformer,
  vit_b_16,
  vit_s_16,
  vit_ti_16,
} from './vision-transformer.ts';
export { loadPretrained, type PretrainedOptions } from './weights.ts';

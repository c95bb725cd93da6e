export type { Classifier, ModelOptions } from './classifier.ts';
export { createModel, modelNames } from './registry.ts';
export { ResNet, resnet10, resnet18, resnet34, resnet50, resnet101 } from './resnet.ts';

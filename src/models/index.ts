export type { Classifier, ModelOptions } from './classifier.ts';
export { createModel, modelNames } from './registry.ts';
export { ResNet, resnet18, resnet50 } from './resnet.ts';

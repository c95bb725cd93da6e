import { PenumbraError } from '../errors.ts';
import type { Classifier, ModelOptions } from './classifier.ts';
import { resnet10, resnet18, resnet34, resnet50, resnet101 } from './resnet.ts';

const models: Readonly<Record<string, (options: ModelOptions) => Classifier>> = {
  resnet10,
  resnet18,
  resnet34,
  resnet50,
  resnet101,
};

export const modelNames: readonly string[] = Object.keys(models);

/** @throws `models/unknown` for a name that is not in `modelNames` */
export function createModel(name: string, options: ModelOptions): Classifier {
  const make = Object.hasOwn(models, name) ? models[name] : undefined;
  if (make === undefined) {
    throw new PenumbraError('models/unknown', `there is no model '${name}'`, {
      hint: `one of: ${modelNames.join(', ')}`,
    });
  }
  return make(options);
}

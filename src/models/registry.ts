import { PenumbraError } from '../errors.ts';
import type { Classifier, ModelOptions } from './classifier.ts';
import { densenet121 } from './densenet.ts';
import { mobilenet_v2 } from './mobilenet-v2.ts';
import { resnet10, resnet18, resnet34, resnet50, resnet101 } from './resnet.ts';
import { vgg16, vgg16_bn, vgg19, vgg19_bn } from './vgg.ts';
import { vit_b_16, vit_s_16, vit_ti_16 } from './vision-transformer.ts';

const models: Readonly<Record<string, (options: ModelOptions) => Classifier>> = {
  resnet10,
  resnet18,
  resnet34,
  resnet50,
  resnet101,
  mobilenet_v2,
  vgg16,
  vgg16_bn,
  vgg19,
  vgg19_bn,
  densenet121,
  vit_ti_16,
  vit_s_16,
  vit_b_16,
};

export const modelNames: readonly string[] = Object.keys(models);

/**
 * A new network with fresh weights.
 * @throws `models/unknown` for a name that is not in `modelNames`
 * @throws `models/image-size` for images of a size that the network cannot take
 */
export function createModel(name: string, options: ModelOptions): Classifier {
  const make = Object.hasOwn(models, name) ? models[name] : undefined;
  if (make === undefined) {
    throw new PenumbraError('models/unknown', `there is no model '${name}'`, {
      hint: `one of: ${modelNames.join(', ')}`,
    });
  }
  return make(options);
}

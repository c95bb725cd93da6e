import { Named } from '../named.ts';
import type { Classifier, ModelOptions } from './classifier.ts';
import { densenet121 } from './densenet.ts';
import { mobilenet_v2 } from './mobilenet-v2.ts';
import type { ModelDefinition, Network } from './network.ts';
import { resnet10, resnet18, resnet34, resnet50, resnet101 } from './resnet.ts';
import { vgg16, vgg16_bn, vgg19, vgg19_bn } from './vgg.ts';
import { vit_b_16, vit_s_16, vit_ti_16 } from './vision-transformer.ts';

/** The networks that come with the project. */
const own = {
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
} satisfies Record<string, (options: ModelOptions) => Classifier>;

const networks = new Named<ModelDefinition>(
  { area: 'models', one: 'a network', unknown: 'model', hint: 'write it with defineModel({ name, make })' },
  ({ make }) => typeof make === 'function',
);

/**
 * Makes a network known by its name, to configurations, command lines and studies of this process.
 * @throws `models/name` for a name that another network has, or that is none; `models/model` for what is no definition
 */
export function registerModel(definition: ModelDefinition): void {
  networks.register(definition);
}

for (const [name, make] of Object.entries(own)) registerModel({ name, make });

/** The names that `createModel` takes. */
export function modelNames(): readonly string[] {
  return networks.names();
}

/**
 * A new network with fresh weights.
 * @throws `models/unknown` for a name that is not in `modelNames`
 * @throws `models/image-size` for images of a size that the network cannot take
 */
export function createModel(name: keyof typeof own, options: ModelOptions): Classifier;
export function createModel(name: string, options: ModelOptions): Network;
export function createModel(name: string, options: ModelOptions): Network {
  return networks.get(name).make(options);
}

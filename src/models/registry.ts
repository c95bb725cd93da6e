import { PenumbraError } from '../errors.ts';
import { Named } from '../named.ts';
import type { Classifier, ModelOptions } from './classifier.ts';
import { densenet121 } from './densenet.ts';
import { withDoubt } from './doubt.ts';
import { mobilenet_v2 } from './mobilenet-v2.ts';
import type { ModelDefaults, ModelDefinition, Network } from './network.ts';
import { resnet10, resnet10_half, resnet18, resnet34, resnet50, resnet101 } from './resnet.ts';
import { vgg16, vgg16_bn, vgg19, vgg19_bn } from './vgg.ts';
import {
  lu_vit_b_16,
  lu_vit_s_16,
  lu_vit_ti_16,
  vit_b_16,
  vit_s_16,
  vit_ti_16,
} from './vision-transformer.ts';

/** The networks that come with the project. */
const own = {
  resnet10,
  resnet10_half,
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
  lu_vit_ti_16,
  lu_vit_s_16,
  lu_vit_b_16,
} satisfies Record<string, (options: ModelOptions) => Classifier>;

const plainTokens: ModelDefaults = { findingTokens: false };
const labelUncertain: ModelDefaults = { findingTokens: true, doubtWeight: 0.5 };

const defaults: Readonly<Record<string, ModelDefaults>> = {
  vit_ti_16: plainTokens,
  vit_s_16: plainTokens,
  vit_b_16: plainTokens,
  lu_vit_ti_16: labelUncertain,
  lu_vit_s_16: labelUncertain,
  lu_vit_b_16: labelUncertain,
};

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

for (const [name, make] of Object.entries(own))
  registerModel({ name, make, ...(defaults[name] && { defaults: defaults[name] }) });

/** The names that `createModel` takes. */
export function modelNames(): readonly string[] {
  return networks.names();
}

/**
 * What a network takes where a configuration says nothing.
 * @throws `models/unknown` for a name that is not in `modelNames`
 */
export function modelDefaults(name: string): ModelDefaults {
  return networks.get(name).defaults ?? {};
}

/**
 * A new network with fresh weights.
 * @throws `models/unknown` for a name that is not in `modelNames`
 * @throws `models/image-size` for images of a size that the network cannot take
 * @throws `models/finding-tokens` where they are asked for and the network has none
 * @throws `models/doubt` where it is asked for and the network does not give the input of its last layer
 */
export function createModel(name: keyof typeof own, options: ModelOptions): Classifier;
export function createModel(name: string, options: ModelOptions): Network;
export function createModel(name: string, options: ModelOptions): Network {
  const { make, defaults } = networks.get(name);
  const findingTokens = options.findingTokens ?? defaults?.findingTokens;
  if (findingTokens === true && defaults?.findingTokens === undefined) {
    const able = modelNames().filter((one) => modelDefaults(one).findingTokens !== undefined);
    throw new PenumbraError('models/finding-tokens', `${name} has no tokens, and so none for each finding`, {
      hint: `leave them off, or choose one of: ${able.join(', ')}`,
    });
  }
  const model = make({ ...options, ...(findingTokens !== undefined && { findingTokens }) });
  return options.doubt ? withDoubt(model, options) : model;
}

import type { InputBatch } from '../tasks/index.ts';
import type { Tensor } from '../torch/index.ts';
import type { Module } from '../torch/nn/index.ts';
import type { ModelOptions } from './classifier.ts';

/**
 * What training asks of a network: a module that turns images [N, channels, H, W] into logits [N, classes]. One that
 * takes tokens, alone or beside images, has `forwardInputs`.
 *
 * A network that names its last layer, and gives what goes into it, has that layer computed in float32 under bfloat16,
 * can start from weights of another number of classes, and can be embedded.
 */
export interface Network extends Module {
  /** Logits [N, classes]; called in place of `forward` where it is there. */
  forwardInputs?(inputs: InputBatch): Tensor;
  /** Name of the last layer, which gives the logits. */
  readonly head?: string;
  /** Width of the penultimate layer. */
  readonly featureSize?: number;
  /** What the last layer is given, [N, featureSize]. */
  features?(images: Tensor): Tensor;
}

/** A kind of network: its name, and how one with fresh weights is made. */
export interface ModelDefinition {
  /** How configurations name it: letters, digits, `_`, `.` and `-`. */
  readonly name: string;
  /** @throws `models/image-size` for images of a size that the network cannot take */
  make(options: ModelOptions): Network;
}

/** A network's definition with its types. */
export function defineModel(definition: ModelDefinition): ModelDefinition {
  return definition;
}

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
  /** What the last layer is given, [N, featureSize], or [N, classes, featureSize] where every output has a token. */
  features?(images: Tensor): Tensor;
  /** Name of the layer that gives the logits of doubt, [N, classes], from what the last layer is given. */
  readonly doubt?: string;
  /** Where features stand by place in the image: what explanations read. */
  readonly places?: Places;
  /** Tensors that weights made elsewhere lack by nature: in them they start fresh, and that is told. */
  readonly additions?: readonly string[];
}

/** Where in a network features stand by place in the image. */
export interface Places {
  /**
   * Name of the module that gives the last of them: [N, C, h, w], or tokens [N, L, C] of which the last h·w are places, row by
   * row.
   */
  readonly map: string;
  /** h and w, of tokens. */
  readonly grid?: readonly [number, number];
  /** Names of the self-attentions of a transformer, in order. */
  readonly attentions?: readonly string[];
}

/** A kind of network: its name, and how one with fresh weights is made. */
export interface ModelDefinition {
  /** How configurations name it: letters, digits, `_`, `.` and `-`. */
  readonly name: string;
  /** @throws `models/image-size` for images of a size that the network cannot take */
  make(options: ModelOptions): Network;
  /** What a run takes where its configuration says nothing. */
  readonly defaults?: ModelDefaults;
}

export interface ModelDefaults {
  /** Whether every finding has a token of its own. Default: false; only who gives it here has such tokens. */
  readonly findingTokens?: boolean;
  /** What the loss of the predicted doubt counts beside the objective's; 0 is none. Default: 0. */
  readonly doubtWeight?: number;
}

/** A network's definition with its types. */
export function defineModel(definition: ModelDefinition): ModelDefinition {
  return definition;
}

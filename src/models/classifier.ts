import { PenumbraError } from '../errors.ts';
import type { Generator, Tensor } from '../torch/index.ts';
import type { Module } from '../torch/nn/index.ts';

export interface ModelOptions {
  /** Number of logits. */
  classes: number;
  /** Channels of the input images. */
  channels: number;
  /**
   * Height and width of the images in pixels; 224 unless given. A vision transformer takes no other size later; for the
   * other networks it is only checked.
   */
  size?: number;
  /**
   * `standard` as published for 224 pixels; `small` keeps the resolution of images of at most 64 pixels. Each family
   * says how. `standard` unless given.
   */
  stem?: 'standard' | 'small';
  /**
   * Whether every output has a token of its own, whose last state alone gives its logit; vision transformers only. Unless
   * given, as the network's definition says: on for `lu_vit_*`, else off.
   */
  findingTokens?: boolean;
  /**
   * Whether a second last layer, `doubt`, predicts for every output how much doubt a report will express. Default: false.
   * @see withDoubt
   */
  doubt?: boolean;
  /** Draws the initial weights. */
  generator: Generator;
  /**
   * Draws what dropout drops, on the device that trains; `generator` unless given. A run that shall go on bit for bit
   * after a stop gives the one that its checkpoints save.
   */
  dropoutGenerator?: Generator;
}

/** A network that turns images [N, channels, H, W] into logits [N, classes]. */
export interface Classifier extends Module {
  /** Width of the penultimate layer. */
  readonly featureSize: number;
  /** Name of the last layer, which gives the logits: the only one whose size follows the classes. */
  readonly head: string;
  /**
   * What the last layer is given, [N, featureSize], or with finding tokens [N, classes, featureSize]; in training with
   * dropout where there is one before that layer.
   */
  features(images: Tensor): Tensor;
}

/**
 * The size of the images that a network is made for.
 * @throws `models/image-size` for a size below the smallest that its poolings leave a pixel of
 */
export function imageSize(network: string, options: ModelOptions, least: number): number {
  const size = options.size ?? 224;
  if (size < least) {
    throw new PenumbraError(
      'models/image-size',
      `${network} takes images of at least ${least}×${least} pixels, not ${size}×${size}`,
      { hint: `train with size ${least} or more, or choose a network that pools less` },
    );
  }
  return size;
}

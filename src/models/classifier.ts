import type { Generator, Tensor } from '../torch/index.ts';
import type { Module } from '../torch/nn/index.ts';

export interface ModelOptions {
  /** Number of logits. */
  classes: number;
  /** Channels of the input images. */
  channels: number;
  /** `standard` as published for 224 pixels; `small` keeps the resolution of images of at most 64 pixels. */
  stem?: 'standard' | 'small';
  /** Draws the initial weights. */
  generator: Generator;
}

/** A network that turns images [N, channels, H, W] into logits [N, classes]. */
export interface Classifier extends Module {
  /** Width of the penultimate layer. */
  readonly featureSize: number;
  /** Name of the last layer, which gives the logits: the only one whose size follows the classes. */
  readonly head: string;
  /** The penultimate layer's output, [N, featureSize]. */
  features(images: Tensor): Tensor;
}

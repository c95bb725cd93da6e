import type { Generator, Tensor } from '../torch/index.ts';
import {
  BatchNorm2d,
  Conv2d,
  chain,
  Dropout,
  Linear,
  Module,
  normal_,
  relu6,
  Sequential,
  zeros_,
} from '../torch/nn/index.ts';
import type { Classifier, ModelOptions } from './classifier.ts';

/** Expansion, width, blocks and first stride of each stage: table 2 of the paper. */
const STAGES = [
  [1, 16, 1, 1],
  [6, 24, 2, 2],
  [6, 32, 3, 2],
  [6, 64, 4, 2],
  [6, 96, 3, 1],
  [6, 160, 3, 2],
  [6, 320, 1, 1],
] as const;

/**
 * MobileNetV2 (Sandler et al., CVPR 2018) at width 1, with torchvision's parameter names.
 *
 * The `small` stem, for images of at most 64 pixels, leaves out the strides of the first convolution and of the first
 * strided stage: the last maps are an eighth of the image instead of a thirty-second.
 */
export class MobileNetV2 extends Module implements Classifier {
  readonly featureSize = 1280;
  readonly head = 'classifier.1';
  readonly places = { map: 'features' };
  private readonly body: Sequential;
  private readonly dropout: Dropout;
  private readonly last: Linear;

  constructor(options: ModelOptions) {
    super();
    const { generator } = options;
    const stemStride = options.stem === 'small' ? 1 : 2;
    let width = 32;
    const layers: Module[] = [convNormReLU6(options.channels, width, 3, generator, { stride: stemStride })];
    for (const [stage, [expansion, outputs, depth, stride]] of STAGES.entries()) {
      for (let i = 0; i < depth; i++) {
        const own = i > 0 ? 1 : stage === 1 ? stemStride : stride;
        layers.push(new InvertedResidual(width, outputs, own, expansion, generator));
        width = outputs;
      }
    }
    layers.push(convNormReLU6(width, this.featureSize, 1, generator));
    this.body = this.child('features', new Sequential(...layers));
    this.dropout = new Dropout(0.2, { generator: options.dropoutGenerator ?? generator });
    this.last = new Linear(this.featureSize, options.classes, {
      generator,
      init: normal_(0.01),
      biasInit: zeros_,
    });
    this.child('classifier', new Sequential(this.dropout, this.last));
  }

  /** [N, channels, H, W] to [N, 1280]. */
  features(images: Tensor): Tensor {
    return chain(
      images,
      this.body,
      (x) => x.adaptive_avg_pool2d([1, 1]),
      (x) => x.flatten(1),
      this.dropout,
    );
  }

  /** [N, channels, H, W] to logits [N, classes]. */
  override forward(images: Tensor): Tensor {
    return chain(images, (x) => this.features(x), this.last);
  }
}

/** A 1×1 convolution that widens, a 3×3 one of each channel by itself, and a 1×1 one that narrows, without a ReLU. */
class InvertedResidual extends Module {
  private readonly layers: readonly Module[];
  private readonly norm: BatchNorm2d;
  private readonly adds: boolean;

  constructor(inputs: number, outputs: number, stride: number, expansion: number, generator: Generator) {
    super();
    const hidden = inputs * expansion;
    this.adds = stride === 1 && inputs === outputs;
    this.layers = [
      ...(expansion === 1 ? [] : [convNormReLU6(inputs, hidden, 1, generator)]),
      convNormReLU6(hidden, hidden, 3, generator, { stride, groups: hidden }),
      new Conv2d(hidden, outputs, 1, { generator }),
    ];
    this.norm = new BatchNorm2d(outputs);
    this.child('conv', new Sequential(...this.layers, this.norm));
  }

  override forward(input: Tensor): Tensor {
    using inner = chain(input, ...this.layers);
    return this.norm.activated(inner, 'none', this.adds ? input : null);
  }
}

function convNormReLU6(
  inputs: number,
  outputs: number,
  kernel: number,
  generator: Generator,
  options: { stride?: number; groups?: number } = {},
): Sequential {
  const conv = new Conv2d(inputs, outputs, kernel, { ...options, generator, padding: (kernel - 1) / 2 });
  return new Sequential(conv, new BatchNorm2d(outputs), relu6);
}

export function mobilenet_v2(options: ModelOptions): MobileNetV2 {
  return new MobileNetV2(options);
}

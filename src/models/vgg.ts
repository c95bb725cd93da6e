import type { Generator, Tensor } from '../torch/index.ts';
import {
  BatchNorm2d,
  Conv2d,
  chain,
  Dropout,
  type Layer,
  Linear,
  Module,
  normal_,
  relu_,
  Sequential,
  zeros_,
} from '../torch/nn/index.ts';
import { type Classifier, imageSize, type ModelOptions } from './classifier.ts';

const WIDTHS = [64, 128, 256, 512, 512];

/**
 * VGG (Simonyan and Zisserman, ICLR 2015) with torchvision's parameter names, with batch norm behind each convolution
 * or without.
 *
 * It halves the image five times and takes at least 32 pixels. Its 3×3 convolutions keep the resolution from the start,
 * so the `small` stem is the standard one. Maps of another size than 7×7 are averaged, or repeated, to it: at 32 pixels
 * 49 copies of one vector reach the linear layers.
 */
export class VGG extends Module implements Classifier {
  readonly featureSize = 4096;
  readonly head = 'classifier.6';
  readonly places = { map: 'features' };
  private readonly body: Sequential;
  private readonly hidden: readonly Layer[];
  private readonly last: Linear;

  /** @param depths convolutions of each stage */
  constructor(depths: readonly number[], batchNorm: boolean, options: ModelOptions) {
    super();
    imageSize('VGG', options, 32);
    const { generator, dropoutGenerator = generator } = options;
    const layers: Layer[] = [];
    let width = options.channels;
    for (const [stage, depth] of depths.entries()) {
      const outputs = WIDTHS[stage]!;
      for (let i = 0; i < depth; i++) {
        layers.push(new Conv2d(width, outputs, 3, { generator, padding: 1, bias: true }));
        if (batchNorm) layers.push(new BatchNorm2d(outputs));
        layers.push(relu_);
        width = outputs;
      }
      layers.push((x) => x.max_pool2d([2, 2], [2, 2]));
    }
    this.body = this.child('features', new Sequential(...layers));
    this.hidden = [
      linear(512 * 7 * 7, this.featureSize, generator),
      relu_,
      new Dropout(0.5, { generator: dropoutGenerator }),
      linear(this.featureSize, this.featureSize, generator),
      relu_,
      new Dropout(0.5, { generator: dropoutGenerator }),
    ];
    this.last = linear(this.featureSize, options.classes, generator);
    this.child('classifier', new Sequential(...this.hidden, this.last));
  }

  /** [N, channels, H, W] to [N, 4096]. */
  features(images: Tensor): Tensor {
    return chain(
      images,
      this.body,
      (x) => x.adaptive_avg_pool2d([7, 7]),
      (x) => x.flatten(1),
      ...this.hidden,
    );
  }

  /** [N, channels, H, W] to logits [N, classes]. */
  override forward(images: Tensor): Tensor {
    return chain(images, (x) => this.features(x), this.last);
  }
}

function linear(inputs: number, outputs: number, generator: Generator): Linear {
  return new Linear(inputs, outputs, { generator, init: normal_(0.01), biasInit: zeros_ });
}

export function vgg16(options: ModelOptions): VGG {
  return new VGG([2, 2, 3, 3, 3], false, options);
}

export function vgg16_bn(options: ModelOptions): VGG {
  return new VGG([2, 2, 3, 3, 3], true, options);
}

export function vgg19(options: ModelOptions): VGG {
  return new VGG([2, 2, 4, 4, 4], false, options);
}

export function vgg19_bn(options: ModelOptions): VGG {
  return new VGG([2, 2, 4, 4, 4], true, options);
}

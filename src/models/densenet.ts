import { aten, type Generator, type Tensor } from '../torch/index.ts';
import {
  BatchNorm2d,
  Conv2d,
  type Conv2dOptions,
  chain,
  kaimingNormalFanIn_,
  type Layer,
  Linear,
  Module,
  relu_,
  Sequential,
  zeros_,
} from '../torch/nn/index.ts';
import { type Classifier, imageSize, type ModelOptions } from './classifier.ts';

/** Channels that every layer adds. */
const GROWTH = 32;
/** Channels of the 1×1 convolution before, which keeps the 3×3 one small. */
const BOTTLENECK = 4 * GROWTH;

/**
 * Densely connected networks, the BC variant for ImageNet (Huang et al., CVPR 2017), with torchvision's parameter names.
 *
 * The `small` stem, for images of at most 64 pixels, is the one of the paper's CIFAR networks: a 3×3 convolution
 * without stride and no pooling.
 */
export class DenseNet extends Module implements Classifier {
  readonly featureSize: number;
  readonly head = 'classifier';
  readonly places = { map: 'features' };
  private readonly body: Sequential;
  private readonly classifier: Linear;

  /** @param depths layers of each dense block */
  constructor(depths: readonly number[], options: ModelOptions) {
    super();
    const { channels, generator } = options;
    const small = options.stem === 'small';
    imageSize('DenseNet', options, small ? 8 : 29);
    let width = 64;
    const layers: Record<string, Layer> = {
      conv0: small
        ? conv(channels, width, 3, generator, { padding: 1 })
        : conv(channels, width, 7, generator, { stride: 2, padding: 3 }),
      norm0: new BatchNorm2d(width),
      relu0: relu_,
    };
    if (!small) layers.pool0 = (x) => x.max_pool2d([3, 3], [2, 2], [1, 1]);
    for (const [i, depth] of depths.entries()) {
      const block: Record<string, Layer> = {};
      for (let n = 1; n <= depth; n++, width += GROWTH)
        block[`denselayer${n}`] = new DenseLayer(width, generator);
      layers[`denseblock${i + 1}`] = new Sequential(block);
      if (i === depths.length - 1) break;
      layers[`transition${i + 1}`] = transition(width, width / 2, generator);
      width /= 2;
    }
    layers.norm5 = new BatchNorm2d(width);
    this.body = this.child('features', new Sequential(layers));
    this.featureSize = width;
    this.classifier = this.child(
      'classifier',
      new Linear(width, options.classes, { generator, biasInit: zeros_ }),
    );
  }

  /** [N, channels, H, W] to [N, featureSize]. */
  features(images: Tensor): Tensor {
    return chain(
      images,
      this.body,
      relu_,
      (x) => x.adaptive_avg_pool2d([1, 1]),
      (x) => x.flatten(1),
    );
  }

  /** [N, channels, H, W] to logits [N, classes]. */
  override forward(images: Tensor): Tensor {
    return chain(images, (x) => this.features(x), this.classifier);
  }
}

/** Appends `GROWTH` channels to its input's. */
class DenseLayer extends Module {
  private readonly added: readonly Layer[];

  constructor(inputs: number, generator: Generator) {
    super();
    this.added = [
      this.child('norm1', new BatchNorm2d(inputs)),
      relu_,
      this.child('conv1', conv(inputs, BOTTLENECK, 1, generator)),
      this.child('norm2', new BatchNorm2d(BOTTLENECK)),
      relu_,
      this.child('conv2', conv(BOTTLENECK, GROWTH, 3, generator, { padding: 1 })),
    ];
  }

  override forward(input: Tensor): Tensor {
    using added = chain(input, ...this.added);
    return aten.cat([input, added], 1);
  }
}

/** Between blocks: a 1×1 convolution, and half the resolution. */
function transition(inputs: number, outputs: number, generator: Generator): Sequential {
  return new Sequential({
    norm: new BatchNorm2d(inputs),
    relu: relu_,
    conv: conv(inputs, outputs, 1, generator),
    pool: (x) => x.avg_pool2d([2, 2], [2, 2]),
  });
}

function conv(
  inputs: number,
  outputs: number,
  kernel: number,
  generator: Generator,
  options: Omit<Conv2dOptions, 'generator'> = {},
): Conv2d {
  return new Conv2d(inputs, outputs, kernel, { ...options, generator, init: kaimingNormalFanIn_ });
}

export function densenet121(options: ModelOptions): DenseNet {
  return new DenseNet([6, 12, 24, 16], options);
}

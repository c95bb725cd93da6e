import type { Generator, Tensor } from '../torch/index.ts';
import { BatchNorm2d, Conv2d, chain, Linear, Module, relu_, Sequential } from '../torch/nn/index.ts';
import type { Classifier, ModelOptions } from './classifier.ts';

/**
 * Residual networks (He et al., CVPR 2016) with torchvision's parameter names, so that its weights load as they are.
 * As there, the stride of a bottleneck sits in its 3×3 convolution ("v1.5").
 *
 * The `small` stem, for images of at most 64 pixels, is the one of the paper's CIFAR networks: a 3×3 convolution
 * without stride and no pooling.
 */
export class ResNet extends Module implements Classifier {
  readonly featureSize: number;
  readonly head = 'fc';
  readonly places = { map: 'layer4' };
  private readonly conv1: Conv2d;
  private readonly bn1: BatchNorm2d;
  private readonly layers: readonly Sequential[];
  private readonly fc: Linear;
  private readonly pools: boolean;

  constructor(block: BlockType, depths: readonly number[], options: ModelOptions, planes = 64) {
    super();
    const { generator } = options;
    this.pools = options.stem !== 'small';
    this.conv1 = this.child(
      'conv1',
      this.pools
        ? new Conv2d(options.channels, planes, 7, { generator, stride: 2, padding: 3 })
        : new Conv2d(options.channels, planes, 3, { generator, padding: 1 }),
    );
    this.bn1 = this.child('bn1', new BatchNorm2d(planes));
    let width = planes;
    this.layers = depths.map((depth, stage) => {
      const wide = planes << stage;
      const blocks: Module[] = [];
      for (let i = 0; i < depth; i++) {
        blocks.push(new block(width, wide, stage > 0 && i === 0 ? 2 : 1, generator));
        width = wide * block.expansion;
      }
      return this.child(`layer${stage + 1}`, new Sequential(...blocks));
    });
    this.featureSize = width;
    this.fc = this.child('fc', new Linear(width, options.classes, { generator }));
  }

  /** [N, channels, H, W] to [N, featureSize]: the input of the last layer. */
  features(images: Tensor): Tensor {
    return chain(
      images,
      this.conv1,
      this.bn1,
      relu_,
      (x) => (this.pools ? x.max_pool2d([3, 3], [2, 2], [1, 1]) : x),
      ...this.layers,
      (x) => x.adaptive_avg_pool2d([1, 1]),
      (x) => x.flatten(1),
    );
  }

  /** [N, channels, H, W] to logits [N, classes]. */
  override forward(images: Tensor): Tensor {
    return chain(images, (x) => this.features(x), this.fc);
  }
}

interface BlockType {
  readonly expansion: number;
  new (inputs: number, planes: number, stride: number, generator: Generator): Module;
}

/** Two 3×3 convolutions beside a shortcut. */
class BasicBlock extends Module {
  static readonly expansion = 1;
  private readonly conv1: Conv2d;
  private readonly bn1: BatchNorm2d;
  private readonly conv2: Conv2d;
  private readonly bn2: BatchNorm2d;
  private readonly downsample: Sequential | null;

  constructor(inputs: number, planes: number, stride: number, generator: Generator) {
    super();
    this.conv1 = this.child('conv1', new Conv2d(inputs, planes, 3, { generator, stride, padding: 1 }));
    this.bn1 = this.child('bn1', new BatchNorm2d(planes));
    this.conv2 = this.child('conv2', new Conv2d(planes, planes, 3, { generator, padding: 1 }));
    this.bn2 = this.child('bn2', new BatchNorm2d(planes));
    const shortcut = projection(inputs, planes, stride, generator);
    this.downsample = shortcut && this.child('downsample', shortcut);
  }

  override forward(input: Tensor): Tensor {
    const inner = chain(input, this.conv1, this.bn1, relu_, this.conv2);
    return addShortcut(inner, this.bn2, input, this.downsample);
  }
}

/** 1×1, 3×3 and 1×1 convolutions beside a shortcut; the last one widens four times. */
class Bottleneck extends Module {
  static readonly expansion = 4;
  private readonly conv1: Conv2d;
  private readonly bn1: BatchNorm2d;
  private readonly conv2: Conv2d;
  private readonly bn2: BatchNorm2d;
  private readonly conv3: Conv2d;
  private readonly bn3: BatchNorm2d;
  private readonly downsample: Sequential | null;

  constructor(inputs: number, planes: number, stride: number, generator: Generator) {
    super();
    const outputs = planes * Bottleneck.expansion;
    this.conv1 = this.child('conv1', new Conv2d(inputs, planes, 1, { generator }));
    this.bn1 = this.child('bn1', new BatchNorm2d(planes));
    this.conv2 = this.child('conv2', new Conv2d(planes, planes, 3, { generator, stride, padding: 1 }));
    this.bn2 = this.child('bn2', new BatchNorm2d(planes));
    this.conv3 = this.child('conv3', new Conv2d(planes, outputs, 1, { generator }));
    this.bn3 = this.child('bn3', new BatchNorm2d(outputs));
    const shortcut = projection(inputs, outputs, stride, generator);
    this.downsample = shortcut && this.child('downsample', shortcut);
  }

  override forward(input: Tensor): Tensor {
    const { conv1, bn1, conv2, bn2, conv3, bn3 } = this;
    const inner = chain(input, conv1, bn1, relu_, conv2, bn2, relu_, conv3);
    return addShortcut(inner, bn3, input, this.downsample);
  }
}

/** A 1×1 convolution where the shortcut must change its width or size. */
function projection(
  inputs: number,
  outputs: number,
  stride: number,
  generator: Generator,
): Sequential | null {
  if (stride === 1 && inputs === outputs) return null;
  return new Sequential(new Conv2d(inputs, outputs, 1, { generator, stride }), new BatchNorm2d(outputs));
}

/** relu(norm(inner) + shortcut(input)); lets go of `inner`. */
function addShortcut(inner: Tensor, norm: BatchNorm2d, input: Tensor, downsample: Sequential | null): Tensor {
  using last = inner;
  if (downsample === null) return norm.activated(last, 'relu', input);
  using shortcut = downsample.forward(input);
  return norm.activated(last, 'relu', shortcut);
}

/** resnet10 of half the planes in every stage: a quarter of its work, for studies of many runs on two cores. */
export function resnet10_half(options: ModelOptions): ResNet {
  return new ResNet(BasicBlock, [1, 1, 1, 1], options, 32);
}

/** One block a stage, half of resnet18's: the small network of our own studies, not torchvision's. */
export function resnet10(options: ModelOptions): ResNet {
  return new ResNet(BasicBlock, [1, 1, 1, 1], options);
}

export function resnet18(options: ModelOptions): ResNet {
  return new ResNet(BasicBlock, [2, 2, 2, 2], options);
}

export function resnet34(options: ModelOptions): ResNet {
  return new ResNet(BasicBlock, [3, 4, 6, 3], options);
}

export function resnet50(options: ModelOptions): ResNet {
  return new ResNet(Bottleneck, [3, 4, 6, 3], options);
}

export function resnet101(options: ModelOptions): ResNet {
  return new ResNet(Bottleneck, [3, 4, 23, 3], options);
}

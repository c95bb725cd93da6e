import { noGrad } from '../autograd.ts';
import type { Generator } from '../generator.ts';
import { aten } from '../operators.ts';
import { type Tensor, tidy } from '../tensor.ts';
import { convolve } from './convolution.ts';
import { type BatchNormArguments, fusedBatchNorm } from './fused.ts';
import { type Initializer, kaimingNormal_, normal_, uniformFanIn_ } from './init.ts';
import { type Layer, Module } from './module.ts';

export interface Conv2dOptions {
  /** Draws the weight. */
  generator: Generator;
  stride?: number;
  padding?: number;
  groups?: number;
  /** Off unless asked for: in the networks here batch norm follows and has its own. */
  bias?: boolean;
  /** How the weight is drawn; `kaimingNormal_` unless given. */
  init?: Initializer;
}

/** Convolution over [N, channels, H, W]; the weight is [outputs, inputs / groups, kernel, kernel]. */
export class Conv2d extends Module {
  readonly weight: Tensor;
  readonly bias: Tensor | null;
  private readonly stride: number;
  private readonly padding: number;
  private readonly groups: number;

  constructor(inputs: number, outputs: number, kernel: number, options: Conv2dOptions) {
    super();
    this.groups = options.groups ?? 1;
    this.stride = options.stride ?? 1;
    this.padding = options.padding ?? 0;
    this.weight = this.parameter('weight', aten.empty([outputs, inputs / this.groups, kernel, kernel]));
    (options.init ?? kaimingNormal_)(this.weight, options.generator);
    this.bias = options.bias ? this.parameter('bias', aten.zeros([outputs])) : null;
  }

  override forward(input: Tensor): Tensor {
    const { weight, bias, stride, padding, groups } = this;
    return convolve(input, weight, bias, stride, padding, groups);
  }
}

/** What follows a normalization elementwise. */
export type Activation = 'none' | 'relu' | 'relu6';

/** Normalizes by the statistics of more than the batch that it is given, as a process group does. */
export interface BatchNormalizer {
  batchNorm(norm: BatchNormArguments): Tensor;
}

/**
 * Batch normalization over [N, channels, H, W] (Ioffe and Szegedy 2015): the batch's mean and variance in training,
 * running ones in evaluation.
 */
export class BatchNorm2d extends Module {
  readonly weight: Tensor;
  readonly bias: Tensor;
  readonly runningMean: Tensor;
  readonly runningVar: Tensor;
  readonly batches: Tensor;
  /** The ranks whose batches are one in training; null is this process alone. See `synchronizeBatchNorm`. */
  ranks: BatchNormalizer | null = null;
  private readonly momentum: number;
  private readonly eps: number;

  constructor(channels: number, options: { momentum?: number; eps?: number } = {}) {
    super();
    this.momentum = options.momentum ?? 0.1;
    this.eps = options.eps ?? 1e-5;
    this.weight = this.parameter('weight', aten.ones([channels]));
    this.bias = this.parameter('bias', aten.zeros([channels]));
    this.runningMean = this.buffer('running_mean', aten.zeros([channels]));
    this.runningVar = this.buffer('running_var', aten.ones([channels]));
    this.batches = this.buffer('num_batches_tracked', aten.zeros([], { dtype: 'int64' }));
  }

  override forward(input: Tensor): Tensor {
    return this.activated(input, 'none');
  }

  /**
   * activation(norm(input) + added), in training in one pass where there are kernels for it: see `fusing`.
   * @param added of the input's shape
   */
  activated(input: Tensor, activation: Activation, added: Tensor | null = null): Tensor {
    const { weight, bias, runningMean, runningVar, momentum, eps } = this;
    const norm = { input, weight, bias, runningMean, runningVar, momentum, eps };
    if (this.training) {
      this.batches.add_(1);
      const fused = this.ranks === null ? fusedBatchNorm(norm, activation, added) : null;
      if (fused !== null) return fused;
    }
    const normal =
      this.training && this.ranks !== null
        ? this.ranks.batchNorm(norm)
        : aten.batch_norm(input, weight, bias, runningMean, runningVar, this.training, momentum, eps, true);
    if (added !== null) normal.add_(added);
    if (activation === 'none') return normal;
    if (activation === 'relu') return relu_(normal);
    using before = normal;
    return relu6(before);
  }

  /** With an activation that follows it: both at once. */
  override joined(next: Layer): ((input: Tensor) => Tensor) | null {
    // What stands in the place of this layer's own forward, as a hook does, must see its output.
    if (this.forward !== BatchNorm2d.prototype.forward) return null;
    if (next === relu_) return (input) => this.activated(input, 'relu');
    if (next === relu6) return (input) => this.activated(input, 'relu6');
    return null;
  }
}

/**
 * Gives every batch norm of a network the statistics of all ranks' batches together, in training; null is each process
 * alone again. Running statistics are then equal on all ranks, and a rank may have a batch of no images. A layer costs two
 * small collectives a step, and the fused kernels are not used.
 */
export function synchronizeBatchNorm(network: Module, ranks: BatchNormalizer | null): void {
  for (const module of network.modules()) if (module instanceof BatchNorm2d) module.ranks = ranks;
}

/** Layer normalization over the last dimension (Ba, Kiros and Hinton 2016). */
export class LayerNorm extends Module {
  readonly weight: Tensor;
  readonly bias: Tensor;
  private readonly width: [number];
  private readonly eps: number;

  constructor(width: number, options: { eps?: number } = {}) {
    super();
    this.width = [width];
    this.eps = options.eps ?? 1e-5;
    this.weight = this.parameter('weight', aten.ones([width]));
    this.bias = this.parameter('bias', aten.zeros([width]));
  }

  override forward(input: Tensor): Tensor {
    return aten.layer_norm(input, this.width, this.weight, this.bias, this.eps);
  }
}

/**
 * Group normalization over [N, channels, …] (Wu and He 2018): mean and variance of each image's groups of channels, the
 * same in training and evaluation.
 */
export class GroupNorm extends Module {
  readonly weight: Tensor;
  readonly bias: Tensor;
  private readonly groups: number;
  private readonly eps: number;

  /** @param channels a multiple of `groups` */
  constructor(groups: number, channels: number, options: { eps?: number } = {}) {
    super();
    this.groups = groups;
    this.eps = options.eps ?? 1e-5;
    this.weight = this.parameter('weight', aten.ones([channels]));
    this.bias = this.parameter('bias', aten.zeros([channels]));
  }

  override forward(input: Tensor): Tensor {
    return aten.group_norm(input, this.groups, this.weight, this.bias, this.eps);
  }
}

export interface EmbeddingOptions {
  /** Draws the rows, from N(0, 1) unless `init` is given. */
  generator: Generator;
  init?: Initializer;
  /** An index whose row is zero and is never trained. */
  padding?: number;
}

/** A row of [entries, width] for each whole number of an int64 tensor [...]: [..., width]. */
export class Embedding extends Module {
  readonly weight: Tensor;
  private readonly padding: number;

  constructor(entries: number, width: number, options: EmbeddingOptions) {
    super();
    this.padding = options.padding ?? -1;
    this.weight = this.parameter('weight', aten.empty([entries, width]));
    (options.init ?? normal_(1))(this.weight, options.generator);
    if (options.padding !== undefined) tidy(() => noGrad(() => this.weight.select(0, this.padding).zero_()));
  }

  override forward(indices: Tensor): Tensor {
    return aten.embedding(this.weight, indices, this.padding);
  }
}

export interface LinearOptions {
  /** Draws the weight and the bias. */
  generator: Generator;
  /** How they are drawn; both from U(−b, b) with b = 1/√inputs unless given. */
  init?: Initializer;
  biasInit?: Initializer;
}

/** y = x·Wᵀ + b over [..., inputs]; the weight is [outputs, inputs]. */
export class Linear extends Module {
  readonly weight: Tensor;
  readonly bias: Tensor;

  constructor(inputs: number, outputs: number, options: LinearOptions) {
    super();
    const { generator } = options;
    this.weight = this.parameter('weight', aten.empty([outputs, inputs]));
    this.bias = this.parameter('bias', aten.empty([outputs]));
    const byDefault = (tensor: Tensor) => uniformFanIn_(tensor, this.weight, generator);
    (options.init ?? byDefault)(this.weight, generator);
    (options.biasInit ?? byDefault)(this.bias, generator);
  }

  override forward(input: Tensor): Tensor {
    return aten.linear(input, this.weight, this.bias);
  }
}

/**
 * Zeroes each element with probability p and divides the others by 1 − p, in training (Srivastava et al. 2014). In
 * evaluation, and at p = 0, it returns its very input.
 *
 * LibTorch's own dropout draws from a hidden global generator. The one here belongs to the run, which saves it, so that
 * a run that was stopped drops what it would have dropped.
 */
export class Dropout extends Module {
  /** The probability to drop, in [0, 1). */
  p: number;
  private readonly generator: Generator;

  /** @param options.generator on the device of the input; draws in training only */
  constructor(p: number, options: { generator: Generator }) {
    super();
    this.p = p;
    this.generator = options.generator;
  }

  override forward(input: Tensor): Tensor {
    if (!this.training || this.p === 0) return input;
    const kept = 1 - this.p;
    using mask = noGrad(() =>
      aten.empty_like(input).bernoulli_(kept, { generator: this.generator }).div_(kept),
    );
    return input.mul(mask);
  }
}

/** max(x, 0), in the input's memory: only behind a layer that does not need its own output for its gradient. */
export function relu_(input: Tensor): Tensor {
  return input.relu_();
}

/** min(max(x, 0), 6). Not in place: LibTorch would copy its input for the gradient first. */
export function relu6(input: Tensor): Tensor {
  return input.hardtanh(0, 6);
}

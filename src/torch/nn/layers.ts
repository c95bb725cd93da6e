import type { Generator } from '../generator.ts';
import { aten } from '../operators.ts';
import type { Tensor } from '../tensor.ts';
import { kaimingNormal_, uniformFanIn_ } from './init.ts';
import { Module } from './module.ts';

export interface Conv2dOptions {
  stride?: number;
  padding?: number;
  groups?: number;
  /** Off unless asked for: in the networks here batch norm follows and has its own. */
  bias?: boolean;
}

/** Convolution over [N, channels, H, W]; the weight is [outputs, inputs / groups, kernel, kernel]. */
export class Conv2d extends Module {
  readonly weight: Tensor;
  readonly bias: Tensor | null;
  private readonly stride: [number, number];
  private readonly padding: [number, number];
  private readonly groups: number;

  constructor(
    inputs: number,
    outputs: number,
    kernel: number,
    generator: Generator,
    options: Conv2dOptions = {},
  ) {
    super();
    this.groups = options.groups ?? 1;
    this.stride = [options.stride ?? 1, options.stride ?? 1];
    this.padding = [options.padding ?? 0, options.padding ?? 0];
    this.weight = this.parameter('weight', aten.empty([outputs, inputs / this.groups, kernel, kernel]));
    kaimingNormal_(this.weight, generator);
    this.bias = options.bias ? this.parameter('bias', aten.zeros([outputs])) : null;
  }

  override forward(input: Tensor): Tensor {
    return aten.conv2d(input, this.weight, this.bias, this.stride, this.padding, [1, 1], this.groups);
  }
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
    if (this.training) this.batches.add_(1);
    return aten.batch_norm(
      input,
      this.weight,
      this.bias,
      this.runningMean,
      this.runningVar,
      this.training,
      this.momentum,
      this.eps,
      true,
    );
  }
}

/** y = x·Wᵀ + b over [N, inputs]; the weight is [outputs, inputs]. */
export class Linear extends Module {
  readonly weight: Tensor;
  readonly bias: Tensor;

  constructor(inputs: number, outputs: number, generator: Generator) {
    super();
    this.weight = this.parameter('weight', aten.empty([outputs, inputs]));
    this.bias = this.parameter('bias', aten.empty([outputs]));
    uniformFanIn_(this.weight, this.weight, generator);
    uniformFanIn_(this.bias, this.weight, generator);
  }

  override forward(input: Tensor): Tensor {
    return aten.linear(input, this.weight, this.bias);
  }
}

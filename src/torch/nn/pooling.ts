import { aten } from '../operators.ts';
import type { Tensor } from '../tensor.ts';
import { Module } from './module.ts';

export interface PoolOptions {
  /** The kernel's own size unless given. */
  stride?: number;
  /** Default 0. */
  padding?: number;
}

type Window = readonly [kernel: [number, number], stride: [number, number], padding: [number, number]];

/** What slides a square window over [N, channels, H, W]. */
abstract class Pool2d extends Module {
  protected readonly window: Window;

  constructor(kernel: number, { stride = kernel, padding = 0 }: PoolOptions = {}) {
    super();
    this.window = [
      [kernel, kernel],
      [stride, stride],
      [padding, padding],
    ];
  }
}

/** The largest of each window of [N, channels, H, W]. */
export class MaxPool2d extends Pool2d {
  override forward(input: Tensor): Tensor {
    return aten.max_pool2d(input, ...this.window);
  }
}

/** The mean of each window of [N, channels, H, W]; padding counts as zeros, as in PyTorch. */
export class AvgPool2d extends Pool2d {
  override forward(input: Tensor): Tensor {
    return aten.avg_pool2d(input, ...this.window);
  }
}

/** Means of [N, channels, H, W] over as many windows as wanted: [N, channels, size, size], whatever H and W are. */
export class AdaptiveAvgPool2d extends Module {
  private readonly size: [number, number];

  constructor(size: number) {
    super();
    this.size = [size, size];
  }

  override forward(input: Tensor): Tensor {
    return aten.adaptive_avg_pool2d(input, this.size);
  }
}

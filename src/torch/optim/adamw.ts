import { aten } from '../operators.ts';
import type { Tensor } from '../tensor.ts';
import { Optimizer, type ParameterGroup, type Slice } from './optimizer.ts';

export interface AdamWOptions {
  learningRate: number;
  /** Decay rates of the two moments. Default [0.9, 0.999]. */
  betas?: readonly [number, number];
  /** Default 1e-8. */
  eps?: number;
  /** Decoupled decay. Default 0.01. */
  weightDecay?: number;
}

/** Adam with decoupled weight decay (Loshchilov and Hutter 2019, algorithm 2), as in PyTorch. */
export class AdamW extends Optimizer {
  private readonly betas: readonly [number, number];
  private readonly eps: number;

  constructor(parameters: Iterable<[string, Tensor]> | readonly ParameterGroup[], options: AdamWOptions) {
    super(parameters, { weightDecay: 0.01, ...options });
    this.betas = options.betas ?? [0.9, 0.999];
    this.eps = options.eps ?? 1e-8;
  }

  protected override update(slice: Slice): void {
    const first = this.slots('exp_avg', slice, (parameter) => parameter.zeros_like());
    const second = this.slots('exp_avg_sq', slice, (parameter) => parameter.zeros_like());
    const steps = this.slots('step', slice, (parameter) =>
      aten.zeros([], { dtype: 'float32', device: parameter.device }),
    );
    for (const step of steps) step.add_(1);
    aten._fused_adamw_(slice.parameters, slice.gradients, first, second, [], steps, {
      lr: this.learningRate,
      beta1: this.betas[0],
      beta2: this.betas[1],
      weight_decay: slice.weightDecay,
      eps: this.eps,
      amsgrad: false,
      maximize: false,
    });
  }
}

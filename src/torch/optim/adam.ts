import { aten } from '../operators.ts';
import type { Tensor } from '../tensor.ts';
import { Optimizer, type ParameterGroup, type Slice } from './optimizer.ts';

export interface AdamOptions {
  learningRate: number;
  /** Decay rates of the two moments. Default [0.9, 0.999]. */
  betas?: readonly [number, number];
  /** Default 1e-8. */
  eps?: number;
  /** Adam: an L2 penalty added to the gradient, default 0. AdamW: decoupled decay, default 0.01. */
  weightDecay?: number;
}

/** Adam (Kingma and Ba 2015, algorithm 1), as in PyTorch. */
export class Adam extends Optimizer {
  private readonly betas: readonly [number, number];
  private readonly eps: number;

  constructor(parameters: Iterable<[string, Tensor]> | readonly ParameterGroup[], options: AdamOptions) {
    super(parameters, options);
    this.betas = options.betas ?? [0.9, 0.999];
    this.eps = options.eps ?? 1e-8;
  }

  protected override update(slice: Slice): void {
    this.fused(aten._fused_adam_, slice);
  }

  protected fused(step: typeof aten._fused_adam_ | typeof aten._fused_adamw_, slice: Slice): void {
    const first = this.slots('exp_avg', slice, (parameter) => parameter.zeros_like());
    const second = this.slots('exp_avg_sq', slice, (parameter) => parameter.zeros_like());
    const steps = this.slots('step', slice, (parameter) =>
      aten.zeros([], { dtype: 'float32', device: parameter.device }),
    );
    for (const count of steps) count.add_(1);
    step(slice.parameters, slice.gradients, first, second, [], steps, {
      lr: slice.learningRate,
      beta1: this.betas[0],
      beta2: this.betas[1],
      weight_decay: slice.weightDecay,
      eps: this.eps,
      amsgrad: false,
      maximize: false,
    });
  }
}

/** Adam with decoupled weight decay (Loshchilov and Hutter 2019, algorithm 2), as in PyTorch. */
export class AdamW extends Adam {
  constructor(parameters: Iterable<[string, Tensor]> | readonly ParameterGroup[], options: AdamOptions) {
    super(parameters, { weightDecay: 0.01, ...options });
  }

  protected override update(slice: Slice): void {
    this.fused(aten._fused_adamw_, slice);
  }
}

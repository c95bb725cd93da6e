import { aten } from '../operators.ts';
import type { Tensor } from '../tensor.ts';
import { Optimizer, type ParameterGroup, type Slice } from './optimizer.ts';

export interface RmsPropOptions {
  learningRate: number;
  /** Decay rate of the mean square. Default 0.99. */
  alpha?: number;
  /** Default 1e-8. */
  eps?: number;
  /** Default 0. */
  momentum?: number;
  /** L2 penalty added to the gradient. Default 0. */
  weightDecay?: number;
}

/** Gradients divided by the root of their running mean square (Tieleman and Hinton 2012), as in PyTorch. */
export class RMSprop extends Optimizer {
  private readonly alpha: number;
  private readonly eps: number;
  private readonly momentum: number;

  constructor(parameters: Iterable<[string, Tensor]> | readonly ParameterGroup[], options: RmsPropOptions) {
    super(parameters, options);
    this.alpha = options.alpha ?? 0.99;
    this.eps = options.eps ?? 1e-8;
    this.momentum = options.momentum ?? 0;
  }

  protected override update(slice: Slice): void {
    const { parameters, weightDecay, learningRate } = slice;
    const gradients =
      weightDecay === 0
        ? slice.gradients
        : aten._foreach_add(slice.gradients, parameters, { alpha: weightDecay });
    const squares = this.slots('square_avg', slice, (parameter) => parameter.zeros_like());
    aten._foreach_mul_(squares, this.alpha);
    aten._foreach_addcmul_(squares, gradients, gradients, 1 - this.alpha);
    const roots = aten._foreach_sqrt(squares);
    aten._foreach_add_(roots, this.eps);
    if (this.momentum === 0) {
      aten._foreach_addcdiv_(parameters, gradients, roots, -learningRate);
      return;
    }
    const buffers = this.slots('momentum', slice, (parameter) => parameter.zeros_like());
    aten._foreach_mul_(buffers, this.momentum);
    aten._foreach_addcdiv_(buffers, gradients, roots);
    aten._foreach_add_(parameters, buffers, { alpha: -learningRate });
  }
}

import { aten } from '../operators.ts';
import type { Tensor } from '../tensor.ts';
import { Optimizer, type ParameterGroup, type Slice } from './optimizer.ts';

export interface SgdOptions {
  learningRate: number;
  /** Default 0. */
  momentum?: number;
  /** Look ahead along the momentum (Nesterov). Default false; needs a momentum. */
  nesterov?: boolean;
  /** L2 penalty added to the gradient. Default 0. */
  weightDecay?: number;
}

/**
 * Stochastic gradient descent as in PyTorch: v ← μ·v + (g + λ·w), w ← w − η·v, with v = g + λ·w at the first step;
 * Nesterov uses g + λ·w + μ·v in place of v.
 */
export class SGD extends Optimizer {
  private readonly momentum: number;
  private readonly nesterov: boolean;

  constructor(parameters: Iterable<[string, Tensor]> | readonly ParameterGroup[], options: SgdOptions) {
    super(parameters, options);
    this.momentum = options.momentum ?? 0;
    this.nesterov = options.nesterov ?? false;
  }

  protected override update(slice: Slice): void {
    // Buffers start at zero, so the first step needs no case of its own: μ·0 + g = g.
    const buffers =
      this.momentum > 0 ? this.slots('momentum', slice, (parameter) => parameter.zeros_like()) : [];
    aten._fused_sgd_(slice.parameters, slice.gradients, buffers, {
      weight_decay: slice.weightDecay,
      momentum: this.momentum,
      lr: slice.learningRate,
      dampening: 0,
      nesterov: this.nesterov && this.momentum > 0,
      maximize: false,
      is_first_step: false,
    });
  }
}

import { aten } from '../operators.ts';
import type { Tensor } from '../tensor.ts';
import { Optimizer, type ParameterGroup, type Slice } from './optimizer.ts';

export interface LionOptions {
  /** A third to a tenth of AdamW's. */
  learningRate: number;
  /** How much of the momentum the step and the momentum itself keep. Default [0.9, 0.99]. */
  betas?: readonly [number, number];
  /** Decoupled decay; three to ten times AdamW's, for the same product with the learning rate. Default 0. */
  weightDecay?: number;
}

/** The sign of a momentum, with decoupled weight decay (Chen et al. 2023, algorithm 2). Half of Adam's memory. */
export class Lion extends Optimizer {
  private readonly betas: readonly [number, number];

  constructor(parameters: Iterable<[string, Tensor]> | readonly ParameterGroup[], options: LionOptions) {
    super(parameters, options);
    this.betas = options.betas ?? [0.9, 0.99];
  }

  protected override update(slice: Slice): void {
    const { parameters, gradients, weightDecay, learningRate } = slice;
    const [step, keep] = this.betas;
    const momenta = this.slots('momentum', slice, (parameter) => parameter.zeros_like());
    if (weightDecay !== 0) aten._foreach_mul_(parameters, 1 - learningRate * weightDecay);
    const directions = aten._foreach_lerp(momenta, gradients, 1 - step);
    aten._foreach_sign_(directions);
    aten._foreach_add_(parameters, directions, { alpha: -learningRate });
    aten._foreach_lerp_(momenta, gradients, 1 - keep);
  }
}

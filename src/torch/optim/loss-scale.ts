import { PenumbraError } from '../../errors.ts';
import { noGrad } from '../autograd.ts';
import { aten } from '../operators.ts';
import { keep, type Tensor, tidy } from '../tensor.ts';
import type { Optimizer, OptimizerState } from './optimizer.ts';

/** The loss as it goes back: scaled where there is a scale. */
export function scaledLoss(loss: Tensor, scale: LossScale | undefined): Tensor {
  return scale?.scaled(loss) ?? loss;
}

/** The optimizer's step, which with a scale may be left out. */
export function stepScaled(optimizer: Optimizer, scale: LossScale | undefined): void {
  if (scale === undefined) optimizer.step();
  else scale.step(optimizer);
}

/** Steps in a row with finite gradients after which the factor doubles. */
const GROWTH_INTERVAL = 2000;
/** Below it no factor helps: something else is wrong. */
const LEAST = 2 ** -14;

/**
 * Gradients of float16 without underflow (Micikevicius et al., ICLR 2018, §3.2): the loss is multiplied by a factor, gradients
 * are divided by it, and a step whose gradients are not finite is left out and halves the factor; 2,000 good ones double it. As
 * PyTorch's `GradScaler`, by the same operators.
 */
export class LossScale {
  private readonly factor: Tensor;
  private readonly growth: Tensor;

  constructor(device = 'cpu', initial = 65536) {
    this.factor = keep(aten.full([], initial, { dtype: 'float32', device }));
    this.growth = keep(aten.zeros([], { dtype: 'int32', device }));
  }

  /** The loss to go back from. */
  scaled(loss: Tensor): Tensor {
    return loss.mul(this.factor);
  }

  /**
   * The optimizer's step by what was scaled; left out where a gradient is not finite.
   * @returns whether it was done
   * @throws `torch/loss-scale` where no factor makes gradients finite
   */
  step(optimizer: Optimizer): boolean {
    const finite = tidy(() =>
      noGrad(() => {
        const gradients = optimizer.gradients();
        const found = aten.zeros([], { dtype: 'float32', device: this.factor.device });
        const inverse = this.factor.to({ dtype: 'float64' }).reciprocal().to({ dtype: 'float32' });
        aten._amp_foreach_non_finite_check_and_unscale_(gradients, found, inverse);
        aten._amp_update_scale_(this.factor, this.growth, found, 2, 0.5, GROWTH_INTERVAL);
        return found.item() === 0;
      }),
    );
    if (finite) optimizer.step();
    else if (this.factor.item() < LEAST) {
      throw new PenumbraError(
        'torch/loss-scale',
        'gradients are not finite however little the loss is scaled',
        {
          hint: 'lower the learning rate, or train in float32 or bfloat16',
        },
      );
    }
    return finite;
  }

  stateDict(): OptimizerState {
    return new Map([
      ['factor', this.factor],
      ['growth', this.growth],
    ]);
  }

  loadStateDict(state: OptimizerState): void {
    noGrad(() => {
      for (const [name, tensor] of this.stateDict()) {
        const saved = state.get(name);
        if (saved === undefined)
          throw new PenumbraError('torch/loss-scale', `the saved state has no ${name} of the loss`, {
            hint: 'the run was trained in another precision',
          });
        tensor.copy_(saved);
      }
    });
  }

  dispose(): void {
    this.factor.dispose();
    this.growth.dispose();
  }
}

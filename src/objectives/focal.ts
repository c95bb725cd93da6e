import { aten, type Tensor } from '../torch/index.ts';
import type { Objective, ObjectiveBatch } from './objective.ts';
import { checkRange } from './options.ts';
import { Stateless } from './stateless.ts';

export interface FocalOptions {
  /** The focusing exponent γ, 0 or more. Default 2, the published choice. 0 is the hard label. */
  readonly gamma?: number;
}

/**
 * Focal loss (Lin et al., ICCV 2017, eq. 4, without class weights): L = −(1 − p_y)^γ · log p_y, mean over the batch.
 * What is already right counts less, which also holds confidence back (Mukhoti et al., NeurIPS 2020).
 */
export class Focal extends Stateless implements Objective {
  readonly name = 'focal';
  readonly activation = 'softmax';
  private readonly gamma: number;

  /** @throws `objectives/option` for γ below 0 */
  constructor(options: FocalOptions = {}) {
    super();
    this.gamma = options.gamma ?? 2;
    checkRange('focal', 'gamma', this.gamma, 0, Number.POSITIVE_INFINITY);
  }

  loss({ logits, labels }: ObjectiveBatch): Tensor {
    const logP = logits.log_softmax(1).gather(1, labels.unsqueeze(1));
    // 1 − p by expm1 keeps its digits near p = 1; the floor keeps the power's gradient finite there for γ < 1.
    const wrong = logP.expm1().neg().clamp_min(1e-7);
    return aten.mean(wrong.pow(this.gamma).mul(logP)).neg();
  }
}

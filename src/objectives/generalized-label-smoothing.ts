import { PenumbraError } from '../errors.ts';
import type { Tensor } from '../torch/index.ts';
import type { Objective, ObjectiveBatch, ObjectiveContext } from './objective.ts';
import { checkPositive, checkRange } from './options.ts';
import { Stateless } from './stateless.ts';

export interface GeneralizedLabelSmoothingOptions {
  /** The smoothing rate r, at most 1: above 0 softens, 0 is the hard label, below 0 sharpens. Default −0.3. */
  readonly rate?: number;
  /**
   * Share of the epochs that are trained with hard labels first, in [0, 1), rounded to whole epochs; the last epoch
   * always has the rate. Default 0, and for negative rates 120/220, the authors' share: from scratch they converge badly.
   */
  readonly warmup?: number;
  /**
   * What the learning rate is multiplied with after the warm-up. Default 1, and for negative rates 0.1 (our choice; the
   * authors go down to 1e-6).
   */
  readonly scale?: number;
  /**
   * For negative rates: probabilities below this earn nothing more for being smaller, in (0, 1). Default 1e-4 (our
   * choice). Without a floor the loss has no minimum.
   */
  readonly floor?: number;
}

/**
 * Generalized label smoothing (Wei et al., ICML 2022, arXiv 2106.04149) with one rate for all samples: cross-entropy
 * against (1 − r)·onehot(y) + r/K, so
 *
 *     L = (1 − r)·(−log p_y) + r·mean_k(−log p_k),   r ≤ 1.
 *
 * For r ≥ 0 it is label smoothing with ε = r. For r < 0 ("negative label smoothing") the second term rewards small
 * probabilities without end, so each −log p_k in it is capped at −log(floor): L ≥ r·(−log floor).
 */
export class GeneralizedLabelSmoothing extends Stateless implements Objective {
  readonly name = 'gls';
  readonly activation = 'softmax';
  private readonly rate: number;
  private readonly scale: number;
  private readonly floor: number;
  /** Epochs of hard labels. */
  private readonly warmEpochs: number;

  /** @throws `objectives/option` */
  constructor(options: GeneralizedLabelSmoothingOptions, { epochs }: Pick<ObjectiveContext, 'epochs'>) {
    super();
    checkGeneralizedLabelSmoothing(options);
    const { rate = -0.3 } = options;
    const sharpens = rate < 0;
    this.rate = rate;
    this.scale = options.scale ?? (sharpens ? 0.1 : 1);
    this.floor = options.floor ?? 1e-4;
    // Without an epoch of its own the method would be hard labels under another name.
    this.warmEpochs = Math.min(
      Math.round(epochs * (options.warmup ?? (sharpens ? 120 / 220 : 0))),
      epochs - 1,
    );
  }

  loss({ logits, labels, epoch }: ObjectiveBatch): Tensor {
    const rate = epoch < this.warmEpochs ? 0 : this.rate;
    if (rate >= 0) return logits.cross_entropy_loss(labels, null, 1, -100, rate);
    const logP = logits.log_softmax(1);
    const likelihood = logP.gather(1, labels.unsqueeze(1)).mean();
    return likelihood.mul(rate - 1).sub(logP.clamp_min(Math.log(this.floor)).mean(), { alpha: rate });
  }

  learningRateScale(epoch: number): number {
    return epoch < this.warmEpochs ? 1 : this.scale;
  }
}

/** @throws `objectives/option` for a rate above 1, a warm-up outside [0, 1), a scale or floor that is not positive */
export function checkGeneralizedLabelSmoothing(options: GeneralizedLabelSmoothingOptions): void {
  const { rate = -0.3, warmup = 0, scale = 1, floor = 1e-4 } = options;
  checkRange('gls', 'rate', rate, Number.NEGATIVE_INFINITY, 1);
  if (!Number.isFinite(rate)) {
    throw new PenumbraError('objectives/option', `gls: rate must be a finite number, got ${rate}`);
  }
  if (!(warmup >= 0 && warmup < 1)) {
    throw new PenumbraError('objectives/option', `gls: warmup must be in [0, 1), got ${warmup}`, {
      hint: 'it is the share of the epochs that are trained with hard labels first',
    });
  }
  checkPositive('gls', 'scale', scale);
  if (!(floor > 0 && floor < 1)) {
    throw new PenumbraError('objectives/option', `gls: floor must be in (0, 1), got ${floor}`);
  }
}

import { PenumbraError } from '../errors.ts';
import { aten, keep, type Tensor } from '../torch/index.ts';
import type { StateDict } from '../torch/nn/index.ts';
import type { Objective, ObjectiveBatch, ObjectiveContext } from './objective.ts';
import { checkChoice, checkRange } from './options.ts';
import { Stateful } from './stateful.ts';

/** What distinguishes the published forms. */
interface Form {
  /** Weight of the hard label's cross-entropy. */
  readonly hard: number;
  /** Weight of the soft target's cross-entropy. */
  readonly soft: number;
  /** The soft targets of the first epoch. */
  readonly start: 'uniform' | 'zeros';
  /** A class whose target has reached this largest entry keeps it for good. */
  readonly freezeAt?: number;
}

/**
 * - `paper`: L = α·CE(y, p) + (1 − α)·CE(S_{t−1}[y], p) with α = 0.5 and S_0 uniform (arXiv 2011.12562, eq. 3–7).
 * - `zero-start`: the authors' image-classification script; S_0 is zero, so the first epoch is α·CE alone.
 * - `fine-grained`: the authors' fine-grained script; both terms weigh 1, S_0 is uniform, and a class keeps its target
 *   unchanged once the target's largest entry reaches 0.88.
 */
export type OnlineLabelSmoothingVariant = 'paper' | 'zero-start' | 'fine-grained';

const forms: Readonly<Record<OnlineLabelSmoothingVariant, (alpha: number) => Form>> = {
  paper: (alpha) => ({ hard: alpha, soft: 1 - alpha, start: 'uniform' }),
  'zero-start': (alpha) => ({ hard: alpha, soft: 1 - alpha, start: 'zeros' }),
  'fine-grained': () => ({ hard: 1, soft: 1, start: 'uniform', freezeAt: 0.88 }),
};

export interface OnlineLabelSmoothingOptions {
  /** Default `paper`. */
  readonly variant?: OnlineLabelSmoothingVariant;
  /** Weight α of the hard label, in [0, 1]. Default 0.5. Not for `fine-grained`, whose weights are both 1. */
  readonly alpha?: number;
}

/**
 * Online label smoothing (Zhang et al., IEEE TIP 2021, arXiv 2011.12562; on medical images arXiv 2510.20011).
 *
 * Each class has a soft target S[y], the mean prediction over its correctly classified samples of the epoch before:
 * during an epoch, for every training sample with argmax p = y, S_t[y] += p and n[y] += 1, in the same training-mode
 * forward pass; at its end each S_t[y] is divided by n[y], and a class without a correct sample gets the uniform target.
 */
export class OnlineLabelSmoothing extends Stateful implements Objective {
  readonly name = 'ols';
  readonly activation = 'softmax';
  private readonly form: Form;
  private readonly classes: number;
  /** S_{t−1}, [K, K]: row y is the target of class y. */
  private readonly targets: Tensor;
  /** The running sums of this epoch: [K, K] and [K, 1]. */
  private readonly sums: Tensor;
  private readonly counts: Tensor;

  /** @throws `objectives/option` for an unknown variant or α outside [0, 1] */
  constructor(options: OnlineLabelSmoothingOptions, context: ObjectiveContext) {
    super();
    checkOnlineLabelSmoothing(options);
    const { variant = 'paper', alpha = 0.5 } = options;
    this.form = forms[variant](alpha);
    this.classes = context.classes;
    const { classes, device } = context;
    const start = this.form.start === 'uniform' ? 1 / classes : 0;
    this.targets = keep(aten.full([classes, classes], start, { device }));
    this.sums = keep(aten.zeros([classes, classes], { device }));
    this.counts = keep(aten.zeros([classes, 1], { device }));
  }

  loss({ logits, labels }: ObjectiveBatch): Tensor {
    // Both terms are cross-entropies of the same p, so their targets add up to one: hard·onehot(y) + soft·S[y].
    const target = aten.index_select(this.targets, 0, labels).mul(this.form.soft);
    target.add_(aten.one_hot(labels, this.classes), { alpha: this.form.hard });
    return aten.cross_entropy_loss(logits, target);
  }

  observe({ logits, labels }: ObjectiveBatch): void {
    const correct = logits.argmax(1).eq(labels).unsqueeze(1).to({ dtype: 'float32' });
    this.sums.index_add_(0, labels, logits.softmax(1).mul_(correct));
    this.counts.index_add_(0, labels, correct);
  }

  endEpoch(): void {
    const seen = this.counts.gt(0);
    const learnt = aten.where(seen, this.sums.div(this.counts.clamp_min(1)), 1 / this.classes);
    const { freezeAt } = this.form;
    const next =
      freezeAt === undefined
        ? learnt
        : aten.where(this.targets.amax([1], true).ge(freezeAt), this.targets, learnt);
    this.targets.copy_(next);
    this.sums.zero_();
    this.counts.zero_();
  }

  stateDict(): StateDict {
    return new Map([
      ['targets', this.targets],
      ['sums', this.sums],
      ['counts', this.counts],
    ]);
  }
}

/** @throws `objectives/option` for an unknown variant or α outside [0, 1] */
export function checkOnlineLabelSmoothing(options: OnlineLabelSmoothingOptions): void {
  const { variant = 'paper', alpha = 0.5 } = options;
  checkChoice('ols', 'variant', variant, Object.keys(forms));
  if (variant === 'fine-grained' && options.alpha !== undefined) {
    throw new PenumbraError('objectives/option', "ols: the variant 'fine-grained' takes no alpha", {
      hint: 'it weighs both terms 1',
    });
  }
  checkRange('ols', 'alpha', alpha, 0, 1);
}

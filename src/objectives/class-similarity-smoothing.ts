import { aten, keep, type Tensor } from '../torch/index.ts';
import type { StateDict } from '../torch/nn/index.ts';
import type { Objective, ObjectiveBatch, ObjectiveContext } from './objective.ts';
import { checkChoice, checkPositive, checkRange } from './options.ts';
import { Stateful } from './stateful.ts';

/**
 * - `learnt`: the cosine between the classes' mean logits over the epoch before, each centred over its K values (a
 *   constant added to all logits means nothing), so that classes which the network confuses are similar. The first
 *   epoch is uniform.
 * - `ordinal`: −|i − j|, for classes that are grades of one scale.
 */
export type ClassSimilarity = 'learnt' | 'ordinal';

const similarities: readonly string[] = ['learnt', 'ordinal'] satisfies ClassSimilarity[];

export interface ClassSimilaritySmoothingOptions {
  /** The mass ε that the other classes share, in [0, 1]. Default 0.1. */
  readonly epsilon?: number;
  /** Above 0. Small values give the mass to the nearest class, large ones to all alike. Default 0.2, ordinal 1. */
  readonly temperature?: number;
  /** Default `learnt`. */
  readonly similarity?: ClassSimilarity;
}

/**
 * Class-similarity smoothing (after Liu & JaJa, arXiv 2006.14028): the smoothed mass follows the similarity of classes
 * instead of being uniform,
 *
 *     L = CE((1 − ε)·onehot(y) + ε·w_y, p),   w_y[k] = exp(s(y, k)/T) / Σ_{j≠y} exp(s(y, j)/T) for k ≠ y, and w_y[y] = 0.
 *
 * The forms of s, and T, are our choice.
 */
export class ClassSimilaritySmoothing extends Stateful implements Objective {
  readonly name = 'css';
  readonly activation = 'softmax';
  private readonly temperature: number;
  private readonly learns: boolean;
  private readonly epsilon: number;
  private readonly classes: number;
  /** Row y is the target of class y, [K, K]. */
  private readonly targets: Tensor;
  /** Sums of the epoch's logits by label, [K, K], and their number, [K, 1]. */
  private readonly sums: Tensor;
  private readonly counts: Tensor;

  /** @throws `objectives/option` */
  constructor(options: ClassSimilaritySmoothingOptions, { classes, device }: ObjectiveContext) {
    super();
    checkClassSimilaritySmoothing(options);
    this.learns = options.similarity !== 'ordinal';
    this.epsilon = options.epsilon ?? 0.1;
    this.temperature = options.temperature ?? (this.learns ? 0.2 : 1);
    this.classes = classes;
    this.targets = keep(aten.empty([classes, classes], { device }));
    this.sums = keep(aten.zeros([classes, classes], { device }));
    this.counts = keep(aten.zeros([classes, 1], { device }));
    const grades = aten.arange(classes, { device, dtype: 'float32' });
    const similarity = this.learns
      ? aten.zeros([classes, classes], { device })
      : grades.unsqueeze(1).sub(grades).abs_().neg_();
    this.follow(similarity);
  }

  loss({ logits, labels }: ObjectiveBatch): Tensor {
    return aten.cross_entropy_loss(logits, this.targets.index_select(0, labels));
  }

  observe({ logits, labels }: ObjectiveBatch): void {
    if (!this.learns) return;
    this.sums.index_add_(0, labels, logits);
    this.counts.index_add_(0, labels, aten.ones([labels.shape[0]!, 1], { device: logits.device }));
  }

  endEpoch(): void {
    if (!this.learns) return;
    const means = this.sums.div(this.counts.clamp_min(1));
    const centred = means.sub(means.mean([1], true));
    const directions = centred.div(centred.norm(2, [1], true).clamp_min(1e-12));
    this.follow(directions.matmul(directions.t()));
    this.sums.zero_();
    this.counts.zero_();
  }

  /** Sets the targets by a similarity [K, K]. A class that was not seen has similarity 0 to all: a uniform target. */
  private follow(similarity: Tensor): void {
    const self = aten.eye(this.classes, { device: similarity.device });
    const others = similarity
      .div(this.temperature)
      .masked_fill(self.to({ dtype: 'bool' }), Number.NEGATIVE_INFINITY);
    this.targets.copy_(
      others
        .softmax(1)
        .mul_(this.epsilon)
        .add_(self, { alpha: 1 - this.epsilon }),
    );
  }

  stateDict(): StateDict {
    return new Map([
      ['targets', this.targets],
      ['sums', this.sums],
      ['counts', this.counts],
    ]);
  }
}

/** @throws `objectives/option` */
export function checkClassSimilaritySmoothing(options: ClassSimilaritySmoothingOptions): void {
  const { epsilon = 0.1, temperature = 1, similarity = 'learnt' } = options;
  checkRange('css', 'epsilon', epsilon, 0, 1);
  checkPositive('css', 'temperature', temperature);
  checkChoice('css', 'similarity', similarity, similarities);
}

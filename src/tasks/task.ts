import type { Targets } from '../data/index.ts';
import type { Tensor } from '../torch/index.ts';

export type TaskKind = Targets['kind'];

/** The labels of N samples, one of K each. */
export interface LabelBatch {
  readonly kind: 'one-of-k';
  /** K. */
  readonly classes: number;
  /** [N], int64, in [0, K). */
  readonly labels: Tensor;
  /** [N]: the weight of each sample's class; absent where all count alike. */
  readonly weights?: Tensor;
}

/** What is known of K findings in N samples; tensors are [N, K], float32, where nothing else is said. */
export interface FindingsBatch {
  readonly kind: 'findings';
  /** K. */
  readonly classes: number;
  /** y in [0, 1]: 1 present, 0 absent. */
  readonly values: Tensor;
  /** 1 where y is known, 0 where it is not; absent where all are known. */
  readonly mask?: Tensor;
  /** r in (−1, 1): smoothing rates, where the data has them. */
  readonly rates?: Tensor;
  /**
   * [3, K], where the data has them: how often labels are wrong. Of absent findings those called present, of present ones
   * those called absent (both by definite statements, r = 0), and of hedged statements those taken for their opposite.
   */
  readonly errors?: Tensor;
  /** [K]: what y = 1 counts where y = 0 counts 1; absent where both count alike. */
  readonly positiveWeights?: Tensor;
}

export type TargetBatch = LabelBatch | FindingsBatch;

/**
 * What an objective would have the network say.
 * - A tensor [N, K], float32: of one-of-K tasks the K weights of each sample's classes, which sum to 1 in a
 *   distribution; of findings each finding's probability.
 * - `Smoothed`: the label itself with a share of the uniform distribution, which LibTorch computes without an N×K tensor.
 */
export type SoftTarget = Tensor | Smoothed;

/** (1 − smoothing)·label + smoothing/outcomes. */
export interface Smoothed {
  readonly smoothing: number;
}

/**
 * The mathematics of a kind of target: what softmax and cross-entropy are for one label of K, and the sigmoid and
 * binary cross-entropy over known values for K findings.
 */
export interface Task {
  readonly kind: TaskKind;
  /** How logits become probabilities. */
  readonly activation: 'softmax' | 'sigmoid';

  /**
   * Targets of some samples as tensors.
   * @param rows sample numbers; all samples, in their order, where left out
   * @throws `tasks/kind` for targets of another kind
   */
  gather(targets: Targets, rows: Int32Array | undefined, device: string): TargetBatch;

  /** [N, K] to [N, K], in [0, 1]. */
  probabilities(logits: Tensor): Tensor;

  /** The label, or known y, mixed with a uniform share in [0, 1]: (1 − smoothing)·y + smoothing/outcomes. Default: 0. */
  label(batch: TargetBatch, smoothing?: number): SoftTarget;

  /** Any soft target as a tensor [N, K]. */
  dense(target: SoftTarget, batch: TargetBatch): Tensor;

  /**
   * The mean cross-entropy of the network's probabilities against a soft target: over samples, or over known findings;
   * a float32 scalar. Where the batch has weights, each term counts as much as its weight.
   */
  crossEntropy(logits: Tensor, target: SoftTarget, batch: TargetBatch): Tensor;

  /**
   * The mean of losses by sample [N] (one of K), or by sample and finding [N, K] of which only the known count. Weights
   * apply as in `crossEntropy`.
   */
  mean(losses: Tensor, batch: TargetBatch): Tensor;

  /** How many terms `mean` divides by: what a batch counts among others. */
  terms(batch: TargetBatch): number;

  /** How many terms of `terms` the network has right: argmax, or a probability on y's side of 1/2. */
  correct(logits: Tensor, batch: TargetBatch): number;
}

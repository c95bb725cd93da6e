import { aten, type Tensor } from '../torch/index.ts';
import type { Objective, ObjectiveBatch } from './objective.ts';
import { checkRange } from './options.ts';
import { Stateless } from './stateless.ts';

export interface LabelSmoothingOptions {
  /** The mass ε that is spread over all classes, in [0, 1]. Default 0.1, as in most published comparisons. */
  readonly epsilon?: number;
}

/**
 * Label smoothing (Szegedy et al., CVPR 2016, §7): cross-entropy against (1 − ε)·onehot(y) + ε/K.
 * ε = 0 is the hard label.
 */
export class LabelSmoothing extends Stateless implements Objective {
  readonly name = 'ls';
  readonly activation = 'softmax';
  private readonly epsilon: number;

  /** @throws `objectives/option` for ε outside [0, 1] */
  constructor(options: LabelSmoothingOptions = {}) {
    super();
    this.epsilon = options.epsilon ?? 0.1;
    checkRange('ls', 'epsilon', this.epsilon, 0, 1);
  }

  loss({ logits, labels }: ObjectiveBatch): Tensor {
    return aten.cross_entropy_loss(logits, labels, null, 1, -100, this.epsilon);
  }
}

import { aten, type Tensor } from '../torch/index.ts';
import type { Objective, ObjectiveBatch } from './objective.ts';
import { Stateless } from './stateless.ts';

/** Cross-entropy against the label itself: L = −log p_y, mean over the batch. What every other method is compared with. */
export class Hard extends Stateless implements Objective {
  readonly name = 'hard';
  readonly activation = 'softmax';

  loss({ logits, labels }: ObjectiveBatch): Tensor {
    return aten.cross_entropy_loss(logits, labels);
  }
}

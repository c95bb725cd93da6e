import { z } from 'zod';
import { needFindings } from '../tasks/index.ts';
import type { Tensor } from '../torch/index.ts';
import { defineObjective, type Objective } from './objective.ts';
import { narrowed, sides } from './presence.ts';

/**
 * Of each batch the labels with the largest cross-entropy are left out, since wrong labels are learnt late. The share that
 * is left out grows linearly to `drop` over the first `ramp` epochs (R(T) of co-teaching, Han et al., NeurIPS 2018).
 *
 * Our form for findings: the largest are sought among the batch's present and among its absent cases of each finding, by
 * which no finding's rare presence is dropped as a whole; a group of n loses ⌊drop·n⌋.
 */
export const smallLoss = defineObjective({
  name: 'small-loss',
  label: 'Small-loss selection',
  summary: 'Cross-entropy without the labels of largest loss (after Han et al., NeurIPS 2018).',
  tasks: ['findings'],
  options: z.strictObject({
    drop: z
      .number()
      .min(0)
      .lt(1)
      .default(0.1)
      .describe('share of the labels that are left out; rather the share that is wrong'),
    ramp: z.int().min(1).default(10).describe('epochs over which it grows to that; at most half of all'),
  }),
  make({ drop, ramp }, { epochs }): Objective {
    const over = Math.max(1, Math.min(ramp, Math.floor(epochs / 2)));
    return {
      loss({ logits, targets, epoch }, task) {
        const { values } = needFindings(targets);
        const share = drop * Math.min(1, epoch / over);
        const nll = logits
          .detach()
          .neg()
          .softplus()
          .mul(values)
          .add(logits.detach().softplus().mul(values.neg().add(1)));
        const { present, absent } = sides(targets);
        const left = largest(nll, present, share).add(largest(nll, absent, share));
        const kept = left.neg().add(1);
        return task.crossEntropy(logits, values, narrowed(targets, kept));
      },
    };
  },
});

/** 1 for the ⌊share·n⌋ largest losses in each column among the n of its group, 0 elsewhere: [N, K]. */
function largest(losses: Tensor, group: Tensor, share: number): Tensor {
  // Losses are not below 0: whoever is outside the group comes last.
  const within = losses.add(1).mul(group);
  const rank = within.argsort(0, true).argsort(0, false);
  const count = group.sum([0]).mul(share).add(1e-4).floor();
  return rank.lt(count).to({ dtype: 'float32' });
}

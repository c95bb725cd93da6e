import { z } from 'zod';
import type { Findings } from '../data/index.ts';
import { needFindings } from '../tasks/index.ts';
import { aten, keep, type Tensor, tensor } from '../torch/index.ts';
import { defineObjective, type Objective } from './objective.ts';
import { presentShares, sides } from './presence.ts';
import { warmUpEpochs } from './warm-up.ts';

/** PESG clips gradients here. */
const CLIP = 1;

/**
 * The AUC margin loss: the squared-hinge surrogate of 1 − AUROC as a problem without pairs. With h = σ(z), a finding's
 * share of present cases π, and the margin m,
 *
 *     min over the network, a, b;  max over α ≥ 0:
 *     E[(h − a)² | y = 1] + E[(h − b)² | y = 0] + 2α·(m + E[h | y = 0] − E[h | y = 1]) − α².
 *
 * Each expectation is a mean over the batch with weight 1/π or 1/(1 − π), π being the training split's, so a batch without a
 * present case has its due, and needs no sampler (`version=v2`; the authors' v2 in expectation). `v1` is that times
 * π·(1 − π), by which rare findings count next to nothing. a, b and α are of each finding, follow their own gradients by
 * `step` (clipped to ±1, as PESG does), and are saved with checkpoints.
 *
 * The pairwise squared hinge would need no such state, but has nothing to compare in the batches of a rare finding. The
 * authors pre-train with cross-entropy; so does the warm-up. h is a score: take Platt or temperature scaling for a
 * probability. A y of exactly 1/2 is neither.
 */
export const aucMargin = defineObjective({
  name: 'aucm',
  label: 'AUC margin loss',
  summary: 'Maximises AUROC, after a warm-up with cross-entropy (Yuan et al., ICCV 2021, arXiv 2012.03173).',
  tasks: ['findings'],
  alone: true,
  options: z.strictObject({
    margin: z.number().positive().max(1).default(1).describe('m, how far present is to be above absent'),
    version: z
      .enum(['v1', 'v2'])
      .default('v2')
      .describe('v2 counts all findings alike, v1 by π·(1 − π) of their share π'),
    warmup: z
      .number()
      .min(0)
      .lt(1)
      .default(0.5)
      .describe('share of the epochs that are trained with cross-entropy first'),
    step: z.number().positive().default(0.1).describe('learning rate of a, b and α'),
  }),
  make({ margin, version, warmup, step }, { classes, device, epochs, targets }): Objective {
    const warmEpochs = warmUpEpochs(epochs, warmup);
    const shares = presentShares(targets as Findings);
    const scales = shares.map((pi) => (version === 'v1' ? pi * (1 - pi) : 1));
    const column = (of: (scale: number, pi: number) => number) =>
      keep(tensor(shares.map((pi, k) => of(scales[k]!, pi))).to({ device }));
    /** What a present and an absent value weigh, and what both parts weigh: [K] each. */
    const ofPresent = column((scale, pi) => scale / pi);
    const ofAbsent = column((scale, pi) => scale / (1 - pi));
    const scale = column((one) => one);
    /** [K] each. */
    const [a, b, alpha] = [0, 1, 2].map(() => keep(aten.zeros([classes], { device }))) as [
      Tensor,
      Tensor,
      Tensor,
    ];

    return {
      loss({ logits, targets: batch, epoch }, task) {
        if (epoch < warmEpochs) return task.crossEntropy(logits, task.label(batch), batch);
        const { present, absent } = sides(batch);
        const h = logits.sigmoid();
        const above = h.sub(a).square().sub(h.mul(alpha), { alpha: 2 });
        const below = h.sub(b).square().add(h.mul(alpha), { alpha: 2 });
        const level = alpha
          .mul(2 * margin)
          .sub(alpha.square())
          .mul(scale);
        const losses = above.mul(present).mul(ofPresent).add(below.mul(absent).mul(ofAbsent)).add(level);
        return task.mean(losses, batch);
      },
      observe({ logits, targets: batch }) {
        const { present, absent } = sides(batch);
        const h = logits.sigmoid();
        const { mask, values } = needFindings(batch);
        const known = (mask ?? aten.ones_like(values)).sum([0]);
        const mean = (of: Tensor, weight: Tensor) => of.sum([0]).div(known.clamp_min(1)).mul(weight);
        const pull = (towards: Tensor, side: Tensor, weight: Tensor) =>
          mean(h.sub(towards).mul(side), weight)
            .mul(2 * step)
            .clamp(-step * CLIP, step * CLIP);
        const gap = mean(h.mul(absent), ofAbsent).sub(mean(h.mul(present), ofPresent));
        const up = alpha.neg().add(margin).mul(scale).mul(known.gt(0)).add(gap);
        a.add_(pull(a, present, ofPresent));
        b.add_(pull(b, absent, ofAbsent));
        alpha.add_(up.mul(2 * step).clamp(-step * CLIP, step * CLIP)).clamp_min_(0);
      },
      stateDict: () =>
        new Map([
          ['a', a],
          ['b', b],
          ['alpha', alpha],
          ['present', ofPresent],
          ['absent', ofAbsent],
          ['scale', scale],
        ]),
    };
  },
});

import { z } from 'zod';
import { expressedDoubt, findings, needFindings } from '../tasks/index.ts';
import { aten, keep, type Tensor } from '../torch/index.ts';
import { defineObjective, type Objective, type Seen } from './objective.ts';
import { narrowed, sides } from './presence.ts';
import { SampleMemory } from './sample-memory.ts';
import { warmUpEpochs } from './warm-up.ts';
import { needRates } from './wording.ts';

/**
 * Two uncertainties of each label decide when it is learnt, after Ju et al. (IEEE TMI 2022, arXiv 2103.00528): how far those who read
 * the image **disagree**, and how unsure the network is of a **single target**. After a warm-up with all labels the surest are
 * kept, and the others come back, surest first, until the last epoch has all:
 *
 *     u = (u_d + u_s)/2,   u_d = r⁺ or, with a head of doubt, what it predicts,   u_s = min(1, 2·√(E[p²] − E[p]²)),
 *     kept: the ⌈s·n⌉ smallest u of each finding's n present, and of its n absent cases;   s from `start` to 1
 *
 * Of several readings of an image, p is their mean (`dataset build`), so that r = 2·min(p, 1 − p) is 0 where they agree and grows
 * with their disagreement. A head of doubt (`--doubt-weight`) predicts it from the image: the paper's Direct Uncertainty
 * Prediction. E is a running mean over the passes of training, one an epoch, with dropout and augmentation as they are.
 *
 * Of the paper only the abstract could be read. **Ours:** the running mean in place of passes of MC-dropout, the mean of the two,
 * the sides, the schedule; and one network, where the paper boosts several.
 */
export const dualUncertainty = defineObjective({
  name: 'dual-uncertainty',
  label: 'Dual uncertainty',
  summary:
    'Labels on which readers disagree, or of which the network is unsure, are learnt last (after Ju et al., IEEE TMI 2022, arXiv 2103.00528).',
  tasks: ['findings'],
  alone: true,
  options: z.strictObject({
    start: z
      .number()
      .gt(0)
      .max(1)
      .default(0.6)
      .describe('s after the warm-up: the share of the labels that is kept'),
    warmup: z
      .number()
      .min(0)
      .lt(1)
      .default(0.2)
      .describe('share of the epochs that see all labels first; at least one'),
    decay: z.number().min(0).lt(1).default(0.8).describe('of the running means of p and p²'),
  }),
  make({ start, warmup, decay }, context): Objective {
    const { samples, classes, device, epochs, targets } = context;
    const warmEpochs = Math.max(1, warmUpEpochs(epochs, warmup));
    /** Of p and p²; below 0 before a sample was seen. */
    const unseen = new Float32Array(samples * classes).fill(-1);
    const mean = new SampleMemory(samples, classes, device, unseen);
    const square = new SampleMemory(samples, classes, device, unseen);
    const disagreement = new SampleMemory(samples, classes, device);
    /** u as it was when the last epoch ended. */
    const score = new SampleMemory(samples, classes, device);
    const all = findings.gather(targets, undefined, device);
    const { present, absent } = sides(all);
    keep(present);
    keep(absent);
    /** The largest u that is kept of present, and of absent cases: [2, K], for the epoch that comes. */
    const limits = keep(aten.full([2, classes], 2, { device }));
    let running = 0;

    return {
      loss({ logits, targets: batch, indices, epoch }, task) {
        const { values } = needFindings(batch);
        if (epoch < warmEpochs) return task.crossEntropy(logits, values, batch);
        const u = score.of(indices);
        const limit = aten.where(values.gt(0.5), limits.select(0, 0), limits.select(0, 1));
        const kept = u.le(limit).to({ dtype: 'float32' });
        return task.crossEntropy(logits, values, narrowed(batch, kept));
      },
      observe({ logits, indices, targets: batch, doubtLogits, epoch }: Seen) {
        running = epoch;
        needRates(batch, 'dual-uncertainty');
        const p = logits.sigmoid();
        remember(mean, indices, p, decay);
        remember(square, indices, p.square(), decay);
        disagreement.set(indices, doubtLogits?.sigmoid() ?? expressedDoubt(batch));
      },
      endEpoch() {
        const variance = square.rows.sub(mean.rows.square()).clamp_min(0);
        const single = variance.sqrt().mul(2).clamp_max(1);
        score.rows.copy_(single.add(disagreement.rows).div(2));
        const next = running + 1;
        if (next < warmEpochs) return;
        const share = start + ((1 - start) * (next - warmEpochs)) / Math.max(1, epochs - 1 - warmEpochs);
        limits.select(0, 0).copy_(largestKept(score.rows, present, Math.min(1, share)));
        limits.select(0, 1).copy_(largestKept(score.rows, absent, Math.min(1, share)));
      },
      stateDict: () =>
        new Map([
          ['mean', mean.rows],
          ['square', square.rows],
          ['disagreement', disagreement.rows],
          ['score', score.rows],
          ['limits', limits],
          ['present', present],
          ['absent', absent],
        ]),
    };
  },
});

function remember(memory: SampleMemory, indices: Int32Array, now: Tensor, decay: number): void {
  const before = memory.of(indices);
  memory.set(indices, aten.where(before.lt(0), now, before.mul(decay).add(now, { alpha: 1 - decay })));
}

/** Of each column the ⌈share·n⌉-th smallest score among the n of a group; equal scores are all kept. [K] */
function largestKept(scores: Tensor, group: Tensor, share: number): Tensor {
  const ascending = aten.where(group.gt(0), scores, Number.POSITIVE_INFINITY).sort(0, false)[0];
  const last = group.sum([0]).mul(share).sub(1e-4).ceil().sub(1).clamp_min(0).to({ dtype: 'int64' });
  return ascending.gather(0, last.unsqueeze(0)).squeeze(0);
}

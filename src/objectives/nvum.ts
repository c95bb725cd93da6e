import { z } from 'zod';
import type { Findings } from '../data/index.ts';
import { keep, type Tensor, tensor } from '../torch/index.ts';
import { defineObjective, type Objective, type Seen } from './objective.ts';
import { presentShares } from './presence.ts';
import { SampleMemory } from './sample-memory.ts';

/**
 * A memory h of each sample's logits, less the finding's log prior, holds the network to what it said early, when it had
 * not yet fitted wrong labels:
 *
 *     L = BCE(z, y) + λ·mean log(1 − σ(h·ŷ)),   h ← β·h + (1 − β)·(z − τ·log π),   ŷ = clamp(σ(z), 1e-4, 1 − 1e-4)
 *
 * with h taken after its update, and constant. π is the finding's share in the training split. Two departures: z is the
 * network's own where the authors average its weights, and the second term has the gradient that the paper gives it; in
 * the released code ŷ is detached, so that it has none.
 */
export const nvum = defineObjective({
  name: 'nvum',
  label: 'NVUM',
  summary:
    'A memory of each image’s logits holds the network back from fitting wrong labels (Liu et al., MICCAI 2022, arXiv 2103.04053).',
  tasks: ['findings'],
  alone: true,
  options: z.strictObject({
    weight: z.number().min(0).default(1).describe('λ, what the second term weighs'),
    decay: z.number().min(0).lt(1).default(0.9).describe('β of the memory'),
    tau: z.number().min(0).default(1).describe('τ, how much of the log prior is taken off'),
  }),
  make({ weight, decay, tau }, { samples, classes, device, targets }): Objective {
    const memory = new SampleMemory(samples, classes, device);
    const shift = keep(
      tensor(presentShares(targets as Findings))
        .log()
        .mul(tau)
        .to({ device }),
    );
    /** The memory of a batch after its update. */
    const updated = ({ logits, indices }: Seen): Tensor =>
      memory
        .of(indices)
        .mul(decay)
        .add(logits.detach().sub(shift), { alpha: 1 - decay });

    return {
      loss(seen, task) {
        const { logits, targets: batch } = seen;
        const fit = task.crossEntropy(logits, task.label(batch), batch);
        const said = logits.sigmoid().clamp(1e-4, 1 - 1e-4);
        // log(1 − σ(x)) = −softplus(x)
        const held = updated(seen).mul(said).softplus().neg();
        return fit.add(task.mean(held, batch), { alpha: weight });
      },
      observe: (seen) => memory.set(seen.indices, updated(seen)),
      stateDict: () =>
        new Map([
          ['memory', memory.rows],
          ['shift', shift],
        ]),
    };
  },
});

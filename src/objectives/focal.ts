import { z } from 'zod';
import type { FindingsBatch, LabelBatch } from '../tasks/index.ts';
import type { Tensor } from '../torch/index.ts';
import { defineObjective } from './objective.ts';

/** Below this 1 − p, the power's gradient for γ < 1 would not be finite. */
const LEAST_WRONG = 1e-7;

/**
 * L = −(1 − p_y)^γ · log p_y: what is already right counts less, which also holds confidence back (Mukhoti et al.,
 * NeurIPS 2020). For findings p_y is σ(z) or σ(−z), the form it was published in.
 */
export const focal = defineObjective({
  name: 'focal',
  label: 'Focal loss',
  summary: 'Labels that are already predicted well count less (Lin et al., ICCV 2017, eq. 4).',
  tasks: ['one-of-k', 'findings'],
  options: z.strictObject({
    gamma: z.number().min(0).default(2).describe('the focusing exponent γ; 0 is the hard label'),
  }),
  make: ({ gamma }) => ({
    loss({ logits, targets }, task) {
      const losses = targets.kind === 'one-of-k' ? ofLabels(logits, targets) : ofFindings(logits, targets);
      return task.mean(losses, targets);

      function ofLabels(z: Tensor, { labels }: LabelBatch): Tensor {
        const logP = z.log_softmax(1).gather(1, labels.unsqueeze(1)).squeeze(1);
        // 1 − p by expm1 keeps its digits near p = 1.
        return weighted(logP.expm1().neg(), logP.neg());
      }

      function ofFindings(z: Tensor, { values }: FindingsBatch): Tensor {
        const present = weighted(z.neg().sigmoid(), z.neg().softplus());
        const absent = weighted(z.sigmoid(), z.softplus());
        return absent.lerp(present, values);
      }

      function weighted(wrong: Tensor, nll: Tensor): Tensor {
        return wrong.clamp_min(LEAST_WRONG).pow(gamma).mul(nll);
      }
    },
  }),
});

import { z } from 'zod';
import { needFindings } from '../tasks/index.ts';
import type { Tensor } from '../torch/index.ts';
import { defineObjective } from './objective.ts';

/** Below this, the power's gradient for an exponent under 1 would not be finite. */
const LEAST = 1e-7;

/**
 *     L = −y·(1 − p)^γ₊·log p − (1 − y)·p_m^γ₋·log(1 − p_m),   p_m = max(p − m, 0)
 *
 * (eq. 7). Gradients go through the weights too, as in the paper's analysis; the authors' code may stop them there. The
 * mean is over known findings, where theirs is a sum over an image's: the learning rate means another thing.
 */
export const asymmetric = defineObjective({
  name: 'asl',
  label: 'Asymmetric loss',
  summary: 'Absent findings that are easy count less, and the easiest nothing (Ridnik et al., ICCV 2021).',
  tasks: ['findings'],
  options: z.strictObject({
    gammaNegative: z.number().min(0).default(4).describe('γ₋, the focusing of absent findings'),
    gammaPositive: z
      .number()
      .min(0)
      .default(0)
      .describe('γ₊, the focusing of present ones; 0 is cross-entropy'),
    margin: z
      .number()
      .min(0)
      .lt(1)
      .default(0.05)
      .describe('m: absent findings below this probability count nothing'),
  }),
  make: ({ gammaNegative, gammaPositive, margin }) => ({
    loss({ logits, targets }, task) {
      const { values } = needFindings(targets);
      const wrong = logits.neg().sigmoid();
      const present = weighted(wrong, gammaPositive, logits.neg().softplus());
      // 1 − p_m is 1 − p + m, at most 1; its logarithm is exact where there is no margin.
      const nll = margin === 0 ? logits.softplus() : wrong.add(margin).clamp_max(1).log().neg();
      const absent = weighted(logits.sigmoid().sub(margin), gammaNegative, nll);
      return task.mean(absent.lerp(present, values), targets);
    },
  }),
});

function weighted(wrong: Tensor, gamma: number, nll: Tensor): Tensor {
  return gamma === 0 ? nll : wrong.clamp_min(LEAST).pow(gamma).mul(nll);
}

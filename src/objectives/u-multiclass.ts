import { PenumbraError } from '../errors.ts';
import { needFindings } from '../tasks/index.ts';
import { aten } from '../torch/index.ts';
import { defineObjective } from './objective.ts';
import { hedged } from './wording.ts';

/**
 * Three classes a finding: absent, present and uncertain, with the logits (0, z, v) of one softmax:
 *
 *     L = log(1 + e^z + e^v) − (0 absent | z present | v hedged),   v = u + log(1 + e^z).
 *
 * u is of the network's head of doubt, and log(1 + e^z) a constant for the gradient, which is that of the softmax: so σ(u) is
 * the probability of uncertain, as the figures of predicted doubt take it. A probability of the finding is that of present against absent alone, σ(z), as published. A y between 0 and 1 mixes present and absent.
 */
export const uMultiClass = defineObjective({
  name: 'u-multiclass',
  label: 'U-MultiClass',
  summary:
    'Uncertain is a class of its own beside present and absent, and is left out of the probability (Irvin et al., AAAI 2019).',
  tasks: ['findings'],
  doubt: true,
  make: () => ({
    loss({ logits, doubtLogits, targets }, task) {
      if (doubtLogits === undefined) {
        throw new PenumbraError(
          'objectives/doubt',
          'u-multiclass was shown a batch without logits of doubt',
          {
            hint: 'the network needs a head of doubt, which the trainer gives to one that names its last layer',
          },
        );
      }
      const offset = logits.softplus();
      const uncertain = doubtLogits.add(offset.detach());
      const all = aten.logaddexp(offset, uncertain);
      const plain = logits.mul(needFindings(targets).values);
      return task.mean(all.sub(plain.lerp(uncertain, hedged(targets, 'u-multiclass'))), targets);
    },
  }),
});

import { PenumbraError } from '../errors.ts';
import { needFindings } from '../tasks/index.ts';
import { aten } from '../torch/index.ts';
import { defineObjective } from './objective.ts';
import { hedged } from './wording.ts';

/**
 * Three classes a finding: absent, present and uncertain, with the logits (0, z, u) of one softmax, where u is of the network's
 * head of doubt:
 *
 *     L = log(1 + e^z + e^u) − (0 absent | z present | u hedged).
 *
 * A probability is that of present against absent alone, σ(z), as published. A y between 0 and 1 mixes present and absent.
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
      const all = aten.logaddexp(logits.softplus(), doubtLogits);
      const plain = logits.mul(needFindings(targets).values);
      return task.mean(all.sub(plain.lerp(doubtLogits, hedged(targets, 'u-multiclass'))), targets);
    },
  }),
});

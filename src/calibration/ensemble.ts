import { PenumbraError } from '../errors.ts';
import type { Floats } from '../metrics/index.ts';

/**
 * The probabilities of a deep ensemble: the mean over its members' (Lakshminarayanan, Pritzel and Blundell, NeurIPS 2017,
 * §2.4), for one label of K and for findings alike. The members are networks of the same kind trained from other seeds;
 * of predictions averaged afterwards, not of logits.
 *
 * @param members one array of N×K probabilities each, in the same order of samples and classes
 * @throws PenumbraError `calibration/empty`, `calibration/shape`, `calibration/probability`
 */
export function ensembleProbabilities(members: readonly Floats[]): Float32Array {
  const [first] = members;
  if (first === undefined) throw new PenumbraError('calibration/empty', 'An ensemble needs a member.');
  const sums = new Float64Array(first.length);
  members.forEach((member, m) => {
    if (member.length !== first.length) {
      throw new PenumbraError(
        'calibration/shape',
        `Member ${m} has ${member.length} probabilities, the first ${first.length}.`,
        { hint: 'All members judge the same samples, in the same order.', where: { member: m } },
      );
    }
    for (let i = 0; i < sums.length; i++) {
      const p = member[i]!;
      if (!(p >= 0 && p <= 1 + 1e-6)) {
        throw new PenumbraError(
          'calibration/probability',
          `Member ${m}, number ${i}: ${p} is not in [0, 1].`,
          {
            hint: 'Give probabilities, not logits: softmax() or a sigmoid first.',
            where: { member: m, index: i },
          },
        );
      }
      sums[i] = sums[i]! + p;
    }
  });
  return Float32Array.from(sums, (sum) => sum / members.length);
}

import { z } from 'zod';
import { PenumbraError } from '../errors.ts';
import { needFindings } from '../tasks/index.ts';
import { aten, type Tensor } from '../torch/index.ts';
import { checkErrors, errorFields, errorsOf, givesErrors } from './label-errors.ts';
import { defineObjective, type Objective } from './objective.ts';

/**
 * The network's probability σ(z) is sent through the errors of the labels before it is compared with them,
 *
 *     L = BCE(t, q),   q = (1 − e₁₀)·σ(z) + e₀₁·(1 − σ(z)),
 *
 * so that σ(z) is the clean probability where q is that of the noisy label (Patrini et al., CVPR 2017, theorem 2). Of
 * findings, class-conditional and with the wording's doubt it is our form: t = (1 − r)·y + r·(1 − e₁₀ + e₀₁)/2, r ≥ 0. The
 * doubt's half goes through the same errors, by which E[t | clean y] = q of the clean target (1 − r)·y + r/2 for any
 * e₀₁ and e₁₀; with equal ones t is (1 − r)·y + r/2 itself. No loss is below 0, and with errors above 0 none is unbounded.
 * Computed in logarithms: log q = logaddexp(log(1 − e₁₀) + log σ(z), log e₀₁ + log σ(−z)).
 */
export const forwardCorrection = defineObjective({
  name: 'forward',
  label: 'Forward correction',
  summary:
    'The network’s probability is compared with labels after the labels’ measured errors (after Patrini et al., CVPR 2017).',
  tasks: ['findings'],
  options: z.strictObject({
    ...errorFields,
    wording: z
      .boolean()
      .default(true)
      .describe('whether the wording’s rates soften the labels; false corrects the labels alone'),
  }),
  make({ wording, ...given }, { targets: all }): Objective {
    checkErrors('forward', given);
    if (!givesErrors(given) && all?.kind === 'findings' && all.errors === undefined) throw noErrors();
    return {
      loss({ logits, targets }, task) {
        const batch = needFindings(targets);
        const errors = errorsOf(batch, given);
        if (errors === undefined) throw noErrors();
        const { falsePositive, miss } = errors;
        const { values, rates } = batch;
        const present = logits.neg().softplus().neg(); // log σ(z)
        const absent = logits.softplus().neg();
        const logQ = aten.logaddexp(plus(present, log1m(miss)), plus(absent, log(falsePositive)));
        const logRest = aten.logaddexp(plus(present, log(miss)), plus(absent, log1m(falsePositive)));
        const target =
          wording && rates !== undefined
            ? values.lerp(middle(falsePositive, miss, values), rates.clamp_min(0))
            : values;
        return task.mean(logRest.lerp(logQ, target).neg(), targets);
      },
    };
  },
});

/** Where the errors send the probability 1/2: (1 − e₁₀ + e₀₁)/2. */
function middle(falsePositive: number | Tensor, miss: number | Tensor, like: Tensor): Tensor {
  const half = aten.full(like.shape as number[], 0.5, { device: like.device });
  return sum(sum(half, falsePositive, 0.5), miss, -0.5);
}

function sum(tensor: Tensor, value: number | Tensor, factor: number): Tensor {
  return typeof value === 'number' ? tensor.add(factor * value) : tensor.add(value, { alpha: factor });
}

/** log 0 is −∞, which logaddexp leaves out, with a gradient of 0. */
const plus = (tensor: Tensor, value: number | Tensor): Tensor => tensor.add(value as number);
const log = (e: number | Tensor): number | Tensor => (typeof e === 'number' ? Math.log(e) : e.log());
const log1m = (e: number | Tensor): number | Tensor =>
  typeof e === 'number' ? Math.log1p(-e) : e.neg().log1p();

function noErrors(): PenumbraError {
  return new PenumbraError('objectives/errors', 'forward needs to know how often labels are wrong', {
    hint: 'forward:error=0.05; or build the data with what was measured: penumbra dataset build --errors score.json',
  });
}

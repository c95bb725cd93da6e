import { z } from 'zod';
import { PenumbraError } from '../errors.ts';
import { needFindings, needLabels, type Task } from '../tasks/index.ts';
import { aten, type Tensor } from '../torch/index.ts';
import { defineObjective, type Objective, type Seen } from './objective.ts';

const fields = z.strictObject({
  rate: z
    .number()
    .max(1)
    .optional()
    .describe('r: above 0 softens, 0 is the hard label, below 0 sharpens; -0.3'),
  rates: z
    .enum(['fixed', 'data'])
    .default('fixed')
    .describe('fixed is one rate for all; data takes what the data say of each image and finding'),
  warmup: z
    .number()
    .min(0)
    .lt(1)
    .optional()
    .describe(
      'share of the epochs that are trained with hard labels first; 120/220 for a rate below 0, as the authors do ' +
        '(from scratch such rates converge badly), else 0',
    ),
  scale: z
    .number()
    .positive()
    .optional()
    .describe('what the learning rate is multiplied with after the warm-up; 0.1 for a rate below 0, else 1'),
  floor: z
    .number()
    .gt(0)
    .lt(1)
    .default(1e-4)
    .describe('for rates below 0: probabilities below this earn nothing more for being smaller'),
});

const options = fields.refine(({ rate, rates }) => rates === 'fixed' || rate === undefined, {
  message: 'rates=data takes no rate: the data have one for each value',
});

/**
 * Cross-entropy against (1 − r)·onehot(y) + r/K, so
 *
 *     L = (1 − r)·(−log p_y) + r·mean_k(−log p_k),   r ≤ 1.
 *
 * For r ≥ 0 it is label smoothing with ε = r. For r < 0 ("negative label smoothing") the second term rewards small
 * probabilities without end, so each −log p_k in it is capped at −log(floor), our choice: L ≥ r·(−log floor).
 *
 * Findings are K problems of two classes each, p and 1 − p, with one rate for all or with the rates of the data.
 */
export const generalizedLabelSmoothing = defineObjective({
  name: 'gls',
  label: 'Generalized label smoothing',
  summary: 'Label smoothing with a rate that may be negative (Wei et al., ICML 2022, arXiv 2106.04149).',
  tasks: ['one-of-k', 'findings'],
  options,
  make({ rate = -0.3, rates, warmup, scale, floor }, { epochs, task }): Objective {
    const fixed = rates === 'fixed';
    if (!fixed && task.kind !== 'findings') {
      throw new PenumbraError('objectives/option', 'gls: rates=data needs findings with rates', {
        hint: 'one label of K has one rate for all samples: gls:rate=0.1',
      });
    }
    const sharpens = fixed && rate < 0;
    const share = warmup ?? (sharpens ? 120 / 220 : 0);
    // At least the last epoch is trained with the rate.
    const warmEpochs = Math.min(Math.round(epochs * share), epochs - 1);
    const factor = scale ?? (sharpens ? 0.1 : 1);
    const floorLog = Math.log(floor);

    return {
      loss(seen) {
        const now = seen.epoch < warmEpochs ? 0 : fixed ? rate : ratesOf(seen);
        if (typeof now === 'number' && now >= 0)
          return task.crossEntropy(seen.logits, task.label(seen.targets, now), seen.targets);
        return typeof now === 'number' && task.kind === 'one-of-k'
          ? ofLabels(seen, task, now, floorLog)
          : ofFindings(seen, task, now, floorLog);
      },
      learningRateScale: (epoch) => (epoch < warmEpochs ? 1 : factor),
    };
  },
});

/** @throws `objectives/rates` where the data have none */
function ratesOf({ targets }: Seen): Tensor {
  const { rates } = needFindings(targets);
  if (rates !== undefined) return rates;
  throw new PenumbraError('objectives/rates', 'gls: rates=data was asked for, and the data have no rates', {
    hint: 'rates come with findings that were read from reports; gls:rate=0.1 gives all findings one',
  });
}

/** r < 0, one label of K. */
function ofLabels({ logits, targets }: Seen, task: Task, rate: number, floorLog: number): Tensor {
  const { labels, weights } = needLabels(targets);
  const logP = logits.log_softmax(1);
  const own = logP.gather(1, labels.unsqueeze(1));
  const all = logP.clamp_min(floorLog);
  if (weights === undefined)
    return own
      .mean()
      .mul(rate - 1)
      .sub(all.mean(), { alpha: rate });
  return task.mean(
    own
      .squeeze(1)
      .mul(rate - 1)
      .sub(all.mean([1]), { alpha: rate }),
    targets,
  );
}

/** Any rates, by finding. */
function ofFindings({ logits, targets }: Seen, task: Task, rate: number | Tensor, floorLog: number): Tensor {
  const { values } = needFindings(targets);
  const present = logits.neg().softplus(); // −log p
  const absent = logits.softplus(); // −log(1 − p)
  const own = absent.lerp(present, values);
  const capped = aten.clamp_max(present, -floorLog).add(aten.clamp_max(absent, -floorLog)).div(2);
  if (typeof rate === 'number') return task.mean(own.mul(1 - rate).add(capped, { alpha: rate }), targets);
  const even = aten.where(rate.lt(0), capped, present.add(absent).div(2));
  return task.mean(own.lerp(even, rate), targets);
}

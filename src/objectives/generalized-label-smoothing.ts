import { z } from 'zod';
import { PenumbraError } from '../errors.ts';
import { needFindings, needLabels, type Task } from '../tasks/index.ts';
import { aten, type Tensor } from '../torch/index.ts';
import { checkErrors, type ErrorOptions, errorFields, errorsOf, givesErrors } from './label-errors.ts';
import { defineObjective, type Objective, type Seen } from './objective.ts';
import { warmUpEpochs } from './warm-up.ts';

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
  ...errorFields,
  warmup: z
    .number()
    .min(0)
    .lt(1)
    .optional()
    .describe(
      'share of the epochs that are trained without negative rates first: with hard labels, or with what the data say; ' +
        '120/220 for a fixed rate below 0, as the authors do (from scratch it converges badly), else 0',
    ),
  scale: z
    .number()
    .positive()
    .optional()
    .describe(
      'what the learning rate is multiplied with after the warm-up; 0.1 where there are rates below 0, else 1',
    ),
  bound: z
    .enum(['cap', 'floor'])
    .optional()
    .describe(
      'how rates below 0 are kept from −∞: cap, for findings, or floor; cap for findings, floor for one label of K',
    ),
  cap: z
    .number()
    .positive()
    .default(5)
    .describe('bound=cap: a rate below 0 is of cap·tanh(z/cap) instead of the logit z'),
  floor: z
    .number()
    .gt(0)
    .lt(1)
    .default(1e-4)
    .describe('bound=floor: probabilities below this earn nothing more for being smaller'),
});

const options = fields
  .refine(({ rate, rates }) => rates === 'fixed' || rate === undefined, {
    message: 'rates=data takes no rate: the data have one for each value',
  })
  .refine((given) => given.rates === 'data' || !givesErrors(given), {
    message: 'errors correct the rates of the data: rates=data',
  });

/** at::Reduction. */
const NONE = 0;

/** The largest |r| of corrected rates: p = 1/2 would give r = 1. */
const LARGEST = 0.999;

/**
 * Cross-entropy against (1 − r)·onehot(y) + r/K, so
 *
 *     L = (1 − r)·(−log p_y) + r·mean_k(−log p_k),   r ≤ 1.
 *
 * For r ≥ 0 it is label smoothing with ε = r. For r < 0 ("negative label smoothing") the second term rewards small
 * probabilities without end, and is bounded, our choice, in one of two ways. With `floor` each −log p_k in it is at most
 * −log(floor): L ≥ r·(−log floor). With `cap`, for findings, see `ofFindings`.
 *
 * Findings are K problems of two classes each, p and 1 − p, with one rate for all or with the rates of the data. These are
 * of the wording, w, and are corrected for the errors of the labels, where options or data give some: with
 * e₀₁ = P(y′ = 1 | y = 0) and e₁₀ = P(y′ = 0 | y = 1),
 *
 *     r = w + (1 − w)·s,   s = −2e₁₀/(1 − e₀₁ − e₁₀) for y′ = 1 and −2e₀₁/(1 − e₀₁ − e₁₀) for y′ = 0,
 *
 * by which the expected loss is that of the clean label's target (1 − w)·y + w/2, whatever y is (Natarajan et al., NeurIPS
 * 2013; here with doubt). Where both errors are e it is r = (w − 2e)/(1 − 2e), as Wei et al. derive. |r| ≤ 0.999.
 */
export const generalizedLabelSmoothing = defineObjective({
  name: 'gls',
  label: 'Generalized label smoothing',
  summary: 'Label smoothing with a rate that may be negative (Wei et al., ICML 2022, arXiv 2106.04149).',
  tasks: ['one-of-k', 'findings'],
  options,
  make(
    { rate = -0.3, rates, warmup, scale, bound, cap, floor, ...errors },
    { epochs, task, targets },
  ): Objective {
    const fixed = rates === 'fixed';
    if (!fixed && task.kind !== 'findings') {
      throw new PenumbraError('objectives/option', 'gls: rates=data needs findings with rates', {
        hint: 'one label of K has one rate for all samples: gls:rate=0.1',
      });
    }
    if (bound === 'cap' && task.kind !== 'findings') {
      throw new PenumbraError('objectives/option', 'gls: bound=cap needs findings', {
        hint: 'logits of one label of K mean nothing by themselves, only their differences: bound=floor',
      });
    }
    checkErrors('gls', errors);
    if (!fixed && targets?.kind === 'findings' && !knowsRates(targets, errors)) throw noRates();
    const sharpens = fixed && rate < 0;
    const share = warmup ?? (sharpens ? 120 / 220 : 0);
    const warmEpochs = warmUpEpochs(epochs, share);
    const factor = scale ?? (sharpens ? 0.1 : 1);
    const bounded: Bounded = bound === 'floor' ? withFloor(Math.log(floor)) : withCap(cap);

    return {
      loss(seen) {
        const warm = seen.epoch < warmEpochs;
        if (!fixed) {
          const own = ratesOf(seen, errors);
          return ofFindings(seen, task, warm ? own.clamp_min(0) : corrected(seen, own, errors), bounded);
        }
        const now = warm ? 0 : rate;
        if (now >= 0) return task.crossEntropy(seen.logits, task.label(seen.targets, now), seen.targets);
        return task.kind === 'one-of-k'
          ? ofLabels(seen, task, now, Math.log(floor))
          : ofFindings(seen, task, now, bounded);
      },
      learningRateScale: (epoch) => (epoch < warmEpochs ? 1 : factor),
    };
  },
});

/**
 * The wording's rates; 0 where the data have none but their labels' errors are known.
 * @throws `objectives/rates` where there is neither
 */
function ratesOf({ targets }: Seen, options: ErrorOptions): Tensor {
  const batch = needFindings(targets);
  if (!knowsRates(batch, options)) throw noRates();
  return batch.rates ?? batch.values.mul(0);
}

function knowsRates(
  { rates, errors }: { rates?: unknown; errors?: unknown },
  options: ErrorOptions,
): boolean {
  return rates !== undefined || errors !== undefined || givesErrors(options);
}

function noRates(): PenumbraError {
  return new PenumbraError('objectives/rates', 'gls: rates=data was asked for, and the data have no rates', {
    hint: 'rates come with findings that were read from reports; gls:rate=0.1 gives all findings one',
  });
}

/** r = w + (1 − w)·s, [N, K]. A rate below 0 that the data give is taken for one that is corrected already. */
function corrected({ targets }: Seen, rates: Tensor, options: ErrorOptions): Tensor {
  const batch = needFindings(targets);
  const errors = errorsOf(batch, options);
  if (errors === undefined) return rates;
  const zero = rates.mul(0);
  const falsePositive = zero.add(errors.falsePositive as Tensor);
  const miss = zero.add(errors.miss as Tensor);
  const sharpening = falsePositive.lerp(miss, batch.values).mul(-2).div(falsePositive.add(miss).neg().add(1));
  const r = sharpening.lerp(zero.add(1), rates).clamp(-LARGEST, LARGEST);
  return aten.where(rates.lt(0), rates, r);
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

/** The loss of a finding for a rate below 0, by value, [N, K]: bounded. */
type Bounded = (z: Tensor, y: Tensor, rate: number | Tensor) => Tensor;

/**
 * Any rates, by finding. Without a bound the loss is log(1 + e^z) − t·z with t = (1 − r)·y + r/2, which for r < 0 and t
 * outside [0, 1] falls for ever. `cap` puts c·tanh(z/c) in the place of z: L ≥ −|r|·c/2, and over labels that are wrong as
 * often as r was made for, the expected loss has its minimum where σ(c·tanh(z/c)) is the clean target. It is the default:
 * with 15 % wrong labels (bench/wording.ts, three seeds) AUROC is 0.878 with the cap, 0.866 with the floor, 0.880 with forward
 * correction and 0.861 uncorrected.
 */
function ofFindings(seen: Seen, task: Task, rate: number | Tensor, bounded: Bounded): Tensor {
  const { logits, targets } = seen;
  const { values } = needFindings(targets);
  const sharp = bounded(logits, values, rate);
  if (typeof rate === 'number') return task.mean(sharp, targets);
  const soft = targetAt(values, rate.clamp_min(0));
  const plain = aten.binary_cross_entropy_with_logits(logits, soft, null, null, NONE);
  return task.mean(aten.where(rate.lt(0), sharp, plain), targets);
}

/** (1 − r)·y + r/2 */
function targetAt(y: Tensor, rate: number | Tensor): Tensor {
  return y.add(
    y
      .neg()
      .add(0.5)
      .mul(rate as number),
  );
}

const withCap =
  (cap: number): Bounded =>
  (z, y, rate) => {
    const capped = z.div(cap).tanh().mul(cap);
    return capped.softplus().sub(targetAt(y, rate).mul(capped));
  };

const withFloor =
  (floorLog: number): Bounded =>
  (z, y, rate) => {
    const present = z.neg().softplus(); // −log p
    const absent = z.softplus(); // −log(1 − p)
    const own = absent.lerp(present, y);
    const even = present.clamp_max(-floorLog).add(absent.clamp_max(-floorLog)).div(2);
    return typeof rate === 'number' ? own.mul(1 - rate).add(even, { alpha: rate }) : own.lerp(even, rate);
  };

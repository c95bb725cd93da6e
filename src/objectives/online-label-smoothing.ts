import { z } from 'zod';
import { type FindingsBatch, needFindings, needLabels } from '../tasks/index.ts';
import { aten, keep, type Tensor } from '../torch/index.ts';
import { defineObjective, type Objective, type ObjectiveContext } from './objective.ts';
import { RunningMeans } from './running-means.ts';

/** What distinguishes the published forms. */
interface Form {
  /** Weight of the hard label's cross-entropy. */
  readonly hard: number;
  /** Weight of the soft target's cross-entropy. */
  readonly soft: number;
  /** The soft targets of the first epoch. */
  readonly start: 'uniform' | 'zeros';
  /** A class whose target has reached this largest entry keeps it for good. */
  readonly freezeAt?: number;
}

/**
 * - `paper`: L = α·CE(y, p) + (1 − α)·CE(S_{t−1}[y], p) with α = 0.5 and S_0 uniform (arXiv 2011.12562, eq. 3–7).
 * - `zero-start`: the authors' image-classification script; S_0 is zero, so the first epoch is α·CE alone.
 * - `fine-grained`: the authors' fine-grained script; both terms weigh 1, S_0 is uniform, and a class keeps its target
 *   unchanged once the target's largest entry reaches 0.88.
 */
const forms = {
  paper: (alpha: number): Form => ({ hard: alpha, soft: 1 - alpha, start: 'uniform' }),
  'zero-start': (alpha: number): Form => ({ hard: alpha, soft: 1 - alpha, start: 'zeros' }),
  'fine-grained': (): Form => ({ hard: 1, soft: 1, start: 'uniform', freezeAt: 0.88 }),
} as const;

const options = z
  .strictObject({
    variant: z
      .enum(['paper', 'zero-start', 'fine-grained'])
      .default('paper')
      .describe('the published form, or that of the authors’ image-classification or fine-grained script'),
    alpha: z
      .number()
      .min(0)
      .max(1)
      .optional()
      .describe('weight α of the hard label, 0.5; fine-grained weighs both terms 1'),
  })
  .refine(({ variant, alpha }) => variant !== 'fine-grained' || alpha === undefined, {
    message: "the variant 'fine-grained' takes no alpha: it weighs both terms 1",
  });

/**
 * Each class has a soft target S[y], the mean prediction over its correctly classified samples of the epoch before:
 * during an epoch, for every training sample with argmax p = y, S_t[y] += p and n[y] += 1, in the same training-mode
 * forward pass; at its end each S_t[y] is divided by n[y], and a class without a correct sample gets the uniform target.
 *
 * For findings (our transfer) each finding is a problem of two classes, present and absent, with a soft target for
 * either: the mean probability of the finding where it is known to be there and was found, and where it is known to be
 * absent and was not. A y between 0 and 1 mixes the two.
 */
export const onlineLabelSmoothing = defineObjective({
  name: 'ols',
  label: 'Online label smoothing',
  summary:
    'Soft targets learnt from the network’s own correct predictions (Zhang et al., IEEE TIP 2021, arXiv 2011.12562; ' +
    'on medical images arXiv 2510.20011).',
  tasks: ['one-of-k', 'findings'],
  options,
  make({ variant, alpha = 0.5 }, context): Objective {
    const form = forms[variant](alpha);
    return context.task.kind === 'one-of-k' ? ofLabels(form, context) : ofFindings(form, context);
  },
});

function ofLabels(form: Form, { classes, device }: ObjectiveContext): Objective {
  const start = form.start === 'uniform' ? 1 / classes : 0;
  /** S_{t−1}, [K, K]: row y is the target of class y. */
  const targets = keep(aten.full([classes, classes], start, { device }));
  /** Of the epoch's right predictions by label, [K, K]. */
  const running = new RunningMeans([classes, classes], [classes, 1], device);

  return {
    target(seen) {
      const { labels } = needLabels(seen.targets);
      // Both terms are cross-entropies of the same p, so their targets add up to one: hard·onehot(y) + soft·S[y].
      const soft = aten.index_select(targets, 0, labels).mul(form.soft);
      return soft.add_(aten.one_hot(labels, classes), { alpha: form.hard });
    },
    observe(seen) {
      const { labels } = needLabels(seen.targets);
      const correct = seen.logits.argmax(1).eq(labels).unsqueeze(1).to({ dtype: 'float32' });
      running.sums.index_add_(0, labels, seen.logits.softmax(1).mul_(correct));
      running.counts.index_add_(0, labels, correct);
    },
    endEpoch(reduce) {
      const { means, total } = running.take(reduce);
      const learnt = aten.where(total.gt(0), means, 1 / classes);
      follow(targets, learnt, targets.amax([1], true), form);
    },
    stateDict: () => new Map([['targets', targets], ...running.state()]),
  };
}

function ofFindings(form: Form, { classes, device }: ObjectiveContext): Objective {
  /**
   * Masses of "present" and of "absent", [2, 2, K]: the target of a finding that is absent and of one that is present.
   * Two masses, since those of the first epoch of `zero-start` are both 0.
   */
  const targets = keep(aten.full([2, 2, classes], form.start === 'uniform' ? 1 / 2 : 0, { device }));
  /** Of the epoch's p, by what was known, [2, K]. */
  const running = new RunningMeans([2, classes], [2, classes], device);

  return {
    loss({ logits, targets: batch }, task) {
      const { values } = needFindings(batch);
      const mass = (outcome: 0 | 1) => {
        const row = targets.select(1, outcome);
        return row.select(0, 0).lerp(row.select(0, 1), values).mul(form.soft);
      };
      const present = mass(1).add(values, { alpha: form.hard });
      const absent = mass(0).add(values.neg().add(1), { alpha: form.hard });
      return task.mean(present.mul(logits.neg().softplus()).add(absent.mul(logits.softplus())), batch);
    },
    observe({ logits, targets: batch }) {
      const p = logits.sigmoid();
      for (const [outcome, right] of rightOnes(logits, needFindings(batch)).entries()) {
        running.sums.select(0, outcome).add_(p.mul(right).sum([0]));
        running.counts.select(0, outcome).add_(right.sum([0]));
      }
    },
    endEpoch(reduce) {
      const { means, total } = running.take(reduce);
      const p = aten.where(total.gt(0), means, 1 / 2);
      const learnt = aten.stack([p.neg().add(1), p], 1);
      follow(targets, learnt, targets.amax([1], true), form);
    },
    stateDict: () => new Map([['targets', targets], ...running.state()]),
  };
}

/** 1 where a finding is known to be absent and was not found; the same for those present and found. Each [N, K]. */
function rightOnes(logits: Tensor, { values, mask }: FindingsBatch): [Tensor, Tensor] {
  const both = (a: Tensor, b: Tensor) => {
    const right = a.logical_and(b).to({ dtype: 'float32' });
    return mask === undefined ? right : right.mul_(mask);
  };
  return [both(values.lt(0.5), logits.lt(0)), both(values.gt(0.5), logits.gt(0))];
}

/** @param largest the largest entry of each target, where targets freeze */
function follow(targets: Tensor, learnt: Tensor, largest: Tensor, { freezeAt }: Form): void {
  targets.copy_(freezeAt === undefined ? learnt : aten.where(largest.ge(freezeAt), targets, learnt));
}

import { z } from 'zod';
import { PenumbraError } from '../errors.ts';
import type { Task } from '../tasks/index.ts';
import { aten, type Tensor } from '../torch/index.ts';
import { defineObjective, type Objective, type Seen } from './objective.ts';

/**
 * Teacher-free knowledge distillation (Yuan et al., CVPR 2020, arXiv 1909.11723). Both forms add to cross-entropy the
 * divergence from a teacher's softened probabilities q:
 *
 *     L = (1 − α)·CE(y, p) + α·m·KL(q ‖ p')
 *
 * As in the authors' code the divergence is averaged over batch × classes, that is, the mean per image divided by K,
 * and m makes up for it. Their settings were found with K = 100, where m = 100 is the mean per image. A finding is a
 * problem of K = 2 classes; unknown ones have no part in either term.
 */
const optionsWith = (alpha: number, temperature: number, multiplier: string) =>
  z.strictObject({
    alpha: z.number().min(0).max(1).default(alpha).describe('the teacher’s share α'),
    temperature: z.number().positive().default(temperature).describe('T, which softens the teacher'),
    multiplier: z
      .number()
      .positive()
      .optional()
      .describe(`m, what the divergence is multiplied with; ${multiplier}`),
  });

/** The true class's probability in the virtual teacher. */
const CORRECT = 0.99;

/**
 * "reg": the teacher is virtual, with probabilities p^d of 0.99 for the label and 0.01/(K − 1) for every other class;
 * q = softmax(p^d / T) and p' = softmax(z). Defaults: α = 0.1 and T = 20 as published for ResNet-18 on CIFAR-100, and
 * m = K, which at K = 100 is the published 100.
 *
 * The softmax is taken of probabilities, so q is nearly uniform: with K = 165 and T = 20 the label has 0.00637 and every
 * other class 0.00606. With m = K the method is thereby close to label smoothing with ε = α.
 */
export const teacherFreeRegularization = defineObjective({
  name: 'tfkd-reg',
  label: 'Teacher-free KD, virtual teacher',
  summary:
    'Distillation from a virtual teacher that is almost uniform (Yuan et al., CVPR 2020, arXiv 1909.11723).',
  tasks: ['one-of-k', 'findings'],
  options: optionsWith(0.1, 20, 'K, or 2 for findings'),
  make({ alpha, temperature, multiplier }, { classes, task }): Objective {
    const outcomes = outcomesOf(task, classes);
    const { right, other } = virtualTeacher(outcomes, temperature);
    // Both terms are cross-entropies of the same p: one target of mass 1 − α + α·m/K, and the teacher's own entropy.
    const weight = (alpha * (multiplier ?? outcomes)) / outcomes;
    const entropy = -right * Math.log(right) - (outcomes - 1) * other * Math.log(other);
    const own = 1 - alpha + weight * (right - other);
    const every = weight * other;

    return {
      loss({ logits, targets }) {
        if (targets.kind === 'one-of-k') {
          const target = aten.one_hot(targets.labels, classes).to({ dtype: 'float32' }).mul(own).add(every);
          return task.crossEntropy(logits, target, targets).sub(weight * entropy);
        }
        const present = targets.values.mul(own).add(every);
        const absent = targets.values.neg().add(1).mul(own).add(every);
        const losses = present.mul(logits.neg().softplus()).add(absent.mul(logits.softplus()));
        return task.mean(losses.sub(weight * entropy), targets);
      },
    };
  },
});

/** q of the label, and of each other class. */
export function virtualTeacher(outcomes: number, temperature: number): { right: number; other: number } {
  const right = Math.exp(CORRECT / temperature);
  const other = Math.exp((1 - CORRECT) / (outcomes - 1) / temperature);
  const sum = right + (outcomes - 1) * other;
  return { right: right / sum, other: other / sum };
}

/**
 * "self": the teacher is a trained, frozen copy of the same network; q = softmax(z_teacher / T), p' = softmax(z / T),
 * and the divergence is multiplied by T². Defaults: α = 0.95 and T = 6 as published for ResNet-18 on CIFAR-100, and
 * m = K/2, which at K = 100 is the published 50.
 */
export const teacherFreeSelf = defineObjective({
  name: 'tfkd-self',
  label: 'Teacher-free KD, self-training',
  summary: 'Distillation from a trained copy of the same network (Yuan et al., CVPR 2020, arXiv 1909.11723).',
  tasks: ['one-of-k', 'findings'],
  options: optionsWith(0.95, 6, 'K/2, or 1 for findings'),
  teacher: true,
  make({ alpha, temperature, multiplier }, { classes, task }): Objective {
    const outcomes = outcomesOf(task, classes);
    const weight = alpha * (multiplier ?? outcomes / 2) * temperature ** 2;
    return {
      loss(seen) {
        const { logits, targets } = seen;
        const teacher = teacherOf(seen, 'tfkd-self').div(temperature);
        const student = logits.div(temperature);
        const divergence =
          task.kind === 'one-of-k'
            ? ofClasses(teacher, student)
            : task.mean(ofFindings(teacher, student).div(outcomes), targets);
        return task
          .crossEntropy(logits, task.label(targets), targets)
          .mul(1 - alpha)
          .add(divergence, { alpha: weight });
      },
    };
  },
});

/** Classes that one prediction chooses among. */
function outcomesOf(task: Task, classes: number): number {
  return task.kind === 'one-of-k' ? classes : 2;
}

/** The mean over batch × classes of KL, of logits [N, K]. */
function ofClasses(teacher: Tensor, student: Tensor): Tensor {
  const mean = 1; // at::Reduction::Mean.
  return aten.kl_div(student.log_softmax(1), teacher.log_softmax(1), mean, { log_target: true });
}

/** KL(σ(a) ‖ σ(b)) = softplus(b) − softplus(a) − σ(a)·(b − a), by finding: [N, K]. */
function ofFindings(teacher: Tensor, student: Tensor): Tensor {
  const slope = teacher.sigmoid().mul(student.sub(teacher));
  return student.softplus().sub(teacher.softplus()).sub(slope);
}

/** @throws `objectives/teacher` where the batch has no teacher's logits */
export function teacherOf({ teacherLogits }: Seen, name: string): Tensor {
  if (teacherLogits !== undefined) return teacherLogits;
  throw new PenumbraError('objectives/teacher', `${name} was shown a batch without its teacher’s logits`, {
    hint: 'the trainer must run the teacher that the setting `teacher` names',
  });
}

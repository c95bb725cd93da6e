import { PenumbraError } from '../errors.ts';
import { aten, type Tensor } from '../torch/index.ts';
import type { Objective, ObjectiveBatch, ObjectiveContext } from './objective.ts';
import { checkPositive, checkRange } from './options.ts';
import { Stateless } from './stateless.ts';

/**
 * Teacher-free knowledge distillation (Yuan et al., CVPR 2020, arXiv 1909.11723). Both forms add to cross-entropy the
 * divergence from a teacher's softened probabilities q:
 *
 *     L = (1 − α)·CE(y, p) + α·m·KL(q ‖ p')
 *
 * As in the authors' code the divergence is averaged over batch × classes, that is, the mean per image divided by K,
 * and m makes up for it. Their settings were found with K = 100, where m = 100 is the mean per image.
 */
export interface TeacherFreeOptions {
  /** The teacher's share α, in [0, 1]. */
  readonly alpha?: number;
  /** T, above 0. */
  readonly temperature?: number;
  /** m, above 0. */
  readonly multiplier?: number;
}

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
export class TeacherFreeRegularization extends Stateless implements Objective {
  readonly name = 'tfkd-reg';
  readonly activation = 'softmax';
  private readonly alpha: number;
  private readonly multiplier: number;
  private readonly classes: number;
  /** q of the label, and of each other class. */
  private readonly right: number;
  private readonly other: number;

  /** @throws `objectives/option` */
  constructor(options: TeacherFreeOptions, { classes }: Pick<ObjectiveContext, 'classes'>) {
    super();
    checkTeacherFree('tfkd-reg', options);
    const { temperature = 20 } = options;
    this.alpha = options.alpha ?? 0.1;
    this.multiplier = options.multiplier ?? classes;
    this.classes = classes;
    const right = Math.exp(CORRECT / temperature);
    const other = Math.exp((1 - CORRECT) / (classes - 1) / temperature);
    this.right = right / (right + (classes - 1) * other);
    this.other = other / (right + (classes - 1) * other);
  }

  loss({ logits, labels }: ObjectiveBatch): Tensor {
    // Both terms are cross-entropies of the same p: one target of mass 1 − α + α·m/K, and the teacher's own entropy.
    const { alpha, classes, right, other } = this;
    const weight = (alpha * this.multiplier) / classes;
    const target = aten
      .one_hot(labels, classes)
      .mul(1 - alpha + weight * (right - other))
      .add(weight * other);
    const entropy = -right * Math.log(right) - (classes - 1) * other * Math.log(other);
    return aten.cross_entropy_loss(logits, target).sub(weight * entropy);
  }
}

/**
 * "self": the teacher is a trained, frozen copy of the same network; q = softmax(z_teacher / T), p' = softmax(z / T),
 * and the divergence is multiplied by T². Defaults: α = 0.95 and T = 6 as published for ResNet-18 on CIFAR-100, and
 * m = K/2, which at K = 100 is the published 50.
 */
export class TeacherFreeSelf extends Stateless implements Objective {
  readonly name = 'tfkd-self';
  readonly activation = 'softmax';
  private readonly alpha: number;
  private readonly temperature: number;
  private readonly multiplier: number;

  /** @throws `objectives/option` */
  constructor(options: TeacherFreeOptions, { classes }: Pick<ObjectiveContext, 'classes'>) {
    super();
    checkTeacherFree('tfkd-self', options);
    this.alpha = options.alpha ?? 0.95;
    this.temperature = options.temperature ?? 6;
    this.multiplier = options.multiplier ?? classes / 2;
  }

  /** @throws `objectives/teacher` where the batch has no teacher's logits */
  loss({ logits, labels, teacherLogits }: ObjectiveBatch): Tensor {
    if (teacherLogits === undefined) {
      throw new PenumbraError(
        'objectives/teacher',
        'tfkd-self was shown a batch without its teacher’s logits',
        {
          hint: 'the trainer must run the teacher that the setting `teacher` names',
        },
      );
    }
    const { alpha, temperature } = this;
    const teacher = teacherLogits.div(temperature).log_softmax(1);
    const student = logits.div(temperature).log_softmax(1);
    const mean = 1; // at::Reduction::Mean, over batch × classes.
    const divergence = aten.kl_div(student, teacher, mean, { log_target: true });
    const weight = alpha * this.multiplier * temperature ** 2;
    return aten
      .cross_entropy_loss(logits, labels)
      .mul(1 - alpha)
      .add(divergence, { alpha: weight });
  }
}

/** @throws `objectives/option` for α outside [0, 1], or a temperature or multiplier that is not positive */
export function checkTeacherFree(name: string, options: TeacherFreeOptions): void {
  const { alpha = 0, temperature = 1, multiplier = 1 } = options;
  checkRange(name, 'alpha', alpha, 0, 1);
  checkPositive(name, 'temperature', temperature);
  checkPositive(name, 'multiplier', multiplier);
}

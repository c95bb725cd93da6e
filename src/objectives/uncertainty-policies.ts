/** What becomes of a hedged finding when its label can only be 1 or 0: the policies of CheXpert, and softer forms. */
import { z } from 'zod';
import { needFindings, type TargetBatch } from '../tasks/index.ts';
import { aten, type Tensor } from '../torch/index.ts';
import { defineObjective, type Objective, type Seen } from './objective.ts';
import { narrowed } from './presence.ts';
import { teacherOf } from './teacher-free-kd.ts';
import { hedged } from './wording.ts';

const IRVIN = 'Irvin et al., AAAI 2019';
const PHAM = 'Pham et al., Neurocomputing 2021, arXiv 1911.06475';

/** Hedged findings are masked: no loss, no gradient. */
export const uIgnore = defineObjective({
  name: 'u-ignore',
  label: 'U-Ignore',
  summary: `Cross-entropy without the findings that were hedged (${IRVIN}).`,
  tasks: ['findings'],
  make: () => ({
    loss({ logits, targets }, task) {
      const plain = hedged(targets, 'u-ignore').neg().add(1);
      return task.crossEntropy(logits, needFindings(targets).values, narrowed(targets, plain));
    },
  }),
});

export const uZeros = mapped('u-zeros', 'U-Zeros', 0);
export const uOnes = mapped('u-ones', 'U-Ones', 1);

function mapped(name: string, label: string, value: 0 | 1) {
  return defineObjective({
    name,
    label,
    summary: `Hedged findings are taken for ${value === 1 ? 'present' : 'absent'} (${IRVIN}).`,
    tasks: ['findings'],
    make: () => ({ target: ({ targets }) => replaced(targets, name, value) }),
  });
}

export const uZerosSmoothed = smoothed('u-zeros-lsr', 'U-Zeros+LSR', 0, 0.3);
export const uOnesSmoothed = smoothed('u-ones-lsr', 'U-Ones+LSR', 0.55, 0.85);

/** The number is drawn anew each time that an image is seen: our reading. */
function smoothed(name: string, label: string, from: number, to: number) {
  return defineObjective({
    name,
    label,
    summary: `Hedged findings get a random target of [${from}, ${to}] (${PHAM}).`,
    tasks: ['findings'],
    options: z
      .strictObject({
        from: z.number().min(0).max(1).default(from).describe('the least target of a hedged finding'),
        to: z.number().min(0).max(1).default(to).describe('the largest'),
      })
      .refine((range) => range.from <= range.to, { message: 'from must not be above to' }),
    make: (range, { generator, device }): Objective => ({
      target({ targets }) {
        const { values } = needFindings(targets);
        const drawn = aten.rand(values.shape as number[], { generator, device });
        return replaced(targets, name, drawn.mul(range.to - range.from).add(range.from));
      },
    }),
  });
}

/** A first network, trained without the hedged findings, says what they are: its probability is their target. */
export const uSelfTrained = defineObjective({
  name: 'u-selftrained',
  label: 'U-SelfTrained',
  summary: `Hedged findings get the probability of a first network, trained without them (${IRVIN}).`,
  tasks: ['findings'],
  teacher: 'u-ignore',
  make: () => ({
    target: (seen: Seen) =>
      replaced(seen.targets, 'u-selftrained', teacherOf(seen, 'u-selftrained').sigmoid()),
  }),
});

/** y, and in place of a hedged one `value`. */
function replaced(targets: TargetBatch, name: string, value: number | Tensor): Tensor {
  const { values } = needFindings(targets);
  const doubt = hedged(targets, name);
  return typeof value === 'number'
    ? values.masked_fill(doubt.to({ dtype: 'bool' }), value)
    : values.lerp(value, doubt);
}

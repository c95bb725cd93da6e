import { z } from 'zod';
import { defineObjective } from './objective.ts';

/** (1 − ε)·onehot(y) + ε/K, and for findings (1 − ε)·y + ε/2. ε = 0 is the hard label. */
export const labelSmoothing = defineObjective({
  name: 'ls',
  label: 'Label smoothing',
  summary: 'A share ε of each label is spread evenly over all classes (Szegedy et al., CVPR 2016, §7).',
  tasks: ['one-of-k', 'findings'],
  options: z.strictObject({
    epsilon: z.number().min(0).max(1).default(0.1).describe('the share ε, as in most published comparisons'),
  }),
  make: ({ epsilon }) => ({ target: ({ targets }, task) => task.label(targets, epsilon) }),
});

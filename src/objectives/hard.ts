import { defineObjective } from './objective.ts';

/** What every other method is compared with: −log p_y, and for findings −y·log p − (1 − y)·log(1 − p). */
export const hard = defineObjective({
  name: 'hard',
  label: 'Hard labels',
  summary: 'Cross-entropy against the labels themselves.',
  tasks: ['one-of-k', 'findings'],
  make: () => ({ target: ({ targets }, task) => task.label(targets) }),
});

import { z } from 'zod';
import { needFindings } from '../tasks/index.ts';
import { defineObjective } from './objective.ts';
import { expressed } from './wording.ts';

/**
 * The target p·(1 − 2ε) + ε of the expressed probability p. Doubt that is mere stability ("unchanged") is dropped before, by
 * `penumbra dataset build`, which masks such statements.
 */
export const maplez = defineObjective({
  name: 'maplez',
  label: 'MAPLEZ target',
  summary:
    'Cross-entropy on the expressed probability, drawn in by ε from both ends (after Bigolin Lanfredi et al., arXiv 2403.04024).',
  tasks: ['findings'],
  options: z.strictObject({
    epsilon: z.number().min(0).lt(0.5).default(0.05).describe('ε: no target is nearer to 0 or 1'),
  }),
  make: ({ epsilon }) => ({
    target: ({ targets }) =>
      expressed(needFindings(targets))
        .mul(1 - 2 * epsilon)
        .add(epsilon),
  }),
});

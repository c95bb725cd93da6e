import { needFindings } from '../tasks/index.ts';
import { defineObjective } from './objective.ts';
import { expressed, needRates } from './wording.ts';

/**
 * Cross-entropy on the probability that the wording expresses, p = (1 − r)·y + r/2 with r ≥ 0: generalized label smoothing
 * with the wording's rates and no correction of the extractor's errors (`gls:rates=data,error=0`).
 */
export const soft = defineObjective({
  name: 'soft',
  label: 'Expressed probability',
  summary: 'Cross-entropy on the probability that the report expresses, p = (1 − r)·y + r/2.',
  tasks: ['findings'],
  make: () => ({
    target({ targets }) {
      needRates(targets, 'soft');
      return expressed(needFindings(targets));
    },
  }),
});

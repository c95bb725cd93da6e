import { PenumbraError } from '../errors.ts';
import type { Predictions } from './predictions.ts';

/** One run or several as several, all of the same samples. */
export function asRuns(input: Predictions | readonly Predictions[]): readonly Predictions[] {
  const runs = 'labels' in input ? [input] : input;
  const first = runs[0];
  if (first === undefined) {
    throw new PenumbraError('metrics/empty', 'There are no runs to measure.', { hint: 'Give at least one.' });
  }
  runs.forEach((run, s) => {
    const same =
      run.classes === first.classes &&
      run.labels.length === first.labels.length &&
      run.labels.every((y, i) => y === first.labels[i]);
    if (!same) {
      throw new PenumbraError(
        'metrics/runs',
        `Run ${s} is not of the same samples as run 0: its labels differ.`,
        {
          hint: 'Give predictions for the same samples in the same order.',
          where: { run: s },
        },
      );
    }
  });
  return runs;
}

import { PenumbraError } from '../../errors.ts';

/** The factor of the base learning rate at `progress` epochs (fractions count steps inside an epoch). */
export type Schedule = (progress: number) => number;

export function constant(): Schedule {
  return () => 1;
}

/** Multiplies by `gamma` at each of the given epochs. */
export function multiStep(milestones: readonly number[], gamma = 0.1): Schedule {
  return (progress) => gamma ** milestones.filter((milestone) => progress >= milestone).length;
}

/** Half a cosine from 1 down to `minimum` at `epochs` (Loshchilov and Hutter 2017, without restarts). */
export function cosine(epochs: number, minimum = 0): Schedule {
  if (!(epochs > 0))
    throw new PenumbraError('torch/schedule', `cosine: expected a positive number of epochs, got ${epochs}`);
  return (progress) =>
    minimum + (1 - minimum) * 0.5 * (1 + Math.cos(Math.PI * Math.min(1, progress / epochs)));
}

/** A straight line from `start` to the schedule's own value over the first `epochs`. */
export function warmUp(schedule: Schedule, epochs: number, start = 0.01): Schedule {
  return (progress) =>
    progress >= epochs
      ? schedule(progress)
      : schedule(progress) * (start + ((1 - start) * progress) / epochs);
}

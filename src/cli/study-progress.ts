import type { PlannedRun } from '../study/plan.ts';
import type { StudyEvent } from '../study/study.ts';
import { describeVal } from './fit-progress.ts';
import { createProgress, formatDuration, type Progress } from './progress.ts';

/** A run of a study of several sets and networks. */
export function runName({ set, network, method, seed }: PlannedRun): string {
  return `${set} ${network} ${method} seed ${seed}`;
}

/** Says which runs diverged; the command then fails, though all others were judged. */
export function tellFailed(
  failed: ReadonlyMap<PlannedRun, string>,
  nameOf: (run: PlannedRun) => string,
): void {
  for (const [run, reason] of failed) process.stderr.write(`failed: ${nameOf(run)}: ${reason}\n`);
  if (failed.size > 0) process.exitCode = 1;
}

/** Shows a study on stderr: a bar for each run, with the share and the time left of the whole. */
export function showStudy(nameOf: (run: PlannedRun) => string): (event: StudyEvent) => void {
  let progress: Progress | undefined;
  let images = 0;
  let label = '';
  return (event) => {
    if (event.type === 'judge') {
      process.stderr.write(`judging: ${event.message}\n`);
    } else if (event.type === 'wait') {
      process.stderr.write(`${event.runs} runs are trained by other processes: waiting for them\n`);
    } else if (event.type === 'run') {
      label = `[${event.number}/${event.runs}] ${nameOf(event.run)}`;
      if (event.state === 'finished-before') process.stderr.write(`${label}: finished before\n`);
      if (event.state === 'elsewhere') process.stderr.write(`${label}: another process trains it\n`);
      if (event.state === 'failed') process.stderr.write(`${label}: failed: ${event.message}\n`);
    } else {
      const { event: fit, share, secondsLeft } = event;
      const batch = event.run.config.batchSize;
      const whole =
        `study ${Math.floor(100 * share)} %` +
        (secondsLeft === null ? '' : `, ${formatDuration(secondsLeft)} left`);
      if (fit.type === 'start')
        progress = createProgress({ label, total: fit.steps * batch, unit: 'images' });
      else if (fit.type === 'resume')
        process.stderr.write(`${label}: going on from step ${fit.step}, epoch ${fit.epoch + 1}\n`);
      else if (fit.type === 'notice') process.stderr.write(`${label}: ${fit.message}\n`);
      else if (fit.type === 'step') {
        images = fit.step * batch;
        progress?.update(images, `loss ${fit.loss.toFixed(3)}  ${whole}`);
      } else if (fit.metrics.epoch === fit.epochs) {
        const { val } = fit.metrics;
        progress?.done(`${val === undefined ? '' : `val ${describeVal(val)}  `}${whole}`);
      }
    }
  };
}

import type { PlannedRun } from '../study/plan.ts';
import type { StudyEvent } from '../study/study.ts';
import type { TrainEvent } from '../study/train-study.ts';
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

/**
 * Shows a study on stderr: a bar for each run, with the share and the time left of the whole; where several runs are
 * trained at a time, one bar for all of them.
 */
export function showStudy(nameOf: (run: PlannedRun) => string): (event: StudyEvent) => void {
  let show = showOne(nameOf);
  let busy = false;
  return (event) => {
    if (event.type === 'jobs') {
      const { jobs, threads } = event;
      process.stderr.write(
        `${jobs} ${jobs === 1 ? 'job' : 'jobs at a time'}, each with ${threads} ${threads === 1 ? 'thread' : 'threads'}\n`,
      );
      if (jobs > 1) show = showSeveral(nameOf);
    } else if (event.type === 'judge') {
      process.stderr.write(`judging: ${event.message}\n`);
    } else if (event.type === 'fit' && event.event.type === 'busy') {
      // The machine is one for all runs.
      if (!busy) process.stderr.write(`${nameOf(event.run)}: ${event.event.message}\n`);
      busy = true;
    } else show(event);
  };
}

function showOne(nameOf: (run: PlannedRun) => string): (event: TrainEvent) => void {
  let progress: Progress | undefined;
  let images = 0;
  let label = '';
  return (event) => {
    if (event.type === 'wait' || event.type === 'notice') {
      process.stderr.write(`${textOf(event, nameOf)}\n`);
    } else if (event.type === 'run') {
      label = labelOf(event, nameOf);
      if (event.state !== 'start' && event.state !== 'done')
        process.stderr.write(`${label}: ${stateOf(event)}\n`);
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
      } else if (fit.type === 'epoch' && fit.metrics.epoch === fit.epochs) {
        const { val } = fit.metrics;
        progress?.done(`${val === undefined ? '' : `val ${describeVal(val)}  `}${whole}`);
      }
    }
  };
}

/** One bar over the images that were left, with the runs under way behind it, and a line for each that ends. */
function showSeveral(nameOf: (run: PlannedRun) => string): (event: TrainEvent) => void {
  let progress: Progress | undefined;
  let before = 0;
  const under = new Map<PlannedRun, string>();
  const labels = new Map<PlannedRun, string>();
  const vals = new Map<PlannedRun, string>();
  const say = (line: string) => process.stderr.write(`${process.stderr.isTTY ? '\r\x1b[K' : ''}${line}\n`);
  return (event) => {
    if (event.type === 'wait' || event.type === 'notice') {
      say(textOf(event, nameOf));
    } else if (event.type === 'run') {
      const label = labelOf(event, nameOf);
      labels.set(event.run, label);
      const val = vals.get(event.run);
      if (event.state !== 'start') under.delete(event.run);
      say(`${label}: ${stateOf(event)}${event.state === 'done' && val !== undefined ? `, val ${val}` : ''}`);
    } else {
      const { event: fit, run, images, secondsLeft } = event;
      const label = labels.get(run) ?? nameOf(run);
      if (progress === undefined) {
        before = images.done;
        progress = createProgress({ label: 'study', total: Math.round(images.all - before), unit: 'images' });
      }
      if (fit.type === 'resume') say(`${label}: going on from step ${fit.step}, epoch ${fit.epoch + 1}`);
      else if (fit.type === 'notice') say(`${label}: ${fit.message}`);
      else if (fit.type === 'epoch') {
        if (fit.metrics.val !== undefined) vals.set(run, describeVal(fit.metrics.val));
      } else if (fit.type === 'step') {
        under.set(
          run,
          `${nameOf(run)} ${Math.floor((100 * fit.step) / fit.steps)} % loss ${fit.loss.toFixed(3)}`,
        );
        const done = Math.max(0, Math.round(images.done - before));
        progress.update(done, secondsLeft === 0 ? '' : [...under.values()].join('  '));
        if (secondsLeft === 0) progress.done();
      }
    }
  };
}

function labelOf(
  { number, runs, run }: Extract<TrainEvent, { type: 'run' }>,
  nameOf: (run: PlannedRun) => string,
): string {
  return `[${number}/${runs}] ${nameOf(run)}`;
}

function stateOf({ state, message }: Extract<TrainEvent, { type: 'run' }>): string {
  if (state === 'finished-before') return 'finished before';
  if (state === 'elsewhere') return 'another process trains it';
  if (state === 'failed') return `failed: ${message}`;
  return state;
}

function textOf(
  event: Extract<TrainEvent, { type: 'wait' | 'notice' }>,
  nameOf: (run: PlannedRun) => string,
): string {
  if (event.type === 'wait') return `${event.runs} runs are trained by other processes: waiting for them`;
  return event.run === undefined ? event.message : `${nameOf(event.run)}: ${event.message}`;
}

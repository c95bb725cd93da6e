import { setTimeout as sleep } from 'node:timers/promises';
import { PenumbraError } from '../errors.ts';
import { type FitEvent, fit } from '../training/index.ts';
import { StudyClock } from './clock.ts';
import { isFinished, type PlannedRun } from './plan.ts';

/** What the training of a study tells while it goes on. */
export type TrainEvent =
  | {
      readonly type: 'run';
      readonly run: PlannedRun;
      /** From 1, of the runs of this call. */
      readonly number: number;
      readonly runs: number;
      readonly state: 'start' | 'finished-before' | 'done' | 'elsewhere' | 'failed';
      /** Of a failure. */
      readonly message?: string;
    }
  | {
      readonly type: 'fit';
      readonly run: PlannedRun;
      readonly event: FitEvent;
      /** Of the whole call's images, in [0, 1]. */
      readonly share: number;
      /** Of the whole call's training; null before anything was measured. */
      readonly secondsLeft: number | null;
    }
  /** Other processes hold all runs that are left. */
  | { readonly type: 'wait'; readonly runs: number };

export interface TrainOutcome {
  /** False where it was aborted: the same call goes on. */
  readonly finished: boolean;
  /** Runs that diverged, with the reason; the others went on. */
  readonly failed: ReadonlyMap<PlannedRun, string>;
}

/** Milliseconds between two looks at runs that another process trains. */
const LOOK_EVERY = 5000;

/**
 * Trains runs in their order. Finished ones are passed over, and so are those that another process holds, or whose
 * teacher it holds: they are looked at again at the end, and waited for. A run that diverges leaves the others alone.
 */
export async function trainStudy(
  runs: readonly PlannedRun[],
  options: {
    readonly signal?: AbortSignal | undefined;
    readonly onEvent?: (event: TrainEvent) => void;
    /** Default: 5,000 ms. */
    readonly lookEvery?: number;
  } = {},
): Promise<TrainOutcome> {
  const { signal, onEvent = () => {}, lookEvery = LOOK_EVERY } = options;
  const clock = new StudyClock(runs);
  const failed = new Map<PlannedRun, string>();
  const outcome = (finished: boolean) => ({ finished, failed });
  let queue = [...runs];
  while (queue.length > 0) {
    const later: PlannedRun[] = [];
    for (const run of queue) {
      if (signal?.aborted) return outcome(false);
      const tell = (state: Extract<TrainEvent, { type: 'run' }>['state'], message?: string) =>
        onEvent({
          type: 'run',
          run,
          number: runs.indexOf(run) + 1,
          runs: runs.length,
          state,
          ...(message !== undefined && { message }),
        });
      const before = isFinished(run);
      if (!before && run.teacher !== undefined && failed.has(run.teacher)) {
        failed.set(run, 'its teacher failed');
        tell('failed', 'its teacher failed');
        continue;
      }
      if (!before && run.teacher !== undefined && !isFinished(run.teacher)) {
        later.push(run);
        continue;
      }
      tell(before ? 'finished-before' : 'start');
      const timer = new RunTimer(run, clock);
      try {
        // A finished run is asked too: it must be of the same settings.
        const { dataset, path: dataPath } = run.cell.set;
        // biome-ignore lint/suspicious/noFocusedTests: it trains
        const { finished } = await fit({
          config: run.config,
          dataset,
          dataPath,
          folder: run.folder,
          ...(signal && { signal }),
          onEvent(event) {
            timer.hear(event);
            onEvent({ type: 'fit', run, event, share: clock.share, secondsLeft: clock.secondsLeft });
          },
        });
        if (!finished) return outcome(false);
        clock.reached(run, 1);
        if (!before) tell('done');
      } catch (error) {
        const code = error instanceof PenumbraError ? error.code : '';
        if (code === 'training/locked') {
          tell('elsewhere');
          later.push(run);
        } else if (code === 'training/diverged') {
          failed.set(run, (error as Error).message);
          tell('failed', (error as Error).message);
        } else throw error;
      }
    }
    if (later.length > 0 && later.length === queue.length) {
      onEvent({ type: 'wait', runs: later.length });
      await sleep(lookEvery, undefined, { ...(signal && { signal }) }).catch(() => {});
    }
    queue = later;
  }
  return outcome(true);
}

/** Measures one run's speed, with its evaluations, and tells the clock. */
class RunTimer {
  private readonly run: PlannedRun;
  private readonly clock: StudyClock;
  private images = 0;
  private since = 0;

  constructor(run: PlannedRun, clock: StudyClock) {
    this.run = run;
    this.clock = clock;
  }

  hear(event: FitEvent): void {
    const now = performance.now();
    if (event.type === 'start' || event.type === 'resume') {
      this.since = now;
      this.images = 0;
    } else if (event.type === 'step') {
      this.images += event.images;
      this.clock.reached(this.run, event.step / event.steps);
      this.clock.during(this.run, this.images, (now - this.since) / 1000);
    } else if (event.type === 'epoch') {
      this.clock.add(this.run, this.images, (now - this.since) / 1000);
      this.images = 0;
      this.since = now;
    }
  }
}

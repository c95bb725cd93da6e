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
      /** Of the whole call: images trained on, those of earlier calls with them, and all. */
      readonly images: { readonly done: number; readonly all: number };
    }
  | { readonly type: 'notice'; readonly run?: PlannedRun; readonly message: string }
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

/** Trains one run at a time, or several. */
export interface Trainer {
  /** How many runs it trains at a time. */
  readonly slots: number;
  /** @returns false where it was aborted: the run's folder holds the checkpoint to go on from */
  train(
    run: PlannedRun,
    options: {
      readonly signal?: AbortSignal | undefined;
      readonly onEvent: (event: FitEvent) => void;
      readonly onNotice: (message: string) => void;
    },
  ): Promise<boolean>;
}

/** One run at a time, in this process. */
const here: Trainer = {
  slots: 1,
  async train(run, { signal, onEvent }) {
    const { dataset, path: dataPath } = run.cell.set;
    // biome-ignore lint/suspicious/noFocusedTests: it trains
    const { finished } = await fit({
      config: run.config,
      dataset,
      dataPath,
      folder: run.folder,
      ...(signal && { signal }),
      onEvent,
    });
    return finished;
  },
};

export interface TrainStudyOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: (event: TrainEvent) => void;
  /** Default: 5,000 ms. */
  readonly lookEvery?: number;
  /** Default: one run at a time, in this process. */
  readonly trainer?: Trainer;
}

/**
 * Trains runs in their order, as many at a time as the trainer does. Finished ones are passed over, and so are those
 * that another process holds, or whose teacher is not finished: they are looked at again, and waited for. A run that
 * diverges leaves the others alone.
 * @throws what training raises. Where several are trained at a time, those under way are finished first, and all others
 *   too if the run had begun: what ended it is its own then (its data, the disk), and not the study's settings
 */
export async function trainStudy(
  runs: readonly PlannedRun[],
  options: TrainStudyOptions = {},
): Promise<TrainOutcome> {
  const training = new StudyTraining(runs, options);
  return await training.train();
}

class StudyTraining {
  private readonly runs: readonly PlannedRun[];
  private readonly signal: AbortSignal | undefined;
  private readonly onEvent: (event: TrainEvent) => void;
  private readonly lookEvery: number;
  private readonly trainer: Trainer;
  private readonly clock: StudyClock;
  private readonly failed = new Map<PlannedRun, string>();
  private readonly errors = new Map<PlannedRun, unknown>();
  /** Runs that are not looked at yet, or have to be again. */
  private readonly left: Set<PlannedRun>;
  /** Of those, the ones that another process held at the last look. */
  private readonly held = new Set<PlannedRun>();
  private readonly busy = new Map<PlannedRun, Promise<void>>();
  private stopped = false;
  /** Whether anything came to its end since the last look at what others hold. */
  private moved = false;

  constructor(runs: readonly PlannedRun[], options: TrainStudyOptions) {
    this.runs = runs;
    this.signal = options.signal;
    this.onEvent = options.onEvent ?? (() => {});
    this.lookEvery = options.lookEvery ?? LOOK_EVERY;
    this.trainer = options.trainer ?? here;
    this.clock = new StudyClock(runs, this.trainer.slots);
    this.left = new Set(runs);
  }

  async train(): Promise<TrainOutcome> {
    for (;;) {
      await this.startRuns();
      if (this.busy.size > 0) await this.waitForOne();
      else if (this.isStopped || this.left.size === 0) break;
      else await this.waitForOthers();
    }
    const [first] = this.errors;
    if (first !== undefined) throw this.summary(...first);
    return { finished: !this.isStopped, failed: this.failed };
  }

  private get isStopped(): boolean {
    return this.stopped || this.signal?.aborted === true;
  }

  private async startRuns(): Promise<void> {
    for (const run of this.runs) {
      if (this.isStopped || this.busy.size >= this.trainer.slots) return;
      if (!this.left.has(run) || this.held.has(run)) continue;
      const before = isFinished(run);
      if (!before && run.teacher !== undefined) {
        if (this.failed.has(run.teacher) || this.errors.has(run.teacher)) {
          this.left.delete(run);
          this.fail(run, 'its teacher failed');
          continue;
        }
        if (!isFinished(run.teacher)) continue;
      }
      this.left.delete(run);
      // A finished run is asked too: it must be of the same settings.
      const ended = this.trainOne(run, before);
      if (before) await ended;
      else
        this.busy.set(
          run,
          ended.finally(() => this.busy.delete(run)),
        );
    }
  }

  private async trainOne(run: PlannedRun, before: boolean): Promise<void> {
    this.tell(run, before ? 'finished-before' : 'start');
    const timer = new RunTimer(run, this.clock);
    let begun = false;
    try {
      const finished = await (before ? here : this.trainer).train(run, {
        signal: this.signal,
        onEvent: (event) => {
          begun ||= event.type === 'step';
          timer.hear(event);
          const { share, secondsLeft } = this.clock;
          this.onEvent({ type: 'fit', run, event, share, secondsLeft, images: this.clock.images });
        },
        onNotice: (message) => this.onEvent({ type: 'notice', run, message }),
      });
      if (!finished) {
        this.stopped = true;
        return;
      }
      this.clock.reached(run, 1);
      this.moved = true;
      if (!before) this.tell(run, 'done');
    } catch (error) {
      const code = error instanceof PenumbraError ? error.code : '';
      if (code === 'training/locked') {
        this.tell(run, 'elsewhere');
        this.left.add(run);
        this.held.add(run);
      } else if (code === 'training/diverged') {
        this.fail(run, (error as Error).message);
      } else {
        this.errors.set(run, error);
        this.moved = true;
        const alone = this.trainer.slots === 1;
        if (!alone && error instanceof PenumbraError) this.tell(run, 'failed', error.message);
        if (alone || !begun) this.stopped = true;
      }
    }
  }

  private fail(run: PlannedRun, reason: string): void {
    this.failed.set(run, reason);
    this.moved = true;
    this.tell(run, 'failed', reason);
  }

  /** Until a run ends here, or it is time to look again at those that others hold. */
  private async waitForOne(): Promise<void> {
    const ends = [...this.busy.values()];
    if (this.held.size === 0 || this.busy.size === this.trainer.slots) return Promise.race(ends);
    const look = sleep(this.lookEvery, undefined, { ref: false }).then(() => this.held.clear());
    return Promise.race([...ends, look]);
  }

  private async waitForOthers(): Promise<void> {
    if (!this.moved) {
      this.onEvent({ type: 'wait', runs: this.left.size });
      const { signal } = this;
      await sleep(this.lookEvery, undefined, { ...(signal && { signal }) }).catch(() => {});
    }
    this.moved = false;
    this.held.clear();
  }

  private tell(
    run: PlannedRun,
    state: Extract<TrainEvent, { type: 'run' }>['state'],
    message?: string,
  ): void {
    this.onEvent({
      type: 'run',
      run,
      number: this.runs.indexOf(run) + 1,
      runs: this.runs.length,
      state,
      ...(message !== undefined && { message }),
    });
  }

  /** The first error, with the name of its run where several are trained at a time. */
  private summary(run: PlannedRun, error: unknown): unknown {
    if (this.trainer.slots === 1 || !(error instanceof PenumbraError)) return error;
    const { code, message, hint, where } = error;
    const name = `${run.set} ${run.network} ${run.method} seed ${run.seed}`;
    const more = this.errors.size - 1;
    const others = more === 0 ? '' : ` (and ${more} more ${more === 1 ? 'run' : 'runs'} failed, as was said)`;
    return new PenumbraError(code, `${name}: ${message}${others}`, {
      ...(hint !== undefined && { hint }),
      where,
      cause: error,
    });
  }
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

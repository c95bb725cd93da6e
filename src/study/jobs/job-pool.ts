import { setTimeout as sleep } from 'node:timers/promises';
import { PenumbraError } from '../../errors.ts';
import type { FitEvent } from '../../training/index.ts';
import type { PlannedRun } from '../plan.ts';
import type { Trainer } from '../train-study.ts';
import { JobProcess } from './job-process.ts';
import { freeMemory, gigabytes } from './memory.ts';
import type { Job, JobSource } from './protocol.ts';

/** Before this step of the first run nothing is known of how much memory a run takes. */
const KNOWN_AFTER = 3;
/** Milliseconds between two looks at the memory. */
const LOOK_EVERY = 250;

/** A run that is trained now. */
interface Active {
  process: JobProcess | undefined;
  steps: number;
}

/**
 * Trains several runs at a time, each in a process of its own that goes from run to run. The processes end with this
 * one, however it ends. One that ends on its way is replaced once, and its run goes on from its checkpoint. No run is
 * started that the machine has no memory for, as long as others are under way.
 */
export class JobPool implements Trainer, AsyncDisposable {
  readonly slots: number;
  private readonly source: JobSource;
  private readonly idle: JobProcess[] = [];
  private readonly active = new Set<Active>();
  /** The most memory that one process has held, in bytes. */
  private peak = 0;
  private admission: Promise<unknown> = Promise.resolve();
  private readonly memory: () => number;

  /** @param options.memory for tests: what is free, in bytes */
  constructor(source: JobSource, slots: number, { memory = freeMemory }: { memory?: () => number } = {}) {
    this.source = source;
    this.slots = slots;
    this.memory = memory;
  }

  /** @throws what training raises; `study/job-died` where the run's process ended twice */
  async train(
    run: PlannedRun,
    {
      signal,
      onEvent,
      onNotice,
    }: {
      signal?: AbortSignal | undefined;
      onEvent: (event: FitEvent) => void;
      onNotice: (message: string) => void;
    },
  ): Promise<boolean> {
    const active = await this.admit(signal, onNotice);
    if (active === undefined) return false;
    try {
      for (let deaths = 0; ; ) {
        try {
          return await this.trainOnce(run, active, signal, onEvent);
        } catch (error) {
          if (!(error instanceof PenumbraError) || error.code !== 'study/job-died') throw error;
          if (signal?.aborted) return false;
          if (++deaths === 2) {
            throw new PenumbraError(error.code, `${error.message}, twice`, {
              hint: `the run goes on from its checkpoint with the same command. ${error.hint}`,
            });
          }
          active.steps = 0;
          onNotice(`${error.message}; another goes on from its checkpoint`);
        }
      }
    } finally {
      this.active.delete(active);
      if (active.process?.alive) this.idle.push(active.process);
    }
  }

  /** Images a second of `jobs` runs at a time, all together; undefined where there is no memory for so many. */
  async time(job: Job, jobs: number, seconds: number): Promise<number | undefined> {
    const more = jobs - this.idle.length;
    if (jobs > 1 && this.memory() < more * this.peak) return undefined;
    const processes = await Promise.all(Array.from({ length: jobs }, () => this.take()));
    try {
      const speeds = await Promise.all(processes.map((process) => process.time(job, seconds)));
      for (const process of processes) this.look(process);
      return speeds.reduce((sum, speed) => sum + speed, 0);
    } finally {
      this.idle.push(...processes.filter(({ alive }) => alive));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.idle.splice(0).map((process) => process.end()));
  }

  private async trainOnce(
    run: PlannedRun,
    active: Active,
    signal: AbortSignal | undefined,
    onEvent: (event: FitEvent) => void,
  ): Promise<boolean> {
    const process = active.process?.alive ? active.process : await this.take();
    active.process = process;
    if (signal?.aborted) return false;
    const stop = () => process.stop();
    signal?.addEventListener('abort', stop);
    let lookedAt = Number.NEGATIVE_INFINITY;
    try {
      const { set, config, folder } = run;
      return await process.train({ set, config, folder }, (event) => {
        if (event.type === 'step' && (++active.steps <= KNOWN_AFTER || performance.now() - lookedAt > 1000)) {
          this.look(process);
          lookedAt = performance.now();
        }
        onEvent(event);
      });
    } finally {
      signal?.removeEventListener('abort', stop);
    }
  }

  private async take(): Promise<JobProcess> {
    for (let process = this.idle.pop(); process !== undefined; process = this.idle.pop())
      if (process.alive) return process;
    const process = new JobProcess();
    try {
      await process.open(this.source);
    } catch (error) {
      await process.end();
      throw error;
    }
    return process;
  }

  private look(process: JobProcess): void {
    this.peak = Math.max(this.peak, process.memory?.peak ?? 0);
  }

  /** Waits for memory, one after another. @returns undefined where it was aborted */
  private admit(
    signal: AbortSignal | undefined,
    onNotice: (message: string) => void,
  ): Promise<Active | undefined> {
    const admitted = this.admission.then(async () => {
      let said = false;
      while (this.active.size > 0) {
        if (signal?.aborted) return undefined;
        const known = [...this.active].some(({ steps }) => steps >= KNOWN_AFTER) || this.idle.length > 0;
        const free = this.memory() - this.growth();
        // A process that waits for its next run has its memory already.
        const wanted = this.idle.length > 0 ? 0 : this.peak;
        if (known && free >= wanted) break;
        if (known && !said) {
          said = true;
          onNotice(
            `waits for memory: a run takes ${gigabytes(this.peak)}, and ${gigabytes(Math.max(0, free))} will be free; ` +
              `${this.active.size} of ${this.slots} jobs are at work`,
          );
        }
        await sleep(LOOK_EVERY);
      }
      if (signal?.aborted) return undefined;
      const active: Active = { process: undefined, steps: 0 };
      this.active.add(active);
      return active;
    });
    this.admission = admitted.catch(() => {});
    return admitted;
  }

  /** What the runs under way may still take, in bytes. */
  private growth(): number {
    return [...this.active].reduce(
      (sum, { process }) => sum + Math.max(0, this.peak - (process?.memory?.now ?? 0)),
      0,
    );
  }
}

import { RunFolder } from '../training/index.ts';
import type { PlannedRun } from './plan.ts';

/** What is left of a study's training, from the images that are still to be trained on and the speeds measured so far. */
export class StudyClock {
  private readonly runs: readonly PlannedRun[];
  private readonly jobs: number;
  /** Images that each run has been trained on. */
  private readonly done = new Map<PlannedRun, number>();
  /** Images and seconds so far by set and network. */
  private readonly measured = new Map<string, Measured>();
  /** The epochs that are going on: each counts until it is added whole. */
  private readonly live = new Map<PlannedRun, Measured>();

  /** @param jobs how many runs are trained at a time */
  constructor(runs: readonly PlannedRun[], jobs = 1) {
    this.runs = runs;
    this.jobs = jobs;
    for (const run of runs) {
      const folder = new RunFolder(run.folder);
      const epochs = folder.metrics();
      for (const { seconds, imagesPerSecond } of epochs) this.add(run, seconds * imagesPerSecond, seconds);
      this.done.set(run, folder.finished ? run.images : (run.images * epochs.length) / run.config.epochs);
    }
  }

  /** Part of a run's work was done. @param share of the run, in [0, 1] */
  reached(run: PlannedRun, share: number): void {
    this.done.set(run, run.images * share);
  }

  /** Images that took so many seconds, evaluation and all. */
  add(run: PlannedRun, images: number, seconds: number): void {
    const place = placeOf(run);
    const { images: i, seconds: s } = this.measured.get(place) ?? { images: 0, seconds: 0 };
    this.measured.set(place, { images: i + images, seconds: s + seconds });
    this.live.delete(run);
  }

  /** The same of an epoch that is not over. */
  during(run: PlannedRun, images: number, seconds: number): void {
    this.live.set(run, { images, seconds });
  }

  /** Images of all runs, and those that they have been trained on. */
  get images(): { readonly done: number; readonly all: number } {
    const all = this.runs.reduce((sum, run) => sum + run.images, 0);
    return { done: [...this.done.values()].reduce((a, b) => a + b, 0), all };
  }

  /** Of all images of all runs, in [0, 1]. */
  get share(): number {
    const { done, all } = this.images;
    return done / Math.max(1, all);
  }

  /**
   * Images a second of a set and network; of all that were measured where that one was not; null where none was.
   */
  speed(run: PlannedRun): number | null {
    const all = [...this.measured].map(([place, one]) => ({ place, ...one }));
    for (const [one, part] of this.live) all.push({ place: placeOf(one), ...part });
    const place = placeOf(run);
    const own = all.filter((one) => one.place === place);
    const used = own.some((one) => one.seconds > 0) ? own : all;
    const seconds = used.reduce((sum, one) => sum + one.seconds, 0);
    return seconds > 0 ? used.reduce((sum, one) => sum + one.images, 0) / seconds : null;
  }

  /** Seconds of training left; null before anything was measured. */
  get secondsLeft(): number | null {
    let left = 0;
    let longest = 0;
    for (const run of this.runs) {
      const images = run.images - this.done.get(run)!;
      if (images <= 0) continue;
      const speed = this.speed(run);
      if (speed === null) return null;
      left += images / speed;
      longest = Math.max(longest, images / speed);
    }
    // Speeds are those of one run among its neighbours. The last runs may have a part of the jobs only.
    return Math.max(longest, left / this.jobs);
  }
}

interface Measured {
  readonly images: number;
  readonly seconds: number;
}

function placeOf({ set, network }: PlannedRun): string {
  return JSON.stringify([set, network]);
}

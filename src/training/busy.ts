/** Notices that other programs take the processors from a run. */
import { cpus } from 'node:os';

/** What the machine and this process have done so far. */
export interface ProcessorTimes {
  /** Since any moment. */
  readonly seconds: number;
  /** Processor seconds of the whole machine that were not idle. */
  readonly busy: number;
  /** Processor seconds of this process. */
  readonly own: number;
  readonly processors: number;
}

/** Seconds since any moment. */
function seconds(): number {
  return performance.now() / 1000;
}

export function processorTimes(): ProcessorTimes {
  const all = cpus();
  const busy = all.reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0);
  const { user, system } = process.cpuUsage();
  return {
    seconds: seconds(),
    busy: busy / 1000,
    own: (user + system) / 1e6,
    processors: all.length,
  };
}

/** Seconds that are looked at together; two in a row must show it, as anything may take a moment. */
const WINDOW = 10;
/** Steps that warm up, whose speed says nothing. */
const WARM_UP = 3;
/** The part of the first speed below which a run is slow. */
const SLOW = 0.5;
/** Processors more than the run leaves to others by itself. */
const TAKEN = 0.3;
/** The part of the machine's processors that is at work where nobody can have more. */
const FULL = 0.9;

/**
 * Watches a run's speed, and who has the processors. The threads of an operator wait for each other at its end, so that one
 * other program that takes a core from time to time slows all of them down, by far more than it takes: two threads on two
 * cores fell from 41 to 8 images a second beside one busy process, where one thread stood at 25.
 */
export class BusyWatch {
  private readonly threads: number;
  private from: ProcessorTimes | undefined;
  private images = 0;
  private steps = 0;
  /** Images a second of the first window. */
  private first: number | undefined;
  /** Windows in a row that were slow, or in which others took processors. */
  private slow = 0;
  private taken = 0;
  private said = false;

  constructor(threads: number) {
    this.threads = threads;
  }

  /**
   * To be called after every step.
   * @param clock in seconds, as in `times`, which is asked at the end of a window only: it reads of every processor
   * @returns what to tell, the first time that there is something
   */
  step(images: number, clock = seconds, times = processorTimes): string | undefined {
    if (this.said || ++this.steps < WARM_UP) return undefined;
    if (this.from === undefined) {
      this.from = times();
      return undefined;
    }
    this.images += images;
    if (clock() - this.from.seconds < WINDOW) return undefined;
    const now = times();
    const found = this.look(this.from, now);
    this.from = now;
    this.images = 0;
    this.said = found !== undefined;
    return found;
  }

  private look(from: ProcessorTimes, to: ProcessorTimes): string | undefined {
    const seconds = to.seconds - from.seconds;
    const speed = this.images / seconds;
    const [busy, own] = [(to.busy - from.busy) / seconds, (to.own - from.own) / seconds];
    const others = Math.max(0, busy - own);
    const left = Math.max(0, to.processors - this.threads);
    this.taken = busy >= FULL * to.processors && others > left + TAKEN ? this.taken + 1 : 0;
    this.slow = this.first !== undefined && speed < SLOW * this.first ? this.slow + 1 : 0;
    this.first ??= speed;
    if (this.taken < 2 && this.slow < 2) return undefined;
    const fell = this.slow > 0 ? `${rate(speed)} images/s, ${rate(this.first)} at the start; ` : '';
    if (this.taken === 0) {
      return `${fell}other programs do not take the processors: look at the disk that the images come from, and at how hot the machine is`;
    }
    const inUse = `other programs take ${others.toFixed(1)} of ${to.processors} processors`;
    return this.threads === 1
      ? `${fell}${inUse}: end them, or wait longer`
      : `${fell}${inUse}, and ${this.threads} threads wait for whichever of them has lost its own: end the other programs; or begin another run with --threads auto, which measures how many threads pay beside them. This one keeps its number, as its results depend on it`;
  }
}

function rate(speed: number): string {
  return speed.toPrecision(speed < 10 ? 2 : 3);
}

/** How many runs are trained at a time, and with how many threads each. */
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { join } from 'node:path';
import { PenumbraError } from '../../errors.ts';
import { chooseMode, firstThatPays, writeAtomically } from '../../training/index.ts';
import { isFinished, type PlannedRun } from '../plan.ts';
import { JobPool } from './job-pool.ts';
import type { JobSource } from './protocol.ts';

export interface JobOptions {
  /** How many runs at a time; `auto` measures. */
  readonly count: number | 'auto';
  readonly source: JobSource;
}

/** One number of jobs that was measured. */
interface Measured {
  readonly jobs: number;
  /** Of each. */
  readonly threads: number;
  /** Of all together. */
  readonly imagesPerSecond: number;
}

/** `jobs.json` in the study's folder. */
interface Choice {
  readonly jobs: number;
  readonly threads: number;
  readonly cores: number;
  readonly measured: readonly Measured[];
  /** What was timed. */
  readonly run: { readonly set: string; readonly network: string };
  /** Processes that wanted a core meanwhile, by the system's one-minute mean: high where others were at work. */
  readonly load: number;
  readonly date: string;
}

/** Seconds of timed steps for each number of jobs. */
const SECONDS = 3;

export const JOBS_FILE = 'jobs.json';

/** The cores for each of so many jobs. */
export function shareOfCores(jobs: number, cores: number): number {
  return Math.max(1, Math.floor(cores / jobs));
}

/**
 * The number of jobs and of threads each. `auto` times training steps of the network with most images left: one job
 * with all cores, two with half of them each, and so on as long as more images are trained a second. What it finds is
 * kept in the folder, so that the same command goes on as it began.
 * @throws `study/option` for a number that is none
 */
export async function chooseJobs(
  { count, source }: JobOptions,
  runs: readonly PlannedRun[],
  folder: string,
  onNotice: (message: string) => void,
  signal?: AbortSignal,
): Promise<{ readonly jobs: number; readonly threads: number }> {
  const cores = availableParallelism();
  if (count !== 'auto') {
    if (!Number.isInteger(count) || count < 1) {
      throw new PenumbraError('study/option', `jobs: expected a whole number from 1 or auto, got ${count}`);
    }
    return { jobs: count, threads: shareOfCores(count, cores) };
  }
  const left = runs.filter((run) => !isFinished(run));
  const run = largest(left);
  const kept = read(folder);
  if (kept?.cores === cores) {
    onNotice(`${describe(kept)}, as measured before (${JOBS_FILE})`);
    return kept;
  }
  // Nothing to gain: one run, or a card that every job would share.
  if (run === undefined || left.length === 1) return { jobs: 1, threads: cores };
  if (chooseMode(run.config).device !== 'cpu') {
    onNotice('one job: runs on a GPU are trained one after another, unless --jobs names a number');
    return { jobs: 1, threads: cores };
  }
  const measured = await measure(source, run, Math.min(cores, left.length), cores, onNotice, signal);
  const best = firstThatPays(measured);
  const choice: Choice = {
    jobs: best.jobs,
    threads: best.threads,
    cores,
    measured,
    run: { set: run.set, network: run.network },
    load: loadavg()[0]!,
    date: new Date().toISOString(),
  };
  if (!signal?.aborted) writeAtomically(join(folder, JOBS_FILE), `${JSON.stringify(choice, null, 2)}\n`);
  onNotice(describe(choice));
  return choice;
}

async function measure(
  source: JobSource,
  run: PlannedRun,
  most: number,
  cores: number,
  onNotice: (message: string) => void,
  signal: AbortSignal | undefined,
): Promise<Measured[]> {
  await using pool = new JobPool(source, most);
  const measured: Measured[] = [];
  const numbers = [...new Set([...powers(most), most])];
  for (const jobs of numbers) {
    if (signal?.aborted && measured.length > 0) break;
    const asked = run.config.threads;
    const threads = typeof asked === 'number' ? asked : shareOfCores(jobs, cores);
    onNotice(`timing training steps: jobs ${jobs}, threads ${threads} each`);
    const { set, folder } = run;
    const speed = await pool.time({ set, folder, config: { ...run.config, threads } }, jobs, SECONDS);
    if (speed === undefined) break; // Not the memory for so many.
    measured.push({ jobs, threads, imagesPerSecond: speed });
    // More jobs share what these had.
    if (firstThatPays(measured).jobs < jobs) break;
  }
  return measured;
}

function powers(most: number): number[] {
  return Array.from({ length: Math.floor(Math.log2(most)) + 1 }, (_, i) => 2 ** i);
}

/** A run of the set and network with most images left. */
function largest(left: readonly PlannedRun[]): PlannedRun | undefined {
  const images = (run: PlannedRun) =>
    left.filter(({ cell }) => cell === run.cell).reduce((sum, one) => sum + one.images, 0);
  return left.reduce<PlannedRun | undefined>(
    (best, run) => (best === undefined || images(run) > images(best) ? run : best),
    undefined,
  );
}

function describe({ jobs, threads, measured }: Choice): string {
  const speeds = measured
    .map((one) => `${one.imagesPerSecond.toPrecision(3)} images/s with ${one.jobs} × ${one.threads}`)
    .join(', ');
  return `jobs ${jobs}, threads ${threads} each: ${speeds}`;
}

function read(folder: string): Choice | undefined {
  const path = join(folder, JOBS_FILE);
  if (!existsSync(path)) return undefined;
  try {
    const choice = JSON.parse(readFileSync(path, 'utf8')) as Choice;
    const { jobs, threads, cores, measured } = choice;
    const whole = [jobs, threads, cores].every((value) => Number.isInteger(value) && value >= 1);
    return whole && Array.isArray(measured) ? choice : undefined;
  } catch {
    return undefined; // Measured again.
  }
}

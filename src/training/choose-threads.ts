/** `threads: 'auto'`: how many threads a run is to have, measured before its first step. */
import { availableParallelism } from 'node:os';
import type { Dataset } from '../data/index.ts';
import type { TrainConfig } from './config.ts';
import { chooseMode } from './mode.ts';
import type { RunFolder } from './run-folder.ts';
import type { Team } from './team.ts';
import { firstThatPays, timeSteps } from './time-steps.ts';

/** One number of threads that was measured. */
export interface TimedThreads {
  readonly threads: number;
  readonly imagesPerSecond: number;
}

/** Seconds of timed steps for each number of threads. */
const SECONDS = 3;

export interface ThreadsOptions {
  readonly dataset: Dataset;
  /** The run's own. */
  readonly folder: RunFolder;
  readonly team: Team;
  readonly onNotice: (message: string) => void;
}

/**
 * The configuration with a number of threads in place of `auto`: as it is kept with the run, which goes on with it. That of
 * a run that was begun is the one that it has. Several processes that train one run have their share from what started
 * them, and nothing is measured: they would wait for each other.
 */
export async function withThreads(
  config: TrainConfig,
  { dataset, folder, team, onNotice }: ThreadsOptions,
): Promise<TrainConfig> {
  if (config.threads !== 'auto') return config;
  const begun = team.shared(() => {
    return folder.mode() === undefined ? null : { threads: folder.description().config.threads };
  });
  if (begun !== null) return { ...config, ...begun };
  if (team.size > 1 || chooseMode({ ...config, threads: null }).device !== 'cpu')
    return { ...config, threads: null };
  const measured = await timeThreads(availableParallelism(), async (threads) => {
    onNotice(`timing training steps with ${inThreads(threads)}`);
    return (await timeSteps({ ...config, threads }, dataset, SECONDS)).imagesPerSecond;
  });
  const { threads } = firstThatPays(measured);
  const speeds = measured.map((one) => `${one.imagesPerSecond.toPrecision(3)} images/s with ${one.threads}`);
  onNotice(`${inThreads(threads)}: ${speeds.join(', ')}`);
  return { ...config, threads };
}

/**
 * Times all cores, half of them, and so on as long as fewer are faster; ascending.
 * @param time images a second with so many threads
 */
export async function timeThreads(
  cores: number,
  time: (threads: number) => Promise<number>,
): Promise<TimedThreads[]> {
  const measured: TimedThreads[] = [];
  for (let threads = cores; threads >= 1; threads = Math.floor(threads / 2)) {
    const one = { threads, imagesPerSecond: cores === 1 ? 0 : await time(threads) };
    const more = measured[0];
    measured.unshift(one);
    if (more !== undefined && one.imagesPerSecond < more.imagesPerSecond) break;
  }
  return measured;
}

function inThreads(threads: number): string {
  return threads === 1 ? '1 thread' : `${threads} threads`;
}

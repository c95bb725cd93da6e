/** A process that a launcher started as one of several: torchrun, srun, mpirun, or `--processes`. */
import { checkImages, type Dataset, openDataset, withoutDuplicates } from '../data/index.ts';
import { PenumbraError } from '../errors.ts';
import { writeWhole } from '../files/index.ts';
import type { Meeting } from '../torch/distributed/meeting.ts';
import type { Team } from '../training/index.ts';
import { type DataFlags, openOptions } from './options.ts';

export interface RankOptions {
  /** Seconds that a rank is waited for. */
  readonly timeout: number;
  readonly signal: AbortSignal;
}

/**
 * Runs `body` as one of the processes of a launcher; undefined where it was interrupted before all had met. After a failure
 * the process ends without waiting for threads that wait for others.
 */
export async function asRank<T>(
  meeting: Meeting,
  { timeout, signal }: RankOptions,
  body: (team: Team) => Promise<T>,
): Promise<T | undefined> {
  const { asTeam } = await import('../training/index.ts');
  const { distributed } = await import('../torch/index.ts');
  let met = false;
  const onWait = (missing: readonly number[]) => {
    if (meeting.rank > 0) return;
    const more = missing.length > 8 ? ', …' : '';
    process.stderr.write(
      `waiting for ${missing.length === 1 ? 'rank' : 'ranks'} ${missing.slice(0, 8).join(', ')}${more} of ${meeting.size}\n`,
    );
  };
  // Also where a second Ctrl-C ends the process.
  const end = (code: number) => distributed.exitNow(Number(code));
  if (distributed.available()) process.on('exit', end);
  try {
    const result = await asTeam(
      meeting,
      { timeout, joinTimeout: Math.max(300, timeout), signal, onWait },
      (team) => {
        met = true;
        return body(team);
      },
    );
    process.off('exit', end);
    return result;
  } catch (error) {
    if (!met && signal.aborted) return undefined;
    reportToAgent(error);
    throw error;
  }
}

/** What torchrun shows of a worker that failed: its agent reads this file. */
function reportToAgent(error: unknown): void {
  const file = process.env.TORCHELASTIC_ERROR_FILE;
  if (file === undefined || file === '') return;
  const message = error instanceof PenumbraError ? `${error.code}: ${error.message}` : 'an unexpected error';
  const extraInfo = { py_callstack: '', timestamp: String(Math.floor(Date.now() / 1000)) };
  try {
    writeWhole(file, JSON.stringify({ message: { message, extraInfo } }));
  } catch {
    // The error itself is what matters, and is printed.
  }
}

/** The data set as rank 0 opens it, without what rank 0 says of it. */
export async function openQuietly(path: string, flags: DataFlags): Promise<Dataset> {
  const dataset = openDataset(path, openOptions(flags));
  if (flags.skipDuplicates !== true) return dataset;
  return withoutDuplicates(dataset, await checkImages(dataset, { most: Number.POSITIVE_INFINITY }));
}

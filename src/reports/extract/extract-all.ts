import type { FindingRow, Report } from '../types.ts';
import type { Extractor } from './extractor.ts';

/** What `extractAll` needs of an extractor. */
export type ReportExtractor = Pick<
  Extractor,
  'name' | 'version' | 'concurrency' | 'extract' | 'batchSize' | 'extractBatch'
>;

export interface ExtractAllOptions {
  /** Reports under way at once. Default: the extractor's own number. */
  concurrency?: number;
  /** Finished reports may run ahead of a slow one by so many times the concurrency. Default 4. */
  window?: number;
  /** Ends the work: what is under way is given up, and the iteration throws the signal's reason. */
  signal?: AbortSignal;
  /** Called after every report. */
  onProgress?: (progress: {
    readonly done: number;
    readonly failed: number;
    readonly underWay: number;
  }) => void;
}

/**
 * The rows of every report, each report exactly once, in the order of the reports. At most `concurrency` are under
 * way (batches of them, where the extractor takes batches), and finished ones wait for slower ones before them only within a window, so memory stays bounded.
 *
 * An error of the extractor or of the input is thrown after the rows of all reports before it. Leaving the loop early
 * gives up what is under way.
 */
export async function* extractAll(
  reports: AsyncIterable<Report> | Iterable<Report>,
  extractor: ReportExtractor,
  options: ExtractAllOptions = {},
): AsyncGenerator<FindingRow[], void, undefined> {
  const concurrency = options.concurrency ?? extractor.concurrency;
  const stop = new AbortController();
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal]);
  const source =
    Symbol.asyncIterator in reports ? reports[Symbol.asyncIterator]() : reports[Symbol.iterator]();
  const queue: Promise<FindingRow[]>[] = [];
  const running = new Set<Promise<unknown>>();
  const most =
    concurrency *
    (options.window ?? 4) *
    (extractor.extractBatch === undefined ? 1 : (extractor.batchSize ?? 1));
  let inputEnded = false;
  let done = 0;
  let failed = 0;

  const size = extractor.extractBatch === undefined ? 1 : Math.max(1, extractor.batchSize ?? 1);
  let batch: Report[] = [];

  const begin = (reports: readonly Report[]): void => {
    const task = run(extractor, reports, signal);
    for (let i = 0; i < reports.length; i++) {
      const one = task.then((all) => all[i]!);
      one.catch(() => {}); // It is thrown when its turn comes.
      queue.push(one);
    }
    const settled: Promise<void> = task.then(
      (all) => {
        running.delete(settled);
        done += all.length;
        for (const rows of all) if (rows.length === 1 && rows[0]!.status === 'failed') failed++;
        options.onProgress?.({ done, failed, underWay: running.size });
      },
      () => {
        running.delete(settled);
      },
    );
    running.add(settled);
  };

  try {
    for (;;) {
      while (!inputEnded && running.size < concurrency && queue.length < most) {
        signal.throwIfAborted();
        try {
          const { value, done: ended } = await source.next();
          if (ended) inputEnded = true;
          else batch.push(value);
          if (batch.length === size || (ended && batch.length > 0)) {
            begin(batch);
            batch = [];
          }
        } catch (error) {
          inputEnded = true;
          if (batch.length > 0) begin(batch);
          const refused = Promise.reject<FindingRow[]>(error);
          refused.catch(() => {}); // Its turn to be thrown comes after the reports before it.
          queue.push(refused);
        }
      }
      const first = queue[0];
      if (first === undefined) {
        if (inputEnded) return;
        continue;
      }
      // Room for another report, or the turn of the first: whatever comes first.
      const full = inputEnded || queue.length >= most;
      if (!full) await Promise.race([...running, first]);
      if (full || !running.size || (await isSettled(first))) {
        yield await first;
        queue.shift();
      }
    }
  } finally {
    stop.abort();
    await Promise.allSettled(queue);
    await source.return?.();
  }
}

async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  const pending = {};
  return (await Promise.race([promise, pending])) !== pending;
}

/** The rows of some reports: at once, where the extractor can. */
async function run(
  extractor: ReportExtractor,
  reports: readonly Report[],
  signal: AbortSignal,
): Promise<readonly FindingRow[][]> {
  if (extractor.extractBatch === undefined) return [await extractor.extract(reports[0]!, signal)];
  const all = await extractor.extractBatch(reports, signal);
  if (all.length !== reports.length) {
    throw new Error(`the extractor ${extractor.name} answered ${all.length} of ${reports.length} reports`);
  }
  return all;
}

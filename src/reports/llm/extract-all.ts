import type { FindingRow, Report } from '../types.ts';

/** What `extractAll` needs of an extractor; the rules and the language model both are one. */
export interface ReportExtractor {
  readonly name: string;
  readonly version: string;
  readonly concurrency: number;
  extract(report: Report, signal?: AbortSignal): FindingRow[] | Promise<FindingRow[]>;
}

export interface ExtractAllOptions {
  /** Reports under way at once. Default: the extractor's own number. */
  concurrency?: number;
  /** Ends the work: what is under way is given up, and the iteration throws the signal's reason. */
  signal?: AbortSignal;
  /** Called after every report. */
  onProgress?: (progress: {
    readonly done: number;
    readonly failed: number;
    readonly underWay: number;
  }) => void;
}

/** Finished reports may run ahead of a slow one by so many times the concurrency. */
const windowFactor = 4;

/**
 * The rows of every report, each report exactly once, in the order of the reports. At most `concurrency` are under
 * way, and finished ones wait for slower ones before them only within a window, so memory stays bounded.
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
  let inputEnded = false;
  let done = 0;
  let failed = 0;

  const begin = (report: Report): void => {
    const task = (async () => extractor.extract(report, signal))();
    queue.push(task);
    const settled: Promise<void> = task.then(
      (rows) => {
        running.delete(settled);
        done++;
        if (rows.length === 1 && rows[0]!.status === 'failed') failed++;
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
      while (!inputEnded && running.size < concurrency && queue.length < concurrency * windowFactor) {
        signal.throwIfAborted();
        try {
          const { value, done: ended } = await source.next();
          if (ended) inputEnded = true;
          else begin(value);
        } catch (error) {
          inputEnded = true;
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
      const full = inputEnded || queue.length >= concurrency * windowFactor;
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

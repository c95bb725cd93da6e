import { PenumbraError } from '../../errors.ts';
import { decoderOf } from '../io/bytes.ts';
import { type InputOptions, inputFormat, readReports } from '../io/reports-in.ts';
import { hash53, IdSet, RowOutput } from '../io/rows-out.ts';
import type { FindingRow, Report } from '../types.ts';
import { addRows, type ToDo } from './add-rows.ts';
import { extractAll } from './extract-all.ts';
import { type Extractor, failedRow } from './extractor.ts';
import { mostThreads, ThreadQueue, type ThreadSource } from './threads.ts';

export interface ExtractOptions extends InputOptions {
  /** This process's part of the work: reports whose id hashes to `index` modulo `count`; index from 1. */
  shard?: { readonly index: number; readonly count: number };
  overwrite?: boolean;
  retryFailed?: boolean;
  /** Only rows of findings that the report mentions, instead of one row per report and finding. */
  mentionedOnly?: boolean;
  /**
   * Worker threads that judge the reports, for extractors that `OpenedExtractor.threadModule` allows them; what is written
   * is the same. `auto` begins without and starts as many as pay once the input has shown to be large.
   * Default: none.
   */
  jobs?: { readonly count: number | 'auto'; readonly source: ThreadSource };
  /** Called now and then. */
  onProgress?: (progress: ExtractProgress) => void;
  /** Stops in order when aborted: what is under way is finished and written. */
  signal?: AbortSignal;
}

export interface ExtractProgress {
  /** Reports seen in the input (of this shard). */
  seen: number;
  /** Of these, done now. */
  extracted: number;
  /** Of these, done by an earlier run. */
  skipped: number;
  /** Of those done now, failed. */
  failed: number;
  /** Of those seen, reports whose id had been seen before; they are kept as `id##2`, `id##3` … */
  repeated: number;
}

/**
 * The name of the n-th report with an id, from 1: the id itself, then `id##2`, `id##3` … No two reports ever have the
 * same: an id that ends like such a name (`a##2`) has its own number behind it even when it comes once (`a##2##1`).
 */
export function nameOf(id: string, n: number): string {
  return n === 1 && !/##\d+$/.test(id) ? id : `${id}##${n}`;
}

/**
 * Reads reports from `input`, writes rows to `output` (`.jsonl` or `.parquet`), and can be interrupted and started
 * again at any moment: reports that the output holds are passed over.
 */
export async function extract(
  input: string,
  output: string,
  extractor: Extractor,
  options: ExtractOptions = {},
): Promise<ExtractProgress> {
  const { shard } = options;
  if (
    shard !== undefined &&
    !(Number.isInteger(shard.index) && shard.index >= 1 && shard.index <= shard.count)
  ) {
    throw new PenumbraError('reports/shard', `There is no shard ${shard.index} of ${shard.count}.`, {
      hint: 'Shards are 1/n to n/n.',
    });
  }
  const oneByOne = extractor.concurrency === 1 && extractor.extractBatch === undefined;
  if (options.jobs !== undefined && !oneByOne) {
    throw new PenumbraError('reports/jobs', `The extractor ${extractor.name} is not shared by threads.`, {
      hint: 'It works at several reports at once by itself: leave `jobs` out.',
    });
  }
  const count = options.jobs?.count ?? 1;
  if (count !== 'auto' && !(Number.isInteger(count) && count >= 1 && count <= mostThreads)) {
    throw new PenumbraError('reports/jobs', `There cannot be ${count} jobs.`, {
      hint: `Give auto, or a whole number from 1 to ${mostThreads}; more than the machine has cores make nothing quicker.`,
    });
  }
  if (options.encoding !== undefined) decoderOf(options.encoding);
  inputFormat(input); // Nothing is made or replaced for an input that is not there.
  const out = await RowOutput.open(output, {
    version: extractor.version,
    inputs: [input],
    rowsPerReport: options.mentionedOnly ? 'any' : extractor.rowsPerReport,
    ...(options.overwrite === undefined ? {} : { overwrite: options.overwrite }),
    ...(options.retryFailed === undefined ? {} : { retryFailed: options.retryFailed }),
  });
  const progress: ExtractProgress = { seen: 0, extracted: 0, skipped: 0, failed: 0, repeated: 0 };
  const stamp = { extractor: extractor.name, version: extractor.version };
  const seen = new IdSet();
  const mentionedOnly = options.mentionedOnly === true;
  const ended = (failed: boolean): void => {
    progress.extracted++;
    if (failed) progress.failed++;
  };
  const write = (rows: readonly FindingRow[]): void =>
    ended(out.writeLines((lines) => addRows(rows, lines, mentionedOnly)));
  /** What is to be done, in the order of the input: a report, or the row of one that cannot be read. */
  const toDo = async function* (): AsyncGenerator<ToDo[]> {
    for await (const batch of readReports(input, options)) {
      const found: ToDo[] = [];
      for (const item of batch) {
        if (options.signal?.aborted) break;
        const given = 'report' in item ? item.report.id : item.id;
        if (shard !== undefined && hash53(given) % shard.count !== shard.index - 1) continue;
        progress.seen++;
        const before = seen.add(given);
        if (before > 0) progress.repeated++;
        const id = nameOf(given, before + 1);
        if (out.done.has(id)) progress.skipped++;
        else if (!('report' in item)) found.push([failedRow(id, '', item.failure, stamp)]);
        else found.push(id === given ? item.report : { ...item.report, id });
      }
      if (found.length > 0) yield found;
      options.onProgress?.(progress);
      if (options.signal?.aborted) return;
    }
  };
  /** Reports that this thread judges itself. */
  const judgeHere = async (batch: readonly ToDo[]): Promise<void> => {
    for (const item of batch) {
      if (options.signal?.aborted) break;
      if (Array.isArray(item)) write(item);
      else if (extractor.writeLines !== undefined) {
        ended(out.writeLines((lines) => extractor.writeLines!(item, lines, mentionedOnly)));
      } else {
        const rows = extractor.extract(item);
        if (Array.isArray(rows)) write(rows);
        else {
          write(await rows);
          out.flush();
          options.onProgress?.(progress);
        }
      }
    }
  };
  using threads = new ThreadQueue(options.jobs, input, extractor.version, mentionedOnly, (done) => {
    out.writeBytes(done.bytes);
    progress.extracted += done.reports;
    progress.failed += done.failed;
  });
  try {
    if (oneByOne) {
      for await (const batch of toDo()) {
        if (threads.takes(progress.extracted)) await threads.add(batch);
        else await judgeHere(batch);
      }
      await threads.drain();
    } else {
      const onProgress = (): void => options.onProgress?.(progress);
      for await (const rows of extractAll(reportsOf(toDo(), write), extractor, { window: 16, onProgress })) {
        write(rows);
        out.flush();
      }
    }
  } catch (error) {
    await threads.drain().catch(() => {}); // What was judged before the error is kept.
    out.flush();
    out.abandon();
    throw error;
  }
  if (options.signal?.aborted) {
    out.flush();
    out.abandon();
  } else await out.close();
  return progress;
}

/** The reports one by one; rows that are there already are written. */
async function* reportsOf(
  batches: AsyncIterable<ToDo[]>,
  write: (rows: FindingRow[]) => void,
): AsyncGenerator<Report> {
  for await (const batch of batches) {
    for (const item of batch) {
      if (Array.isArray(item)) write(item);
      else yield item;
    }
  }
}

import { PenumbraError } from '../errors.ts';
import { decoderOf } from './io/bytes.ts';
import { type InputOptions, inputFormat, readReports } from './io/reports-in.ts';
import { hash53, IdSet, RowOutput } from './io/rows-out.ts';
import type { Assessor } from './rules/assess.ts';
import type { FindingRow, Report } from './types.ts';

/** Turns one report into its rows. Must not throw for a bad report: that is a failed row. */
export interface Extractor {
  /** `rules`, `llm` or `llm+rules`. */
  readonly name: string;
  /** Fingerprint of all that can change a row. */
  readonly version: string;
  /** Reports that may be under way at once; 1 for the rules, which are synchronous. */
  readonly concurrency: number;
  readonly rowsPerReport: number;
  extract(report: Report): FindingRow[] | Promise<FindingRow[]>;
}

export interface ExtractOptions extends InputOptions {
  /** This process's part of the work: reports whose id hashes to `index` modulo `count`; index from 1. */
  shard?: { readonly index: number; readonly count: number };
  overwrite?: boolean;
  retryFailed?: boolean;
  /** Only rows of findings that the report mentions, instead of one row per report and finding. */
  mentionedOnly?: boolean;
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

/** The rules as an extractor. */
export function rulesExtractor(assessor: Assessor): Extractor {
  return {
    name: 'rules',
    version: assessor.version,
    concurrency: 1,
    rowsPerReport: assessor.findings.findings.length,
    extract: (report) => {
      try {
        return assessor.assessReport(report);
      } catch (error) {
        if (!(error instanceof PenumbraError)) throw error;
        return [failedRow(report.id, error.message, 'rules', assessor.version)];
      }
    },
  };
}

/**
 * The name of the n-th report with an id, from 1: the id itself, then `id##2`, `id##3` … No two reports ever have the
 * same: an id that ends like such a name (`a##2`) has its own number behind it even when it comes once (`a##2##1`).
 */
export function nameOf(id: string, n: number): string {
  return n === 1 && !/##\d+$/.test(id) ? id : `${id}##${n}`;
}

/** The row of a report that could not be read or judged. Its finding is empty: it stands for the whole report. */
export function failedRow(id: string, reason: string, extractor: string, version: string): FindingRow {
  return {
    id,
    finding: '',
    status: 'failed',
    probability: null,
    deviation: null,
    label: null,
    rate: null,
    evidence: [],
    extractor,
    version,
    reason,
  };
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
  const seen = new IdSet();
  const underWay = new Set<Promise<void>>();
  let broken: unknown;
  const write = (id: string, rows: readonly FindingRow[]): void => {
    progress.extracted++;
    if (rows.length === 1 && rows[0]!.status === 'failed') progress.failed++;
    const kept = options.mentionedOnly ? rows.filter((row) => row.status !== 'not_mentioned') : rows;
    // A report without any mention still needs a row, or a second run would do it again.
    out.write(kept.length > 0 ? kept : [{ ...rows[0]!, id, finding: '', evidence: [] }]);
  };
  try {
    reading: for await (const batch of readReports(input, options)) {
      for (const item of batch) {
        if (options.signal?.aborted || broken !== undefined) break reading;
        let id = 'report' in item ? item.report.id : item.id;
        if (shard !== undefined && hash53(id) % shard.count !== shard.index - 1) continue;
        progress.seen++;
        const before = seen.add(id);
        if (before > 0) progress.repeated++;
        const given = id;
        id = nameOf(id, before + 1);
        if (out.done.has(id)) {
          progress.skipped++;
          continue;
        }
        if (!('report' in item)) {
          write(id, [failedRow(id, item.failure, extractor.name, extractor.version)]);
          continue;
        }
        const rows = extractor.extract(id === given ? item.report : { ...item.report, id });
        if (Array.isArray(rows)) {
          write(id, rows);
          continue;
        }
        const task: Promise<void> = rows.then(
          (done) => {
            write(id, done);
            underWay.delete(task);
          },
          (error: unknown) => {
            broken ??= error;
            underWay.delete(task);
          },
        );
        underWay.add(task);
        if (underWay.size >= extractor.concurrency) {
          await Promise.race(underWay);
          out.flush();
          options.onProgress?.(progress);
        }
      }
      options.onProgress?.(progress);
    }
    while (underWay.size > 0) {
      await Promise.race(underWay);
      options.onProgress?.(progress);
    }
    if (broken !== undefined) throw broken;
  } catch (error) {
    await Promise.allSettled(underWay);
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

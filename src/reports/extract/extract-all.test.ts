import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { Random } from '../../random.ts';
import type { FindingRow, Report } from '../types.ts';
import { extractAll, type ReportExtractor } from './extract-all.ts';
import { failedRow } from './extractor.ts';

const reports = Array.from({ length: 100 }, (_, i): Report => ({ id: `s${i}`, text: '' }));

/** Takes as long as `work` does, and counts what is under way. */
function slowExtractor(work: (report: Report, signal?: AbortSignal) => Promise<void>) {
  const seen = { underWay: 0, most: 0, begun: [] as string[], ended: 0 };
  const extractor: ReportExtractor = {
    name: 'slow',
    version: '0',
    concurrency: 4,
    async extract(report, signal) {
      seen.begun.push(report.id);
      seen.most = Math.max(seen.most, ++seen.underWay);
      try {
        await work(report, signal);
      } finally {
        seen.underWay--;
        seen.ended++;
      }
      return [failedRow(report.id, '', 'none', { extractor: 'slow', version: '0' })];
    },
  };
  return { extractor, seen };
}

async function ids(rows: AsyncIterable<FindingRow[]>): Promise<string[]> {
  const all: string[] = [];
  for await (const [row] of rows) all.push(row!.id);
  return all;
}

describe('extractAll', () => {
  test('gives every report once, in order, never with more under way than allowed', async () => {
    const random = new Random(3);
    const { extractor, seen } = slowExtractor(() => sleep(random.below(4)));
    expect(await ids(extractAll(reports, extractor))).toEqual(reports.map((r) => r.id));
    expect(seen.most).toBe(4);
    expect(seen.begun).toEqual(reports.map((r) => r.id));
  });

  test('a slow report holds back those after it only within a window', async () => {
    let release = (): void => {};
    const held = new Promise<void>((done) => {
      release = done;
    });
    const { extractor, seen } = slowExtractor((report) => (report.id === 's0' ? held : Promise.resolve()));
    // The input is slower than the reports after the first, so that room is always free when the next one comes.
    const input = async function* (): AsyncGenerator<Report> {
      for (const report of reports) {
        await sleep(1);
        yield report;
      }
    };
    const rows = extractAll(input(), extractor, { concurrency: 3 });
    const first = rows.next();
    await sleep(200);
    expect(seen.begun.length).toBe(12);
    release();
    expect((await first).value![0]!.id).toBe('s0');
    expect((await ids(rows)).length).toBe(99);
  });

  test('an error of the extractor, or of the input, comes after the rows before it, and nothing stays under way', async () => {
    const failing = slowExtractor(async (report) => {
      await sleep(report.id === 's10' ? 0 : 3);
      if (report.id === 's10') throw new Error('broken');
    });
    const before: string[] = [];
    const run = async (rows: AsyncIterable<FindingRow[]>): Promise<void> => {
      for await (const [row] of rows) before.push(row!.id);
    };
    await expect(run(extractAll(reports, failing.extractor))).rejects.toThrow('broken');
    expect(before).toEqual(reports.slice(0, 10).map((r) => r.id));
    expect(failing.seen.underWay).toBe(0);

    before.length = 0;
    const input = async function* (): AsyncGenerator<Report> {
      yield* reports.slice(0, 5);
      throw new Error('no more');
    };
    const { extractor, seen } = slowExtractor(() => sleep(2));
    await expect(run(extractAll(input(), extractor))).rejects.toThrow('no more');
    expect(before).toEqual(['s0', 's1', 's2', 's3', 's4']);
    expect(seen.ended).toBe(5);
  });

  test('leaving early gives up what is under way and closes the input', async () => {
    let closed = false;
    const input = async function* (): AsyncGenerator<Report> {
      try {
        yield* reports;
      } finally {
        closed = true;
      }
    };
    const { extractor, seen } = slowExtractor((report, signal) =>
      sleep(report.id === 's0' ? 0 : 100_000, undefined, { signal: signal! }),
    );
    for await (const _ of extractAll(input(), extractor)) break;
    expect(closed).toBe(true);
    expect(seen.underWay).toBe(0);
  });

  test('an abort throws its reason', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    const { extractor } = slowExtractor(async (report, signal) => {
      if (report.id === 's5') controller.abort(reason);
      signal!.throwIfAborted();
    });
    await expect(ids(extractAll(reports, extractor, { signal: controller.signal }))).rejects.toBe(reason);
    await expect(ids(extractAll(reports, extractor, { signal: controller.signal }))).rejects.toBe(reason);
  });

  test('works with a synchronous extractor and an empty input', async () => {
    const { extractor } = slowExtractor(async () => {});
    const synchronous: ReportExtractor = {
      ...extractor,
      extract: (report) => [failedRow(report.id, '', '', { extractor: '', version: '' })],
    };
    expect(await ids(extractAll(reports, synchronous))).toEqual(reports.map((r) => r.id));
    expect(await ids(extractAll([], synchronous))).toEqual([]);
  });
});

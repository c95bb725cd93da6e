/** A worker thread of `ExtractorThreads`: opens the extractor, then answers each batch of reports with its lines. */
import { parentPort, workerData } from 'node:worker_threads';
import { RowLines } from '../io/row-lines.ts';
import { openAssessor } from '../rules/open.ts';
import { addRows, type ToDo } from './add-rows.ts';
import { openExtractor } from './registry.ts';
import type { JudgedBatch, ThreadAnswer, ThreadData, ThreadRequest } from './threads.ts';

if (parentPort !== null) {
  const port = parentPort;
  const { source, mentionedOnly } = workerData as ThreadData;
  if (source.module !== '') await import(source.module);
  const assessor = openAssessor(source.flags);
  const { extractor } = await openExtractor(source.extractor, {
    findings: assessor.findings,
    assessor,
    flags: source.flags,
  });
  const lines = new RowLines();

  const answer = async (items: readonly ToDo[]): Promise<JudgedBatch> => {
    lines.clear();
    let failed = 0;
    const count = (one: boolean): void => {
      if (one) failed++;
    };
    for (const item of items) {
      if (Array.isArray(item)) count(addRows(item, lines, mentionedOnly));
      else if (extractor.writeLines !== undefined) count(extractor.writeLines(item, lines, mentionedOnly));
      else {
        const rows = extractor.extract(item);
        count(addRows(Array.isArray(rows) ? rows : await rows, lines, mentionedOnly));
      }
    }
    return { bytes: Uint8Array.from(lines.view()), reports: items.length, failed };
  };

  let last: Promise<void> = Promise.resolve();
  port.on('message', ({ batch, items }: ThreadRequest) => {
    last = last.then(async () => {
      const done = await answer(items);
      port.postMessage({ batch, ...done } satisfies ThreadAnswer, [done.bytes.buffer as ArrayBuffer]);
    });
  });
  port.postMessage({ version: extractor.version } satisfies ThreadAnswer);
}

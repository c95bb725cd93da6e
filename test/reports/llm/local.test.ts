import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Report } from '../../../src/reports/index.ts';
import { createLlmExtractor, extractAll, type LlmOptions } from '../../../src/reports/llm/index.ts';
import { expectRows } from './check-rows.ts';
import { findings } from './fault-server.ts';
import { tinyGguf } from './tiny-gguf.ts';

const installed = existsSync(new URL('../../../node_modules/node-llama-cpp/package.json', import.meta.url));

let folder: string;
let options: LlmOptions & { gguf: string };
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'penumbra-gguf-'));
  const gguf = join(folder, 'tiny.gguf');
  writeFileSync(gguf, tinyGguf(7));
  // At temperature 1 the noise of the model is the choice among all that the grammar allows.
  options = {
    gguf,
    gpu: false,
    threads: 1,
    contextSize: 16_384,
    maxTokens: 8192,
    temperature: 1,
    retries: 0,
  };
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const reports: Report[] = Array.from({ length: 12 }, (_, i) => ({
  id: `s${i}`,
  text: `FINDINGS: Film ${i}. No pneumothorax. IMPRESSION: ${['Possible', 'No', 'Probable'][i % 3]} pneumonia.`,
}));

describe.skipIf(!installed)(
  'a model that knows nothing (skipped where node-llama-cpp is not installed)',
  () => {
    test('gives schema-valid rows, because its decoding is constrained', async () => {
      const extractor = createLlmExtractor({ ...options, concurrency: 2 });
      const statuses = new Set<string>();
      let at = 0;
      for await (const rows of extractAll(reports, extractor)) {
        expectRows(rows, reports[at++]!);
        expect(rows.map((r) => r.finding)).toEqual(findings);
        for (const row of rows) {
          statuses.add(row.status);
          expect(row.status).not.toBe('failed');
          // It cannot quote the report, and every row that asserts something says so.
          if (row.status !== 'not_mentioned') expect(row.reason).toMatch(/^unverified evidence/);
        }
      }
      expect(at).toBe(12);
      // Every answer was good at the first try: without the grammar none would be.
      const stats = extractor.stats();
      expect(stats).toMatchObject({ requests: 12, retries: 0, failed: 0, failedRows: 0, mode: 'grammar' });
      expect(stats.completionTokens).toBeGreaterThan(12 * 100);
      expect(statuses.size).toBeGreaterThan(3);
      await extractor.close();
    });

    test('a crash of its process is a failed try; the next one starts it again', async () => {
      const extractor = createLlmExtractor({ ...options, retries: 1, backOff: { first: 0, longest: 0 } });
      const process = childOf(extractor);
      const rows = extractor.extract(reports[0]!);
      await expect.poll(() => process()?.pid).toBeGreaterThan(0);
      const first = process()!;
      first.kill('SIGSEGV');
      expectRows(await rows, reports[0]!);
      expect(process()!.pid).not.toBe(first.pid);
      expect(extractor.stats()).toMatchObject({ failed: 0, requests: 2, failures: { crashed: 1 } });
      await extractor.close();
      expect(process()).toBeUndefined();
    });

    test('a report that does not fit is refused, not cut', async () => {
      const extractor = createLlmExtractor({ ...options, longestText: 1_000_000 });
      const report = { id: 'long', text: 'No edema. '.repeat(2000) };
      const rows = await extractor.extract(report);
      expect(rows).toMatchObject([{ finding: '', status: 'failed' }]);
      expect(rows[0]!.reason).toMatch(/^too-long: \d+ tokens do not fit into a context of \d+$/);
      await extractor.close();
    });

    test('an answer that needs more time is given up, and the model goes on to the next report', async () => {
      const extractor = createLlmExtractor({ ...options, timeout: 1 });
      const rows = await extractor.extract(reports[0]!);
      expect(rows[0]!.reason).toMatch(/^timeout: no answer within 0.001 s$/);
      const controller = new AbortController();
      const reason = new Error('enough');
      const aborted = extractor.extract(reports[1]!, controller.signal);
      controller.abort(reason);
      await expect(aborted).rejects.toBe(reason);
      await extractor.close();
    });

    test('a damaged file is an error of the run', async () => {
      const gguf = join(folder, 'damaged.gguf');
      const whole = Buffer.from(tinyGguf(7));
      writeFileSync(gguf, whole.subarray(0, 20_000));
      expect(() => createLlmExtractor({ ...options, gguf })).toThrow(/damaged or cut off/);
      // A header that fits, of a network that does not.
      whole.write('outpux_norm', whole.indexOf('output_norm'));
      writeFileSync(gguf, whole);
      const extractor = createLlmExtractor({ ...options, gguf });
      await expect(extractor.extract(reports[0]!)).rejects.toMatchObject({ code: 'reports/llm-model' });
      await extractor.close();
    });
  },
);

test('a file that is no model, or no file, is refused before any report', () => {
  const gguf = join(folder, 'text.gguf');
  writeFileSync(gguf, 'not a model');
  expect(() => createLlmExtractor({ gguf })).toThrow(/is no GGUF file/);
  expect(() => createLlmExtractor({ gguf: join(folder, 'missing.gguf') })).toThrow(/cannot be opened/);
  expect(() => createLlmExtractor({ gguf: folder })).toThrow(/is no file/);
});

test('the model is part of the version', () => {
  const other = join(folder, 'other.gguf');
  writeFileSync(other, tinyGguf(8));
  expect(createLlmExtractor({ ...options, gguf: other }).version).not.toBe(
    createLlmExtractor(options).version,
  );
});

/** The process that holds the model: private, and here to be killed. */
function childOf(extractor: unknown): () => import('node:child_process').ChildProcess | undefined {
  return () =>
    (extractor as { backend: { child: import('node:child_process').ChildProcess | undefined } }).backend
      .child;
}

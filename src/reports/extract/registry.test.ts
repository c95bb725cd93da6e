import { expect, test } from 'vitest';
import { createAssessor } from '../rules/assess.ts';
import { extractAll } from './extract-all.ts';
import { type Extractor, failedRow } from './extractor.ts';
import { extractorNames, openExtractor, registerExtractor } from './registry.ts';

const assessor = createAssessor();
const request = { findings: assessor.findings, assessor, flags: {} };

test('an extractor is registered from outside and opened by its name', async () => {
  const mine: Extractor = {
    name: 'mine',
    version: '0',
    concurrency: 1,
    rowsPerReport: 1,
    extract: (report) => [failedRow(report.id, '', 'none', { extractor: 'mine', version: '0' })],
  };
  registerExtractor('mine', () => ({ extractor: mine, close: async () => {}, info: () => '' }));
  expect(extractorNames()).toEqual(['rules', 'llm', 'llm+rules', 'mine']);
  expect((await openExtractor('mine', request)).extractor).toBe(mine);
  expect((await openExtractor('rules', request)).extractor.version).toBe(assessor.version);
  expect(() =>
    registerExtractor('rules', () => ({ extractor: mine, close: async () => {}, info: () => '' })),
  ).toThrow(/already/);
  await expect(openExtractor('none', request)).rejects.toThrow(/no extractor called none/);
});

test('batches: full ones while there are reports, the rest at the end, rows in the order of the reports', async () => {
  const sizes: number[] = [];
  const network: Extractor = {
    name: 'network',
    version: '0',
    concurrency: 2,
    rowsPerReport: 1,
    batchSize: 8,
    extract: () => {
      throw new Error('one by one');
    },
    extractBatch: async (reports) => {
      sizes.push(reports.length);
      await new Promise((done) => setTimeout(done, 5 - (sizes.length % 5)));
      return reports.map(({ id }) => [failedRow(id, '', 'none', { extractor: 'network', version: '0' })]);
    },
  };
  const reports = Array.from({ length: 51 }, (_, i) => ({ id: `r${i}`, text: '' }));
  const ids: string[] = [];
  for await (const [row] of extractAll(reports, network)) ids.push(row!.id);
  expect(ids).toEqual(reports.map(({ id }) => id));
  expect(sizes).toEqual([8, 8, 8, 8, 8, 8, 3]);
  const short: Extractor = { ...network, extractBatch: () => [] };
  await expect(async () => {
    for await (const _ of extractAll(reports, short)) break;
  }).rejects.toThrow(/answered 0 of 8/);
});

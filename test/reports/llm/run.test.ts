import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAssessor, extract, type FindingRow, findingSet } from '../../../src/reports/index.ts';
import {
  createLlmExtractor,
  describeEstimate,
  describeStats,
  estimateForFlags as estimate,
  estimateExtraction,
  openLlmExtractor,
  writeDisagreements,
} from '../../../src/reports/llm/index.ts';
import { findings, good, goodAnswer, type Reply, say, startServer, status } from './fault-server.ts';

let folder: string;
let input: string;
const count = 30;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'penumbra-llm-'));
  input = join(folder, 'reports.jsonl');
  const lines = Array.from({ length: count }, (_, i) =>
    JSON.stringify({
      id: `s${i}`,
      text: `FINDINGS: Film ${i}. No effusion. IMPRESSION: Possible pneumonia.`,
    }),
  );
  writeFileSync(input, lines.join('\n'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const lines = (file: string): FindingRow[] =>
  readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as FindingRow);

/** Every third report: the effusion is called present; every fifth: the server fails. */
const contrary: (request: { report: string }) => Reply = ({ report }) => {
  const n = Number(/Film (\d+)/.exec(report)![1]);
  if (n % 5 === 4) return status(400);
  const answer = goodAnswer(report);
  if (n % 3 === 0) answer['Pleural Effusion'] = { evidence: ['No effusion'], assertion: 'present' };
  return say(JSON.stringify(answer));
};

describe('as `penumbra extract` uses it', () => {
  test.each(['jsonl', 'parquet'])('rules and model, cross-checked, to %s', async (form) => {
    await using server = await startServer(contrary);
    const out = join(folder, `rows.${form}`);
    const { extractor, close, info } = openLlmExtractor(
      findingSet(),
      { server: server.url },
      createAssessor(),
    );
    const result = await extract(input, out, extractor);
    expect(result).toMatchObject({ seen: count, extracted: count, failed: 0 });
    expect(info()).toMatch(/^30 reports, [\d.,]+ reports\/s, .* 6 failed/);
    const file = join(folder, `disagreements-${form}.jsonl`);
    // A failed report disagrees in every finding: 6 of them. Of the others, every third in one: 8.
    expect(await writeDisagreements(out, file)).toBe(6 * findings.length + 8);
    const rows = lines(file);
    expect(rows.length).toBe(6 * findings.length + 8);
    const effusions = rows.filter((row) => row.reason === 'extractors disagree: the model says present, 1');
    expect(effusions.length).toBe(8);
    for (const row of effusions) {
      expect(row).toMatchObject({ finding: 'Pleural Effusion', status: 'absent', extractor: 'llm+rules' });
      expect(row.evidence.map((e) => e.phrase)).toContain('No effusion');
    }
    // A second run finds everything done and asks nothing.
    const asked = server.requests.length;
    const again = openLlmExtractor(findingSet(), { server: server.url }, createAssessor());
    expect(await extract(input, out, again.extractor)).toMatchObject({ extracted: 0, skipped: count });
    expect(server.requests.length).toBe(asked);
    await close();
  });

  test('the estimate reads all, sends one made-up report, and says time, tokens and cost', async () => {
    await using server = await startServer(() => good);
    const line = await estimate(input, findingSet(), { server: server.url, price: '1000,2000' });
    expect(server.requests.length).toBe(1);
    expect(server.requests[0]!.report).toContain('Probable left basilar pneumonia');
    // The server says 100 tokens for its prompt and 10 for its answer, so 30 reports take about 3,000 and 300.
    const match =
      /^30 reports, about ([\d,]+) tokens to read and 300 to write \(by a probe\), \d+ s(?: to \d+ s)?, cost ([\d.]+)$/.exec(
        line,
      )!;
    const read = Number(match[1]!.replace(',', ''));
    expect(read).toBeGreaterThan(2500);
    expect(read).toBeLessThan(3100);
    expect(Number(match[2])).toBeCloseTo((read * 1000 + 300 * 2000) / 1e6, 1);
    await expect(estimate(input, findingSet(), { server: server.url, price: 'cheap' })).rejects.toMatchObject(
      {
        code: 'usage/llm-price',
      },
    );
    await using dead = await startServer(() => status(503));
    await expect(estimate(input, findingSet(), { server: dead.url })).rejects.toMatchObject({
      code: 'reports/llm-probe',
      message: expect.stringContaining('503'),
    });
  });

  test('a prompt from a file is sent, and one that is missing is told', async () => {
    await using server = await startServer(() => good);
    const prompt = join(folder, 'prompt.md');
    writeFileSync(prompt, 'MINE {{keys}}');
    const { extractor } = openLlmExtractor(findingSet(), {
      server: server.url,
      prompt,
      model: 'm',
      requestTimeout: 9,
    });
    await extractor.extract({ id: 'a', text: 'No edema.' });
    expect(server.requests[0]!.body.messages[0]!.content).toBe(`MINE ${JSON.stringify(findings)}`);
    expect(() => openLlmExtractor(findingSet(), { server: server.url, prompt: `${prompt}x` })).toThrow(
      expect.objectContaining({ code: 'usage/llm-prompt' }),
    );
  });
});

test('without a probe nothing is sent, and time is not guessed', async () => {
  await using server = await startServer(() => good);
  const extractor = createLlmExtractor({ url: server.url, longestText: 100 });
  const reports = [
    { id: 'a', text: 'No edema.' },
    { id: 'b', text: '' },
    { id: 'c', text: 'x'.repeat(101) },
  ];
  const result = await estimateExtraction(reports, extractor, { price: { prompt: 1, completion: 1 } });
  // The empty report and the one that is too long will not be sent.
  expect(result.characters).toBe(extractor.promptCharacters(reports[0]!));
  expect(result).toMatchObject({ reports: 3, measured: false, seconds: null });
  expect(result.promptTokens).toBe(Math.round(result.characters / 4));
  expect(result.completionTokens).toBe(20 * findings.length);
  expect(result.cost).toBeCloseTo((result.promptTokens + result.completionTokens) / 1e6, 9);
  expect(describeEstimate(result)).toMatch(/^3 reports, about .* \(by length\), cost 0.00$/);
  expect(server.requests.length).toBe(0);
  expect(describeStats(extractor.stats())).toBe('0 reports, 0 reports/s, 0 tokens/s (0 written), 0 failed');
});

import { expect, test } from 'vitest';
import { createLlmExtractor, type LlmOptions } from '../../../src/reports/llm/index.ts';
import { expectRows } from './check-rows.ts';
import { good, goodAnswer, startServer, status, stream, streamedWhiteSpace } from './fault-server.ts';

const quick = { backOff: { first: 1, longest: 5 }, timeout: 20_000 } satisfies Partial<LlmOptions>;
const report = { id: 'r1', text: 'IMPRESSION: Possible pneumonia. No effusion.' };

test('a streamed answer gives the same rows as one in a piece, and its tokens are counted', async () => {
  await using server = await startServer(
    () => (response, request) => stream(JSON.stringify(goodAnswer(request.report)))(response, request),
  );
  await using whole = await startServer(() => good);
  const extractor = createLlmExtractor({ url: server.url, ...quick });
  const rows = await extractor.extract(report);
  expectRows(rows, report);
  const others = await createLlmExtractor({ url: whole.url, ...quick }).extract(report);
  expect(rows).toEqual(others);
  expect(extractor.stats()).toMatchObject({ promptTokens: 100, completionTokens: 10, requests: 1 });
});

test('endless white space is given up at once, the server is told, and the next try may succeed', async () => {
  let pieces = 0;
  let gone = (_: number): void => {};
  const left = new Promise<number>((resolve) => {
    gone = resolve;
  });
  await using server = await startServer(({ attempt }) =>
    attempt === 0
      ? streamedWhiteSpace((n) => gone(n))
      : (response, request) => stream(JSON.stringify(goodAnswer(request.report)))(response, request),
  );
  const extractor = createLlmExtractor({ url: server.url, ...quick });
  const rows = await extractor.extract(report);
  expectRows(rows, report);
  pieces = await left;
  expect(pieces).toBeLessThan(2000); // 256 characters are 43 pieces; the rest is what was under way
  expect(extractor.stats().failures).toEqual({ 'white-space': 1 });
});

test('a stream that ends in the middle, an error in it, and an answer cut off are failures', async () => {
  const broken = async (reply: Parameters<typeof startServer>[0]): Promise<string> => {
    await using server = await startServer(reply);
    const extractor = createLlmExtractor({ url: server.url, ...quick, retries: 0 });
    return (await extractor.extract(report))[0]!.reason!;
  };
  expect(await broken(() => stream('{"Edema": nu', null))).toMatch(/^connection/);
  expect(await broken(() => stream('{"Edema": nu', 'length'))).toMatch(/^cut-off/);
  expect(
    await broken(() => (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end('data: {"error": {"message": "secret"}}\n\n');
    }),
  ).toBe('server: the server reported an error in the answer');
});

test('a server that cannot stream is asked without', async () => {
  await using server = await startServer(({ body }) =>
    body.stream === true ? status(400, {}, '{"error": "stream is not supported"}') : good,
  );
  const extractor = createLlmExtractor({ url: server.url, ...quick });
  expectRows(await extractor.extract(report), report);
  expectRows(await extractor.extract({ ...report, id: 'r2' }), { ...report, id: 'r2' });
  expect(server.requests.map(({ body }) => body.stream)).toEqual([true, false, false]);
  expect(extractor.stats().mode).toBe('schema');
});

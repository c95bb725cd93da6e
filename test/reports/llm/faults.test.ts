import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { PenumbraError } from '../../../src/errors.ts';
import { Random } from '../../../src/random.ts';
import type { FindingRow, Report } from '../../../src/reports/index.ts';
import { createLlmExtractor, extractAll, type LlmOptions } from '../../../src/reports/llm/index.ts';
import { expectRows } from './check-rows.ts';
import {
  drip,
  endlessWhiteSpace,
  findings,
  good,
  goodAnswer,
  hang,
  json,
  type Reply,
  reset,
  say,
  startServer,
  status,
} from './fault-server.ts';

const quick = {
  backOff: { first: 1, longest: 5 },
  timeout: 10_000,
  longestResponse: 100_000,
} satisfies Partial<LlmOptions>;

/** A limit only where the server never answers: on a busy machine a good answer may take long. */
const slow = new Set(['one byte at a time', 'no answer in time']);

const secret = 'Quixotique';
const report: Report = {
  id: 'r1',
  text: `INDICATION: Mr ${secret}, cough.\n\nFINDINGS: The heart is enlarged. There is no pneumothorax.\nA small\n  effusion cannot be excluded.\n\nIMPRESSION: Possible pneumonia.`,
};

/** The good answer with a change. */
const bent = (change: (answer: Record<string, unknown>) => unknown): Reply => {
  return (response, request) => {
    const answer: Record<string, unknown> = goodAnswer(request.report);
    say(JSON.stringify(change(answer) ?? answer))(response, request);
  };
};
const around = (before: string, after: string): Reply => {
  return (response, request) =>
    say(before + JSON.stringify(goodAnswer(request.report)) + after)(response, request);
};

describe('a good answer', () => {
  test('gives a row per finding, with quotations found and placed by us', async () => {
    await using server = await startServer(() => good);
    const extractor = createLlmExtractor({ url: server.url, ...quick });
    const rows = await extractor.extract(report);
    expectRows(rows, report);
    const row = (finding: string): FindingRow => rows.find((r) => r.finding === finding)!;
    expect(row('Cardiomegaly')).toMatchObject({ status: 'present', probability: 1, label: 1, rate: 0 });
    expect(row('Pneumothorax')).toMatchObject({ status: 'absent', probability: 0, label: 0, rate: 0 });
    expect(row('Pleural Effusion')).toMatchObject({
      status: 'uncertain',
      probability: 0.35,
      label: 0,
      rate: 0.7,
    });
    expect(row('Pneumonia')).toMatchObject({ status: 'uncertain', probability: 0.456 });
    expect(row('Pneumonia').evidence[0]).toMatchObject({
      section: 'impression',
      sentence: 'Possible pneumonia.',
    });
    expect(row('Fracture')).toMatchObject({ status: 'not_mentioned', probability: null, evidence: [] });
    expect(rows.every((r) => r.reason === undefined && r.version === extractor.version)).toBe(true);
    expect(extractor.stats()).toMatchObject({
      reports: 1,
      failed: 0,
      requests: 1,
      retries: 0,
      mode: 'schema',
    });
    expect(extractor.stats()).toMatchObject({ promptTokens: 100, completionTokens: 10 });
  });

  test('was asked for with the schema, the named model and the report between tags', async () => {
    await using server = await startServer(() => good);
    const extractor = createLlmExtractor({ url: server.url, model: 'm', body: { top_k: 1 }, ...quick });
    await extractor.extract(report);
    const { body, path, headers } = server.requests[0]!;
    expect(path).toBe('/v1/chat/completions');
    expect(headers.authorization).toBeUndefined();
    expect(body).toMatchObject({ model: 'm', temperature: 0, stream: true, max_tokens: 2048, top_k: 1 });
    expect(body.response_format).toMatchObject({
      type: 'json_schema',
      json_schema: {
        strict: true,
        schema: { type: 'object', required: findings, additionalProperties: false },
      },
    });
    expect(server.requests[0]!.report).toBe(report.text);
  });
});

describe('a fault, then a good answer', () => {
  const harmless: Record<string, Reply> = {
    'prose around': around('Sure! Here is the JSON you asked for:\n', '\nLet me know if {you} need more.'),
    'a code fence': around('```json\n', '\n```'),
    'reasoning text': around('<think>The heart {is} enlarged, so {"Edema": null} …</think>\n', ''),
    'the end of reasoning only': around('I think {"Edema": null}.</think>', ''),
    'white space about': around(' \n'.repeat(2000), '\n'.repeat(2000)),
    'a key too many': bent((a) => void (a.Invented = { evidence: ['x'], assertion: 'present' })),
    'content in parts': (response, request) =>
      say([{ type: 'text', text: JSON.stringify(goodAnswer(request.report)) }])(response, request),
    'impossible token counts': (response, request) =>
      say(JSON.stringify(goodAnswer(request.report)), {
        usage: { prompt_tokens: -5, completion_tokens: 'many' },
      })(response, request),
    'no token counts': (response, request) =>
      say(JSON.stringify(goodAnswer(request.report)), { usage: null })(response, request),
  };
  const faults: Record<string, Reply> = {
    'no JSON': say('The heart is enlarged.'),
    'broken JSON': say('{"No Finding": null, "Enlarged'),
    'an array': say('[1, 2]'),
    'a wrong word': bent((a) => void (a.Edema = { evidence: [], assertion: 'maybe' })),
    'a number for a word': bent((a) => void (a.Edema = { evidence: [], assertion: 0.7 })),
    'an extra field': bent((a) => void (a.Edema = { evidence: [], assertion: 'absent', note: secret })),
    'a finding left out': bent((a) => void delete a.Pneumonia),
    'a quotation too long': bent(
      (a) => void (a.Edema = { evidence: ['x'.repeat(241)], assertion: 'absent' }),
    ),
    'too many quotations': bent(
      (a) => void (a.Edema = { evidence: ['a', 'b', 'c', 'd'], assertion: 'absent' }),
    ),
    'white space only': say(' \n'.repeat(5000), { finish: 'length' }),
    'endless white space': endlessWhiteSpace,
    'one byte at a time': drip,
    'a cut-off': say('{"No Finding": null, "Enlarged Cardiomediastinum": {"evidence": ["The', {
      finish: 'length',
    }),
    'reasoning that never ends': say('<think>Let me see. {"Edema": null} hmm', { finish: 'length' }),
    'empty choices': json({ choices: [] }),
    'no choices': json({ error: secret }),
    'no message': json({ choices: [{}] }),
    'null for content': say(null, { message: { reasoning_content: 'The heart …' } }),
    'an answer too large': say('x'.repeat(200_000)),
    'a page instead of JSON': (response) => response.writeHead(200).end(`<html>${secret}</html>`),
    'too many requests': status(429, { 'retry-after': '0' }),
    'too many requests, until a date': status(429, { 'retry-after': 'Thu, 01 Jan 1970 00:00:00 GMT' }),
    'an internal error': status(500, {}, `{"error": "${secret}"}`),
    'a gateway without server': status(502),
    'an overloaded server': status(503, { 'retry-after': 'soon' }),
    'no answer in time': hang,
    'a reset before the answer': reset(),
    'a reset inside the answer': reset(true),
  };

  test.each(Object.entries(harmless))('%s: valid rows at the first try', async (_, reply) => {
    await using server = await startServer(() => reply);
    const extractor = createLlmExtractor({ url: server.url, ...quick });
    const rows = await extractor.extract(report);
    expectRows(rows, report);
    expect(rows.filter((r) => r.reason !== undefined)).toEqual([]);
    expect(rows.find((r) => r.finding === 'Pneumonia')!.probability).toBe(0.456);
    expect(server.requests.length).toBe(1);
  });

  test.each(Object.entries(faults))('%s: valid rows at the second try', async (name, reply) => {
    await using server = await startServer(({ attempt }) => (attempt === 0 ? reply : good));
    const timeout = slow.has(name) ? 500 : quick.timeout;
    const extractor = createLlmExtractor({ url: server.url, ...quick, timeout });
    const rows = await extractor.extract(report);
    expectRows(rows, report);
    expect(rows.filter((r) => r.reason !== undefined)).toEqual([]);
    expect(rows.find((r) => r.finding === 'Pneumonia')!.probability).toBe(0.456);
    expect(extractor.stats()).toMatchObject({ reports: 1, failed: 0, requests: 2, retries: 1 });
  });

  const kinds: Record<string, string> = {
    'no JSON': 'not-json',
    'broken JSON': 'not-json',
    'an array': 'not-json',
    'white space only': 'cut-off',
    'endless white space': 'too-large',
    'one byte at a time': 'timeout',
    'a cut-off': 'cut-off',
    'reasoning that never ends': 'cut-off',
    'empty choices': 'empty',
    'no choices': 'empty',
    'no message': 'empty',
    'null for content': 'empty',
    'an answer too large': 'too-large',
    'a page instead of JSON': 'not-json',
    'too many requests': 'rate-limited',
    'an internal error': 'server',
    'no answer in time': 'timeout',
    'a reset before the answer': 'connection',
    'a reset inside the answer': 'connection',
  };
  test.each(Object.entries(kinds))('%s, again and again: one failed row that says %s', async (name, kind) => {
    await using server = await startServer(() => faults[name]!);
    const timeout = slow.has(name) ? 300 : quick.timeout;
    const extractor = createLlmExtractor({ url: server.url, ...quick, timeout, retries: 2 });
    const rows = await extractor.extract(report);
    expectRows(rows, report);
    expect(rows.length).toBe(1);
    expect(rows[0]!.reason).toMatch(new RegExp(`^${kind}: `));
    expect(JSON.stringify(rows)).not.toContain(secret);
    expect(server.requests.length).toBe(3);
    expect(extractor.stats()).toMatchObject({ failed: 1, failures: { [kind]: 3 } });
  });

  test('one finding that stays wrong fails alone; the others have their rows', async () => {
    const reply = bent((a) => {
      a.Edema = { evidence: [secret], assertion: secret };
      a.Pneumonia = { evidence: [], assertion: 'absent', [secret]: 1 };
      delete a.Fracture;
    });
    await using server = await startServer(() => reply);
    const extractor = createLlmExtractor({ url: server.url, ...quick, retries: 1 });
    const rows = await extractor.extract(report);
    expectRows(rows, report);
    expect(rows.filter((r) => r.status === 'failed').map((r) => [r.finding, r.reason])).toEqual([
      ['Edema', 'schema: invalid_value at assertion'],
      ['Pneumonia', 'schema: unrecognized_keys'],
      ['Fracture', 'schema: left out'],
    ]);
    expect(rows.find((r) => r.finding === 'Cardiomegaly')!.status).toBe('present');
    expect(JSON.stringify(rows.map((r) => r.reason))).not.toContain(secret);
    expect(extractor.stats()).toMatchObject({ failed: 0, failedRows: 3, requests: 2 });
  });

  test('a cut-off is answered with more room, an answer that was none with some temperature', async () => {
    await using server = await startServer(({ attempt }) =>
      attempt < 3 ? faults['a cut-off']! : attempt < 4 ? faults['no JSON']! : good,
    );
    const extractor = createLlmExtractor({ url: server.url, ...quick });
    expectRows(await extractor.extract(report), report);
    expect(server.requests.map((r) => [r.body.max_tokens, r.body.temperature, r.body.seed])).toEqual([
      [2048, 0, 0],
      [4096, 0.3, 1],
      [8192, 0.3, 2],
      [8192, 0.3, 3],
      [8192, 0.3, 4],
    ]);
  });
});

describe('many reports through faults of every kind', () => {
  test('400 reports, 16 at once, four of ten requests broken: each has its rows once, in order', async () => {
    const broken: Reply[] = [
      say('no'),
      say('{"Edema": {"evidence": [], "assertion": "x"}}'),
      say('{', { finish: 'length' }),
      json({ choices: [] }),
      status(429, { 'retry-after': '0' }),
      status(500),
      reset(),
      reset(true),
      hang,
      endlessWhiteSpace,
      around('<think>…</think> Well: ', ' That is all.'),
    ];
    const random = new Random(11);
    await using server = await startServer(() =>
      random.uniform() < 0.4 ? broken[random.below(broken.length)]! : good,
    );
    const reports: Report[] = Array.from({ length: 400 }, (_, i) => ({
      id: `s${i}`,
      text: `FINDINGS: Film ${i}. ${['No', 'Possible', 'Probable', 'A'][i % 4]} effusion. IMPRESSION: ${secret} ${i}.`,
    }));
    const extractor = createLlmExtractor({
      url: server.url,
      ...quick,
      timeout: 1000,
      concurrency: 16,
      retries: 3,
    });
    const calls: number[] = [];
    let at = 0;
    let failed = 0;
    for await (const rows of extractAll(reports, extractor, { onProgress: ({ done }) => calls.push(done) })) {
      const expected = reports[at++]!;
      expectRows(rows, expected);
      if (rows.length === 1) failed++;
      else {
        const row = rows.find((r) => r.finding === 'Pleural Effusion')!;
        expect(row.status).toBe(['absent', 'uncertain', 'uncertain', 'present'][(at - 1) % 4]);
      }
      for (const row of rows) expect(row.reason ?? '').not.toContain(secret);
    }
    expect(at).toBe(400);
    expect(calls).toEqual(Array.from({ length: 400 }, (_, i) => i + 1));
    const stats = extractor.stats();
    expect(stats).toMatchObject({ reports: 400, failed, requests: server.requests.length });
    expect(stats.retries).toBe(stats.requests - 400);
    // About 0.36^4 of 400 reports lose all four tries.
    expect(failed).toBeGreaterThan(0);
    expect(failed).toBeLessThan(30);
  });
});

describe('a server that wants the request otherwise', () => {
  const refuses =
    (least: 'schema' | 'plain-schema' | 'object' | 'words'): ((request: { body: object }) => Reply) =>
    ({ body }) => {
      const format = (body as { response_format?: { type: string } }).response_format?.type;
      const limits = JSON.stringify(body).includes('maxLength');
      const mode = format === 'json_schema' ? (limits ? 0 : 1) : format === 'json_object' ? 2 : 3;
      const wanted = ['schema', 'plain-schema', 'object', 'words'].indexOf(least);
      return mode < wanted ? status(400, {}, `{"error": "unsupported, you sent ${secret}"}`) : good;
    };

  test.each(['plain-schema', 'object', 'words'] as const)('is asked for %s, and stays so', async (mode) => {
    await using server = await startServer(refuses(mode));
    const extractor = createLlmExtractor({ url: server.url, ...quick });
    const second = { id: 'r2', text: 'No edema.' };
    expectRows(await extractor.extract(report), report);
    const before = server.requests.length;
    const rows = await extractor.extract(second);
    expectRows(rows, second);
    expect(rows.length).toBe(findings.length);
    expect(server.requests.length).toBe(before + 1);
    expect(extractor.stats()).toMatchObject({ mode, failed: 0, retries: 0 });
  });

  test('one report that is refused in every form does not change the form for the others', async () => {
    await using server = await startServer(({ report: text }) => (text === 'bad' ? status(400) : good));
    const extractor = createLlmExtractor({ url: server.url, ...quick });
    const bad = await extractor.extract({ id: 'b', text: 'bad' });
    expect(bad[0]!.reason).toBe('refused: the server answered 400');
    expect(server.requests.length).toBe(4);
    expectRows(await extractor.extract(report), report);
    expect(extractor.stats().mode).toBe('schema');
  });

  test('a report that is too long for the model is a failed row, without tries', async () => {
    await using server = await startServer(() =>
      status(400, {}, '{"error":{"message":"maximum context length is 4096 tokens"}}'),
    );
    const extractor = createLlmExtractor({ url: server.url, ...quick, longestText: 1000 });
    expect((await extractor.extract(report))[0]!.reason).toMatch(/^too-long: the server answered 400/);
    expect(server.requests.length).toBe(1);
    const long = await extractor.extract({ id: 'l', text: 'x'.repeat(1001) });
    expect(long).toMatchObject([{ id: 'l', finding: '', status: 'failed' }]);
    expect(long[0]!.reason).toBe('too-long: the report has 1001 characters; the limit is 1000');
    expect(server.requests.length).toBe(1);
  });

  test('a report without text is not sent, and mentions nothing', async () => {
    await using server = await startServer(() => good);
    const extractor = createLlmExtractor({ url: server.url, ...quick });
    for (const empty of [{ id: 'e' }, { id: 'e', text: ' \n ' }, { id: 'e', sections: [] }]) {
      const rows = await extractor.extract(empty);
      expect(rows.map((r) => r.status)).toEqual(findings.map(() => 'not_mentioned'));
    }
    expect(server.requests.length).toBe(0);
  });

  test('a server that asked to wait is left alone by all', async () => {
    let limited = false;
    await using server = await startServer(() => {
      if (limited) return good;
      limited = true;
      return status(429, { 'retry-after': '1' });
    });
    const extractor = createLlmExtractor({
      url: server.url,
      ...quick,
      backOff: { first: 1, longest: 250 },
      concurrency: 1,
    });
    const first = extractor.extract(report);
    await new Promise((done) => setTimeout(done, 50));
    const second = extractor.extract({ id: 'r2', text: 'No edema.' });
    await Promise.all([first, second]);
    const [a, b, c] = server.requests.map((r) => r.time);
    expect(b! - a!).toBeGreaterThanOrEqual(240);
    expect(c! - a!).toBeGreaterThanOrEqual(240);
  });
});

describe('where text and keys go', () => {
  const variable = 'PENUMBRA_LLM_API_KEY';
  const before = process.env[variable];
  beforeEach(() => {
    process.env[variable] = 'k-123';
  });
  afterEach(() => {
    if (before === undefined) delete process.env[variable];
    else process.env[variable] = before;
  });

  test('another host is not followed, and gets nothing', async () => {
    await using other = await startServer(() => good);
    for (const code of [301, 302, 303, 307, 308]) {
      await using server = await startServer(() =>
        status(code, { location: `${other.url}/chat/completions` }),
      );
      const extractor = createLlmExtractor({ url: server.url, ...quick });
      await expect(extractor.extract(report)).rejects.toMatchObject({ code: 'reports/llm-unreachable' });
    }
    expect(other.requests.length).toBe(0);
  });

  test('a redirect within the host is followed, a circle of them ends', async () => {
    await using server = await startServer(({ path }) =>
      path === '/v1/chat/completions' ? status(308, { location: '/moved' }) : good,
    );
    const rows = await createLlmExtractor({ url: server.url, ...quick }).extract(report);
    expectRows(rows, report);
    expect(rows.length).toBe(findings.length);
    await using circle = await startServer(({ path }) => status(307, { location: path }));
    const circling = createLlmExtractor({ url: circle.url, ...quick });
    await expect(circling.extract(report)).rejects.toThrow(/more than 3 redirects/);
    expect(circle.requests.length).toBe(4);
  });

  test('the key comes from the variable, goes into the header, and stands in no error', async () => {
    await using server = await startServer(() => status(401, {}, '{"error": "bad key k-123"}'));
    const extractor = createLlmExtractor({ url: server.url, ...quick });
    const error = await extractor.extract(report).catch((e: unknown) => e);
    expect(server.requests[0]!.headers.authorization).toBe('Bearer k-123');
    expect(error).toBeInstanceOf(PenumbraError);
    expect(`${JSON.stringify(error)} ${(error as Error).stack}`).not.toMatch(/k-123|Quixotique/);
    process.env[variable] = 'two\nlines-k-123';
    const refused = await Promise.resolve()
      .then(() => createLlmExtractor({ url: server.url }))
      .catch((e: unknown) => e);
    expect(refused).toMatchObject({ code: 'usage/llm-key' });
    expect(JSON.stringify(refused)).not.toContain('k-123');
  });

  test('there is no address by default, and no odd one', () => {
    expect(() => createLlmExtractor({})).toThrow(/where the language model is/);
    expect(() => createLlmExtractor({ url: 'http://a', gguf: 'b' })).toThrow(/where the language model is/);
    for (const url of ['localhost:8000', 'ftp://a/v1', 'file:///etc/passwd', 'http://u:p@a/v1', 'nonsense']) {
      expect(() => createLlmExtractor({ url }), url).toThrow(
        expect.objectContaining({ code: 'usage/llm-url' }),
      );
    }
  });

  test.each(['concurrency', 'retries', 'maxTokens', 'temperature', 'seed', 'longestText', 'giveUpAfter'])(
    '%s is checked',
    (option) => {
      for (const value of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
        expect(() => createLlmExtractor({ url: 'http://localhost:1', [option]: value })).toThrow(
          expect.objectContaining({ code: 'usage/llm-option', where: { option } }),
        );
      }
      expect(() => createLlmExtractor({ url: 'http://localhost:1', timeout: 400_000 })).toThrow(/time limit/);
    },
  );
});

describe('a server that is gone', () => {
  test('ends the run after so many reports, not with an archive of failed rows', async () => {
    let url: string;
    {
      await using server = await startServer(() => good);
      url = server.url;
    }
    const extractor = createLlmExtractor({ url, ...quick, retries: 1, giveUpAfter: 3, concurrency: 1 });
    const reports = Array.from({ length: 100 }, (_, i) => ({ id: `s${i}`, text: 'No edema.' }));
    const seen: string[] = [];
    const run = async (): Promise<void> => {
      for await (const rows of extractAll(reports, extractor)) seen.push(rows[0]!.id);
    };
    await expect(run()).rejects.toThrow(/^3 reports in a row failed .*connection: ECONNREFUSED/);
    expect(seen).toEqual(['s0', 's1']);
    await expect(extractor.probe()).rejects.toMatchObject({ code: 'reports/llm-probe' });
    const closed = createLlmExtractor({ url: 'http://127.0.0.1:9' });
    await expect(closed.probe()).rejects.toThrow(/ECONNREFUSED/);
  });

  test('a refusal of all is told at once, a refusal of one later is a failed row', async () => {
    await using server = await startServer(() => status(404));
    await expect(createLlmExtractor({ url: server.url, ...quick }).extract(report)).rejects.toMatchObject({
      code: 'reports/llm-unreachable',
      hint: expect.stringContaining('/v1'),
    });
    await using later = await startServer(({ report: text }) => (text === 'odd' ? status(403) : good));
    const extractor = createLlmExtractor({ url: later.url, ...quick });
    await extractor.extract(report);
    expect((await extractor.extract({ id: 'o', text: 'odd' }))[0]!.reason).toMatch(/^unauthorized: /);
  });

  test('an abort ends a wait and a request at once', async () => {
    await using server = await startServer(() => hang);
    for (const limits of [
      { timeout: 100_000 },
      { timeout: 10, backOff: { first: 100_000, longest: 100_000 } },
    ]) {
      const extractor = createLlmExtractor({ url: server.url, ...quick, ...limits });
      const started = performance.now();
      const reason = new Error('enough');
      await expect(extractor.extract(report, abortAfter(100, reason))).rejects.toBe(reason);
      // Far less than what was to be waited for, on a busy machine too.
      expect(performance.now() - started).toBeLessThan(30_000);
      expect(extractor.stats().reports).toBe(0);
    }
  });
});

function abortAfter(milliseconds: number, reason: Error): AbortSignal {
  const controller = new AbortController();
  setTimeout(() => controller.abort(reason), milliseconds);
  return controller.signal;
}

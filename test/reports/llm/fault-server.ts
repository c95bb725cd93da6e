import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAssessor, type FindingRow } from '../../../src/reports/index.ts';
import { type Level, levels } from '../../../src/reports/llm/index.ts';

/** A chat request as the server got it. */
export interface ChatRequest {
  readonly body: Record<string, unknown> & { messages: { role: string; content: string }[] };
  readonly headers: IncomingHttpHeaders;
  readonly path: string;
  /** What stands between the tags of the report. */
  readonly report: string;
  /** 0 for the first request for this text, then 1, 2 … */
  readonly attempt: number;
  readonly time: number;
}

export type Reply = (response: ServerResponse, request: ChatRequest) => void;

/** A chat server on a free port of this machine that answers each request as `decide` says. */
export async function startServer(decide: (request: ChatRequest) => Reply): Promise<{
  readonly url: string;
  readonly requests: ChatRequest[];
  [Symbol.asyncDispose](): Promise<void>;
}> {
  const requests: ChatRequest[] = [];
  const attempts = new Map<string, number>();
  const server = createServer((incoming, response) => {
    response.on('error', () => {});
    void read(incoming).then((text) => {
      const body = JSON.parse(text) as ChatRequest['body'];
      const user = body.messages.at(-1)!.content;
      const report = /^<(report-[0-9a-f]{16})>\n([\s\S]*)\n<\/\1>\n/.exec(user)?.[2] ?? '';
      const attempt = attempts.get(report) ?? 0;
      attempts.set(report, attempt + 1);
      const request: ChatRequest = {
        body,
        headers: incoming.headers,
        path: incoming.url!,
        report,
        attempt,
        time: performance.now(),
      };
      requests.push(request);
      decide(request)(response, request);
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}

async function read(incoming: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of incoming) parts.push(part as Buffer);
  return Buffer.concat(parts).toString('utf8');
}

/** An answer with this text. */
export function say(
  content: unknown,
  more: { finish?: string; usage?: unknown; message?: object } = {},
): Reply {
  return json({
    id: 'x',
    object: 'chat.completion',
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content, ...more.message },
        finish_reason: more.finish ?? 'stop',
      },
    ],
    usage: 'usage' in more ? more.usage : { prompt_tokens: 100, completion_tokens: 10, total_tokens: 110 },
  });
}

export function json(value: unknown): Reply {
  return (response) =>
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

export function status(code: number, headers: Record<string, string> = {}, body = ''): Reply {
  return (response) => response.writeHead(code, headers).end(body);
}

/** Closes the connection hard: before the answer, or in the middle of it. */
export function reset(inside = false): Reply {
  return (response) => {
    const end = (): void => void response.socket?.resetAndDestroy();
    if (!inside) return end();
    response.writeHead(200, { 'content-type': 'application/json' });
    response.write('{"choices":[{"mess', () => setTimeout(end, 5));
  };
}

/** A streamed answer in pieces of some characters, with its usage at the end. */
export function stream(content: string, finish: string | null = 'stop'): Reply {
  return (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
    const event = (value: unknown): void => void response.write(`data: ${JSON.stringify(value)}\n\n`);
    for (let at = 0; at < content.length; at += 7) {
      event({ choices: [{ index: 0, delta: { content: content.slice(at, at + 7) }, finish_reason: null }] });
    }
    if (finish !== null) {
      event({ choices: [{ index: 0, delta: {}, finish_reason: finish }] });
      event({ choices: [], usage: { prompt_tokens: 100, completion_tokens: 10 } });
      response.write('data: [DONE]\n\n');
    }
    response.end();
  };
}

/** A stream that begins well and then writes white space for ever; `stopped` is told when the reader has gone. */
export function streamedWhiteSpace(stopped: (pieces: number) => void): Reply {
  return (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    let pieces = 0;
    const send = (content: string): void =>
      void response.write(`data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`);
    send('{"Edema":');
    const timer = setInterval(() => {
      pieces++;
      send(' \n  \n  ');
    }, 1);
    response.once('close', () => {
      clearInterval(timer);
      stopped(pieces);
    });
  };
}

/** Never answers. */
export const hang: Reply = () => {};

/** A response that never ends, white space all the way. */
export const endlessWhiteSpace: Reply = (response) => {
  response.writeHead(200, { 'content-type': 'application/json' });
  const space = ' '.repeat(16_384);
  const pour = (): void => {
    if (response.destroyed) return;
    if (response.write(space)) setImmediate(pour);
    else response.once('drain', pour);
  };
  pour();
};

/** One byte now and then, so that no single wait is long. */
export const drip: Reply = (response) => {
  response.writeHead(200, { 'content-type': 'application/json' });
  const timer = setInterval(() => response.write(' '), 10);
  response.once('close', () => clearInterval(timer));
};

const assessor = createAssessor();
export const findings = assessor.findings.findings;

/** What a good model would answer: the judgement of the rules in the model's words, with the sentences as quotations. */
export function goodAnswer(report: string): Record<string, { evidence: string[]; assertion: Level } | null> {
  return Object.fromEntries(
    assessor.assessReport({ id: '', text: report }).map((row) => [row.finding, entry(row)]),
  );
}

/** `goodAnswer` as a reply. */
export const good: Reply = (response, request) =>
  say(JSON.stringify(goodAnswer(request.report)))(response, request);

function entry(row: FindingRow): { evidence: string[]; assertion: Level } | null {
  if (row.status === 'not_mentioned') return null;
  const names = Object.keys(levels) as Level[];
  const fitting = names.filter((name) => levels[name].status === row.status);
  const distance = (name: Level): number =>
    Math.abs((levels[name].probability ?? 0) - (row.probability ?? 0));
  return {
    evidence: row.evidence.slice(0, 1).map((e) => e.sentence.slice(0, 240)),
    assertion: fitting.reduce((a, b) => (distance(b) < distance(a) ? b : a)),
  };
}

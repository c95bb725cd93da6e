import { z } from 'zod';
import { PenumbraError } from '../../errors.ts';
import type { Backend, Completion, CompletionRequest } from './backend.ts';
import { Failure } from './failure.ts';
import { type Answer, openClient, type Post } from './http.ts';
import { type AnswerSchema, withoutLimits } from './schema.ts';
import { readStream } from './stream.ts';

/** Options of a server that speaks OpenAI's chat completions (vLLM, llama.cpp, Ollama, SGLang, LM Studio …). */
export interface ServerOptions {
  /** Where the reports go, and nowhere else: `http://localhost:8000/v1`. There is no default. */
  url: string;
  /** A proxy to go through. Default: none, whatever the environment says. */
  proxy?: string;
  /** The model's name as the server knows it. */
  model: string;
  /** Name of the environment variable that holds the key. Default `PENUMBRA_LLM_API_KEY`; it may be unset. */
  apiKeyVariable?: string;
  /** Milliseconds for one attempt, from the connection to the last byte. Up to 300,000. Default 120,000. */
  timeout?: number;
  /** The most bytes of one response. Default 1 MiB. */
  longestResponse?: number;
  /** Let reasoning models reason first: slower, and the reasoning is thrown away. Default false. */
  thinking?: boolean;
  /** More fields for the body of every request. They win over ours. */
  body?: Readonly<Record<string, unknown>>;
}

export const defaultKeyVariable = 'PENUMBRA_LLM_API_KEY';
const defaults = { timeout: 120_000, longestResponse: 1 << 20 };

/** Longer, and a server that hangs is not told from one that thinks. */
const longestTimeout = 300_000;
const mostRedirects = 3;

/** The endpoint for the URL that the user named: `/chat/completions` below it, `/v1` where it has no path at all. */
export function chatEndpoint(url: string): URL {
  const fail = (what: string): never => {
    throw new PenumbraError('usage/llm-url', `The address of the language model ${what}.`, {
      hint: 'Give an address as http://localhost:8000/v1; a key goes into an environment variable.',
    });
  };
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    return fail('is no URL');
  }
  if (parsed.protocol !== 'http:' && parsed.protocol !== 'https:')
    fail('does not begin with http:// or https://');
  if (parsed.username !== '' || parsed.password !== '') fail('holds a user name or password');
  let path = parsed.pathname.replace(/\/+$/, '');
  if (path === '') path = '/v1';
  if (!path.endsWith('/chat/completions')) path += '/chat/completions';
  parsed.pathname = path;
  parsed.hash = '';
  return parsed;
}

/**
 * How the answer's form is asked for, strongest first. A server that refuses one (400, 415, 422, 501 …) is asked
 * the next, and once that has worked, all further requests begin there. The prompt asks for the same form in words.
 */
const modes = ['schema', 'plain-schema', 'object', 'words'] as const;

const usageCount = z.number().int().min(0).max(10_000_000).nullable().catch(null);

/** Only what is used; everything else of a response is ignored. */
const response = z.object({
  choices: z.array(z.unknown()).min(1),
  usage: z
    .object({ prompt_tokens: usageCount.default(null), completion_tokens: usageCount.default(null) })
    .nullish()
    .catch(null),
});

const choice = z.object({
  message: z.object({
    content: z.union([z.string(), z.array(z.object({ text: z.string().catch('') }))]).nullish(),
  }),
  finish_reason: z.string().nullish().catch(null),
});

/** A client for one server. It sends nothing before the first report. */
export function openServer(options: ServerOptions, schema: AnswerSchema): Backend {
  return new Server(options, schema);
}

class Server implements Backend {
  private readonly endpoint: URL;
  private readonly options: ServerOptions;
  private readonly schema: AnswerSchema;
  private readonly timeout: number;
  private readonly longest: number;
  private readonly key: string | undefined;
  private readonly send: Post;
  private level = 0;
  private streams = true;

  constructor(options: ServerOptions, schema: AnswerSchema) {
    this.endpoint = chatEndpoint(options.url);
    this.options = options;
    this.schema = schema;
    this.timeout = options.timeout ?? defaults.timeout;
    this.longest = options.longestResponse ?? defaults.longestResponse;
    if (!(this.timeout > 0 && this.timeout <= longestTimeout)) {
      throw new PenumbraError('usage/llm-timeout', `The time limit is ${this.timeout} ms.`, {
        hint: `Give more than 0 and at most ${longestTimeout} ms.`,
      });
    }
    const variable = options.apiKeyVariable ?? defaultKeyVariable;
    const key = process.env[variable]?.trim();
    if (key !== undefined && !/^[\x21-\x7e]*$/.test(key)) {
      throw new PenumbraError('usage/llm-key', `The key in ${variable} holds characters that no key has.`, {
        hint: 'Set the variable again: printable ASCII, no spaces.',
        where: { variable },
      });
    }
    this.key = key === '' ? undefined : key;
    this.send = openClient(options.proxy);
  }

  get mode(): string {
    return modes[this.level]!;
  }

  async complete(request: CompletionRequest): Promise<Completion> {
    const limit = AbortSignal.timeout(this.timeout);
    const signal = request.signal === undefined ? limit : AbortSignal.any([limit, request.signal]);
    try {
      for (let level = this.level; ; level++) {
        const { status, retryAfter, text, completion } = await this.post(this.body(request, level), signal);
        if (completion !== undefined) {
          // Only an answer shows that the form was what the server had refused, and not this report.
          if (level > this.level) this.level = level;
          return completion;
        }
        if (this.streams && status >= 400 && status < 500 && /stream/i.test(text)) {
          this.streams = false; // it says that it cannot
          level--;
          continue;
        }
        const failure = refusal(status, text, retryAfter);
        if (failure.kind !== 'refused' || level === modes.length - 1) throw failure;
      }
    } catch (error) {
      if (error instanceof Failure) throw error;
      if (request.signal?.aborted) throw request.signal.reason;
      if (limit.aborted) throw new Failure('timeout', `no answer within ${this.timeout / 1000} s`);
      // The error's own message may quote addresses or headers; its code says enough.
      throw new Failure('connection', connectionCode(error));
    }
  }

  async close(): Promise<void> {}

  private body(request: CompletionRequest, level: number): string {
    const { schema } = this;
    const mode = modes[level]!;
    const format =
      mode === 'words'
        ? undefined
        : mode === 'object'
          ? { type: 'json_object' }
          : {
              type: 'json_schema',
              json_schema: {
                name: 'findings',
                strict: true,
                schema: mode === 'schema' ? schema.json : withoutLimits(schema.json),
              },
            };
    return JSON.stringify({
      model: this.options.model,
      messages: [
        { role: 'system', content: request.system },
        { role: 'user', content: request.user },
      ],
      temperature: request.temperature,
      seed: request.seed,
      max_tokens: request.maxTokens,
      ...(this.streams ? { stream: true, stream_options: { include_usage: true } } : { stream: false }),
      ...(format !== undefined && { response_format: format }),
      // Qwen3 and others read it in their chat template. Servers that know no such field refuse it or ignore it.
      ...(mode === 'schema' && { chat_template_kwargs: { enable_thinking: this.options.thinking ?? false } }),
      ...this.options.body,
    });
  }

  /** Follows redirects only within the address's own scheme, host and port. */
  private async post(body: string, signal: AbortSignal): Promise<Reply> {
    let url = this.endpoint;
    for (let hop = 0; ; hop++) {
      const reply = await this.send(url, {
        headers: {
          'content-type': 'application/json',
          accept: 'text/event-stream, application/json',
          ...(this.key !== undefined && { authorization: `Bearer ${this.key}` }),
        },
        body,
        signal,
      });
      if (reply.status < 300 || reply.status >= 400) {
        const answer = {
          status: reply.status,
          retryAfter: retryAfter(reply.headers['retry-after'] ?? null),
        };
        // What is asked to stream may still answer in one piece.
        if (reply.status === 200 && /^text\/event-stream\b/i.test(reply.headers['content-type'] ?? '')) {
          const completion = await readStream(reply.body, this.longest);
          return { ...answer, text: '', completion };
        }
        const text = await readBounded(reply, this.longest);
        return { ...answer, text, ...(reply.status === 200 && { completion: readCompletion(text) }) };
      }
      reply.body.destroy();
      const target = URL.parse(reply.headers.location ?? '', url.href);
      if (reply.status !== 307 && reply.status !== 308) {
        throw new Failure('redirect', `the server answered with the redirect ${reply.status}`);
      }
      if (target === null || target.origin !== this.endpoint.origin) {
        throw new Failure('redirect', 'the server points to another host; reports go to the named one only');
      }
      if (hop === mostRedirects) throw new Failure('redirect', `more than ${mostRedirects} redirects`);
      url = target;
    }
  }
}

interface Reply {
  status: number;
  /** Milliseconds. */
  retryAfter: number | undefined;
  text: string;
  /** Of an answer that is one. */
  completion?: Completion;
}

/** Reads at most `longest` bytes; a server that never stops is cut off there. */
async function readBounded(reply: Answer, longest: number): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for await (const chunk of reply.body) {
    bytes += chunk.length;
    if (bytes > longest) throw new Failure('too-large', `the response is longer than ${longest} bytes`);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

function readCompletion(text: string): Completion {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new Failure('not-json', 'the response is not JSON');
  }
  const outer = response.safeParse(json);
  if (!outer.success) throw new Failure('empty', 'the response has no choices');
  const inner = choice.safeParse(outer.data.choices[0]);
  if (!inner.success) throw new Failure('empty', 'the response has no message');
  const { message, finish_reason } = inner.data;
  const content =
    typeof message.content === 'string'
      ? message.content
      : (message.content ?? []).map((part) => part.text).join('');
  return {
    text: content,
    cutOff: finish_reason === 'length',
    promptTokens: outer.data.usage?.prompt_tokens ?? null,
    completionTokens: outer.data.usage?.completion_tokens ?? null,
  };
}

/** What a status other than 200 means. The body is looked at, never quoted: servers echo the request. */
function refusal(status: number, body: string, wait: number | undefined): Failure {
  const what = `the server answered ${status}`;
  if (status === 429) return new Failure('rate-limited', what, wait);
  if (status === 401 || status === 403) return new Failure('unauthorized', what);
  if (status === 404) return new Failure('not-found', `${what}: no such address or model`);
  if (status === 408 || status === 425 || (status >= 500 && status !== 501))
    return new Failure('server', what, wait);
  if (status === 413 || /context.{0,20}(length|size|window)|maximum context|too many tokens/i.test(body)) {
    return new Failure('too-long', `${what}: the report does not fit into the model's context`);
  }
  return new Failure('refused', what);
}

/** `Retry-After` in milliseconds: seconds, or a date. */
function retryAfter(header: string | null): number | undefined {
  if (header === null) return undefined;
  const seconds = /^\s*\d+(\.\d+)?\s*$/.test(header)
    ? Number(header)
    : (Date.parse(header) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.max(0, seconds * 1000) : undefined;
}

function connectionCode(error: unknown): string {
  for (let e: unknown = error; e instanceof Error; e = e.cause) {
    const code = (e as NodeJS.ErrnoException).code;
    if (typeof code === 'string' && /^[A-Z_0-9]{1,40}$/.test(code)) return code;
  }
  return 'the connection broke';
}

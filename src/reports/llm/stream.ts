import type { Completion } from './backend.ts';
import { Failure } from './failure.ts';

/**
 * A model that is held to a grammar may write white space between two tokens of the JSON for ever, until `max_tokens`
 * (a known failure of constrained decoding). No answer has so much of it in one place.
 */
const mostWhiteSpace = 256;

/**
 * Reads a streamed answer (server-sent events of OpenAI's chat completions) piece by piece, so that one that has gone
 * wrong is given up at once: too long, or white space without end. Leaving the loop closes the connection, and the
 * server stops writing.
 * @param longest the most bytes
 * @throws Failure `white-space`, `too-large`, `server` for an error inside the stream, `empty` without a single choice
 */
export async function readStream(body: AsyncIterable<Buffer>, longest: number): Promise<Completion> {
  const decoder = new TextDecoder();
  let bytes = 0;
  let rest = '';
  let text = '';
  let spaces = 0; // at the end of `text`
  let choices = 0;
  let ended = false;
  let cutOff = false;
  let promptTokens: number | null = null;
  let completionTokens: number | null = null;
  const take = (line: string): void => {
    const data = /^data:\s?(.*)$/.exec(line)?.[1];
    if (data === undefined || data === '') return;
    if (data === '[DONE]') {
      ended = true;
      return;
    }
    let event: StreamEvent;
    try {
      event = JSON.parse(data) as StreamEvent;
    } catch {
      throw new Failure('not-json', 'an event of the answer is not JSON');
    }
    if (event === null || typeof event !== 'object') return;
    if (event.error !== undefined) throw new Failure('server', 'the server reported an error in the answer');
    promptTokens = tokenCount(event.usage?.prompt_tokens) ?? promptTokens;
    completionTokens = tokenCount(event.usage?.completion_tokens) ?? completionTokens;
    const choice = Array.isArray(event.choices) ? event.choices[0] : undefined;
    if (choice === undefined) return;
    choices++;
    if (typeof choice.finish_reason === 'string') {
      ended = true;
      cutOff = choice.finish_reason === 'length';
    }
    const piece = choice.delta?.content;
    if (typeof piece !== 'string' || piece === '') return;
    text += piece;
    const solid = piece.trimEnd();
    spaces = solid === '' ? spaces + piece.length : piece.length - solid.length;
    if (spaces > mostWhiteSpace) {
      throw new Failure(
        'white-space',
        `the answer ran on in more than ${mostWhiteSpace} characters of white space`,
      );
    }
  };
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > longest) throw new Failure('too-large', `the response is longer than ${longest} bytes`);
    rest += decoder.decode(chunk, { stream: true });
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
      take(rest.slice(0, end).replace(/\r$/, ''));
      rest = rest.slice(end + 1);
    }
  }
  if (rest !== '') take(rest);
  if (choices === 0) throw new Failure('empty', 'the response has no choices');
  if (!ended) throw new Failure('connection', 'the answer ended in the middle');
  return { text, cutOff, promptTokens, completionTokens };
}

/** Only what is used; nothing of it is trusted. */
interface StreamEvent {
  readonly error?: unknown;
  readonly usage?: { readonly prompt_tokens?: unknown; readonly completion_tokens?: unknown } | null;
  readonly choices?: readonly {
    readonly delta?: { readonly content?: unknown } | null;
    readonly finish_reason?: unknown;
  }[];
}

function tokenCount(value: unknown): number | null {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 10_000_000
    ? (value as number)
    : null;
}

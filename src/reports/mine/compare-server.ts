import { PenumbraError } from '../../errors.ts';
import type { Lexicon } from '../lexicon/lexicon.ts';
import { type Answer, openClient, type Post } from '../llm/http.ts';
import { type Compare, rankByComparisons } from './compare.ts';
import type { Candidate } from './mine.ts';

export interface CompareServerOptions {
  /** Base URL of an OpenAI-compatible server, up to `/v1`. */
  server: string;
  model: string;
  /** A proxy to go through. Default: none, whatever the environment says. */
  proxy?: string;
  rounds?: number;
  seed?: number;
  /** Milliseconds for one comparison; default 60,000. */
  timeout?: number;
  onProgress?: (done: number, total: number) => void;
}

/** Phrases whose place is published, spread over the whole range: the scale that candidates are put on. */
const anchorPhrases = [
  'less likely',
  'cannot be excluded',
  'possible',
  'may represent',
  'suggestive of',
  'probable',
  'consistent with',
  'most likely',
];

/**
 * Gives candidates the probability that a language model's comparisons in pairs put them at. Only the phrases are
 * sent, no text of a report. An answer that names neither phrase counts as none.
 */
export async function compareOnServer(
  candidates: readonly Candidate[],
  lexicon: Lexicon,
  options: CompareServerOptions,
): Promise<Candidate[]> {
  const anchors = anchorPhrases.flatMap((phrase) => {
    const entry = lexicon.entries.find((e) => e.kind === 'hedge' && e.phrases.includes(phrase));
    return entry?.probability == null ? [] : [{ phrase, probability: entry.probability }];
  });
  const send = openClient(options.proxy);
  let done = 0;
  let none = 0;
  const compare: Compare = async (a, b, progress) => {
    const answer = await ask(a, b, options, send);
    done++;
    options.onProgress?.(progress.done, progress.total);
    if (answer === null) none++;
    return answer;
  };
  const ranked = await rankByComparisons(
    candidates.map((c) => c.phrase),
    anchors,
    compare,
    {
      ...(options.rounds === undefined ? {} : { rounds: options.rounds }),
      ...(options.seed === undefined ? {} : { seed: options.seed }),
    },
  );
  if (done > 0 && none === done) {
    throw new PenumbraError(
      'reports/compare',
      `None of ${done} comparisons had an answer that could be read.`,
      {
        hint: 'Does the model follow instructions? Try another with --model.',
      },
    );
  }
  return candidates.map((candidate, i) => ({
    ...candidate,
    probability: ranked[i]!.probability,
    comparison: { deviation: ranked[i]!.deviation, comparisons: ranked[i]!.comparisons },
  }));
}

async function ask(
  a: string,
  b: string,
  options: CompareServerOptions,
  send: Post,
): Promise<'a' | 'b' | null> {
  const question =
    'A radiologist writes one of two phrases before the name of a finding. Which phrase expresses more certainty that ' +
    `the finding is there?\nA: "${a}"\nB: "${b}"\nAnswer with the letter A or B only. /no_think`;
  const silent = () =>
    new PenumbraError('reports/compare', `The server ${options.server} did not answer.`, {
      hint: 'Is it running, and is the address right (up to /v1)?',
    });
  let response: Answer;
  try {
    response = await send(new URL(`${options.server.replace(/\/+$/, '')}/chat/completions`), {
      headers: {
        'content-type': 'application/json',
        ...(process.env.OPENAI_API_KEY === undefined
          ? {}
          : { authorization: `Bearer ${process.env.OPENAI_API_KEY}` }),
      },
      body: JSON.stringify({
        model: options.model,
        temperature: 0,
        max_tokens: 512,
        messages: [{ role: 'user', content: question }],
      }),
      signal: AbortSignal.timeout(options.timeout ?? 60_000),
    });
  } catch {
    throw silent();
  }
  if (response.status !== 200) {
    response.body.destroy();
    throw new PenumbraError(
      'reports/compare',
      `The server ${options.server} answered with status ${response.status}.`,
    );
  }
  const answer = (await jsonOf(response)) as { choices?: { message?: { content?: unknown } }[] } | null;
  const content = answer?.choices?.[0]?.message?.content;
  if (typeof content !== 'string') return null;
  const letter = /^[\s"'(]*([AB])\b/.exec(content.replace(/<think>[\s\S]*?(<\/think>|$)/g, ''));
  return letter === null ? null : letter[1] === 'A' ? 'a' : 'b';
}

/** The answer's JSON, of at most 1 MiB; null for anything else. */
async function jsonOf(answer: Answer): Promise<unknown> {
  const parts: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const part of answer.body) {
      bytes += part.length;
      if (bytes > 1 << 20) return null;
      parts.push(part);
    }
    return JSON.parse(Buffer.concat(parts).toString('utf8'));
  } catch {
    return null;
  }
}

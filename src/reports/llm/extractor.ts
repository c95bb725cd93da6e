import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { PenumbraError } from '../../errors.ts';
import { Random } from '../../random.ts';
import { failedRow } from '../extract/extractor.ts';
import { type FindingSet, findingSet } from '../findings/findings.ts';
import { sourcesHash } from '../lexicon/table.ts';
import type { FindingRow, Report } from '../types.ts';
import { type Answer, readAnswer } from './answer.ts';
import type { Backend, Completion } from './backend.ts';
import { QuoteFinder } from './evidence.ts';
import { Failure, type FailureKind, retryableKinds, transportKinds } from './failure.ts';
import { levels } from './levels.ts';
import { describeModelFile, type LocalOptions, openLocalModel } from './local.ts';
import { createPrompt } from './prompt.ts';
import { rowsOf } from './rows.ts';
import { answerSchema } from './schema.ts';
import { chatEndpoint, defaultKeyVariable, openServer, type ServerOptions } from './server.ts';

/** The sources whose change can change what is asked, or what rows an answer becomes. How it travels is none of it. */
const sources = [
  ...['answer', 'defuse', 'evidence', 'extractor', 'levels', 'prompt', 'rows', 'schema'].map(
    (name) => `llm/${name}.ts`,
  ),
  ...['segment', 'tokenize', 'vocabulary'].map((name) => `text/${name}.ts`),
  'extract/extractor.ts',
  'rate.ts',
];

/** The model of the second paper (arXiv 2508.02495): Qwen3-4B, under the name that servers give it by default. */
export const defaultModel = 'Qwen/Qwen3-4B';

/** Options of `createLlmExtractor`. Exactly one of `url` and `gguf` says where the model is. */
export interface LlmOptions extends Partial<ServerOptions>, Omit<LocalOptions, 'gguf'> {
  /** A GGUF file, run by the optional package node-llama-cpp in a process of its own. */
  gguf?: string;
  /** Default: CheXpert's 14. */
  findings?: FindingSet;
  /** The prompt's text in place of the shipped `prompt.md`. */
  prompt?: string;
  /** Default 0. A second try after an answer that was none is made at 0.3 at least. */
  temperature?: number;
  /** Names all random streams: sampling on the server, and the jitter of waits. Default 0. */
  seed?: number;
  /** The most tokens of an answer. Doubled after a cut-off, up to four times this. Default 2,048. */
  maxTokens?: number;
  /** Reports under way at once. Default 8 for a server, 1 for a file. */
  concurrency?: number;
  /** Tries after the first one. Default 4. */
  retries?: number;
  /** Waits between tries in milliseconds: a random part of `first · 2^try`, up to `longest`. Default 500 and 30,000. */
  backOff?: { first: number; longest: number };
  /** Longer reports (UTF-16 units) are not sent. Default 20,000. */
  longestText?: number;
  /**
   * After so many reports in a row that failed on the way to the model, `extract` throws instead of making failed
   * rows of a whole archive. Default 20.
   */
  giveUpAfter?: number;
}

/** Counts since the extractor was made. */
export interface LlmStats {
  /** Reports done, failed ones among them. */
  readonly reports: number;
  /** Reports that ended as one failed row. */
  readonly failed: number;
  /** Rows whose quotations are not all in the report, and rows of findings that broke the schema. */
  readonly unverifiedRows: number;
  readonly failedRows: number;
  /** Attempts, and those of them that were not the first of their report. */
  readonly requests: number;
  readonly retries: number;
  /** Failed attempts by kind. */
  readonly failures: Readonly<Partial<Record<FailureKind, number>>>;
  /** As the server counts them; 0 where it does not say. */
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** Seconds since the first request. */
  readonly seconds: number;
  /** How the form of the answer was asked for: `schema`, `plain-schema`, `object`, `words`, or `grammar`. */
  readonly mode: string;
}

/** Turns reports into rows with a language model. */
export interface LlmExtractor {
  readonly name: 'llm';
  /** Fingerprint of prompt, schema, findings, levels, model, sampling and code: 16 hexadecimal digits. */
  readonly version: string;
  readonly concurrency: number;
  readonly rowsPerReport: number;
  readonly findings: FindingSet;
  /**
   * One row per finding, or one failed row with an empty finding when there is no answer.
   * @throws the signal's reason; PenumbraError `reports/llm-…` when no further report could succeed either
   */
  extract(report: Report, signal?: AbortSignal): Promise<FindingRow[]>;
  /** UTF-16 units that would be sent for a report; 0 for one that is not sent. */
  promptCharacters(report: Report): number;
  /** Sends one made-up report, to see that the model answers and what an answer costs. */
  probe(signal?: AbortSignal): Promise<Probe>;
  stats(): LlmStats;
  close(): Promise<void>;
}

/** What the probe took. */
export interface Probe {
  readonly seconds: number;
  /** UTF-16 units sent. */
  readonly characters: number;
  readonly promptTokens: number | null;
  readonly completionTokens: number | null;
}

/** Made up: about the length of an Open-i report, with hedges of every kind. */
const probeReport: Report = {
  id: 'probe',
  text:
    'INDICATION: Cough.\n\nFINDINGS: The heart is mildly enlarged. There is a patchy opacity at the left base, which may ' +
    'represent atelectasis or pneumonia. No pneumothorax. A small right pleural effusion cannot be excluded.\n\n' +
    'IMPRESSION: 1. Probable left basilar pneumonia. 2. Stable cardiomegaly.',
};

/**
 * Makes an extractor. Nothing is sent, and no model is loaded, before the first report.
 * @throws PenumbraError `usage/llm-…` for options that make no sense
 */
export function createLlmExtractor(options: LlmOptions): LlmExtractor {
  return new Extractor(options);
}

class Extractor implements LlmExtractor {
  readonly name = 'llm';
  readonly version: string;
  readonly concurrency: number;
  readonly rowsPerReport: number;
  readonly findings: FindingSet;
  private readonly settings: ReturnType<typeof settle>;
  private readonly backend: Backend;
  private readonly keyVariable: string;
  private readonly schema: ReturnType<typeof answerSchema>;
  private readonly prompt: ReturnType<typeof createPrompt>;
  private readonly finder = new QuoteFinder();
  private readonly counts = {
    reports: 0,
    failed: 0,
    unverifiedRows: 0,
    failedRows: 0,
    requests: 0,
    retries: 0,
    promptTokens: 0,
    completionTokens: 0,
  };
  private readonly failures: Partial<Record<FailureKind, number>> = {};
  private started: number | undefined;
  /** No request starts before this moment: a server that asked one to wait asked all. */
  private pausedUntil = 0;
  private lostInARow = 0;
  private everAnswered = false;

  constructor(options: LlmOptions) {
    this.findings = options.findings ?? findingSet();
    this.rowsPerReport = this.findings.findings.length;
    this.schema = answerSchema(this.findings.findings);
    this.prompt = createPrompt(this.findings, options.prompt);
    const settings = settle(options);
    this.keyVariable = options.apiKeyVariable ?? defaultKeyVariable;
    this.settings = settings;
    this.concurrency = settings.concurrency;
    const model = options.model ?? defaultModel;
    const { url, gguf } = options;
    if ((url === undefined) === (gguf === undefined)) {
      throw new PenumbraError(
        'usage/llm-model',
        'Say where the language model is: by an address or by a file.',
        {
          hint: 'Give the address of a server (http://localhost:8000/v1) or the path of a GGUF file, not both.',
        },
      );
    }
    let identity: string;
    if (gguf !== undefined) {
      identity = describeModelFile(gguf);
      this.backend = openLocalModel({ ...options, gguf, sequences: settings.concurrency }, this.schema);
    } else {
      chatEndpoint(url!);
      identity = `${model}\0${JSON.stringify(options.body ?? {})}`;
      this.backend = openServer({ ...options, url: url!, model }, this.schema);
    }
    this.version = fingerprint([
      `llm ${sourcesHash(sources)}`,
      this.prompt.system,
      JSON.stringify(this.schema.json),
      JSON.stringify(levels),
      identity,
      JSON.stringify([settings.temperature, settings.seed, settings.maxTokens, options.thinking ?? false]),
    ]);
  }

  async extract(report: Report, signal?: AbortSignal): Promise<FindingRow[]> {
    const stamp = { extractor: this.name, version: this.version };
    let rows: FindingRow[];
    const length = lengthOf(report);
    if (length === 0) {
      rows = rowsOf(report, this.findings.findings, nothing(this.rowsPerReport), this.finder, stamp);
    } else if (length > this.settings.longestText) {
      const detail = `the report has ${length} characters; the limit is ${this.settings.longestText}`;
      rows = [failedRow(report.id, '', `too-long: ${detail}`, stamp)];
    } else {
      const answer = await this.ask(report, signal);
      rows =
        answer instanceof Failure
          ? [failedRow(report.id, '', answer.message, stamp)]
          : rowsOf(report, this.findings.findings, answer, this.finder, stamp);
    }
    this.counts.reports++;
    if (rows.length === 1 && rows[0]!.finding === '') this.counts.failed++;
    else {
      for (const row of rows) {
        if (row.status === 'failed') this.counts.failedRows++;
        else if (row.reason?.startsWith('unverified')) this.counts.unverifiedRows++;
      }
    }
    return rows;
  }

  promptCharacters(report: Report): number {
    const length = lengthOf(report);
    if (length === 0 || length > this.settings.longestText) return 0;
    const { system, user } = this.prompt.messages(report);
    return system.length + user.length;
  }

  async probe(signal?: AbortSignal): Promise<Probe> {
    const messages = this.prompt.messages(probeReport);
    const { temperature, seed, maxTokens } = this.settings;
    const start = performance.now();
    try {
      const { promptTokens, completionTokens } = await this.backend.complete({
        ...messages,
        temperature,
        seed,
        maxTokens,
        signal,
      });
      return {
        seconds: (performance.now() - start) / 1000,
        characters: messages.system.length + messages.user.length,
        promptTokens,
        completionTokens,
      };
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      throw new PenumbraError('reports/llm-probe', `The language model does not answer (${error.message}).`, {
        hint: this.hint(error.kind),
      });
    }
  }

  stats(): LlmStats {
    return {
      ...this.counts,
      failures: { ...this.failures },
      seconds: this.started === undefined ? 0 : (performance.now() - this.started) / 1000,
      mode: this.backend.mode,
    };
  }

  async close(): Promise<void> {
    await this.backend.close();
  }

  /** The answer for a report, after as many tries as are allowed; the best of those that were partly good. */
  private async ask(report: Report, signal: AbortSignal | undefined): Promise<Answer | Failure> {
    const { settings, counts } = this;
    const messages = this.prompt.messages(report);
    const random = new Random(settings.seed, seedOf(report.id));
    let best: Answer | undefined;
    let failure: Failure | undefined;
    let { maxTokens, temperature } = settings;
    for (let attempt = 0; attempt <= settings.retries; attempt++) {
      await this.waitTurn(attempt, failure, random, signal);
      this.started ??= performance.now();
      counts.requests++;
      if (attempt > 0) counts.retries++;
      try {
        const completion = await this.backend.complete({
          ...messages,
          temperature,
          seed: settings.seed + attempt,
          maxTokens,
          signal,
        });
        this.count(completion);
        const answer = readAnswer(completion.text, this.schema, completion.cutOff);
        if (best === undefined || problemsIn(answer) < problemsIn(best)) best = answer;
        if (problemsIn(answer) === 0) break;
        failure = new Failure('schema', `${problemsIn(answer)} findings are not as the schema wants them`);
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        failure = error;
      }
      this.failures[failure.kind] = (this.failures[failure.kind] ?? 0) + 1;
      if (!retryableKinds.has(failure.kind)) break;
      if (failure.kind === 'cut-off') maxTokens = Math.min(maxTokens * 2, settings.maxTokens * 4);
      // The same question at temperature 0 would be answered the same way.
      if (!transportKinds.has(failure.kind)) temperature = Math.max(temperature, 0.3);
    }
    if (best !== undefined) {
      this.lostInARow = 0;
      return best;
    }
    this.judgeTheServer(failure!);
    return failure!;
  }

  /** Waits before a try: a random part of the back-off, and as long as the server asked for. */
  private async waitTurn(
    attempt: number,
    failure: Failure | undefined,
    random: Random,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { longest } = this.settings.backOff;
    const wait = attempt === 0 ? 0 : backOff(attempt, this.settings.backOff, random);
    const now = performance.now();
    if (failure?.retryAfter !== undefined) {
      this.pausedUntil = Math.max(this.pausedUntil, now + Math.min(failure.retryAfter, longest));
    }
    const until = Math.max(now + wait, this.pausedUntil + wait);
    if (until > now) {
      // An aborted wait throws an error of its own; what counts is the signal's reason.
      await sleep(until - now, undefined, signal === undefined ? {} : { signal }).catch(() => {});
    }
    signal?.throwIfAborted();
  }

  private count(completion: Completion): void {
    this.everAnswered = true;
    this.counts.promptTokens += completion.promptTokens ?? 0;
    this.counts.completionTokens += completion.completionTokens ?? 0;
  }

  private hint(kind: FailureKind): string {
    if (kind === 'unauthorized') return `Set ${this.keyVariable} to a key that is valid.`;
    if (kind === 'not-found')
      return 'Look at the address (it often ends with /v1) and the name of the model.';
    if (kind === 'redirect') return 'Name the address that the server points to, if reports may go there.';
    if (kind === 'crashed') return 'The model may be too large for the memory, or the file damaged.';
    const kept = 'What was written is kept: the same command goes on from there.';
    return this.backend.mode === 'grammar'
      ? `Give it more time, or take a smaller model. ${kept}`
      : `Is the server up, at this address? ${kept}`;
  }

  /** Throws when the failure says that further reports would only fail the same way. */
  private judgeTheServer(failure: Failure): void {
    if (!transportKinds.has(failure.kind)) {
      this.lostInARow = 0;
      return;
    }
    this.lostInARow++;
    const hopeless = !this.everAnswered && ['unauthorized', 'not-found', 'redirect'].includes(failure.kind);
    if (hopeless || this.lostInARow >= this.settings.giveUpAfter) {
      throw new PenumbraError(
        'reports/llm-unreachable',
        hopeless
          ? `The language model cannot be used (${failure.message}).`
          : `${this.lostInARow} reports in a row failed on the way to the language model (${failure.message}).`,
        { hint: this.hint(failure.kind) },
      );
    }
  }
}

/**
 * Milliseconds before try `attempt` (from 1): exponential back-off with full jitter, uniform in
 * [0, min(longest, first · 2^(attempt − 1))).
 */
export function backOff(
  attempt: number,
  { first, longest }: { first: number; longest: number },
  random: Random,
): number {
  return random.uniform() * Math.min(longest, first * 2 ** (attempt - 1));
}

function settle(options: LlmOptions) {
  const settings = {
    temperature: options.temperature ?? 0,
    seed: options.seed ?? 0,
    maxTokens: options.maxTokens ?? 2048,
    concurrency: options.concurrency ?? (options.gguf === undefined ? 8 : 1),
    retries: options.retries ?? 4,
    backOff: options.backOff ?? { first: 500, longest: 30_000 },
    longestText: options.longestText ?? 20_000,
    giveUpAfter: options.giveUpAfter ?? 20,
  };
  const check = (name: string, value: number, least: number, most: number, whole = true): void => {
    if (value >= least && value <= most && (!whole || Number.isInteger(value))) return;
    throw new PenumbraError(`usage/llm-option`, `${name} is ${value}.`, {
      hint: `Give ${whole ? 'a whole number' : 'a number'} from ${least} to ${most}.`,
      where: { option: name },
    });
  };
  check('temperature', settings.temperature, 0, 2, false);
  check('seed', settings.seed, 0, 2 ** 31 - 1);
  check('maxTokens', settings.maxTokens, 16, 1_000_000);
  check('concurrency', settings.concurrency, 1, 1024);
  check('retries', settings.retries, 0, 100);
  check('backOff.first', settings.backOff.first, 0, 600_000, false);
  check('backOff.longest', settings.backOff.longest, 0, 3_600_000, false);
  check('longestText', settings.longestText, 1, 10_000_000);
  check('giveUpAfter', settings.giveUpAfter, 1, 1_000_000_000);
  return settings;
}

function lengthOf(report: Report): number {
  let length = report.text?.trim() ? report.text.length : 0;
  for (const { text } of report.sections ?? []) if (text.trim() !== '') length += text.length;
  return length;
}

function nothing(findings: number): Answer {
  return new Array(findings).fill({ judgement: null });
}

function problemsIn(answer: Answer): number {
  return answer.filter((entry) => 'problem' in entry).length;
}

function seedOf(id: string): number {
  return createHash('sha256').update(id).digest().readUInt32LE(0);
}

function fingerprint(parts: readonly string[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part).update('\0');
  return hash.digest('hex').slice(0, 16);
}

import type { Report } from '../types.ts';
import type { LlmExtractor, LlmStats, Probe } from './extractor.ts';

export interface EstimateOptions {
  /**
   * What `extractor.probe()` measured, or what measures it once the reports are counted. Without it nothing is sent,
   * and time is not estimated.
   */
  probe?: Probe | ((reports: number) => Promise<Probe>);
  /** Price of a million tokens, in any currency. Without it cost is null. */
  price?: { prompt: number; completion: number };
}

/** What an extraction will take. */
export interface Estimate {
  readonly reports: number;
  readonly characters: number;
  /** Counted by the server in the probe and scaled by length, or four characters a token. */
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** Whether the tokens rest on the server's own count. */
  readonly measured: boolean;
  /**
   * Seconds: from "the server answers `concurrency` reports in the time of one" to "it answers one after the other".
   * Null without a probe.
   */
  readonly seconds: readonly [number, number] | null;
  readonly cost: number | null;
}

/** English prose in today's vocabularies. */
const charactersPerToken = 4;
/** Nulls for most of 14 findings, quotations for some. */
const tokensPerFinding = 20;

/** Reads all reports once, sends none of them, and says what extracting them will take. */
export async function estimateExtraction(
  reports: AsyncIterable<Report> | Iterable<Report>,
  extractor: Pick<LlmExtractor, 'concurrency' | 'rowsPerReport' | 'promptCharacters'>,
  options: EstimateOptions = {},
): Promise<Estimate> {
  let all = 0;
  let count = 0; // of those that will be sent
  let characters = 0;
  for await (const report of reports) {
    all++;
    const length = extractor.promptCharacters(report);
    if (length > 0) count++;
    characters += length;
  }
  const { price } = options;
  const probe = typeof options.probe === 'function' ? await options.probe(all) : options.probe;
  const perToken =
    probe === undefined || probe.promptTokens === null || probe.promptTokens === 0
      ? charactersPerToken
      : probe.characters / probe.promptTokens;
  const promptTokens = Math.round(characters / perToken);
  const perAnswer = probe?.completionTokens ?? tokensPerFinding * extractor.rowsPerReport;
  const completionTokens = Math.round(count * perAnswer);
  return {
    reports: all,
    characters,
    promptTokens,
    completionTokens,
    measured: probe?.promptTokens != null && probe.completionTokens != null,
    seconds:
      probe === undefined
        ? null
        : [
            (count * probe.seconds) / Math.min(extractor.concurrency, Math.max(1, count)),
            count * probe.seconds,
          ],
    cost:
      price === undefined
        ? null
        : (promptTokens * price.prompt + completionTokens * price.completion) / 1_000_000,
  };
}

/** An estimate as one line for a person. */
export function describeEstimate(estimate: Estimate): string {
  const { reports, promptTokens, completionTokens, seconds, cost, measured } = estimate;
  const tokens = `${count(promptTokens)} tokens to read and ${count(completionTokens)} to write`;
  const parts = [`${count(reports)} reports, about ${tokens} (${measured ? 'by a probe' : 'by length'})`];
  if (seconds !== null) {
    const [least, most] = seconds.map(duration);
    parts.push(least === most ? least! : `${least} to ${most}`);
  }
  if (cost !== null) parts.push(`cost ${cost.toFixed(2)}`);
  return parts.join(', ');
}

/** The state of a run as one line for a person: rates, failures, what they were. */
export function describeStats(stats: LlmStats): string {
  const { reports, seconds, failed, retries, unverifiedRows, failedRows } = stats;
  const rate = (n: number): string => {
    const perSecond = seconds > 0 ? n / seconds : 0;
    return perSecond > 0 && perSecond < 100 ? perSecond.toPrecision(3) : count(Math.round(perSecond));
  };
  const parts = [
    `${count(reports)} reports`,
    `${rate(reports)} reports/s`,
    `${rate(stats.promptTokens + stats.completionTokens)} tokens/s (${rate(stats.completionTokens)} written)`,
    `${failed} failed`,
  ];
  if (failedRows > 0) parts.push(`${failedRows} rows failed`);
  if (unverifiedRows > 0) parts.push(`${unverifiedRows} rows unverified`);
  if (retries > 0) {
    const kinds = Object.entries(stats.failures).map(([kind, n]) => `${kind} ${n}`);
    parts.push(`${retries} retries (${kinds.join(', ')})`);
  }
  return parts.join(', ');
}

function count(n: number): string {
  return n.toLocaleString('en-US');
}

function duration(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

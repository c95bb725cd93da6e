import { createHash } from 'node:crypto';
import { PenumbraError } from '../../errors.ts';
import { failedRow } from '../extract/extractor.ts';
import { sourcesHash } from '../lexicon/table.ts';
import type { Assessor } from '../rules/assess.ts';
import type { Evidence, FindingRow, Report, Status } from '../types.ts';
import type { LlmExtractor } from './extractor.ts';

/** With these words the reason of a row begins that a person should look at. */
export const disagreementMark = 'extractors disagree';

/** What one extractor says, as a person reviews it. */
export interface Opinion {
  readonly status: Status;
  readonly probability: number | null;
  readonly evidence: readonly Evidence[];
  readonly reason?: string;
}

/**
 * A finding on which rules and model do not agree.
 *
 * - `status`: one calls it there, the other absent, gone, or not mentioned …
 * - `probability`: both hold it for stated or hedged, and their probabilities lie far apart.
 * - `unverified`: they agree, but the model's quotations are not in the report.
 * - `failed`: the model gave no answer.
 */
export interface Disagreement {
  readonly id: string;
  readonly finding: string;
  readonly kind: 'status' | 'probability' | 'unverified' | 'failed';
  readonly rules: Opinion;
  readonly llm: Opinion;
}

export interface CrossCheckOptions {
  /** Probabilities further apart than this disagree. Default 0.25: two or three degrees of the model's scale. */
  tolerance?: number;
}

/**
 * Lays the rows of both extractors for one report side by side. The rows that come back are those of the rules, whose
 * evidence always stands in the report; where the model does not agree they carry the evidence of both and the reason
 * `extractors disagree: …`, which says what the model says. All that a person should look at is in `disagreements`.
 */
export function crossCheck(
  rulesRows: readonly FindingRow[],
  llmRows: readonly FindingRow[],
  options: CrossCheckOptions & { version?: string } = {},
): { rows: FindingRow[]; disagreements: Disagreement[] } {
  const tolerance = options.tolerance ?? 0.25;
  const version =
    options.version ?? combinedVersion(rulesRows[0]?.version ?? '', llmRows[0]?.version ?? '', tolerance);
  const byFinding = new Map(llmRows.map((row) => [row.finding, row]));
  // One failed row with an empty finding stands for all of them.
  const whole = byFinding.get('');
  const disagreements: Disagreement[] = [];
  const rows = rulesRows.map((rules): FindingRow => {
    const llm =
      byFinding.get(rules.finding) ??
      whole ??
      failedRow(rules.id, rules.finding, 'the model has no row for it', { extractor: 'llm', version: '' });
    const kind = compare(rules, llm, tolerance);
    const row = { ...rules, extractor: 'llm+rules', version };
    if (kind === undefined) return row;
    disagreements.push({
      id: rules.id,
      finding: rules.finding,
      kind,
      rules: opinion(rules),
      llm: opinion(llm),
    });
    const reason = `${disagreementMark}: ${explain(kind, llm)}`;
    return {
      ...row,
      evidence: [...rules.evidence, ...llm.evidence.filter((e) => !rules.evidence.some((r) => isSame(e, r)))],
      reason: rules.reason === undefined ? reason : `${rules.reason}; ${reason}`,
    };
  });
  return { rows, disagreements };
}

/** Rules and model together, as one extractor. Its rows are `crossCheck`'s. */
export function createCrossCheckedExtractor(
  assessor: Assessor,
  llm: LlmExtractor,
  options: CrossCheckOptions & {
    /** Called for every disagreement, in the order of the findings. */
    onDisagreement?: (disagreement: Disagreement) => void;
  } = {},
): {
  readonly name: 'llm+rules';
  readonly version: string;
  readonly concurrency: number;
  readonly rowsPerReport: number;
  extract(report: Report, signal?: AbortSignal): Promise<FindingRow[]>;
} {
  const version = combinedVersion(assessor.version, llm.version, options.tolerance ?? 0.25);
  return {
    name: 'llm+rules',
    version,
    concurrency: llm.concurrency,
    rowsPerReport: assessor.findings.findings.length,
    async extract(report, signal) {
      let rules: FindingRow[];
      try {
        rules = assessor.assessReport(report);
      } catch (error) {
        if (!(error instanceof PenumbraError)) throw error;
        return [failedRow(report.id, '', error.message, { extractor: 'llm+rules', version })];
      }
      const result = crossCheck(rules, await llm.extract(report, signal), { ...options, version });
      for (const disagreement of result.disagreements) options.onDisagreement?.(disagreement);
      return result.rows;
    },
  };
}

function compare(rules: FindingRow, llm: FindingRow, tolerance: number): Disagreement['kind'] | undefined {
  if (llm.status === 'failed') return 'failed';
  // "absent, 0.05" and "uncertain, 0.17" are degrees of one thing, so probabilities are compared where both have one.
  if (rules.probability !== null && llm.probability !== null) {
    const sameSide = (rules.status === 'historical') === (llm.status === 'historical');
    if (!sameSide) return 'status';
    const distance = Math.abs(rules.probability - llm.probability);
    if (distance > tolerance) return contradicts(rules.status, llm.status) ? 'status' : 'probability';
  } else if (rules.status !== llm.status) return 'status';
  return llm.reason === undefined ? undefined : 'unverified';
}

function contradicts(a: Status, b: Status): boolean {
  return a !== b && a !== 'uncertain' && b !== 'uncertain';
}

function opinion({ status, probability, evidence, reason }: FindingRow): Opinion {
  return { status, probability, evidence, ...(reason !== undefined && { reason }) };
}

function isSame(a: Evidence, b: Evidence): boolean {
  return a.start === b.start && a.end === b.end && a.phrase === b.phrase;
}

function explain(kind: Disagreement['kind'], { status, probability }: FindingRow): string {
  if (kind === 'failed') return 'the model failed';
  if (kind === 'unverified') return 'the quotations of the model are not verified';
  return `the model says ${probability === null ? status : `${status}, ${probability}`}`;
}

function combinedVersion(rules: string, llm: string, tolerance: number): string {
  const code = sourcesHash(['llm/cross-check.ts']);
  return createHash('sha256')
    .update(`llm+rules\0${code}\0${rules}\0${llm}\0${tolerance}`)
    .digest('hex')
    .slice(0, 16);
}

import { failedRow, type RowStamp } from '../extract/extractor.ts';
import type { Evidence, FindingRow, Report } from '../types.ts';
import type { Answer } from './answer.ts';
import { asserts, type QuoteFinder } from './evidence.ts';
import { meaningOf } from './levels.ts';
import type { Judgement } from './schema.ts';

/**
 * One row per finding. A row whose quotations are not all in the report, or that quotes nothing, or only what stands
 * where nothing is asserted, carries the reason; a finding whose entry breaks the schema gets a failed row.
 */
export function rowsOf(
  report: Report,
  findings: readonly string[],
  answer: Answer,
  finder: QuoteFinder,
  stamp: RowStamp,
): FindingRow[] {
  const quotes = finder.open(report);
  return findings.map((finding, i): FindingRow => {
    const entry = answer[i]!;
    if ('problem' in entry) return failedRow(report.id, finding, `schema: ${entry.problem}`, stamp);
    const evidence: Evidence[] = [];
    let reason: string | undefined;
    if (entry.judgement !== null) reason = verify(entry.judgement, quotes, evidence);
    const row = {
      id: report.id,
      finding,
      ...meaningOf(entry.judgement?.assertion ?? null),
      evidence,
      ...stamp,
    };
    return reason === undefined ? row : { ...row, reason };
  });
}

/** Looks the quotations up, adds those that stand in the report to `evidence`, and says what is doubtful. */
function verify(
  judgement: Judgement,
  quotes: { find(quote: string): Evidence | undefined },
  evidence: Evidence[],
): string | undefined {
  let lost = 0;
  for (const quote of judgement.evidence) {
    const found = quotes.find(quote);
    if (found === undefined) lost++;
    else if (
      !evidence.some((e) => e.start === found.start && e.end === found.end && e.section === found.section)
    ) {
      evidence.push(found);
    }
  }
  if (judgement.evidence.length === 0) return 'unverified evidence: nothing is quoted';
  if (evidence.length === 0) return 'unverified evidence: no quotation stands in the report';
  if (lost > 0) {
    return `unverified evidence: ${lost} of ${judgement.evidence.length} quotations do not stand in the report`;
  }
  if (meaningOf(judgement.assertion).probability !== null && !evidence.some((e) => asserts(e.section))) {
    return 'doubtful evidence: it stands outside findings and impression';
  }
  return undefined;
}

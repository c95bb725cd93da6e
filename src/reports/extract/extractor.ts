import { PenumbraError } from '../../errors.ts';
import type { JudgedStamp, RowLines } from '../io/row-lines.ts';
import type { Assessor, JudgedReport } from '../rules/assess.ts';
import type { FindingRow, Report } from '../types.ts';

/**
 * Turns reports into rows. Must not throw for a bad report: that is a failed row. What it throws ends the work, and the
 * rows before it are kept.
 */
export interface Extractor {
  /** As it stands in the rows: `rules`, `llm`, `llm+rules` … */
  readonly name: string;
  /** Fingerprint of all that can change a row. */
  readonly version: string;
  /** Calls that may be under way at once; 1 for the rules, which are synchronous. */
  readonly concurrency: number;
  readonly rowsPerReport: number;
  extract(report: Report, signal?: AbortSignal): FindingRow[] | Promise<FindingRow[]>;
  /**
   * Writes the lines of the rows of a report without making rows, for extractors that are quicker than those: the lines
   * that the rows of `extract` give.
   * @param mentionedOnly as in `ExtractOptions`
   * @returns whether the report failed
   */
  writeLines?(report: Report, lines: RowLines, mentionedOnly: boolean): boolean;
  /** Reports that `extractBatch` takes at once; without it they come one by one. */
  readonly batchSize?: number;
  /** The rows of each report, in the order of the reports: for networks, which are quicker with many. */
  extractBatch?(
    reports: readonly Report[],
    signal?: AbortSignal,
  ): readonly FindingRow[][] | Promise<readonly FindingRow[][]>;
}

/** What all rows of an extractor share. */
export interface RowStamp {
  readonly extractor: string;
  readonly version: string;
}

/** A failed row; the finding is empty where it stands for the whole report. */
export function failedRow(id: string, finding: string, reason: string, stamp: RowStamp): FindingRow {
  return {
    id,
    finding,
    status: 'failed',
    probability: null,
    deviation: null,
    label: null,
    rate: null,
    evidence: [],
    ...stamp,
    reason,
  };
}

/** The rules as an extractor. */
export function rulesExtractor(assessor: Assessor): Extractor {
  const { findings } = assessor.findings;
  const stamp: JudgedStamp = { extractor: 'rules', version: assessor.version, findings };
  /** What `judge` gives, or the reason why the report cannot be judged. */
  const orReason = <T>(judge: () => T): T | string => {
    try {
      return judge();
    } catch (error) {
      if (!(error instanceof PenumbraError)) throw error;
      return error.message;
    }
  };
  const failed = ({ id }: Report, reason: string) => [
    failedRow(id, '', reason, { extractor: 'rules', version: assessor.version }),
  ];
  return {
    name: 'rules',
    version: assessor.version,
    concurrency: 1,
    rowsPerReport: findings.length,
    extract: (report) => {
      const rows = orReason(() => assessor.assessReport(report));
      return typeof rows === 'string' ? failed(report, rows) : rows;
    },
    writeLines: (report, lines, mentionedOnly) => {
      const judged = orReason((): JudgedReport => assessor.judgeReport(report));
      if (typeof judged === 'string') lines.add(failed(report, judged));
      else lines.addJudged(judged, stamp, mentionedOnly);
      return typeof judged === 'string';
    },
  };
}

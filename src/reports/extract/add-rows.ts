import type { RowLines } from '../io/row-lines.ts';
import type { FindingRow, Report } from '../types.ts';

/** What is to be done for one entry of the input: a report, or the row of one that cannot be read. */
export type ToDo = Report | FindingRow[];

/**
 * Adds the lines of the rows of one report, all of them or only those of findings that it mentions.
 * @returns whether the report failed
 */
export function addRows(rows: readonly FindingRow[], lines: RowLines, mentionedOnly: boolean): boolean {
  const kept = mentionedOnly ? rows.filter((row) => row.status !== 'not_mentioned') : rows;
  // A report without any mention still needs a row, or a second run would do it again.
  lines.add(kept.length > 0 ? kept : [{ ...rows[0]!, finding: '', evidence: [] }]);
  return rows.length === 1 && rows[0]!.status === 'failed';
}

import { type InputOptions, readableReports } from './reports-in.ts';
import { type ReportTargets, reportKey } from './rows-in.ts';

/** A report's text beside what was read from it. */
export interface ReportExample {
  /** As in the rows. */
  readonly id: string;
  /** The whole text; sections stand under their names. */
  readonly text: string;
  /** Where its K cells begin in the targets' arrays: `row · K`. */
  readonly row: number;
}

/**
 * Reports that have rows, with their place in the targets, in the order of the input: what a network that learns from
 * text is trained on. Memory does not grow with the number of reports beyond the targets' own.
 * @param input as for `readReports`
 */
export async function* reportsWithTargets(
  input: string,
  targets: ReportTargets,
  options: InputOptions = {},
): AsyncGenerator<ReportExample[]> {
  const rows = new Map(targets.ids.map((id, row) => [reportKey(id), row]));
  for await (const batch of readableReports(input, options)) {
    const examples: ReportExample[] = [];
    for (const report of batch) {
      const row = rows.get(reportKey(report.id));
      if (row === undefined) continue;
      const parts = report.text === undefined ? [] : [report.text];
      for (const { section, text } of report.sections ?? []) {
        if (text !== '') parts.push(`${section.toUpperCase()}:\n${text}`);
      }
      examples.push({ id: targets.ids[row]!, text: parts.join('\n\n'), row });
    }
    if (examples.length > 0) yield examples;
  }
}

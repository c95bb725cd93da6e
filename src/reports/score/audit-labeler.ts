import { aligned } from '../../aligned.ts';
import { PenumbraError } from '../../errors.ts';
import { readRows, reportKey } from '../io/rows-in.ts';
import { readGold } from './gold.ts';
import type { Share } from './label-errors.ts';
import { type FindingLabelerErrors, type LabelerCase, type LabelerErrors, labelerErrors } from './labeler.ts';

/** `labelerErrors` of files. */
export interface LabelerAudit {
  readonly overall: FindingLabelerErrors;
  readonly findings: readonly FindingLabelerErrors[];
  /** Marked mentions that the labeler left blank. */
  readonly blank: number;
}

/**
 * How often a plain labeler is wrong on hedged and on plain mentions. What is hedged is known from rows of `extract`: a probability between
 * 0 and 1.
 * @param gold the truth, as `readGold` reads it: 1 and 0 a report and finding
 * @param labeler its labels, likewise: 1, 0, and −1 for uncertain; absent: those of the rows' own statuses
 * @throws PenumbraError `reports/gold`, `reports/rows`
 */
export async function auditLabeler(rows: string, gold: string, labeler?: string): Promise<LabelerAudit> {
  const truth = labelsOf(gold);
  const labels = labeler === undefined ? undefined : labelsOf(labeler);
  const { ids, findings, probability, mask } = await readRows(rows);
  const cases: LabelerCase[] = [];
  let blank = 0;
  ids.forEach((id, n) => {
    const [there, said] = [truth.get(reportKey(id)), labels?.get(reportKey(id))];
    if (there === undefined) return;
    findings.forEach((finding, k) => {
      const at = n * findings.length + k;
      const y = there.get(finding);
      if (mask[at] !== 1 || (y !== 0 && y !== 1)) return;
      const p = probability[at]!;
      const hedged = p > 0 && p < 1;
      const label = labels === undefined ? (hedged ? -1 : p) : said?.get(finding);
      if (label === 1 || label === 0 || label === -1) cases.push({ finding, label, hedged, truth: y === 1 });
      else blank++;
    });
  });
  if (cases.length > 0) {
    const order = new Map(findings.map((finding, k) => [finding, k]));
    const errors = labelerErrors(cases);
    const sorted = [...errors.findings].sort((a, b) => order.get(a.finding)! - order.get(b.finding)!);
    return { overall: errors.overall, findings: sorted, blank };
  }
  throw new PenumbraError('reports/gold', `No marked case of ${gold} has a row and a label of the labeler.`, {
    hint: 'Ids of reports and names of findings must be the same in all files; the truth is 1 or 0, labels are 1, 0 and -1.',
    where: { file: gold },
  });
}

/** By report (`reportKey`) and finding. */
function labelsOf(path: string): Map<string, Map<string, number>> {
  const marked = readGold(path);
  if (marked.kind !== 'reports') {
    throw new PenumbraError('reports/gold', `${path} marks mentions, and an audit needs labels of reports.`, {
      hint: 'Give one row a report with a column per finding, or report,finding,label.',
      where: { file: path },
    });
  }
  const all = new Map<string, Map<string, number>>();
  for (const { report, finding, label } of marked.labels) {
    const key = reportKey(report);
    const own = all.get(key) ?? new Map<string, number>();
    own.set(finding, label);
    all.set(key, own);
  }
  return all;
}

/** The audit as a table in Markdown, with what its columns mean. */
export function labelerText({ overall, findings, blank }: LabelerAudit): string {
  const share = ({ n, value, low, high }: Share) =>
    n === 0 ? '–' : `${percent(value!)} [${percent(low!)}, ${percent(high!)}]`;
  const cells = ({ finding, plain, hedged }: FindingLabelerErrors) => [
    finding,
    String(plain.uncertain.n),
    share(plain.definite),
    String(hedged.uncertain.n),
    share(hedged.uncertain),
    ...(['definite', 'asOnes', 'asZeros'] as const).map((of: keyof LabelerErrors) => share(hedged[of])),
  ];
  const table = [
    [
      'finding',
      'plain mentions',
      'wrong %',
      'hedged mentions',
      'called −1 %',
      'wrong %, of those called 1 or 0',
      'wrong %, −1 as 1',
      'wrong %, −1 as 0',
    ],
    ...[...findings, overall].map(cells),
  ];
  const [head, ...body] = aligned(table, (c) => c === 0);
  const line = (row: readonly string[]) => `| ${row.join(' | ')} |`;
  const rule = head!.map(({ length }, c) => `${'-'.repeat(length + 1)}${c === 0 ? '-' : ':'}`);
  return `${[
    line(head!),
    `|${rule.join('|')}|`,
    ...body.map(line),
    '',
    `How often the labels of a plain labeler are wrong, with 95 % score intervals. Plain and hedged as the rows have it.${
      blank > 0 ? ` ${blank} mentions that it left blank do not count.` : ''
    }`,
  ].join('\n')}\n`;
}

function percent(value: number): string {
  return (100 * value).toFixed(1);
}

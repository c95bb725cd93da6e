import { aligned } from '../../aligned.ts';
import { PenumbraError } from '../../errors.ts';
import { readRows, reportKey } from '../io/rows-in.ts';
import { round } from '../round.ts';
import { type Audit, audit } from './audit.ts';
import { readGold } from './gold.ts';
import type { LabelCase, Share } from './label-errors.ts';
import type { GoldLabel } from './score.ts';

/**
 * The audit of rows of `extract` against marked cases in files that `readGold` reads, with a label a report and finding.
 * @param gold the truth
 * @param read what people read in the same reports, see `AuditOptions`
 * @throws PenumbraError `reports/gold`, `reports/rows`
 */
export async function auditRows(rows: string, gold: string, read?: string): Promise<Audit> {
  const cases = await casesOf(rows, gold, (label) => label === 0 || label === 1);
  if (read === undefined) return audit(cases);
  return audit(cases, { read: await casesOf(rows, read, (label) => label >= 0 && label !== 0.5) });
}

/**
 * What the rows say of each marked case that counts; what rows do not speak of is left out.
 * @param counts whether a label (1, 0, −1 or a probability) says which it is; from 1/2 on it is presence
 */
async function casesOf(rows: string, gold: string, counts: (label: number) => boolean): Promise<LabelCase[]> {
  const marked = readGold(gold);
  if (marked.kind !== 'reports') {
    throw new PenumbraError('reports/gold', `${gold} marks mentions, and an audit needs labels of reports.`, {
      hint: 'Give one row a report with a column per finding, or report,finding,label.',
      where: { file: gold },
    });
  }
  const { ids, findings, probability, mask } = await readRows(rows);
  const rowOf = new Map(ids.map((id, n) => [reportKey(id), n]));
  const columnOf = new Map(findings.map((finding, k) => [finding, k]));
  const cases = marked.labels.flatMap(({ report, finding, label }: GoldLabel): LabelCase[] => {
    const [n, k] = [rowOf.get(reportKey(report)), columnOf.get(finding)];
    if (n === undefined || k === undefined || !counts(label)) return [];
    const at = n * findings.length + k;
    if (mask[at] !== 1) return [];
    return [{ finding, probability: round(probability[at]!), truth: label > 0.5 }];
  });
  if (cases.length > 0) return cases;
  throw new PenumbraError('reports/gold', `No marked case of ${gold} has a row.`, {
    hint: 'Ids of reports and names of findings must be those of the rows; labels 1 and 0.',
    where: { file: gold },
  });
}

/** The audit as a table and sentences. */
export function auditText(result: Audit): string {
  const isRead = result.errorsOf === 'extraction';
  const share = (value: number | null) => (value === null ? '–' : (100 * value).toFixed(1));
  const error = ({ n, value, low, high }: Share) =>
    n === 0 ? '–' : `${share(value)} [${share(low)}, ${share(high)}]`;
  const slope = ({ value, low, high }: Audit['slope']) =>
    value === null ? '–' : `${value.toFixed(2)} [${bound(low!)}, ${bound(high!)}]`;
  const errorHeads = isRead
    ? ['denials as presence %', 'presence as denials %', 'hedges reversed %']
    : ['"present" wrong %', '"absent" wrong %', 'hedges: wrong side %'];
  const table = [
    ['finding', 'cases', 'there', 'hedged', 'slope of truth on hedges', ...errorHeads, 'train on'],
    ...result.findings.map((one, k) => {
      const { falsePositive, miss, present, absent, hedged } = result.errors[k]!;
      return [
        one.finding,
        String(one.cases),
        String(one.truths),
        String(one.hedges.n),
        slope(one.slope),
        ...(isRead ? [falsePositive, miss, hedged] : [present, absent, hedged]).map(error),
        one.recommendation.objective,
      ];
    }),
  ];
  const last = table[0]!.length - 1;
  const lines = aligned(table, (c) => c === 0 || c === last).map((row) => row.join('  ').trimEnd());
  return `${[
    ...result.recommendation.sentences,
    `For all findings in one run: --objective ${result.recommendation.objective}`,
    '',
    `${result.cases} marked cases that the reports speak of; 95 % intervals; errors ${
      isRead
        ? 'of the extractor against what people read'
        : 'of labels against the truth, the radiologist’s among them'
    }`,
    '',
    ...lines,
    '',
    `all hedges together: slope ${slope(result.slope)} (1: the probabilities are right, 0: they say nothing)`,
    '',
    ...result.findings.map(
      ({ finding, recommendation }) => `${finding}: ${recommendation.reasons.join(' ')}`,
    ),
  ].join('\n')}\n`;
}

function bound(value: number): string {
  return Number.isFinite(value) ? value.toFixed(2) : value > 0 ? '∞' : '−∞';
}

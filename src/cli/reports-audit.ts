import type { Command } from 'commander';
import { PenumbraError } from '../errors.ts';
import { writeResult } from '../files/index.ts';
import type { Audit, GoldLabel, LabelCase } from '../reports/index.ts';

/** `penumbra reports audit`. */
export function addAudit(reports: Command): void {
  reports
    .command('audit')
    .description(
      'Says, from a few hundred cases whose truth was marked, whether training on the wording pays: does the truth follow the hedges, how often are labels wrong, and so: labels, expressed probability, or correction.',
    )
    .argument('<rows>', 'rows of extract (.jsonl or .parquet)')
    .requiredOption(
      '--gold <file>',
      'the truth: a CSV with a column per finding and the report in the first or in the column report, or report,finding,label as CSV or JSON lines; 1 and 0',
    )
    .option(
      '--read <file>',
      'what people read in the same reports, likewise: then errors are counted against it, and are the extractor’s alone',
    )
    .option('--json <file>', 'all figures; dataset build --audit follows it')
    .addHelpText(
      'after',
      `
The rules stand in docs/rates.md. Mark cases as they come, one report a patient, not those that a report calls present.

Examples:
  $ penumbra reports audit rows.jsonl --gold marked.csv --json audit.json
  $ penumbra dataset build images.csv --rows rows.jsonl --out audited/ --audit audit.json`,
    )
    .action(auditRows);
}

interface Flags {
  gold: string;
  read?: string;
  json?: string;
}

async function auditRows(rows: string, flags: Flags): Promise<void> {
  const { audit } = await import('../reports/index.ts');
  const cases = await casesOf(rows, flags.gold);
  const read = flags.read === undefined ? undefined : await casesOf(rows, flags.read);
  const result = audit(cases, read === undefined ? {} : { read });
  process.stdout.write(renderAudit(result));
  if (flags.json !== undefined) {
    const inputs = [rows, flags.gold, ...(flags.read === undefined ? [] : [flags.read])];
    writeResult(flags.json, `${JSON.stringify(result, null, 2)}\n`, { kind: 'json', inputs });
  }
}

/** What the rows say of each case that the gold calls 1 or 0; what neither mentions, or the gold doubts, is left out. */
async function casesOf(rows: string, gold: string): Promise<LabelCase[]> {
  const { readGold, readRows, reportKey } = await import('../reports/index.ts');
  const { round } = await import('../reports/round.ts');
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
    if (n === undefined || k === undefined || (label !== 0 && label !== 1)) return [];
    const at = n * findings.length + k;
    if (mask[at] !== 1) return [];
    return [{ finding, probability: round(probability[at]!), truth: label === 1 }];
  });
  if (cases.length > 0) return cases;
  throw new PenumbraError('reports/gold', `No marked case of ${gold} has a row.`, {
    hint: 'Ids of reports and names of findings must be those of the rows; labels 1 and 0.',
    where: { file: gold },
  });
}

/** The audit as a table and sentences. */
export function renderAudit(result: Audit): string {
  const share = (value: number | null) => (value === null ? '–' : (100 * value).toFixed(1));
  const slope = ({ value, low, high }: Audit['slope']) =>
    value === null ? '–' : `${value.toFixed(2)} [${bound(low!)}, ${bound(high!)}]`;
  const table = [
    [
      'finding',
      'cases',
      'there',
      'hedged',
      'slope of truth on hedges',
      'present wrong %',
      'absent wrong %',
      'false pos. %',
      'missed %',
      'train on',
    ],
    ...result.findings.map((one, k) => {
      const errors = result.errors[k]!;
      return [
        one.finding,
        String(one.cases),
        String(one.truths),
        String(one.hedges.n),
        slope(one.slope),
        ...[errors.present, errors.absent, errors.falsePositive, errors.miss].map((error) =>
          error.n === 0 ? '–' : `${share(error.value)} [${share(error.low)}, ${share(error.high)}]`,
        ),
        one.recommendation.objective,
      ];
    }),
  ];
  const widths = table[0]!.map((_, c) => Math.max(...table.map((row) => row[c]!.length)));
  const lines = table.map((row) =>
    row
      .map((cell, c) =>
        c === 0 || c === row.length - 1 ? cell.padEnd(widths[c]!) : cell.padStart(widths[c]!),
      )
      .join('  ')
      .trimEnd(),
  );
  const [head, ...rows] = lines;
  const against = result.errorsOf === 'extraction' ? 'what people read in the reports' : 'the truth';
  return `${[
    ...result.recommendation.sentences,
    `For all findings in one run: --objective ${result.recommendation.objective}`,
    '',
    `${result.cases} marked cases that the reports speak of; errors against ${against}; 95 % intervals`,
    '',
    head,
    ...rows,
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

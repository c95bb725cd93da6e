import type { Command } from 'commander';
import { PenumbraError } from '../errors.ts';
import { writeResult } from '../files/index.ts';
import type { MentionScore, ReportScore } from '../reports/index.ts';
import { addAudit } from './reports-audit.ts';

export function register(program: Command): void {
  const reports = program
    .command('reports')
    .description('Scores what was read from reports, and what it is worth.');
  addAudit(reports);
  reports
    .command('score')
    .description('Scores the rules, or rows that were extracted before, against a gold file.')
    .argument(
      '<gold>',
      'mentions {id, text, span, finding, status} as JSON lines; or reports {report, finding, label} as JSON lines or CSV, or a CSV with one column per finding',
    )
    .option('--reports <in>', 'reports gold: the reports to read with the rules, as for extract')
    .option('--rows <file>', 'reports gold: rows of extract (.jsonl or .parquet) instead')
    .option('--findings <name>', 'chexpert14, chestxray14, radimagenet, or a findings file', 'chexpert14')
    .option('--extend-findings <file>', 'add the phrases of this findings file')
    .option('--lexicon <file>', 'replace the lexicon by this file')
    .option('--extend-lexicon <file>', 'add the entries of this file; they win')
    .option('--status-field <name>', 'mentions gold: the field of the status', 'status')
    .option('--finding-field <name>', 'the field of the finding', 'finding')
    .option(
      '--where <field=value>',
      'only lines whose field has this value; may be given several times',
      collect,
      [],
    )
    .option(
      '--min-positives <n>',
      'reports gold: average over findings with at least so many positives',
      Number,
      20,
    )
    .option('--disagreements <file>', 'mentions gold: write those that were judged otherwise, as JSON lines')
    .option('--json <file>', 'all figures')
    .addHelpText(
      'after',
      `
Examples:
  $ penumbra reports score mentions.jsonl --json figures.json
  $ penumbra reports score gold14.csv --reports reports.jsonl --findings chestxray14`,
    )
    .action(score);
}

interface Flags {
  reports?: string;
  rows?: string;
  findings: string;
  extendFindings?: string;
  lexicon?: string;
  extendLexicon?: string;
  statusField: string;
  findingField: string;
  where: [string, string][];
  minPositives: number;
  disagreements?: string;
  json?: string;
}

async function score(path: string, flags: Flags): Promise<void> {
  const reports = await import('../reports/index.ts');
  const { readGold } = await import('../reports/score/gold.ts');
  const { findings: set, lexicon } = reports.openRules(flags);
  const assessor = reports.createAssessor({ lexicon, findings: set });
  const gold = readGold(path, { status: flags.statusField, finding: flags.findingField, where: flags.where });

  const inputs = [path, flags.reports, flags.rows, flags.lexicon, flags.extendLexicon, flags.findings].filter(
    (name) => name !== undefined,
  );
  const writeJson = (value: object) => {
    if (flags.json !== undefined)
      writeResult(flags.json, `${JSON.stringify(value, null, 2)}\n`, { kind: 'json', inputs });
  };

  if (gold.kind === 'mentions') {
    const figures = reports.scoreMentions(gold.mentions, assessor);
    process.stdout.write(renderMentions(figures, gold.leftOut));
    writeJson({ ...figures, leftOut: gold.leftOut });
    if (flags.disagreements !== undefined) {
      const lines = figures.disagreements.map((d) => `${JSON.stringify(d)}\n`);
      writeResult(flags.disagreements, lines, { kind: 'jsonl', inputs });
    }
    return;
  }
  const known = gold.labels.filter(({ finding }) => set.findings.includes(finding));
  const unknown = [...new Set(gold.labels.map(({ finding }) => finding))].filter(
    (finding) => !set.findings.includes(finding),
  );
  if (known.length === 0) {
    throw new PenumbraError('reports/gold', `None of the gold's findings is in the set ${set.name}.`, {
      hint: `The gold has ${unknown.length} others; the set has ${set.findings.join(', ')}. Choose with --findings.`,
    });
  }
  if (unknown.length > 0)
    process.stderr.write(
      `not scored, since the set ${set.name} lacks them: ${unknown.length} findings of the gold\n`,
    );
  const rows = await rowsOf(flags, assessor, new Set(known.map(({ report }) => report)));
  const figures = reports.scoreReports(known, rows, { minPositives: flags.minPositives });
  process.stdout.write(renderReports(figures));
  writeJson({ ...figures, notScored: unknown });
}

async function rowsOf(
  flags: Flags,
  assessor: import('../reports/index.ts').Assessor,
  wanted: ReadonlySet<string>,
) {
  const { probabilityToRate, readableReports, readRows, statusCodes } = await import('../reports/index.ts');
  const { round } = await import('../reports/round.ts');
  const rows: import('../reports/index.ts').FindingRow[] = [];
  if (flags.rows !== undefined) {
    const targets = await readRows(flags.rows);
    const k = targets.findings.length;
    targets.ids.forEach((id, n) => {
      if (!wanted.has(id)) return;
      targets.findings.forEach((finding, f) => {
        const at = n * k + f;
        const known = targets.mask[at] === 1;
        const probability = known ? round(targets.probability[at]!) : null;
        rows.push({
          id,
          finding,
          status: statusCodes[targets.status[at]!]!,
          probability,
          deviation: null,
          ...probabilityToRate(probability),
          evidence: [],
          extractor: '',
          version: '',
        });
      });
    });
  } else if (flags.reports !== undefined) {
    for await (const batch of readableReports(flags.reports)) {
      for (const report of batch) if (wanted.has(report.id)) rows.push(...assessor.assessReport(report));
    }
  } else {
    throw new PenumbraError('usage/score', 'A gold of reports needs the reports, or rows of extract.', {
      hint: 'Give --reports IN or --rows FILE.',
    });
  }
  return rows;
}

const percent = (x: number | null): string => (x === null ? '    –' : `${(100 * x).toFixed(1).padStart(5)}`);
const decimal = (x: number | null): string => (x === null ? '–' : x.toFixed(3));

function renderMentions(s: MentionScore, leftOut: Readonly<Record<string, number>>): string {
  const lines = [
    `${s.n} mentions${Object.entries(leftOut)
      .map(([status, n]) => `; ${n} "${status}" left out`)
      .join('')}`,
    '',
  ];
  lines.push('            precision  recall     F1   number   called positive / negated / uncertain');
  for (const status of ['positive', 'negated', 'uncertain'] as const) {
    const f = s.perStatus[status];
    const c = s.confusion[status];
    lines.push(
      `${status.padEnd(12)}    ${percent(f.precision)}   ${percent(f.recall)}  ${percent(f.f1)}   ${String(f.support).padStart(6)}   ${c.positive} / ${c.negated} / ${c.uncertain}`,
    );
  }
  lines.push(
    '',
    `macro F1 ${decimal(s.macroF1)}; accuracy ${decimal(s.accuracy)}; negated called positive ${percent(s.negatedCalledPositive).trim()} %`,
    `read as what is true of the patient instead of by scopes ("heart size is normal" is negated, "no change in the effusion" positive): macro F1 ${decimal(s.asTruth.macroF1)}`,
    `probabilities: rank agreement (Spearman) ${decimal(s.probabilities.spearman)}; Brier ${decimal(s.probabilities.brier)}; calibration error ${decimal(s.probabilities.calibrationError)}`,
    '',
  );
  return lines.join('\n');
}

function renderReports(s: ReportScore): string {
  const lines = [`${s.reports} reports; ${s.missing} judgements without a row`, ''];
  lines.push('                              present or uncertain          label y (p >= 0.5)');
  lines.push('finding               number  recall precision    F1     recall precision    F1');
  for (const f of s.findings) {
    lines.push(
      `${f.finding.padEnd(22)}${String(f.positives).padStart(6)}   ${percent(f.recall)}     ${percent(f.precision)} ${percent(f.f1)}      ${percent(f.byLabel.recall)}     ${percent(f.byLabel.precision)} ${percent(f.byLabel.f1)}`,
    );
  }
  lines.push(
    `${`mean (>= ${s.minPositives} positives)`.padEnd(28)}   ${percent(s.macroRecall)}     ${percent(s.macroPrecision)} ${percent(s.macroF1)}      ${percent(s.byLabel.macroRecall)}     ${percent(s.byLabel.macroPrecision)} ${percent(s.byLabel.macroF1)}`,
    '',
    'Where 0 in the gold means "not coded", a finding that the report states and nobody coded counts against precision.',
    `probabilities: rank agreement (Spearman) ${decimal(s.probabilities.spearman)}; Brier ${decimal(s.probabilities.brier)}; calibration error ${decimal(s.probabilities.calibrationError)}`,
    '',
  );
  return lines.join('\n');
}

function collect(value: string, all: [string, string][]): [string, string][] {
  const at = value.indexOf('=');
  if (at < 1) throw new PenumbraError('usage/where', `--where ${value}: expected field=value`);
  return [...all, [value.slice(0, at), value.slice(at + 1)]];
}

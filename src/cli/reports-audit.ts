import type { Command } from 'commander';
import { writeResult } from '../files/index.ts';

/** `penumbra reports audit`. */
export function addAudit(reports: Command): void {
  reports
    .command('audit')
    .description(
      'Says, from a few hundred cases whose truth was marked, whether training on the wording pays: does the truth follow the hedges, how often is the extractor wrong, and so: labels, expressed probability, or correction.',
    )
    .argument('<rows>', 'rows of extract (.jsonl or .parquet)')
    .requiredOption(
      '--gold <file>',
      'the truth: a CSV with a column per finding and the report in the first or in the column report, or report,finding,label as CSV or JSON lines; 1 and 0',
    )
    .option(
      '--read <file>',
      'what the same reports say, as people read them, likewise, or as probabilities: the extractor’s errors are counted against it',
    )
    .option(
      '--labeler [file]',
      'also how often a plain labeler is wrong on hedged and on plain mentions: its labels 1, 0, -1 by report and finding (default: those of the rows)',
    )
    .option('--json <file>', 'all figures; dataset build --audit follows it')
    .addHelpText(
      'after',
      `
The rules stand in docs/rates.md. Mark cases as they come, one report a patient, not those that a report calls present.

Examples:
  $ penumbra reports audit rows.jsonl --gold marked.csv --read read.csv --json audit.json
  $ penumbra dataset build images.csv --rows rows.jsonl --out audited/ --audit audit.json
  $ penumbra reports audit rows.jsonl --gold clinic/labels.csv --labeler clinic/plain.csv`,
    )
    .action(run);
}

interface Flags {
  gold: string;
  read?: string;
  labeler?: string | true;
  json?: string;
}

async function run(rows: string, flags: Flags): Promise<void> {
  const { auditText, auditRows, auditLabeler, labelerText } = await import('../reports/index.ts');
  const result = await auditRows(rows, flags.gold, flags.read);
  process.stdout.write(auditText(result));
  const file = flags.labeler === true ? undefined : flags.labeler;
  const labeler = flags.labeler === undefined ? undefined : await auditLabeler(rows, flags.gold, file);
  if (labeler !== undefined) process.stdout.write(`\n${labelerText(labeler)}`);
  if (flags.json !== undefined) {
    const inputs = [rows, flags.gold, flags.read, file].filter((path) => path !== undefined);
    const all = { ...result, ...(labeler && { labeler }) };
    writeResult(flags.json, `${JSON.stringify(all, null, 2)}\n`, { kind: 'json', inputs });
  }
}

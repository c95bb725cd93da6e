import { type Command, Option } from 'commander';
import { PenumbraError } from '../errors.ts';
import type { LlmFlags } from '../reports/llm/options.ts';
import {
  addExtractorOptions,
  checkExtractor,
  type ExtractorFlags,
  extractorOption,
  KEY_HELP,
} from './extractor-options.ts';
import { wholeOrAuto } from './values.ts';

export function register(program: Command): void {
  const command = program
    .command('extract')
    .description(
      'Turns radiology reports into one row per report and finding: status, probability, and the words that said so.',
    )
    .argument(
      '<in>',
      "folder of .txt or Open-i .xml files, MIMIC-CXR's files/ folder or reports zip, or a .csv, .tsv, .jsonl or .parquet file",
    )
    .requiredOption(
      '--out <file>',
      'rows: .jsonl or .parquet by the name; a second run does only what is missing',
    )
    .addOption(extractorOption())
    .option('--findings <name>', 'chexpert14, chestxray14, radimagenet, or a findings file', 'chexpert14')
    .option('--extend-findings <file>', 'add the phrases of this findings file')
    .option('--lexicon <file>', 'replace the lexicon by this file')
    .option('--extend-lexicon <file>', 'add the entries of this file; they win')
    .option('--id-column <name>', 'column of the report id, for tables')
    .option(
      '--text-column <name>',
      'column of the text, for tables; otherwise findings, impression, … are looked for',
    )
    .option('--encoding <name>', 'of text files, where it is not UTF-8 (for example windows-1252)')
    .option(
      '--shard <i/n>',
      'do only part i of n; the outputs of all parts, put together, are the whole',
      shardOf,
    )
    .option(
      '--jobs <n>',
      'threads that judge reports by the rules; what is written is the same. auto starts as many as pay once an input proves large (default: auto)',
      wholeOrAuto,
    )
    .option('--mentioned-only', 'leave out rows of findings that the report does not mention')
    .option('--allow-outside', 'also read files that links in a folder lead to outside it')
    .addOption(
      new Option(
        '--stable <what>',
        'findings that are only said to be stable, unchanged or slightly less: present, or present without a label',
      )
        .choices(['keep', 'mask'])
        .default('keep'),
    )
    .option('--overwrite', 'begin again instead of going on')
    .option('--retry-failed', 'do failed reports again')
    .option('--longest <n>', 'longest report in characters; longer ones fail (default: 1000000)', Number);
  addExtractorOptions(command, '--model')
    .option('--price <in,out>', 'price of a million tokens read and written, for the estimate', String)
    .option('--estimate', 'print what the run would take and stop')
    .option('--disagreements <file>', 'llm+rules: write the rows on which both disagree, as JSON lines')
    .addHelpText(
      'after',
      `
${KEY_HELP}

Examples:
  $ penumbra extract reports.csv --out rows.jsonl
  $ penumbra extract mimic-cxr-reports.zip --out rows.parquet
  $ penumbra extract reports.csv --out rows.jsonl --jobs 8
  $ penumbra extract files/ --out rows-3.jsonl --shard 3/16
  $ penumbra extract reports.jsonl --out rows.jsonl --extractor llm+rules --server http://localhost:8000/v1
  $ penumbra extract reports.csv --out rows.jsonl --extractor rgn --network runs/rgn`,
    )
    .action(extractVerb);
}

interface Flags extends ExtractorFlags, Pick<LlmFlags, 'model' | 'price'> {
  out: string;
  stable: 'keep' | 'mask';
  findings: string;
  extendFindings?: string;
  lexicon?: string;
  extendLexicon?: string;
  idColumn?: string;
  textColumn?: string;
  encoding?: string;
  allowOutside?: boolean;
  shard?: { index: number; count: number };
  jobs?: number | 'auto';
  mentionedOnly?: boolean;
  overwrite?: boolean;
  retryFailed?: boolean;
  longest?: number;
  disagreements?: string;
  estimate?: boolean;
}

async function extractVerb(input: string, flags: Flags): Promise<void> {
  const reports = await import('../reports/index.ts');
  const { createProgress } = await import('./progress.ts');
  // A character takes some 70 bytes while it is judged.
  if (flags.longest !== undefined && !(flags.longest >= 1 && flags.longest <= 10_000_000)) {
    throw new PenumbraError('usage/longest', `--longest is no number from 1 to 10000000.`, {
      hint: 'Give the most characters that one report may have, such as 1000000.',
    });
  }
  const { price, estimate: wantsEstimate, disagreements } = flags;
  checkExtractor(flags, { price, estimate: wantsEstimate, disagreements });
  const assessor = reports.openAssessor(flags);
  const { findings } = assessor;

  const interrupted = new AbortController();
  const onSignal = (): void => interrupted.abort();
  process.once('SIGINT', onSignal);
  process.once('SIGTERM', onSignal);
  const inputOptions = {
    ...(flags.idColumn !== undefined && { idColumn: flags.idColumn }),
    ...(flags.textColumn !== undefined && { textColumn: flags.textColumn }),
    ...(flags.encoding !== undefined && { encoding: flags.encoding }),
    ...(flags.allowOutside !== undefined && { allowOutside: flags.allowOutside }),
    ...(flags.longest !== undefined && { longestText: flags.longest }),
  };
  if (flags.extractor.startsWith('llm')) {
    const { estimateForFlags: estimate } = await import('../reports/llm/index.ts');
    const warn = (text: string) => process.stderr.write(`${text}\n`);
    const expected = await estimate(input, findings, flags, inputOptions, warn);
    if (flags.estimate === true) {
      process.stdout.write(`${expected}\n`);
      return;
    }
    process.stderr.write(`${expected}\n`);
  }
  const { extractor, close, info, threadModule } = await reports.openExtractor(flags.extractor, {
    findings,
    assessor,
    flags: { ...flags },
  });
  const jobs = threadModule !== undefined && {
    count: flags.jobs ?? ('auto' as const),
    source: { extractor: flags.extractor, flags: { ...flags }, module: threadModule },
  };
  const progress = createProgress({ label: 'extract', total: 0, unit: 'reports' });
  let result: Awaited<ReturnType<typeof reports.extract>>;
  let last = { seen: 0, time: performance.now() };
  // A server that is silent must not look like a program that hangs.
  const silence = setInterval(() => {
    const seconds = Math.round((performance.now() - last.time) / 1000);
    if (seconds >= 5) progress.update(last.seen, `no answer for ${seconds} s; ${info()}`);
  }, 5000);
  try {
    result = await reports.extract(input, flags.out, extractor, {
      ...inputOptions,
      ...(flags.shard !== undefined && { shard: flags.shard }),
      ...(jobs && { jobs }),
      ...(flags.overwrite !== undefined && { overwrite: flags.overwrite }),
      ...(flags.retryFailed !== undefined && { retryFailed: flags.retryFailed }),
      ...(flags.mentionedOnly !== undefined && { mentionedOnly: flags.mentionedOnly }),
      signal: interrupted.signal,
      onProgress: (p) => {
        last = { seen: p.seen, time: performance.now() };
        progress.update(p.seen, `${p.failed > 0 ? `${p.failed} failed ` : ''}${info()}`.trim());
      },
    });
  } finally {
    clearInterval(silence);
    await close();
    process.removeListener('SIGINT', onSignal);
    process.removeListener('SIGTERM', onSignal);
  }
  progress.done();
  const parts = [`${result.extracted} reports extracted`];
  if (result.skipped > 0) parts.push(`${result.skipped} were done before`);
  if (result.failed > 0) parts.push(`${result.failed} failed (rows with status "failed" hold the reason)`);
  if (result.repeated > 0) parts.push(`${result.repeated} had an id that was taken and got "##2", "##3" …`);
  process.stdout.write(`${parts.join(', ')}; rows in ${flags.out}\n`);
  if (flags.disagreements !== undefined && flags.extractor === 'llm+rules') {
    const { writeDisagreements } = await import('../reports/llm/index.ts');
    const n = await writeDisagreements(flags.out, flags.disagreements);
    process.stdout.write(
      `${n} rows on which the language model and the rules disagree in ${flags.disagreements}\n`,
    );
  }
  if (interrupted.signal.aborted) {
    process.stderr.write('interrupted; the same command goes on from here\n');
    process.exitCode = 130;
  }
}

function shardOf(value: string): { index: number; count: number } {
  const match = /^(\d+)\/(\d+)$/.exec(value);
  const index = Number(match?.[1]);
  const count = Number(match?.[2]);
  if (match === null || index < 1 || index > count) {
    throw new PenumbraError('usage/shard', `There is no shard "${value}".`, {
      hint: 'Shards are 1/n to n/n, such as 3/16.',
    });
  }
  return { index, count };
}

import type { Command } from 'commander';
import { PenumbraError } from '../errors.ts';
import { checkResult, writeResult } from '../files/index.ts';

export function register(program: Command): void {
  const command = program
    .command('lexicon')
    .description('Collects and checks the words that reports express doubt with.');
  inputOptions(
    command
      .command('mine')
      .description(
        'Finds expressions of doubt in reports that the lexicon does not have, for a person to accept.',
      )
      .argument('<in>', 'reports, as for extract')
      .requiredOption(
        '--out <file>',
        'candidates as a lexicon file (.tsv), with neighbours and contexts as remarks',
      )
      .option('--json <file>', 'the candidates with all figures')
      .option('--min-count <n>', 'seen at least so often; default 1 to 3, by the number of reports', Number)
      .option('--limit <n>', 'at most so many candidates', Number, 200)
      .option(
        '--server <url>',
        'let a language model on this OpenAI-compatible server compare the candidates with known phrases in pairs',
      )
      .option('--proxy <url>', 'a proxy for the server; proxies from the environment are never used')
      .option('--model <name>', 'its name on the server', 'Qwen/Qwen3-4B')
      .option('--rounds <n>', 'comparisons per candidate', Number, 24),
  )
    .addHelpText('after', '\nExample:\n  $ penumbra lexicon mine reports.jsonl --out candidates.tsv')
    .action(mine);
  inputOptions(
    command
      .command('check')
      .description(
        'Tries every entry on its own example, and reports how much doubt of a corpus the lexicon covers.',
      )
      .argument('[in]', 'reports, as for extract; without them only the examples are tried')
      .option('--json <file>', 'all figures'),
  )
    .addHelpText('after', '\nExample:\n  $ penumbra lexicon check reports.jsonl --extend-lexicon own.tsv')
    .action(check);
}

function inputOptions(command: Command): Command {
  return command
    .option('--findings <name>', 'chexpert14, chestxray14, radimagenet, or a findings file', 'chexpert14')
    .option('--lexicon <file>', 'replace the lexicon by this file')
    .option('--extend-lexicon <file>', 'add the entries of this file; they win')
    .option('--id-column <name>', 'column of the report id, for tables')
    .option('--text-column <name>', 'column of the text, for tables')
    .option('--encoding <name>', 'of text files, where it is not UTF-8');
}

interface Flags {
  findings: string;
  lexicon?: string;
  extendLexicon?: string;
  idColumn?: string;
  textColumn?: string;
  encoding?: string;
  json?: string;
}

/** The files that are read: no result may be one of them. */
function inputsOf(input: string | undefined, { lexicon, extendLexicon, findings }: Flags): string[] {
  return [input, lexicon, extendLexicon, findings].filter((path) => path !== undefined);
}

async function open(flags: Flags) {
  const reports = await import('../reports/index.ts');
  return { ...reports.openRules(flags), readable: reports.readableReports };
}

async function mine(
  input: string,
  flags: Flags & {
    out: string;
    minCount?: number;
    limit: number;
    server?: string;
    proxy?: string;
    model: string;
    rounds: number;
  },
): Promise<void> {
  const { candidatesAsLexicon, mineLexicon } = await import('../reports/mine/index.ts');
  const inputs = inputsOf(input, flags);
  checkResult(flags.out, { kind: 'lexicon', inputs });
  if (flags.json !== undefined) checkResult(flags.json, { kind: 'json', inputs });
  const { lexicon, findings, readable } = await open(flags);
  let candidates = await mineLexicon(readable(input, flags), lexicon, findings, flags);
  if (flags.server !== undefined) {
    const { sendingWarning } = await import('../reports/llm/http.ts');
    const address = URL.parse(flags.server);
    const warning =
      address === null ? undefined : sendingWarning(address, `${candidates.length} phrases`, flags.proxy);
    if (warning !== undefined) process.stderr.write(`${warning}\n`);
    const { compareOnServer } = await import('../reports/mine/compare-server.ts');
    candidates = await compareOnServer(candidates, lexicon, {
      server: flags.server,
      model: flags.model,
      rounds: flags.rounds,
      ...(flags.proxy !== undefined && { proxy: flags.proxy }),
      onProgress: (done, total) => {
        if (done % 50 === 0 || done === total) process.stderr.write(`compared ${done} of ${total} pairs\n`);
      },
    });
  }
  writeResult(flags.out, candidatesAsLexicon(candidates), { kind: 'lexicon', inputs });
  if (flags.json !== undefined) {
    writeResult(flags.json, `${JSON.stringify(candidates, null, 2)}\n`, { kind: 'json', inputs });
  }
  for (const c of candidates.slice(0, 20)) {
    const like = c.neighbours[0] === undefined ? '' : `like "${c.neighbours[0].phrase}"`;
    process.stdout.write(
      `${String(c.count).padStart(6)}  ${c.phrase.padEnd(32)} ${(c.probability ?? '').toString().padEnd(6)} ${like}\n`,
    );
  }
  process.stdout.write(
    `${candidates.length} candidates in ${flags.out}; strike out what is no cue, then use it with --extend-lexicon\n`,
  );
}

async function check(input: string | undefined, flags: Flags): Promise<void> {
  const { checkCoverage, checkExamples } = await import('../reports/mine/index.ts');
  const { lexicon, findings, readable } = await open(flags);
  const wrong = checkExamples(lexicon, findings);
  for (const w of wrong) {
    const what = w.unseen
      ? 'its cue is not seen in its example'
      : `its example is ${w.got}, expected ${w.expected}`;
    process.stdout.write(`line ${w.line}, "${w.phrase.slice(0, 60)}": ${what}\n`);
  }
  process.stdout.write(`${lexicon.entries.length} entries, ${wrong.length} with a wrong example\n`);
  const coverage =
    input === undefined ? null : await checkCoverage(readable(input, flags), lexicon, findings);
  if (coverage !== null) {
    const { mentions } = coverage;
    const unseen = coverage.entries.filter(({ count }) => count === 0).length;
    process.stdout.write(
      `${coverage.reports} reports; findings by status: ${
        Object.entries(mentions)
          .map(([status, n]) => `${status} ${n}`)
          .join(', ') || 'none'
      }\n` +
        `doubt covered: ${coverage.coverage === null ? 'no words of doubt seen' : `${(100 * coverage.coverage).toFixed(1)} % of ${coverage.doubtful} mentions in sentences with words of doubt`}\n` +
        `not covered: ${
          coverage.uncovered
            .slice(0, 12)
            .map(({ word, count }) => `${word} ${count}`)
            .join(', ') || 'nothing'
        }\n` +
        `seen without judging a finding: ${
          coverage.idle
            .slice(0, 8)
            .map(({ phrase, count, seen }) => `${phrase.slice(0, 30)} ${count} of ${seen}`)
            .join(', ') || 'none'
        }\n` +
        `most used: ${coverage.entries
          .slice(0, 6)
          .map(({ phrase, count }) => `${phrase.slice(0, 30)} ${count}`)
          .join(', ')}\n` +
        `${unseen} entries were not seen\n`,
    );
  }
  if (flags.json !== undefined) {
    const inputs = inputsOf(input, flags);
    writeResult(flags.json, `${JSON.stringify({ wrong, coverage }, null, 2)}\n`, { kind: 'json', inputs });
  }
  if (wrong.length > 0) {
    throw new PenumbraError(
      'reports/lexicon-examples',
      `${wrong.length} entries of the lexicon get their own example wrong.`,
      {
        hint: 'Set right the entries above: pattern, direction, scope, or the example itself.',
      },
    );
  }
}

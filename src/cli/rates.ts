import type { Command } from 'commander';
import { PenumbraError } from '../errors.ts';
import { checkResult, writeResult } from '../files/index.ts';
import type { Agreement, RateComparison, RateEvent, RateOptions } from '../rates/index.ts';
import { interruptible } from './options.ts';
import { createProgress, type Progress } from './progress.ts';
import { number, positive, whole } from './values.ts';

export function register(program: Command): void {
  const rates = program
    .command('rates')
    .description(
      'Trains and judges networks that read how sure a report is: text in, a smoothing rate a finding out.',
    );
  rates
    .command('train')
    .description(
      'Trains a rate generation network (RGN) on reports and the rows that were extracted from them.',
    )
    .argument('<reports>', 'the reports, as for extract')
    .requiredOption(
      '--rows <file>',
      'rows of extract for them (.jsonl or .parquet), of the rules or of a language model',
    )
    .requiredOption('--out <folder>', 'the folder of the network; an unfinished one is gone on with')
    .option(
      '--splits <file>',
      'a CSV by report: report, patient, split (default: the reports themselves, where they are a CSV with a patient or split)',
    )
    .option('--val <share>', 'share of the patients to validate on', number, 0.1)
    .option('--test <share>', 'share of the patients that is left for judging', number, 0.1)
    .option(
      '--hold-out-hedges <phrases>',
      'comma-separated phrases: reports that hold one, and all others of their patients, are not trained on',
    )
    .option(
      '--hold-out <column=values>',
      'the same by a column of the --splits table: reader=R5,R6 trains on none of their reports',
    )
    .option('--rankings <file>', 'a CSV of phrases that people ranked: phrase, mu, sigma; or higher, lower')
    .option('--findings <name>', 'chexpert14, chestxray14, radimagenet, or a findings file', 'chexpert14')
    .option('--lexicon <file>', 'its language splits texts; give the same to extract')
    .option('--id-column <name>', 'column of the report id, for tables')
    .option('--text-column <name>', 'column of the text, for tables')
    .option('--encoding <name>', 'of text files, where it is not UTF-8')
    .option('--epochs <n>', 'default: 14', positive)
    .option('--batch-size <n>', 'reports a step (default: 32)', positive)
    .option('--learning-rate <x>', "AdamW's (default: 0.003; behind an encoder 0.001)", number)
    .option('--width <n>', 'numbers a piece of text (default: 64)', positive)
    .option('--depth <n>', 'layers (default: 2)', positive)
    .option('--vocabulary <n>', 'most pieces of the tokenizer (default: 4096)', positive)
    .option(
      '--encoder <path>',
      'begin with a BERT: a folder with model.safetensors (and config.json, tokenizer.json or vocab.txt), or the file',
    )
    .option(
      '--tokenizer <file>',
      "the encoder's tokenizer.json or vocab.txt, where it is not beside the weights",
    )
    .option(
      '--encoder-learning-rate <x>',
      "the encoder's own (default: 0.00003); 0 leaves it as it is",
      number,
    )
    .option('--seed <n>', 'default: 0', whole)
    .option('--device <name>', 'auto, cpu, cuda:0 …')
    .option('--precision <name>', 'auto, float32, bfloat16 or float16 (default: float32)')
    .option('--threads <n>', 'default: as many as there are cores', positive)
    .addHelpText(
      'after',
      `
A training that was stopped goes on when the same command is given again.

Examples:
  $ penumbra rates train clinic/reports.csv --rows rows.jsonl --splits clinic/labels.csv --out runs/rgn
  $ penumbra rates train reports.csv --rows rows.jsonl --out runs/rgn --rankings ranking.csv
  $ penumbra rates train clinic/reports.csv --rows rows.jsonl --splits clinic/truth.csv --hold-out reader=R5,R6 --out runs/r56
  $ penumbra rates train reports.csv --rows rows.jsonl --out runs/bert --encoder models/bert --epochs 4
  $ penumbra extract reports.csv --out rgn.jsonl --extractor rgn --network runs/rgn`,
    )
    .action(train);
  rates
    .command('join')
    .description('Makes one network of several that differ in their seeds: it answers with their mean.')
    .argument('<networks...>', 'folders of penumbra rates train, finished')
    .requiredOption('--out <folder>', 'the folder of the ensemble')
    .addHelpText(
      'after',
      `
Wording that no training has shown is read better so; reading takes as many times as long. Train them with the same --splits:
without it the seed draws the patients too.

Example:
  $ penumbra rates join runs/rgn-0 runs/rgn-1 --out runs/rgn`,
    )
    .action(async (networks: string[], { out }: { out: string }) => {
      const { joinRates } = await import('../rates/index.ts');
      process.stdout.write(`${joinRates(networks, out).folder}\n`);
    });
  rates
    .command('evaluate')
    .description(
      'Shows where a network disagrees with its teacher, and, where the truth is known, who of the two is right.',
    )
    .argument('<network>', 'the folder of penumbra rates train')
    .argument('<reports>', 'the reports, as for extract')
    .requiredOption('--rows <file>', "the teacher's rows for them")
    .option('--split <name>', 'reports of the network: test, val, train, or all', 'test')
    .option('--truth <file>', 'a CSV by report with "<finding> reader_p": the truth.csv of a chest clinic')
    .option('--gold <file>', 'labels by people, as for reports score')
    .option(
      '--hedges <phrases>',
      'only findings whose deciding sentence holds one of these comma-separated phrases',
    )
    .option('--only <column=values>', 'only reports whose row of the --truth table has one: reader=R5,R6')
    .option('--findings <name>', 'chexpert14, chestxray14, radimagenet, or a findings file', 'chexpert14')
    .option('--lexicon <file>', 'the one that the network was trained with')
    .option('--id-column <name>', 'column of the report id, for tables')
    .option('--text-column <name>', 'column of the text, for tables')
    .option('--encoding <name>', 'of text files, where it is not UTF-8')
    .option(
      '--disagreements <file>',
      'all of them as JSON lines, the largest first; ids and offsets, no text',
    )
    .option('--json <file>', 'all figures')
    .addHelpText(
      'after',
      `
Examples:
  $ penumbra rates evaluate runs/rgn clinic/reports.csv --rows rows.jsonl --truth clinic/truth.csv
  $ penumbra rates evaluate runs/rgn reports.jsonl --rows rows.jsonl --split all --gold gold14.csv --findings chestxray14`,
    )
    .action(evaluate);
}

interface ReadFlags {
  rows: string;
  findings: string;
  lexicon?: string;
  idColumn?: string;
  textColumn?: string;
  encoding?: string;
}

interface TrainFlags extends ReadFlags {
  out: string;
  splits?: string;
  val: number;
  test: number;
  holdOutHedges?: string;
  holdOut?: string;
  rankings?: string;
  encoder?: string;
  tokenizer?: string;
  seed?: number;
  threads?: number;
}

function inputOptions({ idColumn, textColumn, encoding }: ReadFlags) {
  return {
    ...(idColumn !== undefined && { idColumn }),
    ...(textColumn !== undefined && { textColumn }),
    ...(encoding !== undefined && { encoding }),
  };
}

function phrases(list: string): string[] {
  return list.split(',').map((phrase) => phrase.trim());
}

async function train(input: string, flags: TrainFlags & RateOptions): Promise<void> {
  const { openBert, readChoice, readRankings, readRateData, resolveRateConfig, trainRates } = await import(
    '../rates/index.ts'
  );
  const { openRules } = await import('../reports/index.ts');
  const named = [
    'epochs',
    'batchSize',
    'learningRate',
    'encoderLearningRate',
    'width',
    'depth',
    'vocabulary',
    'seed',
    'device',
    'precision',
    'threads',
  ] as const;
  const options: RateOptions = Object.fromEntries(
    named.flatMap((name) => (flags[name] === undefined ? [] : [[name, flags[name]]])),
  );
  if (flags.tokenizer !== undefined && flags.encoder === undefined) {
    throw new PenumbraError('usage/encoder', 'a tokenizer without an encoder', {
      hint: 'the compact encoder learns its own; name the trained one: --encoder FOLDER',
    });
  }
  const encoder = flags.encoder === undefined ? undefined : openBert(flags.encoder, flags.tokenizer);
  resolveRateConfig(options, encoder?.sizes);
  const { findings, lexicon } = openRules(flags);
  const rankings = flags.rankings === undefined ? undefined : readRankings(flags.rankings, lexicon);
  if (rankings !== undefined && rankings.leftOut.length > 0) {
    process.stderr.write(
      `not ranked, since they stand between two findings: ${rankings.leftOut.length} phrases of ${flags.rankings}\n`,
    );
  }
  const data = await readRateData(input, flags.rows, {
    ...inputOptions(flags),
    ...(flags.splits !== undefined && { splits: flags.splits }),
    val: flags.val,
    test: flags.test,
    seed: flags.seed ?? 0,
    language: lexicon.language,
    ...(encoder && { split: encoder.tokenizer.split }),
    ...(flags.holdOutHedges !== undefined && { holdOutHedges: phrases(flags.holdOutHedges) }),
    ...(flags.holdOut !== undefined && { holdOut: readChoice(flags.holdOut) }),
  });
  for (const note of data.notes) process.stderr.write(`note: ${note}\n`);
  const { reports, rows } = data.unmatched;
  if (reports + rows > 0)
    process.stderr.write(
      `left out: ${reports} reports without rows, rows of ${rows} reports that are not there\n`,
    );
  using interrupt = interruptible('stopping after this step …');
  const result = await trainRates({
    data,
    dataPath: input,
    folder: flags.out,
    options,
    findings,
    lexicon,
    ...(rankings && { rankings }),
    ...(encoder && { encoder }),
    signal: interrupt.signal,
    onEvent: showTraining(),
  });
  if (result.finished) {
    process.stdout.write(`${result.folder}\n`);
    return;
  }
  process.stderr.write(`stopped; a checkpoint is in ${result.folder}. The same command goes on from it.\n`);
  process.exitCode = 130;
}

/** Shows the training of a rate generation network on stderr. */
export function showTraining(): (event: RateEvent) => void {
  let progress: Progress | undefined;
  let perStep = 0;
  let steps = 0;
  return (event) => {
    switch (event.type) {
      case 'start': {
        const { description, mode } = event;
        const { train: reports, val } = description.data;
        process.stderr.write(
          `rgn: ${reports} reports, ${val} to validate on, ${description.findings.length} findings, ` +
            `${description.parameters} parameters; ${mode.precision} on ${mode.device}, ${mode.threads} threads\n`,
        );
        perStep = description.config.batchSize;
        steps = event.steps;
        progress = createProgress({ label: 'rgn', total: steps * perStep, unit: 'reports' });
        break;
      }
      case 'resume':
        process.stderr.write(`rgn: going on from step ${event.step}, epoch ${event.epoch + 1}\n`);
        break;
      case 'step':
        progress?.update(event.step * perStep, `loss ${event.loss.toFixed(3)}`);
        if (event.step === steps) progress?.done();
        break;
      case 'epoch': {
        const { epoch, trainLoss, val, reportsPerSecond } = event.metrics;
        const shown = val
          ? `  val: mentions F1 ${val.mentionedF1.toFixed(3)}, rank agreement ${figure(val.spearman)}, |p − p'| ${val.meanDifference.toFixed(3)}`
          : '';
        const clear = process.stderr.isTTY ? '\r\x1b[K' : '';
        process.stderr.write(
          `${clear}rgn: epoch ${epoch}/${event.epochs}  loss ${trainLoss.toFixed(3)}${shown}  ${reportsPerSecond.toFixed(0)} reports/s\n`,
        );
        break;
      }
      case 'notice':
        process.stderr.write(`rgn: ${event.message}\n`);
    }
  };
}

interface EvaluateFlags extends ReadFlags {
  split: string;
  truth?: string;
  gold?: string;
  hedges?: string;
  only?: string;
  disagreements?: string;
  json?: string;
}

async function evaluate(path: string, input: string, flags: EvaluateFlags): Promise<void> {
  const {
    chosenReports,
    evaluateRates,
    openRatesExtractor,
    RateFolder,
    readChoice,
    readSplits,
    readTable,
    readTruth,
  } = await import('../rates/index.ts');
  const { createAssessor, openRules, readGold, reportKey } = await import('../reports/index.ts');
  const inputs = [path, input, flags.rows, flags.truth, flags.gold].filter((name) => name !== undefined);
  if (flags.json !== undefined) checkResult(flags.json, { kind: 'json', inputs });
  if (flags.disagreements !== undefined) checkResult(flags.disagreements, { kind: 'jsonl', inputs });
  if (!['train', 'val', 'test', 'all'].includes(flags.split)) {
    throw new PenumbraError('usage/split', `there is no split '${flags.split}'`, {
      hint: 'one of: test, val, train, all',
    });
  }
  const { findings, lexicon } = openRules(flags);
  const assessor = createAssessor({ findings, lexicon });
  const gold = flags.gold === undefined ? undefined : readGold(flags.gold);
  if (gold?.kind === 'mentions') {
    throw new PenumbraError('usage/gold', 'the gold marks mentions, and a network reads reports', {
      hint: 'give a CSV with one row per report and one column per finding',
    });
  }
  const truth =
    flags.truth === undefined ? undefined : readTruth(flags.truth, new RateFolder(path).rates().findings);
  if (flags.only !== undefined && flags.truth === undefined) {
    throw new PenumbraError('usage/only', 'only some reports, and no table that tells them', {
      hint: 'name the table: --truth FILE',
    });
  }
  const chosen =
    flags.only === undefined ? undefined : chosenReports(readTable(flags.truth!), readChoice(flags.only));
  const { extractor, close } = openRatesExtractor({ findings, assessor, flags: { network: path } });
  const splits = flags.split === 'all' ? undefined : readSplits(path);
  const progress = createProgress({ label: 'evaluate', total: 0, unit: 'reports' });
  let comparison: RateComparison;
  try {
    comparison = await evaluateRates(extractor, input, flags.rows, {
      ...inputOptions(flags),
      // A report that the network has never met is as good as one of its test split.
      only: (id) =>
        (splits === undefined || (splits.get(id) ?? 'test') === flags.split) &&
        (chosen === undefined || chosen.has(reportKey(id))),
      ...(flags.hedges !== undefined && { hedges: phrases(flags.hedges), assessor }),
      ...(truth && { truth }),
      ...(gold && { gold: gold.labels }),
      onProgress: (done) => progress.update(done),
    });
  } finally {
    await close();
  }
  progress.done();
  process.stdout.write(render(comparison));
  const { disagreements, ...figures } = comparison;
  if (flags.json !== undefined)
    writeResult(flags.json, `${JSON.stringify(figures, null, 2)}\n`, { kind: 'json', inputs });
  if (flags.disagreements !== undefined) {
    const lines = disagreements.map((one) => `${JSON.stringify(one)}\n`);
    writeResult(flags.disagreements, lines, { kind: 'jsonl', inputs });
    process.stdout.write(`${lines.length} disagreements in ${flags.disagreements}\n`);
  }
}

const figure = (x: number | null | undefined): string => (x === null || x === undefined ? '–' : x.toFixed(3));

function render({ reports, all, findings, gold }: RateComparison): string {
  const rows: readonly ({ readonly finding: string } & Agreement)[] = [
    ...findings,
    { finding: 'all', ...all },
  ];
  const columns: [string, (row: Agreement) => string][] = [
    ['both say', ({ both }) => String(both)],
    ['only network', ({ onlyNetwork }) => String(onlyNetwork)],
    ['only teacher', ({ onlyTeacher }) => String(onlyTeacher)],
    ['same y', ({ sameLabel }) => (sameLabel === null ? '–' : `${(100 * sameLabel).toFixed(1)} %`)],
    ["|p − p'|", ({ meanDifference }) => figure(meanDifference)],
    ['ρ', ({ spearman }) => figure(spearman)],
    ['deviation', ({ deviationRatio }) => figure(deviationRatio)],
  ];
  if (all.truth !== undefined) {
    columns.push(
      ['ρ truth: network', ({ truth }) => figure(truth?.network)],
      ['teacher', ({ truth }) => figure(truth?.teacher)],
      ['bound', ({ truth }) => figure(truth?.bound)],
      ['ρ said: network', ({ truth }) => figure(truth?.networkReads)],
      ['teacher', ({ truth }) => figure(truth?.teacherReads)],
      [
        'nearer: network/teacher',
        ({ truth }) => (truth === undefined ? '–' : `${truth.networkNearer}/${truth.teacherNearer}`),
      ],
    );
  }
  if (all.gold !== undefined)
    columns.push([
      'right: network/teacher',
      ({ gold: own }) => (own === undefined ? '–' : `${own.networkRight}/${own.teacherRight}`),
    ]);
  const width = Math.max(...rows.map(({ finding }) => finding.length)) + 2;
  const cells = rows.map((row) => columns.map(([, value]) => value(row)));
  const widths = columns.map(([name], i) => Math.max(name.length, ...cells.map((row) => row[i]!.length)));
  const line = (first: string, rest: readonly string[]) =>
    `${first.padEnd(width)}${rest.map((cell, i) => cell.padStart(widths[i]! + 2)).join('')}`.trimEnd();
  const lines = [
    `${reports} reports`,
    '',
    line(
      'finding',
      columns.map(([name]) => name),
    ),
    ...rows.map(({ finding }, i) => line(finding, cells[i]!)),
    '',
    "ρ: Spearman's correlation of probabilities where both say something. deviation: |p − p'| in units of the network's own (1: it knows itself).",
  ];
  if (all.truth !== undefined)
    lines.push(
      'bound: ρ of the certainty that was put into words with the truth. ρ said: with that certainty. nearer: which is nearer to the truth where they differ by more than 0.25.',
    );
  if (gold !== undefined) {
    const macro = (score: typeof gold.network) =>
      `recall ${figure(score.macroRecall)}, precision ${figure(score.macroPrecision)}, F1 ${figure(score.macroF1)}; by label y ${figure(score.byLabel.macroF1)}`;
    lines.push(
      '',
      `against people, mean over findings with at least ${gold.network.minPositives} positives, present or uncertain:`,
      `  network  ${macro(gold.network)}`,
      `  teacher  ${macro(gold.teacher)}`,
    );
  }
  return `${lines.join('\n')}\n\n`;
}

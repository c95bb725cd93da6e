import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { PenumbraError } from '../errors.ts';
import type { Heard } from '../rep-gls/index.ts';
import type { FindingSet } from '../reports/index.ts';
import { addBuildOptions, type BuildFlags, buildOptions } from './build-options.ts';
import {
  addExtractorOptions,
  checkExtractor,
  type ExtractorFlags,
  extractorOption,
  KEY_HELP,
} from './extractor-options.ts';
import { methodsHelp } from './methods-help.ts';
import {
  addJobsOption,
  addTrainOptions,
  interruptible,
  openOptions,
  positive,
  tellStopped,
  trainSettings,
  whole,
} from './options.ts';
import { addChestDials, dialFlag, givenDials } from './phantom.ts';
import { addPartOptions, addReportOptions, type ReportFlags } from './report-end.ts';

/** The paper's method beside plain cross-entropy and a smoothing that knows nothing of the reports. */
const OBJECTIVES = 'hard,ls,gls:rates=data';

export function register(program: Command): void {
  const command = program
    .command('rep-gls')
    .description(
      'From reports and images to a judged classifier: what the radiologists meant, how sure they were, and networks trained on it (arXiv 2508.02495).',
    )
    .argument(
      '<images>',
      "MIMIC-CXR-JPG's folder, CheXpert's CSV, a CSV or Parquet with one row per image, a chest clinic's folder, or the word phantom",
    )
    .option('--reports <in>', 'whatever penumbra extract reads (a clinic brings its own)')
    .option(
      '--rows <file...>',
      'instead of reports: rows that penumbra extract made of them, by whatever extractor',
    )
    .requiredOption('--out <folder>', 'rows, data set, runs and report; the same command goes on')
    .addOption(extractorOption())
    .addOption(
      new Option(
        '--rates-from <source>',
        'what labels and rates come from: the rows of the extractor, or rgn, a rate generation network that learns from them first',
      )
        .choices([...SOURCES])
        .default('rows'),
    )
    .option('--rgn-epochs <n>', 'passes of that network over the reports (default: 14)', positive)
    .option(
      '--audit <gold>',
      'a few hundred cases whose truth was marked: measures whether hedges follow the truth and how noisy extraction is, and follows it',
    )
    .option('--read <file>', 'with --audit: what people read in the same reports, see penumbra reports audit')
    .option('--findings <name>', 'chexpert14, chestxray14, radimagenet, or a findings file', 'chexpert14')
    .option('--extend-findings <file>', 'add the phrases of this findings file')
    .option('--lexicon <file>', 'replace the lexicon by this file')
    .option('--extend-lexicon <file>', 'add the entries of this file; they win')
    .option('--id-column <name>', 'tables of reports: the id')
    .option('--text-column <name>', 'tables of reports: the text')
    .addOption(
      new Option('--stable <what>', 'findings that are only said to be stable: present, or without a label')
        .choices(['keep', 'mask'])
        .default('keep'),
    );
  addBuildOptions(command, 0.2)
    .addOption(
      new Option(
        '--blank <policy>',
        'findings that a report does not mention: zeros takes them for absent, as most work on MIMIC-CXR does; ignore masks them',
      )
        .choices(['zeros', 'ignore'])
        .default('zeros'),
    )
    .option(
      '--judge-by <data>',
      'a data set of the same images whose labels judge the test split (a clinic: its own truth)',
    )
    .option('--allow-outside', "also read images outside their table's folder: by ../, or behind links")
    .option('--objectives <names>', 'which; the first is the baseline. Options follow a colon', OBJECTIVES)
    .option('--seeds <n>', 'runs of each objective', whole, 3)
    .option('--seed <n>', 'the first seed (default: 0)', whole)
    .option('--until <stage>', 'stop after a stage: clinic, rows, data or networks', 'networks');
  addPartOptions(addReportOptions(addJobsOption(command)));
  addTrainOptions(command);
  addExtractorOptions(command, '--llm-model')
    .optionsGroup('The phantom, a virtual chest clinic:')
    .option('--phantom-images <n>', 'studies (default: 8000)', whole)
    .option('--phantom-size <pixels>', 'their side (default: 64)', whole)
    .option('--phantom-seed <n>', 'their seed (default: 0)', whole);
  addChestDials(command, 'phantom-')
    .addHelpText('after', methodsHelp)
    .addHelpText(
      'after',
      `
Stages, each also a verb of its own: the clinic (penumbra phantom --kind chest), rows (penumbra extract), a rate generation
network (penumbra rates train), the data set (penumbra dataset build), networks (penumbra compare). What is finished is not done again.
${KEY_HELP}

Examples:
  $ penumbra rep-gls phantom --out runs/clinic --phantom-images 2000 --model resnet10
  $ penumbra rep-gls phantom --out runs/rgn --rates-from rgn --model lu_vit_ti_16
  $ penumbra rep-gls images.csv --reports reports.csv --out runs/ours --audit marked.csv --until rows
  $ penumbra rep-gls images.csv --reports reports.csv --out runs/llm --extractor llm+rules --server http://localhost:8000/v1
  $ penumbra rep-gls mimic-cxr-jpg/ --reports mimic-cxr-reports.zip --out runs/mimic --model vit_b_16 --size 224
  $ penumbra rep-gls images.csv --reports reports.csv --out runs/ours --judge-by gold.csv --jobs auto`,
    )
    .action(repGls);
}

type Flags = Record<string, unknown> &
  ReportFlags &
  ExtractorFlags &
  BuildFlags & {
    reports?: string;
    rows?: string[];
    out: string;
    llmModel: string;
    findings: string;
    extendFindings?: string;
    lexicon?: string;
    extendLexicon?: string;
    idColumn?: string;
    textColumn?: string;
    stable: 'keep' | 'mask';
    ratesFrom: (typeof SOURCES)[number];
    rgnEpochs?: number;
    audit?: string;
    read?: string;
    blank: 'zeros' | 'ignore';
    allowOutside?: true;
    judgeBy?: string;
    objectives: string;
    seeds: number;
    seed?: number;
    until: string;
    jobs?: number | 'auto';
    phantomImages?: number;
    phantomSize?: number;
    phantomSeed?: number;
  };

const STAGES = ['clinic', 'rows', 'data', 'networks'];
const SOURCES = ['rows', 'rgn'] as const;

async function repGls(images: string, flags: Flags): Promise<void> {
  if (!STAGES.includes(flags.until)) {
    throw new PenumbraError('usage/until', `there is no stage ${flags.until}`, {
      hint: `the stages are ${STAGES.join(', ')}`,
    });
  }
  checkExtractor(flags);
  using interrupt = interruptible('stopping at the next good moment …');
  const { signal } = interrupt;
  const source = await sourceOf(images, flags, signal);
  if (flags.until === 'clinic' || signal.aborted) return stopped(signal);
  const heard = await hear(source, await readingOf(flags), flags, signal);
  if (heard === null || flags.until !== 'networks') return stopped(signal);
  await train(heard, source.truth, flags, signal);
}

interface Source {
  /** As `dataset build` takes them. */
  readonly images: string;
  readonly reports: string | undefined;
  /** What judges the test split. */
  readonly truth: string | undefined;
}

/** Images, reports and truth; a clinic is drawn first where the phantom is asked for. */
async function sourceOf(images: string, flags: Flags, signal: AbortSignal): Promise<Source> {
  const { clinicParts, drawClinic, REP_GLS } = await import('../rep-gls/index.ts');
  const given = givenDials(flags, 'phantom-');
  const isPhantom = images === 'phantom';
  const [dial] = Object.keys(given);
  if (!isPhantom && dial !== undefined) {
    throw new PenumbraError('usage/phantom', `${dialFlag(dial, 'phantom-')} is for the phantom`, {
      hint: 'it draws a clinic: penumbra rep-gls phantom --out FOLDER',
    });
  }
  if (isPhantom) {
    const { createProgress } = await import('./progress.ts');
    const size = flags.phantomSize ?? 64;
    const dials = {
      images: flags.phantomImages ?? 8000,
      size,
      seed: flags.phantomSeed ?? 0,
      ...given,
    };
    let progress: ReturnType<typeof createProgress> | undefined;
    await drawClinic(join(flags.out, REP_GLS.clinic), {
      dials,
      signal,
      onProgress(done) {
        progress ??= createProgress({ label: 'clinic', total: dials.images, unit: 'studies' });
        progress.update(done);
      },
    });
    progress?.done();
  }
  const folder = isPhantom ? join(flags.out, REP_GLS.clinic) : images;
  const clinic = clinicParts(folder);
  const reports = flags.reports ?? clinic?.reports;
  if (reports === undefined && flags.rows === undefined) {
    throw new PenumbraError('usage/reports', 'no reports were named', {
      hint: 'add --reports with what penumbra extract reads, or --rows with what it wrote',
    });
  }
  if (flags.rows !== undefined && flags.ratesFrom === 'rgn') {
    throw new PenumbraError('usage/reports', '--rates-from rgn learns from reports, and --rows gives none', {
      hint: 'leave out one of the two: penumbra rates train takes reports and rows',
    });
  }
  return { images: clinic?.images ?? images, reports, truth: flags.judgeBy ?? clinic?.truth };
}

/** Reports to rows to a data set; through a rate generation network where that is asked for. */
async function hear(
  source: Source,
  reading: Reading,
  flags: Flags,
  signal: AbortSignal,
): Promise<Heard | null> {
  const { REP_GLS, trainGenerator } = await import('../rep-gls/index.ts');
  const { showTraining } = await import('./rates.ts');
  const { input, lexicon, findings } = reading;
  const by = (hearing: Hearing) => hearBy(source, reading, flags, signal, hearing);
  if (flags.ratesFrom === 'rows') return await by({ extractor: flags.extractor });
  // The splits of the images are those of the network: it never reads a report that is judged.
  const teacher = await by({ extractor: flags.extractor, quiet: true });
  if (teacher === null) return null;
  const network = await trainGenerator({
    reports: source.reports!,
    folder: flags.out,
    splits: join(teacher.data, 'labels.csv'),
    findings,
    lexicon,
    input,
    options: {
      ...(flags.rgnEpochs !== undefined && { epochs: flags.rgnEpochs }),
      ...(typeof flags.threads === 'number' && { threads: flags.threads }),
    },
    signal,
    onEvent: showTraining(),
  });
  if (network === null) return null;
  return await by({ extractor: 'rgn', network, rowsFile: REP_GLS.generated });
}

/** How the flags have reports read. */
async function readingOf(flags: Flags) {
  const { openRules } = await import('../reports/index.ts');
  return {
    ...openRules(flags),
    input: {
      ...(flags.idColumn !== undefined && { idColumn: flags.idColumn }),
      ...(flags.textColumn !== undefined && { textColumn: flags.textColumn }),
    },
  };
}

type Reading = Awaited<ReturnType<typeof readingOf>>;

/** Who reads the reports this time, and where the rows go. */
interface Hearing {
  readonly extractor: string;
  readonly network?: string;
  readonly rowsFile?: string;
  /** Rows of a teacher are neither audited nor told of. */
  readonly quiet?: boolean;
}

async function hearBy(
  source: Source,
  { findings, lexicon, input }: Reading,
  flags: Flags,
  signal: AbortSignal,
  { extractor: name, network, rowsFile, quiet = false }: Hearing,
): Promise<Heard | null> {
  const reports = await import('../reports/index.ts');
  const { hearReports } = await import('../rep-gls/index.ts');
  const { createProgress } = await import('./progress.ts');
  const assessor = reports.createAssessor({ findings, lexicon, stable: flags.stable });
  // `--model` is the network of images here.
  const own = { ...flags, model: flags.llmModel, ...(network !== undefined && { network }) };
  if (flags.rows === undefined && name.startsWith('llm')) {
    const { estimateForFlags: estimate } = await import('../reports/llm/index.ts');
    const warn = (text: string) => process.stderr.write(`${text}\n`);
    process.stderr.write(`${await estimate(source.reports!, findings, own, input, warn)}\n`);
  }
  const opened =
    flags.rows === undefined
      ? await reports.openExtractor(name, { findings, assessor, flags: own })
      : undefined;
  const progress = createProgress({
    label: name === 'rgn' ? 'reports, by the network' : 'reports',
    total: 0,
    unit: 'reports',
  });
  const { errors, audit } = flags;
  try {
    const heard = await hearReports({
      ...source,
      folder: flags.out,
      extractor: opened?.extractor,
      rows: flags.rows,
      findings,
      ...(rowsFile !== undefined && { rowsFile }),
      input,
      async build(rows) {
        if (opened !== undefined) progress.done();
        const audited = audit === undefined || quiet ? {} : await auditOf(rows, audit, findings, flags);
        if (flags.until === 'rows' && !quiet) return undefined;
        return {
          ...buildOptions(flags),
          ...audited,
          ...(errors !== undefined && { errors: reports.readLabelErrors(errors, findings.findings) }),
        };
      },
      signal,
      onReports: (p) => progress.update(p.seen, opened?.info() ?? ''),
      onStep: (what) => process.stderr.write(`data set: ${what}\n`),
    });
    if (heard !== null && !quiet) tellHeard(heard);
    return heard;
  } finally {
    await opened?.close();
  }
}

/** Audits the rows, says what it found, and has the data set follow it. */
async function auditOf(rows: readonly string[], gold: string, { findings }: FindingSet, flags: Flags) {
  const [first, ...more] = rows;
  if (first === undefined || more.length > 0) {
    throw new PenumbraError('usage/audit', '--audit takes the rows of one file', {
      hint: 'put the shards together first: cat rows-*.jsonl > rows.jsonl',
    });
  }
  const { auditRows, auditText, readHedging, readLabelErrors } = await import('../reports/index.ts');
  const { writeResult } = await import('../files/index.ts');
  const { REP_GLS } = await import('../rep-gls/index.ts');
  const audit = await auditRows(first, gold, flags.read);
  process.stdout.write(`${auditText(audit)}\n`);
  const file = join(flags.out, REP_GLS.audit);
  const inputs = [gold, ...(flags.read === undefined ? [] : [flags.read])];
  writeResult(file, `${JSON.stringify(audit, null, 2)}\n`, { kind: 'json', inputs });
  return { hedging: readHedging(file), errors: readLabelErrors(file, findings) };
}

/** What was heard, in a few lines. */
function tellHeard({ data, read, summary }: Heard): void {
  const of = summary.findings.reduce(
    (sum, { statuses, positives, negatives }) => ({
      present: sum.present + positives,
      absent: sum.absent + negatives,
      hedged: sum.hedged + (statuses.uncertain ?? 0),
    }),
    { present: 0, absent: 0, hedged: 0 },
  );
  const labelled = of.present + of.absent;
  const share = labelled === 0 ? 0 : (100 * of.hedged) / labelled;
  process.stdout.write(
    `${summary.images} images with ${summary.reports} reports of ${summary.patients} patients${read === undefined ? '' : `; ${read.failed} reports failed`}\n` +
      `labels from reports: ${of.present} present, ${of.absent} absent; ${share.toFixed(1)} % of them hedged\n` +
      `data set: ${data}, its page ${join(data, 'report.html')}\n`,
  );
}

async function train(
  { data }: Heard,
  truth: string | undefined,
  flags: Flags,
  signal: AbortSignal,
): Promise<void> {
  const { openDataset } = await import('../data/index.ts');
  const { REP_GLS } = await import('../rep-gls/index.ts');
  const { checkData, tellDataset } = await import('./check-data.ts');
  const { compareAndTell, splitObjectives } = await import('./compare.ts');
  const size = await storedSize(truth);
  const settings = { ...(size !== undefined && { size }), ...trainSettings(flags) };
  const { blank, allowOutside } = flags;
  const open = openOptions({
    blank,
    ...(allowOutside && { allowOutside }),
    ...(truth !== undefined && { judgeBy: truth }),
  });
  const dataset = openDataset(data, open);
  tellDataset(dataset, data);
  const checked = await checkData(dataset, {}, Boolean(settings.window));
  await compareAndTell({
    path: data,
    dataset: checked,
    open,
    settings,
    objectives: splitObjectives(flags.objectives),
    folder: join(flags.out, REP_GLS.networks),
    flags,
    signal,
  });
}

/** The side of a clinic's pictures, which are taken as they are; nothing for other images. */
async function storedSize(truth: string | undefined): Promise<number | undefined> {
  const { clinicDials } = await import('../rep-gls/index.ts');
  return truth === undefined ? undefined : clinicDials(truth)?.size;
}

function stopped(signal: AbortSignal): void {
  if (signal.aborted) tellStopped();
}

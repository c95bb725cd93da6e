import { type Command, Option } from 'commander';
import { type RowPolicy, rowPolicies } from '../reports/dataset/policy.ts';

export function register(program: Command): void {
  program
    .command('dataset')
    .description('Data sets with uncertainty from reports.')
    .command('build')
    .description(
      'Joins extracted rows with images: labels, probabilities, rates and evidence per image, with a data card and charts.',
    )
    .argument(
      '<images>',
      "MIMIC-CXR-JPG's folder, CheXpert's CSV, or a CSV or Parquet with one row per image",
    )
    .requiredOption(
      '--rows <file...>',
      'rows of extract: .jsonl or .parquet; several where shards wrote them',
    )
    .requiredOption('--out <folder>', 'the data set')
    .option('--findings <name>', 'the set that the rows were extracted with', 'chexpert14')
    .option('--extend-findings <file>', 'the findings file that was added to it')
    .option('--extractor <name>', 'take only the rows of this extractor, where the files hold several')
    .addOption(
      new Option(
        '--unverified <what>',
        'rows whose quotation is not in the report: keep their label, mask it, or drop the report',
      )
        .choices(rowPolicies)
        .default('mask'),
    )
    .addOption(
      new Option('--disagreeing <what>', 'rows on which rules and language model disagree')
        .choices(rowPolicies)
        .default('keep'),
    )
    .addOption(
      new Option('--failed <what>', 'reports that could not be read: drop their images, or keep them masked')
        .choices(['mask', 'drop'])
        .default('drop'),
    )
    .option(
      '--errors <figures>',
      'how often labels are wrong, kept for objectives that correct for it: the --json of reports score or audit, or falsePositive=0.02,miss=0.05,hedged=0',
    )
    .option(
      '--audit <file>',
      'follow the --json of reports audit: hedges that the truth does not follow are labels, others are recalibrated, errors are kept',
    )
    .option(
      '--hold-out-hedges <phrases>',
      'patients whose reports hedge with one of these phrases (comma-separated) make the test split',
    )
    .option('--image-column <name>', 'tables: the image')
    .option('--report-column <name>', 'tables: the id of the report, or ids of several readings: r1|r2|r3')
    .option('--patient-column <name>', 'tables: the patient')
    .option('--split-column <name>', 'tables: train, val or test')
    .option('--val <share>', 'share of the patients for validation, where there are no splits', Number, 0.1)
    .option('--test <share>', 'share of the patients for testing', Number, 0.1)
    .option('--seed <n>', 'of the splits', Number, 0)
    .option('--resplit', 'split by patient anew, whatever splits the images come with')
    .option('--overwrite', 'replace the folder')
    .addHelpText(
      'after',
      `
Examples:
  $ penumbra dataset build mimic-cxr-jpg/ --rows rows.parquet --out uncertainty/
  $ penumbra dataset build images.csv --rows rows-*.jsonl --out uncertainty/ --report-column accession
  $ penumbra dataset build images.csv --rows rows.parquet --out audited/ --audit audit.json
  $ penumbra dataset build images.csv --rows rows.parquet --out by-hedge/ --hold-out-hedges "cannot be excluded,possible"`,
    )
    .action(build);
}

interface Flags {
  rows: string[];
  out: string;
  findings: string;
  extendFindings?: string;
  extractor?: string;
  unverified: RowPolicy;
  disagreeing: RowPolicy;
  failed: 'mask' | 'drop';
  errors?: string;
  audit?: string;
  holdOutHedges?: string;
  imageColumn?: string;
  reportColumn?: string;
  patientColumn?: string;
  splitColumn?: string;
  val: number;
  test: number;
  seed: number;
  resplit?: boolean;
  overwrite?: boolean;
}

async function build(images: string, flags: Flags): Promise<void> {
  const { buildDataset } = await import('../reports/dataset/index.ts');
  const { openRules, readLabelErrors } = await import('../reports/index.ts');
  const { readHedging } = await import('../reports/dataset/hedging.ts');
  const { findings } = openRules(flags);
  const errors = flags.errors ?? flags.audit;
  const summary = await buildDataset(flags.out, {
    rows: flags.rows,
    images,
    findings,
    policies: { unverified: flags.unverified, disagreeing: flags.disagreeing, failed: flags.failed },
    ...(flags.extractor !== undefined && { extractor: flags.extractor }),
    ...(errors !== undefined && { errors: readLabelErrors(errors, findings.findings) }),
    ...(flags.audit !== undefined && { hedging: readHedging(flags.audit) }),
    ...(flags.holdOutHedges !== undefined && {
      holdOutHedges: flags.holdOutHedges.split(',').map((phrase) => phrase.trim()),
    }),
    columns: {
      ...(flags.imageColumn !== undefined && { image: flags.imageColumn }),
      ...(flags.reportColumn !== undefined && { report: flags.reportColumn }),
      ...(flags.patientColumn !== undefined && { patient: flags.patientColumn }),
      ...(flags.splitColumn !== undefined && { split: flags.splitColumn }),
    },
    val: flags.val,
    test: flags.test,
    seed: flags.seed,
    ...(flags.resplit !== undefined && { resplit: flags.resplit }),
    ...(flags.overwrite !== undefined && { overwrite: flags.overwrite }),
    onStep: (what) => process.stderr.write(`dataset: ${what}\n`),
  });
  const { leftOut, rowCounts, policies } = summary;
  const done = { keep: 'kept', mask: 'masked', drop: 'dropped' } as const;
  const kinds = (['unverified', 'disagreeing', 'failed'] as const).filter((kind) => rowCounts[kind].rows > 0);
  process.stdout.write(
    `${summary.images} images, ${summary.reports} reports, ${summary.patients} patients in ${flags.out} (version ${summary.version})\n` +
      `left out: ${leftOut.imagesWithoutReport} images without a report, ${leftOut.reportsWithoutImage} reports without an image, ${leftOut.failedReports} failed reports\n` +
      `${summary.splits.map((s) => `${s.split} ${s.images}`).join(', ')}; charts in ${flags.out}/report.html\n` +
      kinds.map((kind) => `${rowCounts[kind].rows} ${kind} rows ${done[policies[kind]]}\n`).join('') +
      summary.notes.map((note) => `note: ${note}\n`).join(''),
  );
}

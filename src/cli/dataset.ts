import type { Command } from 'commander';

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
    .option('--image-column <name>', 'tables: the image')
    .option('--report-column <name>', 'tables: the id of the report')
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
  $ penumbra dataset build images.csv --rows rows-*.jsonl --out uncertainty/ --report-column accession`,
    )
    .action(build);
}

interface Flags {
  rows: string[];
  out: string;
  findings: string;
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
  const { findingSet } = await import('../reports/index.ts');
  const summary = await buildDataset(flags.out, {
    rows: flags.rows,
    images,
    findings: findingSet(flags.findings),
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
  const { leftOut } = summary;
  process.stdout.write(
    `${summary.images} images, ${summary.reports} reports, ${summary.patients} patients in ${flags.out} (version ${summary.version})\n` +
      `left out: ${leftOut.imagesWithoutReport} images without a report, ${leftOut.reportsWithoutImage} reports without an image, ${leftOut.failedReports} failed reports\n` +
      `${summary.splits.map((s) => `${s.split} ${s.images}`).join(', ')}; charts in ${flags.out}/report.html\n`,
  );
}

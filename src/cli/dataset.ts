import { type Command, Option } from 'commander';
import type { DatasetSummary } from '../reports/dataset/index.ts';
import { type RowPolicy, rowPolicies } from '../reports/dataset/policy.ts';
import type { RuleFiles } from '../reports/index.ts';
import { addBuildOptions, type BuildFlags, buildOptions } from './build-options.ts';

export function register(program: Command): void {
  const dataset = program.command('dataset').description('Data sets with uncertainty from reports.');
  const command = dataset
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
      '--audit <file>',
      'follow the --json of reports audit: hedges that the truth does not follow are labels, others are recalibrated, errors are kept',
    )
    .option(
      '--hold-out-hedges <phrases>',
      'patients whose reports hedge with one of these phrases (comma-separated) make the test split',
    );
  addBuildOptions(command, 0.1)
    .option('--seed <n>', 'of the splits', Number, 0)
    .option('--resplit', 'split by patient anew, whatever splits the images come with')
    .option('--overwrite', 'replace the folder')
    .addHelpText(
      'after',
      `
Examples:
  $ penumbra dataset build mimic-cxr-jpg/ --rows rows.parquet --out uncertainty/
  $ penumbra dataset build mimic-cxr-jpg/ --rows rows.parquet --out frontal/ --views frontal --silent drop
  $ penumbra dataset build images.csv --rows rows-*.jsonl --out uncertainty/ --report-column accession
  $ penumbra dataset build images.csv --rows rows.parquet --out audited/ --audit audit.json
  $ penumbra dataset build images.csv --rows rows.parquet --out by-hedge/ --hold-out-hedges "cannot be excluded,possible"`,
    )
    .action(build);
  registerRelease(dataset);
}

function registerRelease(dataset: Command): void {
  dataset
    .command('release')
    .description(
      'Writes what a built data set may give to others: the word database with counts, ids with rates, and where the evidence stands; never text of a report.',
    )
    .argument('<built>', 'the folder that dataset build wrote')
    .requiredOption('--out <folder>', 'what is released')
    .option('--findings <name>', 'the set that the rows were extracted with', 'chexpert14')
    .option('--extend-findings <file>', 'the findings file that was added to it')
    .option('--lexicon <path>', 'the lexicon that they were extracted with, where it is not the shipped one')
    .option('--extend-lexicon <path>', 'the lexicon file that was added to it')
    .option('--overwrite', 'replace the folder')
    .addHelpText(
      'after',
      `
What is derived from reports may fall under their terms, also without a word of them: ask whoever gave you the reports.
Ids are those of the data set: replace those of a hospital before anybody else gets them.

Example:
  $ penumbra dataset release uncertainty/ --out release/`,
    )
    .action(release);
}

async function release(
  built: string,
  flags: RuleFiles & { out: string; overwrite?: boolean },
): Promise<void> {
  const { releaseDataset } = await import('../reports/dataset/index.ts');
  const { openRules } = await import('../reports/index.ts');
  const { overwrite = false, out } = flags;
  const done = await releaseDataset(built, out, { ...openRules(flags), overwrite });
  process.stdout.write(
    `${out}: ${done.images} images of ${done.reports} reports; ${done.words.used} of ${done.words.all} phrases occur; ${done.places} places of evidence\n` +
      `held back: every text of the reports, and the words of ${done.otherPlaces} places that are not of the word database\n`,
  );
}

interface Flags extends BuildFlags {
  rows: string[];
  out: string;
  findings: string;
  extendFindings?: string;
  extractor?: string;
  unverified: RowPolicy;
  disagreeing: RowPolicy;
  failed: 'mask' | 'drop';
  audit?: string;
  holdOutHedges?: string;
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
    ...buildOptions(flags),
    ...(flags.extractor !== undefined && { extractor: flags.extractor }),
    ...(errors !== undefined && { errors: readLabelErrors(errors, findings.findings) }),
    ...(flags.audit !== undefined && { hedging: readHedging(flags.audit) }),
    ...(flags.holdOutHedges !== undefined && {
      holdOutHedges: flags.holdOutHedges.split(',').map((phrase) => phrase.trim()),
    }),
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
      `${stepLines(summary.steps)}` +
      `left out: ${leftOut.imagesWithoutReport} images without a report, ${leftOut.reportsWithoutImage} reports without an image, ${leftOut.failedReports} failed reports\n` +
      `${summary.splits.map((s) => `${s.split} ${s.images}`).join(', ')}; charts in ${flags.out}/report.html\n` +
      kinds.map((kind) => `${rowCounts[kind].rows} ${kind} rows ${done[policies[kind]]}\n`).join('') +
      summary.notes.map((note) => `note: ${note}\n`).join(''),
  );
}

/** What was left after each step, and how many the step took. */
function stepLines(steps: DatasetSummary['steps']): string {
  const width = Math.max(...steps.map(({ images }) => String(images).length));
  return steps
    .map(({ step, images }, i) => {
      const gone = i === 0 ? 0 : steps[i - 1]!.images - images;
      return `  ${String(images).padStart(width)} images ${step}${gone > 0 ? ` (−${gone})` : ''}\n`;
    })
    .join('');
}

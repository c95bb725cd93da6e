import { type Command, Option } from 'commander';
import type { Dataset, OpenOptions, SplitName } from '../data/index.ts';
import type { PlannedRun } from '../study/plan.ts';
import type { TrainOptions } from '../training/index.ts';
import { checkData } from './check-data.ts';
import { methodsHelp } from './methods-help.ts';
import {
  addDataOptions,
  addJobsOption,
  addTrainOptions,
  type DataFlags,
  interruptible,
  openData,
  openOptions,
  tellStopped,
  trainSettings,
  whole,
} from './options.ts';
import {
  addPartOptions,
  addReportOptions,
  endWithReport,
  partSettings,
  pictureFormats,
  type ReportFlags,
  textOptions,
} from './report-end.ts';

export function register(program: Command): void {
  const command = program
    .command('compare')
    .description('Trains the same network under several objectives and shows which probabilities to believe.')
    .argument('<data>', 'data set, as for train')
    .option(
      '--objectives <names>',
      'which; the first is the baseline. Options follow a colon: hard,ls:epsilon=0.2,./mine.ts:beta=0.2',
      'hard,ls,ols',
    )
    .option('--seeds <n>', 'runs of each objective', whole, 3)
    .option('--seed <n>', 'the first seed (default: 0)', whole)
    .addOption(
      new Option('--split <name>', 'which split judges (default: test where there is one, else val)').choices(
        ['val', 'test'],
      ),
    )
    .option('--out <folder>', "the comparison's folder (default: runs/compare-<data>-<model>)")
    .option('--bins <n>', 'bins of the calibration errors (default: 15)', whole)
    .option(
      '--replicates <n>',
      'resamples for measures of features (default: 1000); 0: values alone, without intervals',
      whole,
    );
  addPartOptions(addReportOptions(addJobsOption(command)));
  addTrainOptions(addDataOptions(command))
    .addHelpText('after', methodsHelp)
    .addHelpText(
      'after',
      `
Finished runs are not run again: the same command goes on where it was stopped.

With --jobs a run has one n-th of the cores as its threads, unless --threads says otherwise, and gives bit for bit what it
gives alone with --threads of that number. A run that was begun keeps its number. What auto measured is in jobs.json.

Examples:
  $ penumbra compare phantom --seeds 1 --epochs 5
  $ penumbra compare images/ --objectives hard,ls,ols --model resnet18 --size 64 --seeds 3
  $ penumbra compare images/ --objectives hard,ls,ols --seeds 4 --jobs auto
  $ penumbra compare images/ --objectives hard,ls,./mine.ts:beta=0.2 --seeds 3
  $ penumbra compare table.csv --objectives hard,ols,ols:variant=fine-grained --split val`,
    )
    .action(compare);
}

type Flags = DataFlags & Record<string, unknown> & CompareFlags & { objectives: string; out?: string };

/** How a comparison is run and shown. */
export interface CompareFlags extends ReportFlags {
  seeds: number;
  seed?: number;
  split?: SplitName;
  bins?: number;
  replicates?: number;
  jobs?: number | 'auto';
}

async function compare(path: string, flags: Flags): Promise<void> {
  const settings = trainSettings(flags);
  const dataset = await checkData(openData(path, flags), flags, Boolean(settings.window));
  using interrupt = interruptible('stopping after this step …');
  await compareAndTell({
    path,
    dataset,
    open: openOptions(flags),
    settings,
    objectives: splitObjectives(flags.objectives),
    folder: flags.out ?? `runs/compare-${dataset.name}-${settings.model ?? 'resnet18'}`,
    flags,
    signal: interrupt.signal,
  });
}

/** What a comparison from the command line is made of. */
export interface Comparison {
  /** The data set as it was named, opened, and how it is opened again. */
  readonly path: string;
  readonly dataset: Dataset;
  readonly open: OpenOptions;
  readonly settings: TrainOptions;
  readonly objectives: readonly string[];
  readonly folder: string;
  readonly flags: CompareFlags;
  readonly signal: AbortSignal;
}

/** Trains, judges and tells; says so where it was stopped. */
export async function compareAndTell(comparison: Comparison): Promise<void> {
  const { path, dataset, open, objectives: named, folder, flags, signal } = comparison;
  const { compare: runComparison } = await import('../study/compare.ts');
  const { reportText } = await import('../judgement/index.ts');
  const { showStudy, tellFailed } = await import('./study-progress.ts');
  const { importModel, importObjective } = await import('../training/index.ts');
  const { model } = comparison.settings;
  const settings = {
    ...comparison.settings,
    ...(model !== undefined && { model: await importModel(model) }),
    ...(flags.seed !== undefined && { seed: flags.seed }),
  };
  const objectives = await Promise.all(named.map(importObjective));
  const done = await runComparison({
    settings,
    objectives,
    seeds: flags.seeds,
    dataset,
    dataPath: path,
    folder,
    command: `penumbra ${process.argv.slice(2).join(' ')}`,
    ...(flags.split && { split: flags.split }),
    ...(flags.bins !== undefined && { bins: flags.bins }),
    parts: partSettings(flags),
    pictures: pictureFormats(flags),
    ...(flags.replicates !== undefined && { replicates: flags.replicates }),
    ...(flags.jobs !== undefined && { jobs: { count: flags.jobs, open, objectives: named, model } }),
    signal,
    onEvent: showStudy(nameOf),
  });
  if (done === null) {
    tellStopped();
    return;
  }
  const { json, markdown, html, figures } = done.files;
  endWithReport(
    reportText(done.report, textOptions(flags)),
    { result: json, tables: markdown, figures, report: html },
    flags,
  );
  tellFailed(done.failed, nameOf);
}

function nameOf({ method, seed }: PlannedRun): string {
  return `${method} seed ${seed}`;
}

/** `hard,ols:variant=paper,alpha=0.3,ls`: a part that is `option=value` belongs to the objective before it. */
export function splitObjectives(text: string): string[] {
  const objectives: string[] = [];
  for (const part of text
    .split(',')
    .map((piece) => piece.trim())
    .filter((piece) => piece !== '')) {
    const last = objectives.length - 1;
    if (part.includes('=') && !part.includes(':') && last >= 0) objectives[last] += `,${part}`;
    else objectives.push(part);
  }
  return objectives;
}

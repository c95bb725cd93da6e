import type { Command } from 'commander';
import { aligned } from '../aligned.ts';
import { PenumbraError } from '../errors.ts';
import type { CellCost } from '../study/cost.ts';
import type { PlannedRun } from '../study/plan.ts';
import { lookAtSets } from './check-data.ts';
import { addCheckOption, addJobsOption, type DataFlags, interruptible, tellStopped } from './options.ts';
import { formatDuration } from './progress.ts';
import {
  addPartOptions,
  addReportOptions,
  endWithReport,
  partSettings,
  pictureFormats,
  type ReportFlags,
  textOptions,
} from './report-end.ts';
import { runName, showStudy, tellFailed } from './study-progress.ts';

export function register(program: Command): void {
  const command = program
    .command('study')
    .description('Trains and judges methods × networks × seeds × data sets, as a file says.')
    .argument(
      '[file]',
      'study file (JSON, with or without comments); studies/ holds ready ones, studies/example.jsonc every key',
    )
    .option('--data <set=path...>', 'where a data set or centre of the file lies: knee=../data/knee')
    .option('--code <file...>', 'files of your own methods and networks, which the study then names')
    .option('--out <folder>', "the study's folder (default: the file's out, else runs/<name>)")
    .option('--dry-run', 'print the plan and the cost it expects; train nothing')
    .option(
      '--only <key=values...>',
      'train these runs only: method=hard,ols network=resnet50 set=knee seed=0',
    )
    .option('--shard <i/n>', 'train the i-th of n parts of the runs: for several machines')
    .option('--partial', 'judge what is finished, though the study is not')
    .option('--schema', 'print the JSON schema of study files');
  addPartOptions(addReportOptions(addJobsOption(addCheckOption(command))))
    .addHelpText(
      'after',
      `
Finished runs are not run again: the same command goes on where it was stopped, also inside a run. Several processes can
share one folder; each takes the runs that no other holds.

With --jobs a run has one n-th of the cores as its threads, unless the settings say otherwise, and gives bit for bit what
it gives alone with --threads of that number. A run that was begun keeps its number. What auto measured is in jobs.json.

Examples:
  $ penumbra study studies/phantom.json
  $ penumbra study studies/knee.json --data knee=../data/knee --dry-run
  $ penumbra study studies/radimagenet.json --data radimagenet=/data/radimagenet --shard 1/4
  $ penumbra study studies/phantom.json --jobs auto
  $ penumbra study studies/knee.json --data knee=../data/knee --prevalence 0.1 --no-images
  $ penumbra study mine.json --code ./mine.ts ./net.ts
  $ penumbra study --schema > study.schema.json`,
    )
    .action(study);
}

interface Flags extends ReportFlags, Pick<DataFlags, 'check'> {
  data?: string[];
  code?: string[];
  out?: string;
  dryRun?: boolean;
  only?: string[];
  shard?: string;
  partial?: boolean;
  jobs?: number | 'auto';
  schema?: boolean;
}

async function study(file: string | undefined, flags: Flags): Promise<void> {
  if (flags.schema) {
    const { studyJsonSchema } = await import('../study/study-schema.ts');
    process.stdout.write(`${JSON.stringify(studyJsonSchema(), null, 2)}\n`);
    return;
  }
  if (file === undefined) {
    throw new PenumbraError('usage/study', 'a study file is missing', {
      hint: 'penumbra study studies/phantom.json; --schema says what a study file holds',
    });
  }
  if (flags.code !== undefined) {
    const { importCode } = await import('../training/index.ts');
    for (const own of flags.code) await importCode(own);
  }
  const { readStudyFile } = await import('../study/study-file.ts');
  const spec = readStudyFile(file, dataPaths(flags.data ?? []), partSettings(flags));
  const folder = flags.out ?? spec.out ?? `runs/${spec.config.name}`;
  const selection = { only: flags.only, shard: flags.shard };
  if (flags.dryRun) {
    const { openStudy } = await import('../study/study.ts');
    const { expectCost } = await import('../study/cost.ts');
    const opened = await openStudy(spec, folder, selection, lookAtSets(flags.check));
    const costs = await expectCost(opened, (name) => process.stderr.write(`timing a few steps: ${name}\n`));
    process.stdout.write(renderPlan(opened.chosen, costs));
    return;
  }
  const { runStudy } = await import('../study/study.ts');
  using interrupt = interruptible('stopping after this step …');
  const outcome = await runStudy({
    study: spec,
    folder,
    command: `penumbra ${process.argv.slice(2).join(' ')}`,
    ...selection,
    partial: flags.partial ?? false,
    pictures: pictureFormats(flags),
    jobs: flags.jobs,
    ...(flags.code !== undefined && { code: flags.code }),
    signal: interrupt.signal,
    onEvent: showStudy(runName),
    look: lookAtSets(flags.check),
  });
  if (outcome.state === 'stopped') {
    tellStopped();
  } else if (outcome.state === 'waiting') {
    process.stdout.write(
      `The chosen runs are finished; ${outcome.left.length} others of the study are not.\n` +
        'The same command without --only and --shard finishes and judges the study; with --partial it judges what is there.\n',
    );
  } else {
    const { reportText } = await import('../judgement/index.ts');
    const { json, markdown, tables, figures, html } = outcome.files;
    endWithReport(
      reportText(outcome.report, textOptions(flags)),
      { result: json, tables: `${markdown}, ${tables}`, figures, report: html },
      flags,
    );
    tellFailed(outcome.failed, runName);
  }
}

/** `knee=../data/knee` … */
function dataPaths(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=');
      if (at < 1 || at === pair.length - 1) {
        throw new PenumbraError('usage/study', `--data ${pair}: expected <set>=<path>`);
      }
      return [pair.slice(0, at), pair.slice(at + 1)];
    }),
  );
}

/** The plan as a table, then what it comes to. */
function renderPlan(runs: readonly PlannedRun[], costs: readonly CellCost[]): string {
  const methods = [
    ...new Set(runs.map((run) => (run.role === 'teacher' ? `${run.method} (teacher)` : run.method))),
  ];
  const seeds = [...new Set(runs.map(({ seed }) => seed))];
  const head = [
    'set',
    'network',
    'size',
    'parameters',
    'runs',
    'images/run',
    'images/s',
    'a run',
    'left',
    'disk',
  ];
  const rows = costs.map((cost) => [
    cost.set,
    cost.network,
    `${cost.size} px`,
    millions(cost.parameters),
    cost.finished === 0 ? String(cost.runs) : `${cost.runs} (${cost.finished} finished)`,
    cost.images.toLocaleString('en-US'),
    `${cost.imagesPerSecond.toPrecision(3)}${cost.source === 'finished runs' ? ' *' : ''}`,
    duration(cost.secondsPerRun),
    duration(cost.secondsLeft),
    gigabytes(cost.bytes),
  ]);
  const lines = aligned([head, ...rows], (c) => c < 2).map((cells) => cells.join('  ').trimEnd());
  const left = costs.reduce((sum, cost) => sum + cost.secondsLeft, 0);
  const disk = costs.reduce((sum, cost) => sum + cost.bytes, 0);
  const working = Math.max(0, ...costs.map((cost) => cost.bytesUnderWay));
  const notes = [
    `methods: ${methods.join(', ')}; seeds: ${seeds.join(', ')}`,
    ...(costs.some(({ source }) => source === 'finished runs') ? ['* measured in finished runs'] : []),
    `${runs.length} runs, about ${duration(left)} of training left on this machine; judging comes on top.`,
    `Disk: ${gigabytes(disk)} when done, and up to ${gigabytes(working)} for the checkpoints of a run under way.`,
  ];
  return `${[...lines, '', ...notes].join('\n')}\n`;
}

function millions(n: number): string {
  return `${(n / 1e6).toFixed(1)} M`;
}

function gigabytes(bytes: number): string {
  return bytes < 1e9 ? `${Math.ceil(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}

function duration(seconds: number): string {
  return seconds < 48 * 3600 ? formatDuration(seconds) : `${(seconds / 86400).toFixed(1)} days`;
}

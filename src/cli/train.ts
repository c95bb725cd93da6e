import type { Command } from 'commander';
import { PenumbraError } from '../errors.ts';
import { printable } from '../files/index.ts';
import { meetingFromEnvironment } from '../torch/distributed/meeting.ts';
import type { Team } from '../training/index.ts';
import { checkData } from './check-data.ts';
import { runLocalRanks } from './local-ranks.ts';
import { methodsHelp } from './methods-help.ts';
import {
  addDataOptions,
  addTrainOptions,
  type DataFlags,
  interruptible,
  number,
  openData,
  positive,
  trainSettings,
  whole,
} from './options.ts';
import { asRank, openQuietly } from './ranks.ts';

export function register(program: Command): void {
  const command = program
    .command('train')
    .description('Trains one network with one objective.')
    .argument(
      '<data>',
      'folder of IDX files, of class folders, of NIH, CheXpert or MIMIC-CXR files, a table, or the word phantom',
    )
    .option('--out <folder>', 'the run folder (default: runs/<data>-<model>-<objective>-seed<seed>)')
    .option(
      '--objective <name>',
      'name[:option=value,…] from the list below, or a file of your own: ./mine.ts (default: ols)',
    )
    .option(
      '--extend <epochs>',
      'so many epochs more on the finished run of --out, from its weights, with the schedule anew; the settings are those of the run',
      positive,
    )
    .option(
      '--processes <n>',
      'so many processes of this machine train it together, each with its share of the cores and a batch of its own: a step has --batch-size images times their number. torchrun, srun and mpirun start them on several machines instead',
      positive,
    )
    .option(
      '--rank-timeout <seconds>',
      'several processes: how long one is waited for before the others end',
      number,
      120,
    )
    .option('--seed <n>', 'initial weights, order and augmentation (default: 0)', whole);
  addTrainOptions(addDataOptions(command))
    .addHelpText('after', methodsHelp)
    .addHelpText(
      'after',
      `
A run that was stopped goes on when the same command is given again.

Examples:
  $ penumbra train phantom --objective ols --epochs 5
  $ penumbra train images/ --model resnet50 --objective ls:epsilon=0.1 --out runs/ls
  $ penumbra train images/ --objective ./mine.ts:beta=0.2 --model ./net.ts
  $ penumbra train images/ --out runs/ls --objective ls --extend 10
                                                        ten epochs more on a finished run, given with its settings
  $ penumbra train table.csv --group '^(P\\d+)' --size 128
  $ penumbra train images/ --processes 4 --out runs/four
                                                        four processes of this machine, by c10d and Gloo
  $ torchrun --no-python --nnodes 2 --nproc-per-node 8 … npx penumbra train images/ --out runs/ols
                                                        sixteen on two machines: docs/distributed.md`,
    )
    .action(train);
}

type Flags = DataFlags &
  Record<string, unknown> & {
    out?: string;
    objective?: string;
    seed?: number;
    extend?: number;
    processes?: number;
    rankTimeout: number;
  };

async function train(path: string, flags: Flags): Promise<void> {
  const meeting = meetingFromEnvironment(process.env);
  if (flags.processes !== undefined && flags.processes > 1) {
    if (meeting !== undefined) {
      throw new PenumbraError(
        'usage/processes',
        `--processes starts processes, and ${meeting.launcher} has started ${meeting.size} already`,
        { hint: 'leave --processes out' },
      );
    }
    process.exitCode = await runLocalRanks(flags.processes, process.argv.slice(2));
    return;
  }
  using interrupt = interruptible('stopping after this step …');
  const { signal } = interrupt;
  if (meeting === undefined) {
    await trainAs(undefined, path, flags, signal);
    return;
  }
  const ended = await asRank(meeting, { timeout: flags.rankTimeout, signal }, async (team) => {
    await trainAs(team, path, flags, signal);
    return true;
  });
  if (ended === undefined) process.exitCode = 130;
}

/** @param team undefined for a process alone */
async function trainAs(
  team: Team | undefined,
  path: string,
  flags: Flags,
  signal: AbortSignal,
): Promise<void> {
  const { fit, importModel, importObjective, resolveConfig } = await import('../training/index.ts');
  const { showFit } = await import('./fit-progress.ts');
  const settings = trainSettings(flags);
  const objective = flags.objective ?? settings.objective;
  const config = resolveConfig({
    ...settings,
    ...(objective !== undefined && { objective: await importObjective(objective) }),
    ...(settings.model !== undefined && { model: await importModel(settings.model) }),
    ...(flags.seed !== undefined && { seed: flags.seed }),
  });
  const leads = team?.leads ?? true;
  const dataset = leads
    ? await checkData(openData(path, flags), flags, config.window !== null)
    : await openQuietly(path, flags);
  const name = `${dataset.name}-${config.model}-${config.objective.replace(/[^\w.-]+/g, '_')}-seed${config.seed}`;
  // biome-ignore lint/suspicious/noFocusedTests: it trains
  const result = await fit({
    config,
    dataset,
    dataPath: path,
    folder: flags.out ?? `runs/${name}`,
    extend: flags.extend,
    signal,
    ...(team && { team }),
    ...(leads && { onEvent: showFit(config.objective) }),
  });
  if (!result.finished) process.exitCode = 130;
  if (!leads) return;
  for (const { file, reason } of result.broken.slice(0, 10))
    process.stderr.write(`could not read ${printable(file)}: ${reason}\n`);
  if (result.broken.length > 10)
    process.stderr.write(`… and ${result.broken.length - 10} files more (done.json lists them)\n`);
  if (result.finished) {
    process.stdout.write(`${result.folder}\n`);
    return;
  }
  process.stderr.write(`stopped; a checkpoint is in ${result.folder}. The same command goes on from it.\n`);
}

import { type Command, InvalidArgumentError, Option } from 'commander';
import {
  type ColumnNames,
  type Dataset,
  type FindingsOptions,
  type OpenOptions,
  openDataset,
  PHANTOM_KINDS,
  type PhantomKind,
  SPLIT_NAMES,
  type SplitParts,
} from '../data/index.ts';
import { PenumbraError } from '../errors.ts';
import { readRegular } from '../files/index.ts';
import { readLabelErrors } from '../reports/score/label-errors.ts';
import type { TrainOptions } from '../training/index.ts';
import { optimizerNames } from '../training/optimizer-names.ts';
import { tellDataset } from './check-data.ts';
import { list, number, positive, whole, wholeOrAuto } from './values.ts';

export { number, positive, whole };

/** Options of every verb that reads a data set. */
export interface DataFlags {
  val?: number;
  test?: number;
  group?: string;
  splits?: SplitParts;
  site?: string;
  root?: string;
  allowOutside?: boolean;
  classes?: string[];
  fileColumn?: string;
  labelColumn?: string;
  groupColumn?: string;
  check?: 'quick' | 'full' | 'none';
  skipMissing?: boolean;
  skipDuplicates?: boolean;
  kind?: Dataset['kind'];
  views?: string[];
  uncertain?: NonNullable<FindingsOptions['uncertain']>;
  blank?: NonNullable<FindingsOptions['blank']>;
  values?: NonNullable<FindingsOptions['values']>;
  judgeBy?: string;
  errors?: NonNullable<FindingsOptions['errors']>;
  phantomKind?: PhantomKind;
  phantomImages?: number;
  phantomSize?: number;
  phantomSeed?: number;
}

export function addDataOptions(command: Command): Command {
  const described = command
    .option(
      '--val <share>',
      'share of the data for validation, where its names give no splits (default: 0.1)',
      fraction,
    )
    .option('--test <share>', 'share for testing, likewise (default: 0.2)', fraction)
    .option(
      '--group <regex>',
      'which part of a file name is the patient: patients are never divided between splits',
    )
    .option(
      '--splits <split=part,...>',
      'which named part of the data serves as which split: test=val judges on the part called val',
      splitParts,
    )
    .option(
      '--site <regex>',
      'which part of a file path is the site (default: a column site, centre, hospital …)',
    )
    .option('--root <folder>', "what a table's paths are relative to (default: its own folder)")
    .option('--allow-outside', 'also read files outside that folder: by ../, absolute paths, or behind links')
    .option('--file-column <name>', "a table's column of files, where it is not called file, path or image")
    .option('--label-column <name>', 'its column of labels, where it is not called label or class')
    .option('--group-column <name>', 'its column of patients, where it is not called group or patient')
    .option('--classes <names>', 'classes in order, or the findings that are wanted: Edema,Mass', list)
    .addOption(
      new Option(
        '--kind <kind>',
        'what labels are, where it could be both (default: findings where a label is a|b)',
      ).choices(['one-of-k', 'findings']),
    )
    .option(
      '--views <names>',
      'only images of these views: frontal, lateral, or PA,AP as the table has them',
      list,
    )
    .option(
      '--uncertain <policy>',
      'findings: what −1 becomes: ignore, zeros, ones, a number from 0 to 1, or rate=0.4 (default: ignore)',
      uncertainty,
    )
    .addOption(
      new Option('--blank <policy>', 'findings: what a blank becomes (default: ignore)').choices([
        'ignore',
        'zeros',
      ]),
    )
    .addOption(
      new Option(
        '--values <what>',
        'findings with both: labels with their rates, or probabilities (default: labels)',
      ).choices(['labels', 'probabilities']),
    )
    .option(
      '--judge-by <data>',
      'a data set of the same images whose labels judge the test split, where those trained on are not the truth',
    )
    .option(
      '--errors <file>',
      "findings: how often labels are wrong, for objectives that correct for it: the --json of reports score or audit (default: the data's own)",
      (file: string) => readLabelErrors(file),
    )
    .option('--skip-missing', "leave a table's rows out whose files are not there")
    .option(
      '--skip-duplicates',
      'keep one of images with the same content, or listed twice; looks at all of them',
    )
    .addOption(
      new Option(
        '--phantom-kind <what>',
        'what to draw, where DATA is phantom: knees with grades (default), or an atlas of 165 classes',
      ).choices(PHANTOM_KINDS),
    )
    .option('--phantom-images <n>', 'how many (default: 6000 knees, 20000 of an atlas)', whole)
    .option('--phantom-size <pixels>', 'their side (default: 64)', whole)
    .option('--phantom-seed <n>', 'their seed (default: 0)', whole);
  return addCheckOption(described);
}

/** Whether images are looked at before training. */
export function addCheckOption(command: Command): Command {
  return command.addOption(
    new Option(
      '--check <how>',
      'before training: whether images can be read and are there once: quick (up to 20,000 of them), full, none (default: quick)',
    ).choices(['quick', 'full', 'none']),
  );
}

export function openData(path: string, flags: DataFlags): Dataset {
  const dataset = openDataset(path, openOptions(flags));
  const named = Object.keys(columnNames(flags)).map((role) => `--${role}-column`);
  if (named.length > 0 && ['folders', 'npz', 'phantom', 'built'].includes(dataset.format)) {
    throw new PenumbraError(
      'usage/columns',
      `${path} has no table whose columns ${named.join(', ')} could name`,
      {
        hint: `it was read as ${dataset.format}`,
      },
    );
  }
  tellDataset(dataset, path);
  return dataset;
}

/** The same, for who opens the data set later. */
export function openOptions(flags: DataFlags): OpenOptions {
  const fractions = {
    ...(flags.val !== undefined && { val: flags.val }),
    ...(flags.test !== undefined && { test: flags.test }),
  };
  const { uncertain, blank, values, errors } = flags;
  const findings = {
    ...(uncertain !== undefined && { uncertain }),
    ...(blank !== undefined && { blank }),
    ...(values !== undefined && { values }),
    ...(errors !== undefined && { errors }),
  };
  const columns = columnNames(flags);
  return {
    ...(Object.keys(fractions).length > 0 && { fractions }),
    ...(flags.group !== undefined && { group: flags.group }),
    ...(flags.splits !== undefined && { splits: flags.splits }),
    ...(flags.site !== undefined && { site: flags.site }),
    ...(flags.root !== undefined && { root: flags.root }),
    ...(flags.allowOutside !== undefined && { allowOutside: flags.allowOutside }),
    ...(flags.classes !== undefined && { classes: flags.classes }),
    ...(flags.skipMissing !== undefined && { skipMissing: flags.skipMissing }),
    ...(flags.skipDuplicates !== undefined && { skipDuplicates: flags.skipDuplicates }),
    ...(Object.keys(columns).length > 0 && { columns }),
    ...(flags.kind !== undefined && { kind: flags.kind }),
    ...(flags.views !== undefined && { views: flags.views }),
    ...(Object.keys(findings).length > 0 && { findings }),
    ...(flags.judgeBy !== undefined && { judgeBy: flags.judgeBy }),
    phantom: {
      ...(flags.phantomKind !== undefined && { kind: flags.phantomKind }),
      ...(flags.phantomImages !== undefined && { images: flags.phantomImages }),
      ...(flags.phantomSize !== undefined && { size: flags.phantomSize }),
      ...(flags.phantomSeed !== undefined && { seed: flags.phantomSeed }),
    },
  };
}

/** For verbs that train several runs. */
export function addJobsOption(command: Command): Command {
  return command.option(
    '--jobs <n>',
    'train n runs at a time, each in its own process with its share of the cores; auto measures how many (default: one run with all cores)',
    wholeOrAuto,
  );
}

/** A table's columns that the user names. */
export function columnNames({ fileColumn, labelColumn, groupColumn }: DataFlags): ColumnNames {
  return {
    ...(fileColumn !== undefined && { file: fileColumn }),
    ...(labelColumn !== undefined && { label: labelColumn }),
    ...(groupColumn !== undefined && { group: groupColumn }),
  };
}

/** `ignore`, `zeros`, `ones`, `0.5` or `rate=0.4`. */
function uncertainty(text: string): NonNullable<FindingsOptions['uncertain']> {
  if (text === 'ignore' || text === 'zeros' || text === 'ones') return text;
  const rate = /^rate=(.+)$/.exec(text)?.[1];
  const value = Number(rate ?? text);
  if (text.trim() !== '' && rate?.trim() !== '' && Number.isFinite(value)) {
    if (rate === undefined && value >= 0 && value <= 1) return value;
    if (rate !== undefined && value > -1 && value < 1) return { rate: value };
  }
  throw new InvalidArgumentError(
    'It is ignore, zeros, ones, a number from 0 to 1, or rate= with a number between −1 and 1.',
  );
}

/** Settings of a training run as flags. Flags win over the file that `--config` names. */
export function addTrainOptions(command: Command): Command {
  return command
    .option('--config <file>', 'JSON file of settings; flags win over it')
    .option(
      '--model <name>',
      'a network from the list below, or a file of your own: ./net.ts (default: resnet18)',
    )
    .addOption(
      new Option(
        '--finding-tokens <on|off>',
        'vision transformers: a token for each finding (default: on for lu_vit, else off)',
      ).argParser(onOff),
    )
    .option(
      '--doubt-weight <weight>',
      'findings: what predicting the doubt that a report expresses counts in the loss; 0 is no such head (default: 0.5 for lu_vit, else 0)',
      number,
    )
    .addOption(
      new Option('--stem <kind>', 'first layers: small keeps the resolution of small images').choices([
        'auto',
        'standard',
        'small',
      ]),
    )
    .option('--epochs <n>', 'passes over the training split (default: 20)', whole)
    .option('--batch-size <n>', 'images per step (default: 64)', whole)
    .addOption(new Option('--optimizer <name>', 'default: sgd').choices(optimizerNames))
    .option('--learning-rate <rate>', 'peak rate (default: 0.02)', number)
    .option('--weight-decay <rate>', 'L2 penalty (default: 0.0001)', number)
    .addOption(
      new Option('--schedule <name>', 'default: cosine').choices(['constant', 'cosine', 'multi-step']),
    )
    .option('--milestones <epochs>', 'epochs at which the multi-step schedule divides by ten: 10,15', numbers)
    .option('--warm-up <epochs>', 'epochs of linear warm-up (default: 1)', number)
    .option('--size <pixels>', 'side of the network input (default: 224 for files, else as stored)', whole)
    .option('--channels <n>', '1 or 3 (default: as the images have)', whole)
    .option(
      '--window <spec>',
      'values of 16-bit images that become black and white: low,high; percentile=1,99 (of each image) or percentile=1,99,set; auto (default: the whole range)',
      intensityWindow,
    )
    .option('--no-flip', 'do not mirror images at random')
    .option('--crop-padding <pixels>', 'border for the random crop (default: an eighth of the size)', whole)
    .option(
      '--mixup <alpha>',
      'mix each batch with itself by shares from Beta(alpha, alpha) (default: 0, off)',
      number,
    )
    .option(
      '--ema <decay>',
      'average the weights, 0.999 for example; the average is evaluated and saved',
      number,
    )
    .option('--accumulate <n>', 'batches whose gradients are added up for one step (default: 1)', whole)
    .addOption(
      new Option(
        '--sampling <how>',
        'balanced draws every class, or finding, equally often; sqrt by the root of its number, between the two (default: uniform)',
      ).choices(['uniform', 'balanced', 'sqrt']),
    )
    .option(
      '--class-weights <weights>',
      'what classes, or the presence of findings, count: balanced, or name=2,other=0.5 (default: alike)',
      weights,
    )
    .option(
      '--teacher <path>',
      'for objectives with a teacher: a finished run of the same network (default: one is trained first)',
    )
    .option('--weights <file>', 'safetensors to start from; a head of another size starts fresh')
    .option('--strict-weights', 'the weights must fit in every tensor, the head too')
    .option('--workers <n>', 'decoding threads', whole)
    .option(
      '--threads <n>',
      'threads of the engine, or auto: what a few timed steps show to be fastest (default: the number of cores)',
      wholeOrAuto,
    )
    .option('--device <name>', 'auto, cpu, cuda:0 … (default: auto)')
    .addOption(
      new Option('--precision <name>', 'default: auto').choices(['auto', 'float32', 'bfloat16', 'float16']),
    )
    .option('--tf32', 'GPUs: float32 products in TF32')
    .option('--cudnn-benchmark', 'GPUs: cuDNN tries its algorithms; not bit for bit repeatable')
    .addOption(
      new Option(
        '--fused <how>',
        'batch norm with its addition and ReLU in one pass: where the processor can, or off (default: auto)',
      ).choices(['auto', 'off']),
    )
    .option(
      '--sync-batch-norm',
      'of several processes: batch norm takes their batches as one, which few images a process want',
    )
    .option('--checkpoint-steps <n>', 'a checkpoint every so many steps, besides one an epoch', whole)
    .option(
      '--checkpoint-seconds <n>',
      'a checkpoint after so many seconds inside an epoch (default: 300)',
      number,
    )
    .option(
      '--evaluate-every <epochs>',
      'epochs between evaluations on the validation split (default: 1)',
      whole,
    );
}

const settingFlags = [
  'model',
  'stem',
  'epochs',
  'batchSize',
  'optimizer',
  'learningRate',
  'weightDecay',
  'schedule',
  'milestones',
  'warmUp',
  'size',
  'channels',
  'window',
  'cropPadding',
  'mixup',
  'ema',
  'findingTokens',
  'doubtWeight',
  'accumulate',
  'sampling',
  'classWeights',
  'weights',
  'strictWeights',
  'teacher',
  'workers',
  'threads',
  'device',
  'precision',
  'tf32',
  'cudnnBenchmark',
  'fused',
  'syncBatchNorm',
  'checkpointSteps',
  'checkpointSeconds',
  'evaluateEvery',
] as const; // prettier-ignore

/** The settings that flags and the `--config` file give; what neither names is left to the defaults. */
export function trainSettings(flags: Record<string, unknown>): TrainOptions {
  const settings: Record<string, unknown> = typeof flags.config === 'string' ? readConfig(flags.config) : {};
  for (const name of settingFlags) if (flags[name] !== undefined) settings[name] = flags[name];
  // Commander gives a negatable flag a default of true.
  if (flags.flip === false) settings.flip = false;
  return settings as TrainOptions;
}

/** Options of verbs that open a trained run. */
export interface RunFlags {
  model?: string;
  run?: string;
  threads?: number;
}

export function addRunOptions(command: Command): Command {
  return command
    .option(
      '--run <name>',
      'which run of a comparison or study: ols-seed0; ols for all its seeds, or all, where several make sense',
    )
    .option(
      '--model <file>',
      'the file of the network, where the run was trained with one of your own: ./net.ts',
    )
    .option('--threads <n>', 'threads of the engine (default: as the run was trained)', positive);
}

/** Makes the network of `--model` known, before the run is opened. */
export async function loadRunCode(flags: { model?: string }): Promise<void> {
  if (flags.model === undefined) return;
  const { importModel } = await import('../training/index.ts');
  await importModel(flags.model);
}

function readConfig(path: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(readRegular(path).toString('utf8'));
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return value as Record<string, unknown>;
  } catch (cause) {
    throw new PenumbraError('usage/config', `--config ${path}: ${(cause as Error).message}`, {
      cause,
      where: { file: path },
    });
  }
  throw new PenumbraError('usage/config', `--config ${path}: expected a JSON object of settings`, {
    where: { file: path },
  });
}

function onOff(text: string): boolean {
  if (text !== 'on' && text !== 'off') throw new InvalidArgumentError('expected on or off.');
  return text === 'on';
}

function weights(text: string): 'balanced' | Record<string, number> {
  if (text === 'balanced') return text;
  // A class's own name may hold an equals sign.
  const pairs = text
    .split(',')
    .map((pair) => [pair.slice(0, pair.lastIndexOf('=')), pair.slice(pair.lastIndexOf('=') + 1)]);
  if (pairs.some(([name]) => !name))
    throw new InvalidArgumentError('expected balanced, or name=weight,name=weight.');
  return Object.fromEntries(pairs.map(([name, value]) => [name!.trim(), number(value!)]));
}

function fraction(text: string): number {
  const value = number(text);
  if (value < 0 || value >= 1) throw new InvalidArgumentError('expected a share in [0, 1).');
  return value;
}

function splitParts(text: string): SplitParts {
  const entries = text.split(',').map((pair) => pair.split('=').map((word) => word.trim()));
  const splits = entries.map(([split]) => split);
  const good = entries.every(
    ([split, part, ...more]) => SPLIT_NAMES.some((name) => name === split) && part && more.length === 0,
  );
  if (!good || new Set(splits).size < splits.length)
    throw new InvalidArgumentError('expected each of train, val and test at most once, as in test=val.');
  return Object.fromEntries(entries);
}

/** `0,4095`, `percentile=1,99`, `percentile=1,99,set`, `percentile=1,99,image` or `auto`. */
function intensityWindow(text: string): NonNullable<TrainOptions['window']> {
  if (text === 'auto') return text;
  const [, percentile, low, high, per] =
    /^(percentile=)?([\d.]+),([\d.]+)(?:,(?:per=)?(set|image))?$/.exec(text.trim()) ?? [];
  const [from, to] = [Number(low), Number(high)];
  const good = low !== undefined && from < to && (percentile === undefined ? per === undefined : to <= 100);
  if (!good)
    throw new InvalidArgumentError('expected low,high; percentile=1,99; percentile=1,99,set; or auto.');
  if (percentile === undefined) return { low: from, high: to };
  return { percentile: [from, to], ...(per === 'set' && { per }) };
}

function numbers(text: string): number[] {
  return text.split(',').map(number);
}

/** Says that the work was stopped, for verbs that go on where they were. */
export function tellStopped(): void {
  process.stderr.write('stopped; the same command goes on.\n');
  process.exitCode = 130;
}

/** One press of Ctrl-C can arrive twice: from the terminal and from npm, which passes it on. */
const samePress = 1000;

/**
 * Ctrl-C (or a polite kill) asks the work to stop at the next good moment; a second one, a second or more later, ends
 * at once.
 * @returns the signal, and a disposer that takes the handlers away again
 */
export function interruptible(message: string): { signal: AbortSignal } & Disposable {
  const controller = new AbortController();
  let pressedAt = Number.NEGATIVE_INFINITY;
  const onSignal = () => {
    const now = performance.now();
    if (now - pressedAt < samePress) return;
    pressedAt = now;
    if (controller.signal.aborted) process.exit(130);
    process.stderr.write(`\n${message} (again to stop at once)\n`);
    controller.abort();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      process.off('SIGINT', onSignal);
      process.off('SIGTERM', onSignal);
    },
  };
}

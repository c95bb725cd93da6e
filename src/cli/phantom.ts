import { type Command, Option } from 'commander';
import { PenumbraError } from '../errors.ts';
import { type ClinicOptions, DIALS } from '../phantom/clinic/options.ts';
import { number, whole } from './options.ts';

export type ChestDial = Exclude<keyof ClinicOptions, 'images' | 'size' | 'seed'>;

/** What a dial of the chest clinic moves, in a few words. */
const CHEST_DIALS: Readonly<Record<ChestDial, string>> = {
  prevalence: "multiplies every finding's odds",
  conspicuity: 'multiplies how far present and absent are apart, for picture and reader',
  artefacts: 'how often an artefact fools picture and reader alike',
  correlation: "of the reader's noise with the picture's",
  skill: "multiplies every reader's skill",
  readers: 'how many radiologists read',
  reads: 'how many of them read each study, each with a report',
  habit: 'share of the statements hedged out of habit',
  silence: 'share of what could be said that is not',
  dictation: 'errors of dictation per report',
  misses: 'how often the plain labeler loses a statement of presence',
  falseAlarms: 'how often the plain labeler hears a denial as presence',
  deafness: 'how often the plain labeler takes a hedge for a plain statement',
  systematic: "share of the plain labeler's errors that fall on the same readers' phrases again and again",
};

const chestDials = Object.keys(CHEST_DIALS) as readonly ChestDial[];

export function register(program: Command): void {
  const command = program
    .command('phantom')
    .description(
      'Draws virtual radiographs with a known truth, as a data set on disk: knees with grades, an atlas of 165 classes, or a chest clinic with findings, readers and reports.',
    )
    .requiredOption('--out <folder>', 'a new or empty folder')
    .addOption(
      new Option('--kind <what>', 'what to draw').choices(['knee', 'atlas', 'chest']).default('knee'),
    )
    .option('--images <n>', 'how many (default: 6000 knees, 20000 of an atlas, 8000 chests)', whole)
    .option('--size <pixels>', 'side, 32 to 512', whole, 64)
    .option('--seed <n>', 'equal seeds draw equal images', whole, 0)
    .optionsGroup('Knees and atlas:')
    .option(
      '--reader-noise <tau>',
      'how much the virtual readers confuse neighbouring grades (default: 0.085), or the two of a pair (default: 0.15)',
      number,
    )
    .addOption(
      new Option('--format <kind>', 'idx files (default), or a .png per image').choices(['idx', 'png']),
    )
    .optionsGroup('Chests:');
  addChestDials(command);
  command
    .addHelpText(
      'after',
      `
A chest clinic holds images/, labels.csv (the truth), plain.csv (a plain labeler's), reports.csv, truth.csv (posteriors,
readers), masks.jsonl. docs/chest-clinic.md has its model.

Examples:
  $ penumbra phantom --out phantoms
  $ penumbra phantom --out phantoms-png --images 500 --size 224 --format png
  $ penumbra phantom --kind atlas --out atlas
  $ penumbra phantom --kind chest --out clinic --images 8000 --size 64
  $ penumbra phantom --kind chest --out timid --habit 0.5 --silence 0.4
  $ penumbra extract clinic/reports.csv --out rows.jsonl
  $ penumbra dataset build clinic/labels.csv --rows rows.jsonl --out heard`,
    )
    .action(phantom);
}

/** The dials of the chest clinic as flags: `--habit`, or `--phantom-habit` among the flags of another verb. */
export function addChestDials(command: Command, prefix: '' | 'phantom-' = ''): Command {
  for (const dial of chestDials) {
    const [otherwise, least, most, isWhole] = DIALS[dial];
    const what = `${CHEST_DIALS[dial]}, ${least} to ${most} (default: ${otherwise})`;
    command.option(`${dialFlag(dial, prefix)} <x>`, what, isWhole ? whole : number);
  }
  return command;
}

type Flags = {
  out: string;
  kind: 'knee' | 'atlas' | 'chest';
  images?: number;
  size: number;
  seed: number;
  readerNoise?: number;
  format?: 'idx' | 'png';
} & { -readonly [dial in ChestDial]?: number };

async function phantom(flags: Flags): Promise<void> {
  const { out, kind, images, size, seed } = flags;
  const dials = givenDials(flags);
  const others = kind === 'chest' ? foreign(flags) : Object.keys(dials).map((dial) => dialFlag(dial));
  if (others.length > 0) {
    throw new PenumbraError('usage/phantom', `${others[0]} is not for --kind ${kind}`, {
      hint: kind === 'chest' ? 'leave it out: chests are .png files' : 'add --kind chest, or leave it out',
    });
  }
  const data = await import('../data/index.ts');
  if (kind !== 'chest') {
    const dataset = await data.writePhantom(out, {
      kind,
      ...(images !== undefined && { images }),
      size,
      seed,
      format: flags.format ?? 'idx',
      ...(flags.readerNoise !== undefined && { readerNoise: flags.readerNoise }),
    });
    return tell(out, dataset, 'classes');
  }
  const { createProgress } = await import('./progress.ts');
  const progress = createProgress({ label: 'phantom', total: images ?? DIALS.images[0], unit: 'studies' });
  const dataset = await data.writeClinic(out, {
    ...(images !== undefined && { images }),
    size,
    seed,
    ...dials,
    onProgress: (done) => progress.update(done),
  });
  progress.done();
  tell(out, dataset, 'findings');
}

function tell(
  out: string,
  dataset: { readonly splits: object; readonly classes: readonly string[] },
  what: string,
): void {
  const subsets: { split: string; length: number }[] = Object.values(dataset.splits);
  const splits = subsets.map(({ split, length }) => `${split} ${length}`);
  const { classes } = dataset;
  const names = classes.length > 20 ? `${classes.length} ${what}` : `${what} ${classes.join(', ')}`;
  process.stdout.write(`${out}: ${splits.join(', ')}; ${names}\n`);
}

/** Flags of the others that are given, and that chests do not know; their files are .png anyway. */
function foreign({ readerNoise, format }: Flags): string[] {
  const noise = readerNoise === undefined ? [] : ['--reader-noise'];
  return format === 'idx' ? [...noise, '--format idx'] : noise;
}

/** `falseAlarms` is `--false-alarms`. */
export function dialFlag(dial: string, prefix = ''): string {
  return `--${prefix}${dial.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** The dials that flags under a prefix give. */
export function givenDials(
  flags: Readonly<Record<string, unknown>>,
  prefix: '' | 'phantom-' = '',
): Partial<Record<ChestDial, number>> {
  const key = (dial: string) => (prefix === '' ? dial : `phantom${dial[0]!.toUpperCase()}${dial.slice(1)}`);
  return Object.fromEntries(
    chestDials.flatMap((dial) => (flags[key(dial)] === undefined ? [] : [[dial, flags[key(dial)]]])),
  );
}

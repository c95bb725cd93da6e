import { type Command, Option } from 'commander';
import { number, whole } from './options.ts';

export function register(program: Command): void {
  program
    .command('phantom')
    .description('Draws virtual joint radiographs with a known true posterior, as a data set on disk.')
    .requiredOption('--out <folder>', 'a new or empty folder')
    .option('--images <n>', 'how many', whole, 6000)
    .option('--size <pixels>', 'side, 32 to 512', whole, 64)
    .option('--seed <n>', 'equal seeds draw equal images', whole, 0)
    .option(
      '--reader-noise <tau>',
      'how much the virtual readers confuse neighbouring grades (default: 0.085)',
      number,
    )
    .addOption(
      new Option('--format <kind>', 'idx files, or a .png per image').choices(['idx', 'png']).default('idx'),
    )
    .addHelpText(
      'after',
      `
Examples:
  $ penumbra phantom --out phantoms
  $ penumbra phantom --out phantoms-png --images 500 --size 224 --format png`,
    )
    .action(phantom);
}

interface Flags {
  out: string;
  images: number;
  size: number;
  seed: number;
  readerNoise?: number;
  format: 'idx' | 'png';
}

async function phantom(flags: Flags): Promise<void> {
  const { writePhantom } = await import('../data/index.ts');
  const { out, images, size, seed, format } = flags;
  const dataset = await writePhantom(out, {
    images,
    size,
    seed,
    format,
    ...(flags.readerNoise !== undefined && { readerNoise: flags.readerNoise }),
  });
  const splits = Object.values(dataset.splits).map((subset) => `${subset.split} ${subset.length}`);
  process.stdout.write(`${out}: ${splits.join(', ')}; classes ${dataset.classes.join(', ')}\n`);
}

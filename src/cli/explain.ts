import { basename } from 'node:path';
import { type Command, Option } from 'commander';
import type { SplitName } from '../data/index.ts';
import { PenumbraError } from '../errors.ts';
import type { Explained, ExplainedPart } from '../inference/index.ts';
import {
  addDataOptions,
  addRunOptions,
  columnNames,
  type DataFlags,
  interruptible,
  loadRunCode,
  openData,
  positive,
  type RunFlags,
  whole,
} from './options.ts';
import { dividePaths } from './run-paths.ts';

export function register(program: Command): void {
  const command = program
    .command('explain')
    .description('Where in an image the evidence lies: heat maps of trained networks, side by side.')
    .usage('[options] <run...> <images>')
    .argument(
      '<paths...>',
      'run folders, or name=folder (or a comparison or study with --run), then the images as for predict; with --split a data set as for train',
    )
    .requiredOption('--out <folder>', 'where index.html, explain.json and pictures/ are written')
    .option(
      '--finding <name>',
      'a finding or class; all; or predicted, the likeliest of each image (default: predicted; with --masks all that are there)',
    )
    .option('--method <names>', 'grad-cam, rollout or both: grad-cam,rollout (default: grad-cam)', list)
    .option(
      '--layer <name>',
      "Grad-CAM: the layer whose features are weighed (default: the network's last ones by place)",
    )
    .option('--masks <file>', 'masks of what is there, a line of JSON each: maps are scored against them')
    .addOption(
      new Option('--split <name>', 'which split, where the images are a data set').choices([
        'train',
        'val',
        'test',
      ]),
    )
    .option(
      '--limit <n>',
      'explain at most so many images, spread evenly (default: 100; with --masks all)',
      positive,
    )
    .option('--pictures <n>', 'draw at most so many maps, spread evenly', whole, 100)
    .option('--maps', 'write the maps themselves too, as maps.safetensors')
    .option('--overwrite', 'replace what an earlier call wrote there');
  addRunOptions(addDataOptions(command))
    .addHelpText(
      'after',
      `
Each map is shown as a share of its own greatest value. With --masks the page begins with how often the greatest value lies
in the mask, and what share of the map does, with intervals over patients. docs/explain.md.

Examples:
  $ penumbra explain runs/ols scan.png --out why
  $ penumbra explain hard=runs/hard ols=runs/ols knee/ --split test --limit 20 --out why
  $ penumbra explain runs/lu chest/ --finding Effusion --method grad-cam,rollout --out effusion
  $ penumbra explain bce=runs/bce lu=runs/lu clinic/ --split test --masks clinic/masks.jsonl --out where`,
    )
    .action(explain);
}

interface Flags extends DataFlags, RunFlags {
  out: string;
  finding?: string;
  method?: string[];
  layer?: string;
  masks?: string;
  split?: SplitName;
  limit?: number;
  pictures: number;
  maps?: boolean;
  overwrite?: boolean;
}

async function explain(paths: readonly string[], flags: Flags): Promise<void> {
  const { chooseRuns, explainRuns, writeExplained } = await import('../inference/index.ts');
  const { readMasks } = await import('../data/index.ts');
  const { createProgress } = await import('./progress.ts');
  const { printable } = await import('../files/index.ts');
  const { runs: given, images } = dividePaths(paths, 'penumbra explain RUN IMAGES --out why');
  const runs = given.flatMap((path) => {
    const [, name, folder = path] = /^([\w.+-]+)=(.+)$/.exec(path) ?? [];
    const folders = chooseRuns(folder, { run: flags.run, many: true });
    return folders.map((one) => ({
      name: name !== undefined && folders.length === 1 ? name : basename(one),
      folder: one,
    }));
  });
  const named = new Set(runs.map(({ name }) => name));
  const distinct = runs.map(({ name, folder }) => ({
    name: named.size < runs.length ? folder : name,
    folder,
  }));
  await loadRunCode(flags);
  const masks = flags.masks === undefined ? undefined : readMasks(flags.masks);
  const { data, parts } = await opened(images, flags);
  using interrupt = interruptible('stopping …');
  let progress: ReturnType<typeof createProgress> | undefined;
  let label = '';
  let said: Explained;
  const inputs = [
    ...distinct.map(({ folder }) => folder),
    ...images,
    ...(flags.masks === undefined ? [] : [flags.masks]),
  ];
  try {
    said = await explainRuns(data, parts, {
      runs: distinct,
      methods: flags.method ?? ['grad-cam'],
      finding: flags.finding,
      masks,
      layer: flags.layer,
      limit: flags.limit ?? (masks === undefined ? 100 : Number.POSITIVE_INFINITY),
      threads: flags.threads,
      signal: interrupt.signal,
      onNotice: (text) => process.stderr.write(`${text}\n`),
      onProgress: (done, total, what) => {
        if (what !== label) {
          progress?.done();
          label = what;
          progress = createProgress({ label: `explain ${what}`, total, unit: 'images' });
        }
        progress!.update(done);
      },
    });
  } catch (error) {
    if (!interrupt.signal.aborted) throw error;
    progress?.done();
    process.stderr.write('stopped; nothing was written.\n');
    process.exitCode = 130;
    return;
  }
  progress?.done();
  await writeExplained(flags.out, said, {
    pictures: flags.pictures,
    maps: flags.maps === true,
    overwrite: flags.overwrite === true,
    inputs,
  });
  if (said.scores !== undefined) process.stdout.write(await scoreText(said));
  process.stdout.write(`${flags.out}/index.html\n`);
  for (const { file, reason } of said.broken.slice(0, 10))
    process.stderr.write(`could not read ${printable(file)}: ${reason}\n`);
  if (said.broken.length > 0) process.exitCode = 3;
}

async function opened(
  images: readonly string[],
  flags: Flags,
): Promise<{ data: string; parts: ExplainedPart[] }> {
  if (flags.split !== undefined) {
    const { splitOf } = await import('../training/index.ts');
    const dataset = openData(images[0]!, flags);
    const subset = splitOf(dataset, flags.split);
    const { groups } = subset;
    return {
      data: `${dataset.name}, ${flags.split}`,
      parts: [{ subset, known: true, ...(groups && { groupOf: (i: number) => groups[i]! }) }],
    };
  }
  const { openImages } = await import('../data/index.ts');
  const { tellSkipped } = await import('./data-notes.ts');
  const found = openImages(images, {
    columns: columnNames(flags),
    ...(flags.group !== undefined && { group: flags.group }),
    ...(flags.root !== undefined && { root: flags.root }),
    ...(flags.allowOutside !== undefined && { allowOutside: flags.allowOutside }),
  });
  tellSkipped(found.skipped, (text) => process.stderr.write(text));
  return { data: found.name, parts: found.parts.map((part) => ({ ...part, known: false })) };
}

async function scoreText({ scores, columns }: Explained): Promise<string> {
  const { formatFigure, formatInterval } = await import('../figures/index.ts');
  const { all } = scores!;
  const share = { unit: '%', digits: 1 } as const;
  const shown = (estimate: (typeof all.columns)[number]['hits']) =>
    `${formatFigure(share, estimate.value)} % [${formatInterval(share, estimate) ?? '–'}]`;
  const width = Math.max(...columns.map(({ name }) => name.length));
  const rows = all.columns.map(
    ({ hits, energy }, c) =>
      `${columns[c]!.name.padEnd(width)}  hits ${shown(hits)}  energy ${shown(energy)}`,
  );
  return `${all.maps} maps of ${all.units} patients; by chance ${formatFigure(share, all.area)} %\n${rows.join('\n')}\n`;
}

function list(text: string): string[] {
  const names = text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  if (names.length > 0) return names;
  throw new PenumbraError('usage/method', 'expected names of methods: grad-cam,rollout');
}

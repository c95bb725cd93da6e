import { type Command, Option } from 'commander';
import type { SplitName } from '../data/index.ts';
import type { EmbeddingFigure, EmbeddingSummary, Metric, Projection } from '../embeddings/index.ts';
import { PenumbraError } from '../errors.ts';
import { checkResult, printable, writeResult } from '../files/index.ts';
import type { RunFeatures } from '../training/index.ts';
import { checkData } from './check-data.ts';
import {
  addDataOptions,
  addRunOptions,
  type DataFlags,
  loadRunCode,
  openData,
  positive,
  type RunFlags,
  whole,
} from './options.ts';

export function register(program: Command): void {
  const splits = ['train', 'val', 'test'];
  const command = program
    .command('embed')
    .description(
      "A trained run's penultimate features of a split: how well they separate the classes, a file, a picture.",
    )
    .argument('<run>', 'run folder, or a comparison or study with --run')
    .argument('<data>', 'data set, as for train')
    .addOption(new Option('--split <name>', 'which split').choices(splits).default('test'))
    .option('--out <file>', 'write the features: .safetensors, .parquet or .npy by the name’s ending')
    .option('--json <file>', 'write the measures, also of each class')
    .option('--finding <name>', 'for data with findings: the one whose presence is looked at')
    .option('--measured <n>', 'most images to measure, every class with its share', positive, 10_000)
    .option('--neighbours <k>', 'nearest neighbours that vote', positive, 20)
    .addOption(
      new Option('--metric <name>', 'which images are near, for the vote')
        .choices(['euclidean', 'cosine'])
        .default('euclidean'),
    )
    .addOption(
      new Option(
        '--gallery <split>',
        'split whose images vote (default: the other images of the same one)',
      ).choices(splits),
    )
    .option('--replicates <n>', 'bootstrap resamples (default: 1000)', whole)
    .option('--picture <file.svg>', 'draw the features in the plane')
    .addOption(
      new Option('--method <name>', 'how the picture is made')
        .choices(['tsne', 'umap', 'both'])
        .default('tsne'),
    )
    .option('--sample <n>', 'most images in the picture, every class with its share', positive, 2000)
    .option('--seed <n>', 'of samples and pictures', whole, 0);
  addRunOptions(addDataOptions(command))
    .addHelpText(
      'after',
      `
Examples:
  $ penumbra embed runs/ols images/ --out features.safetensors
  $ penumbra embed runs/ols images/ --picture tsne.svg --sample 2000
  $ penumbra embed runs/chest chest/ --finding Effusion --picture effusion.svg
  $ penumbra embed runs/ols images/ --gallery train --metric cosine --json measures.json`,
    )
    .action(embed);
}

interface Flags extends DataFlags, RunFlags {
  split: SplitName;
  out?: string;
  json?: string;
  measured: number;
  finding?: string;
  neighbours: number;
  metric: Metric;
  gallery?: SplitName;
  replicates?: number;
  picture?: string;
  method: Projection | 'both';
  sample: number;
  seed: number;
}

async function embed(given: string, path: string, flags: Flags): Promise<void> {
  const { chooseRuns } = await import('../inference/index.ts');
  const [run] = chooseRuns(given, { run: flags.run }) as [string];
  const { splitOf } = await import('../training/index.ts');
  const { featuresFormat, measureEmbeddings, needNeighbours, sampleFor, summarizeEmbeddings, writeFeatures } =
    await import('../embeddings/index.ts');
  const { pickRows } = await import('../judgement/index.ts');
  const inputs = [run, path];
  if (flags.out !== undefined) checkResult(flags.out, { kind: featuresFormat(flags.out), inputs });
  if (flags.json !== undefined) checkResult(flags.json, { kind: 'json', inputs });
  if (flags.picture !== undefined && !/\.svg$/i.test(flags.picture)) {
    throw new PenumbraError('usage/picture', `${flags.picture}: expected a name that ends in .svg`);
  }

  if (flags.picture !== undefined) checkResult(flags.picture, { kind: 'svg', inputs });

  await loadRunCode(flags);
  const dataset = await checkData(openData(path, flags), { ...flags, check: 'none' }, true);
  const subset = splitOf(dataset, flags.split);
  // A split that votes for itself is what leaving one out is.
  const voters = flags.gallery === flags.split ? undefined : flags.gallery;
  const gallerySize =
    voters === undefined ? Math.min(subset.length, flags.measured) - 1 : splitOf(dataset, voters).length;
  needNeighbours(flags.neighbours, gallerySize);
  const embedded = await featuresOf(run, flags.split);
  if (flags.out !== undefined) {
    const about = { run, split: flags.split };
    const files = await writeFeatures(flags.out, embedded, (i) => subset.nameOf(i), about, inputs);
    process.stderr.write(`features: ${files.join(', ')}\n`);
  }

  const measured = sampled(embedded, flags.measured);
  const gallery = voters && (await featuresOf(run, voters));
  const measures = measureEmbeddings(measured.features, measured.labels, measured.classes.length, {
    k: flags.neighbours,
    metric: flags.metric,
    ...(gallery && { gallery }),
  });
  const groups = subset.groups && pickRows(subset.groups, measured.indices, 1);
  const summary = summarizeEmbeddings(measures, {
    ...(flags.replicates !== undefined && { replicates: flags.replicates }),
    ...(groups && { groups }),
  });
  process.stdout.write(await rendered(summary));
  if (flags.json !== undefined) {
    const { broken, classes } = embedded;
    const figures = { run, data: dataset.name, split: flags.split, classNames: classes, broken, ...summary };
    writeResult(flags.json, `${JSON.stringify(figures, null, 1)}\n`, { kind: 'json', inputs });
    process.stderr.write(`measures: ${flags.json}\n`);
  }
  if (flags.picture !== undefined) {
    const of = flags.finding === undefined ? '' : `, ${flags.finding}`;
    const title = `${dataset.name}, split ${flags.split}${of}: penultimate features`;
    const shown = sampled(embedded, flags.sample);
    writeResult(flags.picture, await drawn(shown, title, dataset.strata, flags), { kind: 'svg', inputs });
    process.stderr.write(`picture: ${flags.picture}\n`);
  }

  async function featuresOf(folder: string, split: SplitName): Promise<RunFeatures> {
    const { embedRun } = await import('../training/index.ts');
    const { createProgress } = await import('./progress.ts');
    const total = splitOf(dataset, split).length;
    const progress = createProgress({ label: `embed ${split}`, total, unit: 'images' });
    const result = await embedRun(folder, dataset, split, {
      finding: flags.finding,
      threads: flags.threads,
      onProgress: (done) => progress.update(done),
    });
    progress.done();
    for (const { file, reason } of result.broken.slice(0, 10))
      process.stderr.write(`could not read ${printable(file)}: ${reason}\n`);
    return result;
  }

  function sampled(all: RunFeatures, size: number): RunFeatures {
    const rows = sampleFor(all.labels, size, flags.seed);
    if (rows.length === all.labels.length) return all;
    return {
      ...all,
      features: pickRows(all.features, rows, all.features.length / all.labels.length),
      labels: pickRows(all.labels, rows, 1),
      indices: pickRows(all.indices, rows, 1),
    };
  }
}

async function drawn(
  { features, labels, classes }: RunFeatures,
  title: string,
  strata: Readonly<Record<string, readonly string[]>> | undefined,
  { method, seed }: Flags,
): Promise<string> {
  const { project } = await import('../embeddings/index.ts');
  const { scatterPlot } = await import('../judgement/index.ts');
  const { createProgress } = await import('./progress.ts');
  const n = labels.length;
  const methods: readonly Projection[] = method === 'both' ? ['tsne', 'umap'] : [method];
  const panels = methods.map((projection) => {
    const head = projection === 'tsne' ? 't-SNE' : 'UMAP';
    const progress = createProgress({ label: head, total: 0, unit: 'steps' });
    const points = project(features, n, features.length / n, { method: projection, seed }, (done) =>
      progress.update(done),
    );
    progress.done();
    return { head, points };
  });
  return scatterPlot(panels, labels, classes, { title, ...(strata && { strata }) });
}

async function rendered(summary: EmbeddingSummary): Promise<string> {
  const { EMBEDDING_SHOWN } = await import('../judgement/index.ts');
  const { figureHead, formatFigure, formatInterval, formatNumber, UNDEFINED } = await import(
    '../figures/index.ts'
  );
  const { samples, dimensions, classes, neighbours, settings } = summary;
  const rows = EMBEDDING_SHOWN.map((figure) => {
    const estimate = summary[figure.name as EmbeddingFigure];
    const interval = formatInterval(figure, estimate);
    const value = formatFigure(figure, estimate.value).padStart(8);
    return `${figureHead(figure).padEnd(30)}${value}${interval === undefined ? '' : `   [${interval}]`}`;
  });
  const distance = (value: number | null) => (value === null ? UNDEFINED : formatNumber(value, 3));
  const by = settings.resampled === 'groups' ? 'patients' : 'samples';
  const voters =
    neighbours.gallery === null ? 'of the other samples' : `of ${neighbours.gallery} samples of the gallery`;
  return [
    `${samples} samples, ${classes} classes, ${dimensions} features; ${Math.round(100 * settings.level)} % bootstrap intervals over ${by}`,
    ...rows,
    `mean distance within classes ${distance(summary.withinDistance)}, between classes ${distance(summary.betweenDistance)}; ${neighbours.k} nearest ${voters}, ${neighbours.metric}`,
    '',
  ].join('\n');
}

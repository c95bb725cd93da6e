import { type Command, Option } from 'commander';
import type { SplitName } from '../data/index.ts';
import { checkResult, printable, writeResult } from '../files/index.ts';
import { addDataOptions, addRunOptions, type DataFlags, loadRunCode, openData, whole } from './options.ts';

export function register(program: Command): void {
  const command = program
    .command('evaluate')
    .description("Measures a trained run's accuracy and calibration on a split, with 95 % intervals.")
    .argument('<run>', 'run folder')
    .argument('<data>', 'data set, as for train')
    .addOption(new Option('--split <name>', 'which split').choices(['train', 'val', 'test']).default('test'))
    .option('--json <file>', 'write all figures (fractions), with their intervals and bins')
    .option(
      '--predictions <file>',
      "write every sample's probabilities: .csv or .parquet by the name's ending",
    )
    .option('--bins <n>', 'bins of the calibration errors (default: 15)', whole)
    .option('--replicates <n>', 'bootstrap resamples (default: 1000)', whole);
  addRunOptions(addDataOptions(command))
    .addHelpText(
      'after',
      `
Examples:
  $ penumbra evaluate runs/ls images/ --split val
  $ penumbra evaluate runs/ls images/ --split test --json figures.json --predictions predictions.parquet`,
    )
    .action(evaluate);
}

interface Flags extends DataFlags {
  model?: string;
  split: SplitName;
  json?: string;
  predictions?: string;
  bins?: number;
  replicates?: number;
}

async function evaluate(run: string, path: string, flags: Flags): Promise<void> {
  const { evaluateRun } = await import('../training/index.ts');
  const { summarize } = await import('../metrics/index.ts');
  const { knownOf } = await import('../study/known.ts');
  const { writePredictions, predictionsFormat } = await import('../study/predictions-file.ts');
  const { renderSummary } = await import('../study/summary-table.ts');
  const { createProgress } = await import('./progress.ts');
  const inputs = [run, path];
  if (flags.json !== undefined) checkResult(flags.json, { kind: 'json', inputs });
  if (flags.predictions !== undefined) {
    const format = predictionsFormat(flags.predictions);
    checkResult(flags.predictions, { kind: format === 'csv' ? 'predictions' : format, inputs });
  }

  await loadRunCode(flags);
  const dataset = openData(path, flags);
  const subset = dataset.splits[flags.split];
  const progress = createProgress({
    label: `evaluate ${flags.split}`,
    total: subset?.length ?? 0,
    unit: 'images',
  });
  const { predictions, broken } = await evaluateRun(run, dataset, flags.split, {
    onProgress: (done) => progress.update(done),
  });
  progress.done();
  for (const { file, reason } of broken.slice(0, 10))
    process.stderr.write(`could not read ${printable(file)}: ${reason}\n`);

  const summary = summarize(predictions, {
    ...(flags.bins !== undefined && { bins: flags.bins }),
    ...(flags.replicates !== undefined && { replicates: flags.replicates }),
    ...knownOf(subset!, predictions.indices),
  });
  process.stdout.write(renderSummary(summary));
  if (flags.json !== undefined) {
    const figures = {
      run,
      data: dataset.name,
      split: flags.split,
      classNames: dataset.classes,
      broken,
      ...summary,
    };
    writeResult(flags.json, `${JSON.stringify(figures, null, 1)}\n`, { kind: 'json', inputs });
    process.stderr.write(`figures: ${flags.json}\n`);
  }
  if (flags.predictions !== undefined) {
    await writePredictions(flags.predictions, predictions, dataset.classes, (i) => subset!.nameOf(i), inputs);
    process.stderr.write(`predictions: ${flags.predictions}\n`);
  }
}

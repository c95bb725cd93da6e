import { basename } from 'node:path';
import { type Command, Option } from 'commander';
import type { SplitName } from '../data/index.ts';
import type { ThresholdRule } from '../figures/index.ts';
import { checkResult, printable, writeResult } from '../files/index.ts';
import { addDataOptions, addRunOptions, type DataFlags, loadRunCode, openData } from './options.ts';
import { terminalOptions, thresholdRule, whole } from './values.ts';

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
    .option('--replicates <n>', '0: values alone, without intervals and tests', whole)
    .option(
      '--threshold <rule>',
      'findings: how operating points are chosen on the validation split: youden, f1, sensitivity=0.9, specificity=0.9 (default: youden)',
      thresholdRule,
    );
  addRunOptions(addDataOptions(command))
    .addHelpText(
      'after',
      `
Examples:
  $ penumbra evaluate runs/ls images/ --split val
  $ penumbra evaluate runs/hard chest/ --threshold sensitivity=0.9
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
  threshold?: ThresholdRule;
}

async function evaluate(run: string, path: string, flags: Flags): Promise<void> {
  const { evaluateRun } = await import('../training/index.ts');
  const { chooseThresholds, summarize } = await import('../figures/index.ts');
  const { predictionsFormat, renderJudgement, summaryJson, writePredictions } = await import(
    '../judge/index.ts'
  );
  const { createProgress } = await import('./progress.ts');
  const inputs = [run, path];
  if (flags.json !== undefined) checkResult(flags.json, { kind: 'json', inputs });
  if (flags.predictions !== undefined) {
    const format = predictionsFormat(flags.predictions);
    checkResult(flags.predictions, { kind: format === 'csv' ? 'predictions' : format, inputs });
  }

  await loadRunCode(flags);
  const dataset = openData(path, flags);
  const outputsOf = async (split: SplitName) => {
    const progress = createProgress({
      label: `evaluate ${split}`,
      total: dataset.splits[split]?.length ?? 0,
      unit: 'images',
    });
    const result = await evaluateRun(run, dataset, split, { onProgress: (done) => progress.update(done) });
    progress.done();
    for (const { file, reason } of result.broken.slice(0, 10))
      process.stderr.write(`could not read ${printable(file)}: ${reason}\n`);
    return result;
  };
  const { predictions, broken } = await outputsOf(flags.split);
  const subset = dataset.splits[flags.split]!;
  // Operating points are chosen on validation images, never on those that are judged.
  const choose = dataset.kind === 'findings' && flags.split !== 'val' && dataset.splits.val !== undefined;
  const thresholds = choose
    ? chooseThresholds((await outputsOf('val')).predictions, flags.threshold)
    : undefined;
  const { indices } = predictions;
  const groups = subset.groups && Int32Array.from(indices, (i) => subset.groups![i]!);
  const posterior = subset.posterior && rowsOf(subset.posterior, indices, subset.classes.length);
  const outputs = { ...predictions, ...(posterior && { posterior }), ...(thresholds && { thresholds }) };
  const summary = summarize(outputs, {
    ...(flags.bins !== undefined && { bins: flags.bins }),
    ...(flags.replicates !== undefined && { replicates: flags.replicates }),
    ...(groups && { groups }),
  });
  process.stdout.write(
    renderJudgement(
      {
        kind: dataset.kind,
        names: dataset.classes,
        samples: summary.samples,
        methods: [{ name: basename(run), files: [run], scale: 'probabilities', summary }],
        differences: [],
        fit: [],
        notes: [],
      },
      terminalOptions(),
    ),
  );
  if (flags.json !== undefined) {
    const figures = {
      run,
      data: dataset.name,
      split: flags.split,
      classNames: dataset.classes,
      broken,
      ...summaryJson(summary),
      ...(thresholds && { thresholds: thresholdsJson(dataset.classes, thresholds) }),
    };
    writeResult(flags.json, `${JSON.stringify(figures, null, 1)}\n`, { kind: 'json', inputs });
    process.stderr.write(`figures: ${flags.json}\n`);
  }
  if (flags.predictions !== undefined) {
    const nameOf = (i: number) => subset.nameOf(indices[i]!);
    await writePredictions(flags.predictions, outputs, { nameOf, groups, inputs });
    process.stderr.write(`predictions: ${flags.predictions}\n`);
  }
}

function rowsOf(values: Float32Array, rows: Int32Array, width: number): Float32Array {
  const picked = new Float32Array(rows.length * width);
  for (let i = 0; i < rows.length; i++)
    picked.set(values.subarray(rows[i]! * width, (rows[i]! + 1) * width), i * width);
  return picked;
}

function thresholdsJson(names: readonly string[], thresholds: Float64Array): Record<string, number | null> {
  return Object.fromEntries(
    names.map((name, k) => [name, Number.isNaN(thresholds[k]!) ? null : thresholds[k]!]),
  );
}

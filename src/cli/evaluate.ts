import { basename } from 'node:path';
import { type Command, Option } from 'commander';
import { type SplitName, subsetIdentity } from '../data/index.ts';
import type { ThresholdRule } from '../figures/index.ts';
import { checkResult, printable, writeResult } from '../files/index.ts';
import type { RunCalibration } from '../inference/index.ts';
import { checkData } from './check-data.ts';
import {
  addDataOptions,
  addRunOptions,
  type DataFlags,
  loadRunCode,
  openData,
  type RunFlags,
} from './options.ts';
import { terminalOptions, thresholdRule, whole } from './values.ts';

export function register(program: Command): void {
  const command = program
    .command('evaluate')
    .description("Measures a trained run's accuracy and calibration on a split, with 95 % intervals.")
    .argument('<run>', 'run folder; or a comparison or study with --run, whose runs make an ensemble')
    .argument('<data>', 'data set, as for train')
    .addOption(new Option('--split <name>', 'which split').choices(['train', 'val', 'test']).default('test'))
    .option('--json <file>', 'write all figures (fractions), with their intervals and bins')
    .option(
      '--predictions <file>',
      "write every sample's probabilities: .csv, .jsonl or .parquet by the name's ending",
    )
    .option('--no-calibration', 'leave a calibrator that lies with the run unused')
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

interface Flags extends DataFlags, RunFlags {
  calibration: boolean;
  split: SplitName;
  json?: string;
  predictions?: string;
  bins?: number;
  replicates?: number;
  threshold?: ThresholdRule;
}

async function evaluate(run: string, path: string, flags: Flags): Promise<void> {
  const { chooseRuns, collect, Predictor } = await import('../inference/index.ts');
  const { splitOf } = await import('../training/index.ts');
  const { chooseThresholds, summarize } = await import('../figures/index.ts');
  const { predictionsKind, renderJudgement, summaryJson, writePredictions } = await import(
    '../judge/index.ts'
  );
  const { createProgress } = await import('./progress.ts');
  const inputs = [run, path];
  if (flags.json !== undefined) checkResult(flags.json, { kind: 'json', inputs });
  if (flags.predictions !== undefined)
    checkResult(flags.predictions, { kind: predictionsKind(flags.predictions), inputs });

  const folders = chooseRuns(run, { run: flags.run, many: true });
  await loadRunCode(flags);
  const dataset = await checkData(openData(path, flags), { ...flags, check: 'none' }, true);
  const subset = splitOf(dataset, flags.split);
  await using predictor = Predictor.open(folders, { calibrated: flags.calibration, threads: flags.threads });
  const outputsOf = async (split: SplitName) => {
    const total = dataset.splits[split]?.length ?? 0;
    const progress = createProgress({ label: `evaluate ${split}`, total, unit: 'images' });
    const result = await collect(predictor, splitOf(dataset, split), {
      onProgress: (done) => progress.update(done),
    });
    progress.done();
    for (const { file, reason } of result.broken.slice(0, 10))
      process.stderr.write(`could not read ${printable(file)}: ${reason}\n`);
    return result;
  };
  const { outputs: predictions, own, broken } = await outputsOf(flags.split);
  // Operating points are chosen on validation images, never on those that are judged.
  const choose = dataset.kind === 'findings' && flags.split !== 'val' && dataset.splits.val !== undefined;
  const thresholds = choose ? chooseThresholds((await outputsOf('val')).outputs, flags.threshold) : undefined;
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
        methods: [{ name: nameOfRuns(folders), files: folders, scale: 'probabilities', summary }],
        differences: [],
        fit: [],
        notes: notesOf(predictor.kept, subsetIdentity(subset)),
      },
      terminalOptions(),
    ),
  );
  if (flags.json !== undefined) {
    const figures = {
      run: folders.length === 1 ? folders[0] : folders,
      data: dataset.name,
      split: flags.split,
      calibration: predictor.calibrated ? predictor.kept.map((kept) => kept?.calibrator?.name ?? null) : null,
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
    await writePredictions(flags.predictions, outputs, { nameOf, groups, own, inputs });
    process.stderr.write(`predictions: ${flags.predictions}\n`);
  }
}

function nameOfRuns(folders: readonly string[]): string {
  const first = basename(folders[0]!);
  return folders.length === 1 ? first : `${first} and ${folders.length - 1} more (ensemble)`;
}

/** What a reader must know of how the probabilities came about. */
function notesOf(kept: readonly (RunCalibration | undefined)[], judged: string): string[] {
  const fitted = kept.filter((one) => one?.calibrator !== undefined);
  if (fitted.length === 0) return [];
  const { name } = fitted[0]!.calibrator!;
  const { data } = fitted[0]!;
  return [
    `Calibrated by ${name}, fitted on ${data.samples} images of ${data.name} ${data.split}${fitted.length > 1 ? ', each member by its own' : ''} (--no-calibration leaves it out).`,
    ...(fitted.some((one) => one!.data.fingerprint === judged)
      ? ['The calibrator was fitted on these very images: its figures here flatter it.']
      : []),
  ];
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

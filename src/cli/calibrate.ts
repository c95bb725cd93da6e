import { type Command, Option } from 'commander';
import type { SplitName } from '../data/index.ts';
import type { Calibrated } from '../inference/index.ts';
import { checkData } from './check-data.ts';
import {
  addDataOptions,
  addRunOptions,
  type DataFlags,
  loadRunCode,
  openData,
  type RunFlags,
} from './options.ts';

export function register(program: Command): void {
  const command = program
    .command('calibrate')
    .description(
      'Fits a calibrator on the validation split of a trained run and keeps it with the run: evaluate and predict then use it.',
    )
    .argument('<run>', 'run folder, or that of a comparison or study: then each run by itself')
    .argument('<data>', 'data set, as for train')
    .option(
      '--method <name>',
      'temperature, vector, matrix, dirichlet, isotonic, histogram; of findings temperature, platt, isotonic, histogram; none keeps the outputs for predict --conformal and --abstain alone',
      'temperature',
    )
    .addOption(
      new Option('--split <name>', 'which split it is fitted on; never the one that you judge by')
        .choices(['val', 'test'])
        .default('val'),
    );
  addRunOptions(addDataOptions(command))
    .addHelpText(
      'after',
      `
Kept are calibration.json (the calibrator, and of which weights it is) and calibration.safetensors (what the network
itself said of these images: conformal sets and thresholds are made from that).

Examples:
  $ penumbra calibrate runs/ols images/
  $ penumbra calibrate runs/chest chest/ --method platt
  $ penumbra calibrate runs/compare-images-resnet18 images/ --run all`,
    )
    .action(calibrate);
}

interface Flags extends DataFlags, RunFlags {
  method: string;
  split: SplitName;
}

async function calibrate(path: string, data: string, flags: Flags): Promise<void> {
  const { calibrateRun, chooseRuns } = await import('../inference/index.ts');
  const { createProgress } = await import('./progress.ts');
  const folders = chooseRuns(path, { run: flags.run, many: true });
  await loadRunCode(flags);
  const dataset = await checkData(openData(data, flags), { ...flags, check: 'none' }, true);
  for (const folder of folders) {
    const total = dataset.splits[flags.split]?.length ?? 0;
    const progress = createProgress({ label: `calibrate ${folder}`, total, unit: 'images' });
    const fitted = await calibrateRun(folder, dataset, {
      method: flags.method,
      split: flags.split,
      threads: flags.threads,
      onProgress: (done) => progress.update(done),
    });
    progress.done();
    for (const warning of fitted.warnings) process.stderr.write(`warning: ${warning}\n`);
    if (fitted.broken > 0) process.stderr.write(`${fitted.broken} images could not be read\n`);
    process.stdout.write(`${folder}: ${inWords(fitted, flags.split)}\n`);
  }
}

function inWords({ method, samples, nllBefore, nllAfter, temperature }: Calibrated, split: string): string {
  const on = `${samples} images of ${split}`;
  if (method === 'none') return `outputs of ${on} kept, no calibrator`;
  const t = temperature === undefined ? '' : ` ${temperature.toFixed(3)}`;
  const nll =
    nllBefore === null || nllAfter === null
      ? ''
      : `, NLL there ${nllBefore.toFixed(4)} before and ${nllAfter.toFixed(4)} after`;
  return `${method}${t} fitted on ${on}${nll}`;
}

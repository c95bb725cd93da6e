import { type Command, InvalidArgumentError } from 'commander';
import type { AbstentionRule, Predictor } from '../inference/index.ts';
import {
  columnNames,
  type DataFlags,
  interruptible,
  loadRunCode,
  positive,
  type RunFlags,
} from './options.ts';
import { dividePaths } from './run-paths.ts';

export function register(program: Command): void {
  program
    .command('predict')
    .description(
      'What a trained network, or several as an ensemble, says of images without labels: a row an image, with probabilities.',
    )
    .usage('[options] <run...> <images>')
    .argument(
      '<paths...>',
      'run folders (or a comparison or study with --run), then the images: a folder with any folders inside, PNG or JPEG files, a .csv with a column of files, IDX image files, or an .npz',
    )
    .requiredOption('--out <file>', 'where predictions are written: .csv, .jsonl or .parquet by its ending')
    .option(
      '--run <name>',
      'which run of a comparison or study: ols-seed0; ols for the ensemble of its seeds; all',
    )
    .option(
      '--conformal <coverage>',
      'add the set of classes that holds the truth in this share of images: 0.9, or aps=0.9 (also raps, ordinal)',
      conformal,
    )
    .option(
      '--abstain <risk>',
      'add an answer, which is "I do not know" below the confidence from which at most this share was wrong on validation: risk=0.1',
      risk,
    )
    .option('--no-calibration', 'leave a calibrator that lies with the run unused')
    .option('--group <regex>', 'which part of a file name is the patient')
    .option('--file-column <name>', "a table's column of files, where it is not called file, path or image")
    .option('--group-column <name>', 'its column of patients, where it is not called group or patient')
    .option('--root <folder>', "what a table's paths are relative to (default: its own folder)")
    .option('--allow-outside', 'also read files outside that folder')
    .option('--model <file>', 'the file of the network, where the run was trained with one of your own')
    .option('--threads <n>', 'threads of the engine (default: as the run was trained)', positive)
    .addHelpText(
      'after',
      `
A calibrator that penumbra calibrate fitted is used. --conformal and --abstain need what it keeps of the validation split.
Images that cannot be read are left out, listed in <out>.broken.csv, and end the verb with exit code 3.
Columns: docs/predict.md.

Examples:
  $ penumbra predict runs/ols new-images/ --out predictions.csv
  $ penumbra predict runs/ols scan.png --out scan.jsonl
  $ penumbra predict runs/compare-knee-resnet18 new/ --run ols --out ensemble.parquet
  $ penumbra calibrate runs/ols images/ && penumbra predict runs/ols new/ --conformal 0.9 --abstain risk=0.1 --out p.csv
  $ penumbra judge p.csv --labels truth.csv               once it is known what was right`,
    )
    .action(predict);
}

interface Flags
  extends Pick<DataFlags, 'group' | 'fileColumn' | 'groupColumn' | 'root' | 'allowOutside'>,
    RunFlags {
  out: string;
  conformal?: { method: string; coverage: number };
  abstain?: number;
  calibration: boolean;
}

async function predict(paths: readonly string[], flags: Flags): Promise<void> {
  const { checkPredictionsFile, chooseRuns, fitAbstention, fitSets, Predictor, predictImages, validationOf } =
    await import('../inference/index.ts');
  const { openImages } = await import('../data/index.ts');
  const { createProgress } = await import('./progress.ts');
  const { tellSkipped } = await import('./data-notes.ts');
  const { runs, images: given } = dividePaths(paths, 'penumbra predict RUN IMAGES --out predictions.csv');
  checkPredictionsFile(flags.out, [...runs, ...given]);
  const folders = runs.flatMap((path) => chooseRuns(path, { run: flags.run, many: true }));
  await loadRunCode(flags);
  const images = openImages(given, {
    columns: columnNames(flags),
    ...(flags.group !== undefined && { group: flags.group }),
    ...(flags.root !== undefined && { root: flags.root }),
    ...(flags.allowOutside !== undefined && { allowOutside: flags.allowOutside }),
  });
  tellSkipped(images.skipped, (text) => process.stderr.write(text));
  await using predictor = Predictor.open(folders, {
    calibrated: flags.calibration,
    threads: flags.threads,
    needsValidation: flags.conformal !== undefined || flags.abstain !== undefined,
  });
  const needed = flags.conformal !== undefined || flags.abstain !== undefined;
  const validation = needed ? validationOf(predictor) : undefined;
  const sets = flags.conformal && fitSets(validation!, flags.conformal);
  for (const warning of sets?.warnings ?? []) process.stderr.write(`warning: ${warning}\n`);
  const abstention = flags.abstain === undefined ? undefined : fitAbstention(validation!, flags.abstain);
  if (abstention !== undefined) tellAbstention(abstention, predictor);

  using interrupt = interruptible('stopping …');
  const label = folders.length === 1 ? 'predict' : `predict (${folders.length} networks)`;
  const progress = createProgress({ label, total: images.length, unit: 'images' });
  let result: Awaited<ReturnType<typeof predictImages>>;
  try {
    result = await predictImages(predictor, images, {
      out: flags.out,
      sets,
      abstention,
      inputs: [...folders, ...given],
      signal: interrupt.signal,
      onProgress: (done) => progress.update(done),
    });
  } catch (error) {
    if (!interrupt.signal.aborted) throw error;
    progress.done();
    process.stderr.write('stopped; nothing was written.\n');
    process.exitCode = 130;
    return;
  }
  progress.done();
  const { broken, brokenFile, abstained, answers } = result;
  if (abstention !== undefined)
    process.stderr.write(
      `"I do not know": ${abstained} of ${answers} answers (${percent(abstained, answers)})\n`,
    );
  process.stdout.write(`${flags.out}\n`);
  if (broken.length === 0) return;
  const { printable } = await import('../files/index.ts');
  for (const { file, reason } of broken.slice(0, 10))
    process.stderr.write(`could not read ${printable(file)}: ${reason}\n`);
  process.stderr.write(
    `${broken.length} of ${result.images} images could not be read and have no row; ${brokenFile} lists them\n`,
  );
  process.exitCode = 3;
}

function tellAbstention(rule: AbstentionRule, { kind, classes }: Pick<Predictor, 'kind' | 'classes'>): void {
  const shares = ({ low, high }: { low: number | null; high: number | null }) =>
    `${(100 * (low ?? 0)).toFixed(1)} to ${(100 * (high ?? 1)).toFixed(1)} %`;
  rule.onValidation.forEach(({ threshold, samples, answered, wrong }, k) => {
    const of = kind === 'findings' ? `${classes[k]}: ` : '';
    const text =
      answered === 0
        ? `${of}a risk of ${100 * rule.risk} % cannot be reached on validation: at every confidence more are wrong; every answer will be "I do not know"`
        : `${of}answers from a confidence of ${threshold.toFixed(4)}: on ${samples} validation images ${answered} answered (${percent(answered, samples)}), ${(100 * wrong.value!).toFixed(1)} % of them wrong (95 % interval ${shares(wrong)})`;
    process.stderr.write(`${text}\n`);
  });
}

function percent(part: number, whole: number): string {
  return `${whole === 0 ? 0 : ((100 * part) / whole).toFixed(1)} %`;
}

/** `0.9` or `aps=0.9`. */
function conformal(text: string): { method: string; coverage: number } {
  const [, method = 'lac', value] = /^(?:(\w[\w-]*)=)?([\d.]+)$/.exec(text.trim()) ?? [];
  const coverage = Number(value);
  if (value === undefined || !(coverage > 0 && coverage < 1))
    throw new InvalidArgumentError('expected a share between 0 and 1: 0.9, or aps=0.9.');
  return { method, coverage };
}

/** `risk=0.1`. */
function risk(text: string): number {
  const value = Number(/^(?:risk=)?([\d.]+)$/.exec(text.trim())?.[1]);
  if (value > 0 && value < 1) return value;
  throw new InvalidArgumentError('expected a share of wrong answers between 0 and 1: risk=0.1.');
}

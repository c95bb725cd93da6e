import {
  BatchLoader,
  type BrokenFile,
  type Dataset,
  type LoaderOptions,
  type SplitName,
  type Subset,
  type Targets,
} from '../data/index.ts';
import { PenumbraError } from '../errors.ts';
import type { Network } from '../models/index.ts';
import { Generator, readSafetensors, Scope, tidy } from '../torch/index.ts';
import { buildModel, loaderOptions } from './build.ts';
import { chooseMode, type Mode } from './mode.ts';
import { modelFile } from './own-code.ts';
import { type NetworkOutput, predict, type SplitPredictions } from './predict.ts';
import { type RunDescription, RunFolder } from './run-folder.ts';

export interface RunPredictions {
  readonly predictions: SplitPredictions;
  readonly broken: readonly BrokenFile[];
}

/**
 * What a finished run's network says of a split of a data set with the same classes.
 * @throws `training/run`, `training/unfinished`, `training/no-split`, `training/classes`
 */
export async function evaluateRun(
  folder: string,
  dataset: Dataset,
  split: SplitName,
  options: { onProgress?: (done: number, total: number) => void } = {},
): Promise<RunPredictions> {
  const { output, broken } = await inspectRun(folder, splitOf(dataset, split), options);
  return { predictions: output, broken };
}

/** @throws `training/no-split` */
export function splitOf(dataset: Dataset, split: SplitName): Subset {
  const subset = dataset.splits[split];
  if (subset !== undefined) return subset;
  throw new PenumbraError('training/no-split', `${dataset.name} has no split '${split}'`, {
    hint: `it has: ${Object.keys(dataset.splits).join(', ')}`,
  });
}

export interface InspectOptions {
  /** Whether to keep the penultimate layer's outputs. Default: false. */
  readonly features?: boolean;
  readonly onProgress?: (done: number, total: number) => void;
  /** Threads of the engine. Default: as many as the run was trained with. */
  readonly threads?: number | undefined;
}

/**
 * Everything that a finished run's network says of a subset with the same classes.
 * @throws `training/run`, `training/unfinished`, `training/classes`
 */
export async function inspectRun(
  folder: string,
  subset: Subset,
  options: InspectOptions = {},
): Promise<{ readonly output: NetworkOutput; readonly broken: readonly BrokenFile[] }> {
  await using run = openRun(folder, subset, { threads: options.threads });
  const { model, loader, mode } = run;
  const output = await predict(model, loader, subset.targets, mode, {
    features: options.features ?? false,
    onProgress: (done) => options.onProgress?.(done, subset.length),
  });
  return { output, broken: loader.broken };
}

/** @throws `training/own-code` for a network whose file is not loaded, `training/changed-code` for another version of it */
function checkModelFile(folder: string, { code, config }: RunDescription): void {
  if (code?.model === undefined) return;
  const { file, sha256 } = code.model;
  const loaded = modelFile(config.model);
  if (loaded === undefined) {
    throw new PenumbraError('training/own-code', `the network of ${folder} was made by ${file}`, {
      hint: `name that file with --model, or load it with importModel('${file}'); it is code, and is run only when you say so`,
      where: { file },
    });
  }
  if (loaded.sha256 === sha256) return;
  throw new PenumbraError(
    'training/changed-code',
    `${loaded.file} is not as it was when ${folder} was trained`,
    {
      hint: 'restore the file, or train again',
      where: { file: loaded.file },
    },
  );
}

/** A finished run's network, ready to be asked, and what it was made of. */
export interface LoadedRun extends Disposable {
  readonly folder: string;
  readonly description: RunDescription;
  readonly kind: Targets['kind'];
  readonly mode: Mode;
  readonly model: Network;
}

export interface LoadOptions {
  /** Threads of the engine. Default: as many as the run was trained with. */
  readonly threads?: number | undefined;
}

/**
 * A finished run's network, in evaluation mode.
 * @throws `training/run`, `training/unfinished`, `training/own-code`, `training/changed-code`
 */
export function loadRun(folder: string, { threads }: LoadOptions = {}): LoadedRun {
  const run = new RunFolder(folder);
  const description = run.description();
  const { config, data, model: shape } = description;
  if (!run.finished) {
    throw new PenumbraError('training/unfinished', `the run in ${folder} is not finished`, {
      hint: 'go on with it: `penumbra train` with the same settings and --out',
    });
  }
  checkModelFile(folder, description);
  const mode = chooseMode({ ...config, ...(threads !== undefined && { threads }) });
  const model = tidy(() => buildModel(config, shape, data.classes.length, new Generator(config.seed), mode));
  {
    using _scope = new Scope();
    model.loadStateDict(readSafetensors(run.file('model.safetensors')).tensors);
  }
  return {
    folder,
    description,
    kind: kindOf(description),
    mode,
    model: model.eval(),
    [Symbol.dispose]: () => model.dispose(),
  };
}

/** One label of K, or findings: by what a run's network ends in. */
export function kindOf({ model }: RunDescription): Targets['kind'] {
  return model.activation === 'softmax' ? 'one-of-k' : 'findings';
}

/**
 * How a run's network is shown images: as it was shown its training images.
 * @param batchSize it changes no figure, and the last bits of some
 */
export function runLoaderOptions(
  { config, model }: RunDescription,
  batchSize: number = Math.max(config.batchSize, 128),
): LoaderOptions & { readonly size: number; readonly channels: 1 | 3 } {
  return { ...loaderOptions(config), size: model.size, channels: model.channels, batchSize };
}

/** @throws `training/classes` where a run and a subset are not of the same kind and classes */
export function checkSubset(folder: string, description: RunDescription, subset: Subset): void {
  const { data } = description;
  if (data.classes.join('\0') !== subset.classes.join('\0')) {
    const listed = (classes: readonly string[]) => `${classes.slice(0, 6).join(', ')} (${classes.length})`;
    throw new PenumbraError('training/classes', `the run in ${folder} knows other classes than the data`, {
      hint: `the run: ${listed(data.classes)}; the data: ${listed(subset.classes)}`,
    });
  }
  const { kind } = subset.targets;
  if (kindOf(description) === kind) return;
  const words = { 'one-of-k': 'one label of K', findings: 'findings' } as const;
  throw new PenumbraError(
    'training/classes',
    `the run in ${folder} predicts ${words[kindOf(description)]}, and the data have ${words[kind]}`,
    { hint: 'evaluate it on data of the kind that it was trained on' },
  );
}

/** A finished run's network, and the loader that shows it a subset as it was shown its training images. */
export interface OpenRun extends AsyncDisposable {
  readonly description: RunDescription;
  readonly mode: Mode;
  readonly model: Network;
  readonly loader: BatchLoader;
}

/** @throws `training/run`, `training/unfinished`, `training/classes` */
export function openRun(folder: string, subset: Subset, options: LoadOptions = {}): OpenRun {
  checkSubset(folder, new RunFolder(folder).description(), subset);
  const run = loadRun(folder, options);
  const { description, mode, model } = run;
  const loader = new BatchLoader(subset, runLoaderOptions(description));
  return {
    description,
    mode,
    model,
    loader,
    async [Symbol.asyncDispose]() {
      run[Symbol.dispose]();
      await loader.close();
    },
  };
}

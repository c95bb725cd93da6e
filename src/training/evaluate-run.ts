import { BatchLoader, type BrokenFile, type Dataset, type SplitName } from '../data/index.ts';
import { PenumbraError } from '../errors.ts';
import { Generator, readSafetensors, Scope, tidy } from '../torch/index.ts';
import { buildModel, loaderOptions } from './build.ts';
import { chooseMode } from './mode.ts';
import { predict, type SplitPredictions } from './predict.ts';
import { RunFolder } from './run-folder.ts';

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
  const run = new RunFolder(folder);
  const { config, data, model: shape } = run.description();
  const subset = dataset.splits[split];
  if (subset === undefined) {
    throw new PenumbraError('training/no-split', `${dataset.name} has no split '${split}'`, {
      hint: `it has: ${Object.keys(dataset.splits).join(', ')}`,
    });
  }
  if (data.classes.join('\0') !== dataset.classes.join('\0')) {
    throw new PenumbraError('training/classes', `the run knows other classes than ${dataset.name}`, {
      hint: `the run: ${data.classes.slice(0, 6).join(', ')} (${data.classes.length}); the data: ${dataset.classes.slice(0, 6).join(', ')} (${dataset.classes.length})`,
    });
  }
  if (!run.finished) {
    throw new PenumbraError('training/unfinished', `the run in ${folder} is not finished`, {
      hint: 'go on with it: `penumbra train` with the same settings and --out',
    });
  }
  const mode = chooseMode(config);
  await using loader = new BatchLoader(subset, {
    ...loaderOptions(config),
    size: shape.size,
    channels: shape.channels,
    batchSize: Math.max(config.batchSize, 128),
  });
  const model = tidy(() => buildModel(config, shape, data.classes.length, new Generator(config.seed), mode));
  try {
    {
      using _scope = new Scope();
      model.loadStateDict(readSafetensors(run.file('model.safetensors')).tensors);
    }
    const predictions = await predict(model, loader, data.classes.length, mode, {
      activation: shape.activation,
      onProgress: (done) => options.onProgress?.(done, subset.length),
    });
    return { predictions, broken: loader.broken };
  } finally {
    model.dispose();
  }
}

/** What a configuration names, made: loaders, network, optimizer, schedule. */
import { BatchLoader, type LoaderOptions, type Subset } from '../data/index.ts';
import { PenumbraError } from '../errors.ts';
import { type Classifier, createModel } from '../models/index.ts';
import { type Generator, readSafetensors, Scope } from '../torch/index.ts';
import {
  AdamW,
  constant,
  cosine,
  multiStep,
  type Optimizer,
  type Schedule,
  SGD,
  warmUp,
} from '../torch/optim/index.ts';
import type { TrainConfig } from './config.ts';
import type { Mode } from './mode.ts';

export function trainLoader(config: TrainConfig, train: Subset): BatchLoader {
  const { source } = train;
  const size = config.size ?? (source.kind === 'memory' ? Math.max(source.height, source.width) : 224);
  return new BatchLoader(train, {
    ...loaderOptions(config),
    shuffle: true,
    seed: config.seed,
    // A last batch of one sample would leave batch norm without a variance.
    dropLast: train.length % config.batchSize === 1,
    augment: { flip: config.flip, pad: config.cropPadding ?? Math.round(size / 8) },
  });
}

/** @param shown what the network is trained on: the validation images are made to fit */
export function evaluationLoader(
  config: TrainConfig,
  val: Subset | undefined,
  shown: Pick<BatchLoader, 'size' | 'channels'>,
): BatchLoader | undefined {
  return (
    val &&
    new BatchLoader(val, {
      ...loaderOptions(config),
      size: shown.size,
      channels: shown.channels,
      batchSize: Math.max(config.batchSize, 128),
    })
  );
}

/** How the network is shown images: the same in training and in evaluation. */
export function loaderOptions(config: TrainConfig): LoaderOptions {
  return {
    batchSize: config.batchSize,
    layout: 'NHWC',
    normalization: config.normalization,
    ...(config.size !== null && { size: config.size }),
    ...(config.channels !== null && { channels: config.channels }),
    ...(config.workers !== null && { workers: config.workers }),
  };
}

/** The network of a configuration, in the mode's device and in channels-last memory. */
export function buildModel(
  config: TrainConfig,
  input: { size: number; channels: 1 | 3 },
  classes: number,
  generator: Generator,
  mode: Pick<Mode, 'device'>,
): Classifier {
  const stem = config.stem === 'auto' ? (input.size <= 32 ? 'small' : 'standard') : config.stem;
  const model = createModel(config.model, { classes, channels: input.channels, stem, generator });
  return model.to({ device: mode.device, memoryFormat: 'channels_last' });
}

/**
 * Starts from the weights of a file. The head may be missing or of another size, and then keeps its fresh weights.
 * @throws `training/weights` where any other layer does not fit
 */
export function loadInitialWeights(model: Classifier, path: string, notice: (message: string) => void): void {
  using _scope = new Scope();
  const { tensors } = readSafetensors(path);
  const own = model.stateDict();
  // Files from before batch norm counted its batches lack the counts, and nothing needs them.
  const unfit = [...own].filter(
    ([name, { shape }]) =>
      !name.endsWith('num_batches_tracked') && tensors.get(name)?.shape.join() !== shape.join(),
  );
  const body = unfit.filter(([name]) => !name.startsWith(`${model.head}.`));
  if (body.length > 0) {
    const [name, { shape }] = body[0]!;
    const found = tensors.get(name);
    throw new PenumbraError(
      'training/weights',
      `${path} does not fit the network: ${name} is ${found ? found.shape.join('×') : 'missing'}, expected ${shape.join('×')}` +
        (body.length > 1 ? ` (and ${body.length - 1} more)` : ''),
      {
        hint: 'these are the weights of another network, stem or number of channels; only the head may differ',
        where: { file: path },
      },
    );
  }
  model.loadStateDict(tensors, { strict: false });
  if (unfit.length > 0)
    notice(`initial weights: ${unfit.map(([name]) => name).join(', ')} of another size, so they start fresh`);
}

export function makeOptimizer(config: TrainConfig, model: Classifier): Optimizer {
  const { learningRate, weightDecay } = config;
  return config.optimizer === 'sgd'
    ? new SGD(model.namedParameters(), {
        learningRate,
        weightDecay,
        momentum: config.momentum,
        nesterov: config.nesterov,
      })
    : new AdamW(model.namedParameters(), { learningRate, weightDecay });
}

export function makeSchedule(config: TrainConfig): Schedule {
  const base = {
    constant: () => constant(),
    cosine: () => cosine(config.epochs),
    'multi-step': () => multiStep(config.milestones),
  }[config.schedule]();
  return config.warmUp > 0 ? warmUp(base, Math.min(config.warmUp, config.epochs)) : base;
}

/** What a configuration names, made: loaders, network, optimizer, schedule. */
import { BatchLoader, type LoaderOptions, type Subset, type Targets } from '../data/index.ts';
import { PenumbraError } from '../errors.ts';
import { createModel, modelDefaults, type Network } from '../models/index.ts';
import { createObjective, needsDoubt, type ObjectiveRun, parseObjective } from '../objectives/index.ts';
import { expressDoubt, samplingWeights, taskOf } from '../tasks/index.ts';
import { type Generator, tidy } from '../torch/index.ts';
import { constant, cosine, multiStep, type Schedule, warmUp } from '../torch/optim/index.ts';
import type { TrainConfig } from './config.ts';
import type { Mode } from './mode.ts';
import { alone, type Team } from './team.ts';

/** @param team the processes that share every batch */
export function trainLoader(config: TrainConfig, train: Subset, team: Team = alone): BatchLoader {
  const { source } = train;
  const size = config.size ?? (source?.kind === 'memory' ? Math.max(source.height, source.width) : 224);
  return new BatchLoader(train, {
    ...loaderOptions(config),
    shuffle: true,
    ...(config.sampling !== 'uniform' && { weights: samplingWeights(train.targets, config.sampling) }),
    seed: config.seed,
    // A last batch of one sample would leave batch norm without a variance.
    dropLast: train.length % (config.batchSize * team.size) === 1,
    share: shareIn(team),
    augment: { flip: config.flip, pad: config.cropPadding ?? Math.round(size / 8) },
  });
}

/** @param shown what the network is trained on: the validation images are made to fit */
export function evaluationLoader(
  config: TrainConfig,
  val: Subset | undefined,
  shown: Pick<BatchLoader, 'size' | 'channels'>,
  team: Team = alone,
): BatchLoader | undefined {
  return (
    val &&
    new BatchLoader(val, {
      ...loaderOptions(config),
      size: shown.size,
      channels: shown.channels,
      batchSize: Math.max(config.batchSize, 128),
      share: shareIn(team),
    })
  );
}

function shareIn({ rank, size }: Team): NonNullable<LoaderOptions['share']> {
  return { index: rank, count: size };
}

/** How the network is shown images: the same in training and in evaluation. */
export function loaderOptions(config: TrainConfig): LoaderOptions {
  return {
    batchSize: config.batchSize,
    layout: 'NHWC',
    normalization: config.normalization,
    ...windowOf(config),
    ...(config.size !== null && { size: config.size }),
    ...(config.channels !== null && { channels: config.channels }),
    ...(config.workers !== null && { workers: config.workers }),
  };
}

/** A window that is not numbers yet is of a run that has not begun. */
function windowOf({ window }: TrainConfig): Pick<LoaderOptions, 'window'> {
  if (window === null || window === 'auto' || ('per' in window && window.per === 'set')) return {};
  return { window: 'percentile' in window ? { percentile: window.percentile } : window };
}

/**
 * The network of a configuration, in the mode's device and in channels-last memory.
 * @param dropoutGenerator on that device; a network that is only evaluated needs none
 */
export function buildModel(
  config: TrainConfig,
  input: { size: number; channels: 1 | 3 },
  classes: number,
  generator: Generator,
  mode: Pick<Mode, 'device'>,
  dropoutGenerator: Generator = generator,
): Network {
  const { size, channels } = input;
  const stem = config.stem === 'auto' ? (size <= 32 ? 'small' : 'standard') : config.stem;
  const model = createModel(config.model, {
    classes,
    channels,
    size,
    stem,
    generator,
    dropoutGenerator,
    ...(config.findingTokens !== null && { findingTokens: config.findingTokens }),
    doubt: (config.doubtWeight ?? 0) > 0 || needsDoubt(config.objective),
  });
  return model.to({ device: mode.device, memoryFormat: 'channels_last' });
}

/**
 * The configuration with what its network takes by default, where it has something of its own, in words: as it is kept with
 * the run.
 * @throws `training/doubt` where the objective and doubtWeight would both train the head of doubt; `training/findings-only` for tokens of findings, or a head of doubt, on one label of K; `training/no-doubt` where
 * doubt is to be learnt from data that express none
 */
export function withModelDefaults(config: TrainConfig, targets: Targets): TrainConfig {
  const own = modelDefaults(config.model);
  const findingTokens = config.findingTokens ?? (own.findingTokens || null);
  const doubts = expressDoubt(targets);
  const itself = needsDoubt(config.objective);
  if (itself && config.doubtWeight) {
    throw new PenumbraError(
      'training/doubt',
      `${config.objective} trains the head of doubt itself, and doubtWeight would train it to something else`,
      { hint: 'leave doubtWeight out', where: { setting: 'doubtWeight' } },
    );
  }
  const byDefault = own.doubtWeight ? (doubts && !itself ? own.doubtWeight : 0) : null;
  const doubtWeight = config.doubtWeight ?? byDefault;
  if (targets.kind === 'one-of-k' && (findingTokens || doubtWeight)) {
    const what = findingTokens ? 'a token for each finding' : 'a head that predicts doubt';
    throw new PenumbraError(
      'training/findings-only',
      `${config.model} with ${what} is for findings, and the data have one label of K`,
      {
        hint: findingTokens ? 'choose vit_ti_16, vit_s_16 or vit_b_16' : 'leave doubtWeight out',
        where: { setting: findingTokens ? 'model' : 'doubtWeight' },
      },
    );
  }
  if (doubtWeight && !doubts) {
    throw new PenumbraError(
      'training/no-doubt',
      'doubt is to be learnt, and the data express none: they have no rates, and every value is 0 or 1',
      {
        hint: 'use data with rates (penumbra dataset build), or doubtWeight 0',
        where: { setting: 'doubtWeight' },
      },
    );
  }
  return { ...config, findingTokens, doubtWeight };
}

/** What a run's method is, made for the samples that it trains on. */
export function buildObjective(
  { objective, epochs }: Pick<TrainConfig, 'objective' | 'epochs'>,
  train: Subset,
  { device }: Pick<Mode, 'device'>,
  generator: Generator,
): ObjectiveRun {
  return tidy(() =>
    createObjective(parseObjective(objective), {
      task: taskOf(train.targets.kind),
      classes: train.classes.length,
      epochs,
      samples: train.length,
      targets: train.targets,
      device,
      generator,
    }),
  );
}

export function makeSchedule(config: TrainConfig): Schedule {
  const base = {
    constant: () => constant(),
    cosine: () => cosine(config.epochs),
    'multi-step': () => multiStep(config.milestones),
  }[config.schedule]();
  return config.warmUp > 0 ? warmUp(base, Math.min(config.warmUp, config.epochs)) : base;
}

import { setImmediate } from 'node:timers/promises';
import {
  BatchLoader,
  type BrokenFile,
  type Dataset,
  type LoaderOptions,
  type Subset,
} from '../data/index.ts';
import { PenumbraError } from '../errors.ts';
import { ece, nll, top1 } from '../metrics/index.ts';
import { type Classifier, createModel } from '../models/index.ts';
import { createObjective, type Objective, parseObjective } from '../objectives/index.ts';
import {
  engineInfo,
  fromTypedArray,
  Generator,
  readSafetensors,
  Scope,
  type Tensor,
  tidy,
  writeSafetensors,
} from '../torch/index.ts';
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
import { loadNewestCheckpoint, saveCheckpoint } from './checkpoint.ts';
import type { TrainConfig } from './config.ts';
import { chooseMode, type Mode } from './mode.ts';
import { inMode, predict, toImages } from './predict.ts';
import { type EpochMetrics, fingerprint, type RunDescription, RunFolder } from './run-folder.ts';
import { EventWriter } from './tensorboard.ts';

export interface FitOptions {
  readonly config: TrainConfig;
  readonly dataset: Dataset;
  /** The data set as the user named it; kept in the run's description. */
  readonly dataPath: string;
  /** The run's folder; one with an unfinished run of the same settings is gone on with. */
  readonly folder: string;
  /** Abort leaves a checkpoint after the step under way. */
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: FitEvent) => void;
}

/** What a training run tells while it goes on. */
export type FitEvent =
  | {
      readonly type: 'start';
      readonly description: RunDescription;
      readonly mode: Mode;
      readonly steps: number;
    }
  | { readonly type: 'resume'; readonly epoch: number; readonly step: number }
  | {
      readonly type: 'step';
      readonly step: number;
      readonly steps: number;
      readonly loss: number;
      readonly images: number;
    }
  | { readonly type: 'epoch'; readonly metrics: EpochMetrics; readonly epochs: number }
  | { readonly type: 'notice'; readonly message: string };

export interface FitResult {
  /** False where it was aborted; the folder then holds the checkpoint to go on from. */
  readonly finished: boolean;
  readonly folder: string;
  readonly epochs: readonly EpochMetrics[];
  /** Training files that could not be read. */
  readonly broken: readonly BrokenFile[];
}

/** The part of a run's state that is numbers; saved with every checkpoint. */
interface Progress {
  /** Epochs finished. */
  epoch: number;
  /** Batches of the running epoch that are done. */
  batch: number;
  /** Optimizer steps so far. */
  step: number;
  /** Sums over the running epoch. */
  lossSum: number;
  correct: number;
  seen: number;
  /** Seconds spent in the running epoch, by all sessions. */
  seconds: number;
}

/**
 * Trains one network with one objective. A killed or aborted run goes on from its newest checkpoint, also from the
 * middle of an epoch, and ends bit for bit as if it had never stopped (on the CPU at the same thread count).
 * @throws `training/no-train-split`, `training/diverged`, `training/other-run`, `training/locked`, and what the data raise
 */
export async function fit(options: FitOptions): Promise<FitResult> {
  const { config, dataset, signal, onEvent = () => {} } = options;
  const train = dataset.splits.train;
  if (train === undefined) {
    throw new PenumbraError('training/no-train-split', `${dataset.name} has no training split`, {
      hint: 'name a split "train", or let fractions divide the data',
    });
  }
  const folder = new RunFolder(options.folder);
  using _lock = folder.lock();
  const mode = chooseMode(config);
  await using loader = trainLoader(config, train);
  await using valLoader = evaluationLoader(config, dataset.splits.val);

  const initial = new Generator(config.seed);
  const model = tidy(() => buildModel(config, loader, train.classes.length, initial, mode));
  const generator = new Generator(config.seed + 1, mode.device);
  const objective = tidy(() =>
    createObjective(parseObjective(config.objective), {
      classes: train.classes.length,
      samples: train.length,
      device: mode.device,
      generator,
    }),
  );
  const description = describe(options, model, objective, loader, train, mode);
  folder.claim(description);
  if (folder.finished) {
    objective.dispose();
    model.dispose();
    return { finished: true, folder: folder.path, epochs: folder.metrics(), broken: [] };
  }
  const optimizer = makeOptimizer(config, model);
  const state = new RunState(model, optimizer, objective, generator, folder, onEvent);
  const schedule = makeSchedule(config);
  const steps = loader.batches * config.epochs;
  onEvent({ type: 'start', description, mode, steps });

  try {
    if (config.weights !== null) loadInitialWeights(model, config.weights, onEvent);
    const progress = state.resume();
    const kept = folder.metrics(progress.epoch);
    folder.resetMetrics(kept);
    const epochs = [...kept];
    // Steps that were drawn and then lost are drawn again.
    const last = kept.at(-1);
    const events = new EventWriter(folder.path, last === undefined ? {} : { resumeStep: last.step + 1 });
    try {
      while (progress.epoch < config.epochs) {
        const completed = await trainEpoch({
          config,
          model,
          optimizer,
          objective,
          schedule,
          loader,
          mode,
          state,
          progress,
          steps,
          signal,
          onEvent,
        });
        if (!completed) return { finished: false, folder: folder.path, epochs, broken: loader.broken };
        const metrics = await endEpoch({
          config,
          model,
          objective,
          valLoader,
          train,
          mode,
          progress,
          schedule,
          loader,
        });
        epochs.push(metrics);
        folder.appendMetrics(metrics);
        writeEvents(events, metrics);
        state.save(progress);
        onEvent({ type: 'epoch', metrics, epochs: config.epochs });
      }
    } finally {
      events.close();
    }
    tidy(() => {
      writeSafetensors(folder.file('model.safetensors'), hosted(model.stateDict()), { model: config.model });
      const learnt = objective.stateDict();
      if (learnt.size > 0)
        writeSafetensors(folder.file('objective.safetensors'), hosted(learnt), {
          objective: config.objective,
        });
    });
    folder.finish({
      finished: new Date().toISOString(),
      steps: progress.step,
      seconds: epochs.reduce((sum, metrics) => sum + metrics.seconds, 0),
      broken: loader.broken,
    });
    return { finished: true, folder: folder.path, epochs, broken: loader.broken };
  } finally {
    optimizer.dispose();
    objective.dispose();
    model.dispose();
  }
}

interface EpochContext {
  config: TrainConfig;
  model: Classifier;
  optimizer: Optimizer;
  objective: Objective;
  schedule: Schedule;
  loader: BatchLoader;
  mode: Mode;
  state: RunState;
  progress: Progress;
  steps: number;
  signal: AbortSignal | undefined;
  onEvent: (event: FitEvent) => void;
}

/** The rest of the running epoch. False where it was aborted, with a checkpoint saved. */
async function trainEpoch(context: EpochContext): Promise<boolean> {
  const { config, model, optimizer, objective, schedule, loader, mode, state, progress, signal } = context;
  let savedAt = performance.now();
  let startedAt = performance.now();
  const before = progress.seconds;
  model.train();
  for await (const batch of loader.epoch(progress.epoch, { from: progress.batch })) {
    optimizer.learningRate = config.learningRate * schedule(progress.epoch + batch.number / loader.batches);
    const { loss, correct } = tidy(() => {
      const images = toImages(batch, mode);
      const labels = fromTypedArray(batch.labels).to({ device: mode.device, dtype: 'int64' });
      const logits = inMode(mode, () => model.forward(images));
      const seen = { logits, labels, indices: batch.indices, images, epoch: progress.epoch };
      const loss = objective.loss(seen);
      optimizer.zeroGrad();
      loss.backward();
      optimizer.step();
      const detached = { ...seen, logits: logits.detach() };
      objective.observe?.(detached);
      return { loss: loss.item(), correct: detached.logits.argmax(1).eq(labels).sum().item() };
    });
    const images = batch.labels.length;
    const number = batch.number;
    batch.release();
    if (!Number.isFinite(loss)) {
      throw new PenumbraError(
        'training/diverged',
        `the loss became ${loss} at step ${progress.step + 1} (epoch ${progress.epoch + 1})`,
        {
          hint: `lower the learning rate (now ${config.learningRate}) or lengthen the warm-up; the last good checkpoint is kept`,
          where: { folder: state.folder.path },
        },
      );
    }
    progress.batch = number + 1;
    progress.step += 1;
    progress.lossSum += loss * images;
    progress.correct += correct;
    progress.seen += images;
    const now = performance.now();
    progress.seconds = before + (now - startedAt) / 1000;
    context.onEvent({ type: 'step', step: progress.step, steps: context.steps, loss, images });
    await setImmediate(); // Signals and messages of decoding threads are heard between steps.
    const due =
      (config.checkpointSteps > 0 && progress.step % config.checkpointSteps === 0) ||
      (config.checkpointSeconds > 0 && now - savedAt > config.checkpointSeconds * 1000);
    if (signal?.aborted || (due && progress.batch < loader.batches)) {
      state.save(progress);
      if (signal?.aborted) return false;
      const saved = performance.now();
      startedAt += saved - now; // Writing a checkpoint is not training.
      savedAt = saved;
    }
  }
  return true;
}

/** Validation and the epoch's line; resets `progress` to the start of the next epoch. */
async function endEpoch(context: {
  config: TrainConfig;
  model: Classifier;
  objective: Objective;
  valLoader: BatchLoader | undefined;
  train: Subset;
  mode: Mode;
  progress: Progress;
  schedule: Schedule;
  loader: BatchLoader;
}): Promise<EpochMetrics> {
  const { config, model, objective, valLoader, train, mode, progress, schedule } = context;
  tidy(() => objective.endEpoch?.());
  const epoch = progress.epoch + 1;
  let val: EpochMetrics['val'];
  if (valLoader !== undefined && (epoch % config.evaluateEvery === 0 || epoch === config.epochs)) {
    const seen = await predict(model, valLoader, train.classes.length, mode, {
      activation: objective.activation,
    });
    val = { nll: nll(seen), top1: top1(seen), ece: ece(seen) };
  }
  const metrics: EpochMetrics = {
    epoch,
    step: progress.step,
    learningRate: config.learningRate * schedule(epoch - 1 / Math.max(1, context.loader.batches)),
    trainLoss: progress.lossSum / progress.seen,
    trainTop1: progress.correct / progress.seen,
    ...(val && { val }),
    seconds: progress.seconds,
    imagesPerSecond: progress.seen / progress.seconds,
  };
  Object.assign(progress, {
    epoch,
    batch: 0,
    lossSum: 0,
    correct: 0,
    seen: 0,
    seconds: 0,
  } satisfies Partial<Progress>);
  return metrics;
}

/** Everything that a checkpoint holds, under the names that it has there. */
class RunState {
  readonly folder: RunFolder;
  private readonly parts: ReadonlyMap<
    string,
    { stateDict(): Map<string, Tensor>; loadStateDict(state: Map<string, Tensor>): unknown }
  >;
  private readonly generator: Generator;
  private readonly onEvent: (event: FitEvent) => void;

  constructor(
    model: Classifier,
    optimizer: Optimizer,
    objective: Objective,
    generator: Generator,
    folder: RunFolder,
    onEvent: (event: FitEvent) => void,
  ) {
    this.parts = new Map<
      string,
      { stateDict(): Map<string, Tensor>; loadStateDict(state: Map<string, Tensor>): unknown }
    >([
      ['model', model],
      ['optimizer', optimizer],
      ['objective', objective],
    ]);
    this.generator = generator;
    this.folder = folder;
    this.onEvent = onEvent;
  }

  save(progress: Progress): void {
    tidy(() => {
      const tensors = new Map<string, Tensor>([['generator.state', this.generator.state]]);
      for (const [part, owner] of this.parts)
        for (const [name, tensor] of owner.stateDict()) tensors.set(`${part}.${name}`, tensor);
      saveCheckpoint(this.folder.checkpoints, progress.step, { progress, tensors });
    });
  }

  /** Loads the newest whole checkpoint, where there is one. */
  resume(): Progress {
    using _scope = new Scope();
    const checkpoint = loadNewestCheckpoint<Progress>(this.folder.checkpoints, (path, reason) =>
      this.onEvent({ type: 'notice', message: `checkpoint passed over: ${path}: ${reason}` }),
    );
    if (checkpoint === null)
      return { epoch: 0, batch: 0, step: 0, lossSum: 0, correct: 0, seen: 0, seconds: 0 };
    for (const [part, owner] of this.parts) {
      const own = [...checkpoint.tensors].filter(([name]) => name.startsWith(`${part}.`));
      owner.loadStateDict(new Map(own.map(([name, tensor]) => [name.slice(part.length + 1), tensor])));
    }
    const state = checkpoint.tensors.get('generator.state');
    if (state !== undefined) this.generator.state = state;
    const { progress } = checkpoint;
    this.onEvent({ type: 'resume', epoch: progress.epoch, step: progress.step });
    return progress;
  }
}

function trainLoader(config: TrainConfig, train: Subset): BatchLoader {
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

function evaluationLoader(config: TrainConfig, val: Subset | undefined): BatchLoader | undefined {
  return (
    val && new BatchLoader(val, { ...loaderOptions(config), batchSize: Math.max(config.batchSize, 128) })
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

function loadInitialWeights(model: Classifier, path: string, onEvent: (event: FitEvent) => void): void {
  using _scope = new Scope();
  const { tensors } = readSafetensors(path);
  const report = model.loadStateDict(tensors, { strict: false });
  const head = [...report.mismatched, ...report.missing].filter(
    (name) => !name.endsWith('num_batches_tracked'),
  );
  if (tensors.size - report.unexpected.length - report.mismatched.length === 0) {
    throw new PenumbraError('training/weights', `${path} holds no tensor that fits the network`, {
      hint: 'these are the weights of another network',
      where: { file: path },
    });
  }
  if (head.length > 0)
    onEvent({ type: 'notice', message: `initial weights: ${head.join(', ')} start fresh` });
}

function makeOptimizer(config: TrainConfig, model: Classifier): Optimizer {
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

function makeSchedule(config: TrainConfig): Schedule {
  const base = {
    constant: () => constant(),
    cosine: () => cosine(config.epochs),
    'multi-step': () => multiStep(config.milestones),
  }[config.schedule]();
  return config.warmUp > 0 ? warmUp(base, Math.min(config.warmUp, config.epochs)) : base;
}

function describe(
  options: FitOptions,
  model: Classifier,
  objective: Objective,
  loader: BatchLoader,
  train: Subset,
  mode: Mode,
): RunDescription {
  const { config, dataset } = options;
  return {
    config,
    data: {
      path: options.dataPath,
      name: dataset.name,
      classes: dataset.classes,
      trainSamples: train.length,
      valSamples: dataset.splits.val?.length ?? 0,
      fingerprint: fingerprint(train),
    },
    model: {
      size: loader.size,
      channels: loader.channels,
      parameters: model.parameterCount,
      activation: objective.activation,
    },
    mode: { device: mode.device, precision: mode.precision, threads: mode.threads },
    software: { node: process.version, libtorch: engineInfo().version },
  };
}

function writeEvents(events: EventWriter, metrics: EpochMetrics): void {
  events.scalar('train/loss', metrics.trainLoss, metrics.step);
  events.scalar('train/top1', metrics.trainTop1, metrics.step);
  events.scalar('train/learning_rate', metrics.learningRate, metrics.step);
  for (const [name, value] of Object.entries(metrics.val ?? {}))
    events.scalar(`val/${name}`, value, metrics.step);
}

function hosted(state: ReadonlyMap<string, Tensor>): Map<string, Tensor> {
  return new Map([...state].map(([name, tensor]) => [name, tensor.detach().to({ device: 'cpu' })]));
}

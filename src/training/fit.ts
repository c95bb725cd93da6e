import { setImmediate } from 'node:timers/promises';
import type { BatchLoader, BrokenFile, Dataset, Subset } from '../data/index.ts';
import { PenumbraError } from '../errors.ts';
import { ece, nll, top1 } from '../metrics/index.ts';
import { type Classifier, loadPretrained } from '../models/index.ts';
import { createObjective, needsTeacher, type Objective, parseObjective } from '../objectives/index.ts';
import { Random } from '../random.ts';
import { engineInfo, Generator, type Tensor, tidy, writeSafetensors } from '../torch/index.ts';
import type { Schedule } from '../torch/optim/index.ts';
import { buildModel, evaluationLoader, makeOptimizer, makeSchedule, trainLoader } from './build.ts';
import type { TrainConfig } from './config.ts';
import { chooseMode, type Mode } from './mode.ts';
import { predict } from './predict.ts';
import { type EpochMetrics, fingerprint, type RunDescription, RunFolder } from './run-folder.ts';
import { diverged, freshProgress, type Progress, RunState } from './run-state.ts';
import { loadTeacher, teacherFingerprint } from './teacher.ts';
import { EventWriter } from './tensorboard.ts';
import { type Trainee, trainStep } from './train-step.ts';

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
  /** Training and validation files that could not be read, by all sessions. */
  readonly broken: readonly BrokenFile[];
}

/**
 * Trains one network with one objective. A killed or aborted run goes on from its newest checkpoint, also from the
 * middle of an epoch, and ends bit for bit as if it had never stopped (on the CPU at the same thread count).
 * @throws `training/no-train-split`, `training/diverged`, `training/other-run`, `training/locked`, and what the data raise
 */
export async function fit(options: FitOptions): Promise<FitResult> {
  const { config, onEvent } = options;
  if (needsTeacher(config.objective) && config.teacher === null) {
    const message = `${config.objective} needs a teacher: it is trained first, with hard labels`;
    onEvent?.({ type: 'notice', message });
    const folder = new RunFolder(options.folder).file('teacher');
    const { finished } = await trainRun({ ...options, config: { ...config, objective: 'hard' }, folder });
    if (!finished) return { finished, folder: options.folder, epochs: [], broken: [] };
  }
  return trainRun(options);
}

async function trainRun(options: FitOptions): Promise<FitResult> {
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
  await using valLoader = evaluationLoader(config, dataset.splits.val, loader);

  const initial = new Generator(config.seed);
  const generator = new Generator(drawsSeed(config.seed), mode.device);
  const model = tidy(() => buildModel(config, loader, train.classes.length, initial, mode, generator));
  const objective = tidy(() =>
    createObjective(parseObjective(config.objective), {
      classes: train.classes.length,
      epochs: config.epochs,
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
  const teacher = needsTeacher(config.objective)
    ? loadTeacher(config.teacher ?? folder.file('teacher'), config, loader, train.classes.length, mode)
    : undefined;
  const optimizer = makeOptimizer(config, model);
  const state = new RunState(folder, { model, optimizer, objective }, generator);
  const schedule = makeSchedule(config);
  const steps = loader.batches * config.epochs;
  onEvent({ type: 'start', description, mode, steps });

  try {
    const notice = (message: string) => onEvent({ type: 'notice', message });
    const resumed = state.resume((path, reason) => notice(`checkpoint passed over: ${path}: ${reason}`));
    if (resumed !== null) onEvent({ type: 'resume', epoch: resumed.epoch, step: resumed.step });
    else if (config.weights !== null)
      loadPretrained(model, config.weights, { strict: config.strictWeights, notice });
    const progress = resumed ?? freshProgress();
    const brokenBefore = progress.broken;
    const save = () => {
      progress.broken = union(brokenBefore, loader.broken, valLoader?.broken ?? []);
      state.save(progress);
    };
    const session: Session = {
      config,
      model,
      optimizer,
      objective,
      teacher,
      mixup: config.mixup > 0 ? { alpha: config.mixup, generator } : undefined,
      schedule,
      loader,
      valLoader,
      classes: train.classes.length,
      mode,
      save,
      progress,
      steps,
      signal,
      onEvent,
    };
    const kept = folder.metrics(progress.epoch);
    folder.resetMetrics(kept);
    const epochs = [...kept];
    // Steps that were drawn and then lost are drawn again.
    const last = kept.at(-1);
    const events = new EventWriter(folder.path, last === undefined ? {} : { resumeStep: last.step + 1 });
    try {
      while (progress.epoch < config.epochs) {
        const completed = await trainEpoch(session);
        if (!completed) return { finished: false, folder: folder.path, epochs, broken: progress.broken };
        const metrics = await endEpoch(session);
        epochs.push(metrics);
        folder.appendMetrics(metrics);
        writeEvents(events, metrics);
        save();
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
      broken: progress.broken,
    });
    if (!config.keepCheckpoints) folder.dropCheckpoints();
    return { finished: true, folder: folder.path, epochs, broken: progress.broken };
  } finally {
    optimizer.dispose();
    objective.dispose();
    teacher?.dispose();
    model.dispose();
  }
}

/**
 * The seed of everything that is drawn while training: dropout, mixup, what an objective draws. Runs of neighbouring
 * seeds must not share a stream, so it is named, not counted on; 32 bits, as the engine's generator keeps no more.
 */
function drawsSeed(seed: number): number {
  return new Random(seed, 0xd3a5).uint32();
}

/** What the two halves of an epoch work with. */
interface Session extends Trainee {
  config: TrainConfig;
  model: Classifier;
  schedule: Schedule;
  loader: BatchLoader;
  valLoader: BatchLoader | undefined;
  classes: number;
  /** Writes a checkpoint of `progress` and every tensor. */
  save: () => void;
  progress: Progress;
  steps: number;
  signal: AbortSignal | undefined;
  onEvent: (event: FitEvent) => void;
}

/** The rest of the running epoch. False where it was aborted, with a checkpoint saved. */
async function trainEpoch(session: Session): Promise<boolean> {
  const { config, model, optimizer, loader, save, progress, signal } = session;
  let savedAt = performance.now();
  let startedAt = performance.now();
  const before = progress.seconds;
  model.train();
  for await (const batch of loader.epoch(progress.epoch, { from: progress.batch })) {
    if (batch.labels.length === 1) {
      // Broken files left one image, whose batch norm would have no variance.
      batch.release();
      continue;
    }
    optimizer.learningRate = learningRate(session, batch.number / loader.batches);
    const { loss, correct } = trainStep(session, batch, progress.epoch);
    const images = batch.labels.length;
    const number = batch.number;
    batch.release();
    if (!Number.isFinite(loss)) {
      throw diverged(`the loss became ${loss} at step ${progress.step + 1} (epoch ${progress.epoch + 1})`);
    }
    progress.batch = number + 1;
    progress.step += 1;
    progress.lossSum += loss * images;
    progress.correct += correct;
    progress.seen += images;
    const now = performance.now();
    progress.seconds = before + (now - startedAt) / 1000;
    session.onEvent({ type: 'step', step: progress.step, steps: session.steps, loss, images });
    await setImmediate(); // Signals and messages of decoding threads are heard between steps.
    const due =
      (config.checkpointSteps > 0 && progress.step % config.checkpointSteps === 0) ||
      (config.checkpointSeconds > 0 && now - savedAt > config.checkpointSeconds * 1000);
    if (signal?.aborted || (due && progress.batch < loader.batches)) {
      save();
      if (signal?.aborted) return false;
      const saved = performance.now();
      startedAt += saved - now; // Writing a checkpoint is not training.
      savedAt = saved;
    }
  }
  return true;
}

/** Validation and the epoch's line; resets `progress` to the start of the next epoch. */
async function endEpoch(session: Session): Promise<EpochMetrics> {
  const { config, model, objective, loader, valLoader, mode, progress } = session;
  if (progress.seen === 0) {
    throw new PenumbraError(
      'training/too-few',
      'no batch of the training split has two images that can be read',
      {
        hint: 'training needs at least two',
      },
    );
  }
  tidy(() => objective.endEpoch?.());
  const epoch = progress.epoch + 1;
  let val: EpochMetrics['val'];
  if (valLoader !== undefined && (epoch % config.evaluateEvery === 0 || epoch === config.epochs)) {
    const seen = await predict(model, valLoader, session.classes, mode, {
      activation: objective.activation,
    });
    val = { nll: nll(seen), top1: top1(seen), ece: ece(seen) };
  }
  const metrics: EpochMetrics = {
    epoch,
    step: progress.step,
    learningRate: learningRate(session, 1 - 1 / Math.max(1, loader.batches)),
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

/** @param part of the running epoch that is done, in [0, 1) */
function learningRate({ config, schedule, objective, progress }: Session, part: number): number {
  const { epoch } = progress;
  return config.learningRate * schedule(epoch + part) * (objective.learningRateScale?.(epoch) ?? 1);
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
    ...(needsTeacher(config.objective) &&
      config.teacher !== null && { teacher: teacherFingerprint(config.teacher) }),
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

/** Each file once, in the order of first mention. */
function union(...lists: readonly (readonly BrokenFile[])[]): BrokenFile[] {
  return [...new Map(lists.flat().map((broken) => [broken.file, broken])).values()];
}

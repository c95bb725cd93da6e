import { existsSync } from 'node:fs';
import {
  type BatchLoader,
  type BrokenFile,
  type Dataset,
  datasetIdentity,
  resolveWindow,
  type Subset,
  type WindowRequest,
} from '../data/index.ts';
import { PenumbraError } from '../errors.ts';
import { loadPretrained, type ModelDefinition, type Network, registerModel } from '../models/index.ts';
import {
  checkServes,
  needsOneProcess,
  needsTeacher,
  type ObjectiveDefinition,
  type ObjectiveRun,
  registerObjective,
  teacherObjective,
} from '../objectives/index.ts';
import { Random } from '../random.ts';
import { classWeights } from '../tasks/index.ts';
import {
  aten,
  engineInfo,
  Generator,
  keep,
  readSafetensors,
  Scope,
  type Tensor,
  tensor,
  tidy,
  writeSafetensors,
} from '../torch/index.ts';
import { LossScale } from '../torch/optim/index.ts';
import {
  buildModel,
  buildObjective,
  evaluationLoader,
  makeSchedule,
  trainLoader,
  withModelDefaults,
} from './build.ts';
import { BusyWatch } from './busy.ts';
import { withThreads } from './choose-threads.ts';
import type { TrainConfig } from './config.ts';
import { WeightAverage } from './ema.ts';
import { learningRate, type Session, trainEpoch } from './epoch.ts';
import type { FitEvent } from './fit-event.ts';
import { chooseMode, type Mode } from './mode.ts';
import { makeOptimizer } from './optimizers.ts';
import { ownCode } from './own-code.ts';
import { predict } from './predict.ts';
import {
  type EpochMetrics,
  type Extension,
  essence,
  firstDifference,
  type RunDescription,
  RunFolder,
} from './run-folder.ts';
import { freshProgress, type Progress, RunState } from './run-state.ts';
import { loadTeacher, teacherFingerprint } from './teacher.ts';
import { alone, checkSameState, type Team } from './team.ts';
import { EventWriter } from './tensorboard.ts';
import { type ValFigures, valFigures } from './val-figures.ts';

export interface FitOptions {
  readonly config: TrainConfig;
  readonly dataset: Dataset;
  /** The data set as the user named it; kept in the run's description. */
  readonly dataPath: string;
  /** The run's folder; one with an unfinished run of the same settings is gone on with. */
  readonly folder: string;
  /**
   * A method of one's own, known from now on by its name; `config.objective` may name it with options, and otherwise is
   * taken to be it with its defaults.
   */
  readonly objective?: ObjectiveDefinition;
  /** A network of one's own, likewise; in place of `config.model`. */
  readonly model?: ModelDefinition;
  /**
   * So many epochs more on a finished run, see `Extension`. One that was stopped is gone on with, with or without it.
   * @throws `training/extend` where the run is not finished, or learns from a teacher that is trained with it
   */
  readonly extend?: number | undefined;
  /** Abort leaves a checkpoint after the step under way; of several processes, the abort of any stops all. */
  readonly signal?: AbortSignal;
  /** The processes that train the run together; each calls `fit` with the same options. Default: this one alone. */
  readonly team?: Team;
  readonly onEvent?: (event: FitEvent) => void;
}

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
export async function fit(given: FitOptions): Promise<FitResult> {
  const options = { ...given, config: withOwn(given) };
  const { config, onEvent } = options;
  const taught = teacherObjective(config.objective);
  if (taught !== undefined && config.teacher === null) {
    const how = taught === 'hard' ? 'hard labels' : taught;
    const message = `${config.objective} needs a teacher: it is trained first, with ${how}`;
    onEvent?.({ type: 'notice', message });
    const folder = new RunFolder(options.folder).file('teacher');
    const { finished } = await trainRun({
      ...options,
      config: { ...config, objective: taught },
      folder,
      extend: undefined,
    });
    if (!finished) return { finished, folder: options.folder, epochs: [], broken: [] };
  }
  return trainRun(options);
}

/** The configuration that names the method and the network which were given by value. */
function withOwn({ config, objective, model }: FitOptions): TrainConfig {
  if (objective !== undefined) registerObjective(objective);
  if (model !== undefined) registerModel(model);
  const named = config.objective.split(':')[0] === objective?.name;
  return {
    ...config,
    ...(objective && !named && { objective: objective.name }),
    ...(model && { model: model.name }),
  };
}

/** The configuration with an intensity window in numbers: as it is kept with the run. */
async function withWindow({ config, dataset }: FitOptions): Promise<TrainConfig> {
  const { window } = config;
  const { train } = dataset.splits;
  if (window === null || train === undefined) return config;
  const resolved = await resolveWindow(window as WindowRequest, train);
  return { ...config, window: resolved === undefined ? null : { ...resolved } } as TrainConfig;
}

/**
 * The extension that is to be trained: a new one of a finished run, or the last where it is under way.
 * @throws `training/extend`
 */
function extensionOf(folder: RunFolder, epochs: number | undefined): Extension | undefined {
  const description = folder.description();
  const last = description.extensions?.at(-1);
  if (epochs === undefined) return last;
  const fail = (message: string, hint: string) => {
    return new PenumbraError('training/extend', message, { hint, where: { file: folder.path } });
  };
  if (!Number.isInteger(epochs) || epochs < 1)
    throw fail(`a run is extended by at least 1 epoch, not by ${epochs}`, 'say --extend 10');
  if (!folder.finished) {
    if (last?.epochs === epochs) return last;
    throw last === undefined
      ? fail(`${folder.path} is not finished`, 'go on with it first: the same command without --extend')
      : fail(
          `${folder.path} is being extended by ${last.epochs} epochs`,
          `go on with that first: --extend ${last.epochs}`,
        );
  }
  const end = folder.metrics().at(-1);
  if (end === undefined) throw fail(`${folder.path} has no metrics.jsonl to go on from`, 'train it again');
  const extension = {
    epochs,
    after: { epochs: end.epoch, steps: end.step },
    weights: folder.weightsIdentity(),
  };
  folder.extend(description, extension);
  return extension;
}

async function trainRun(given: FitOptions): Promise<FitResult> {
  const { dataset, signal, onEvent = () => {}, team = alone } = given;
  const notice = (message: string) => onEvent({ type: 'notice', message });
  const train = dataset.splits.train;
  if (train === undefined) {
    throw new PenumbraError('training/no-train-split', `${dataset.name} has no training split`, {
      hint: 'name a split "train", or let fractions divide the data',
    });
  }
  const asked = withModelDefaults(await withWindow(given), train.targets);
  checkServes(asked.objective, train.targets.kind);
  if (team.size > 1 && needsOneProcess(asked.objective)) {
    throw new PenumbraError(
      'training/one-process',
      `${asked.objective} is trained by one process: it remembers what each of the others saw`,
      { hint: 'leave --processes out, or choose another objective' },
    );
  }
  const folder = new RunFolder(given.folder);
  using lock = team.leads ? folder.lock() : undefined;
  const config = await withThreads(asked, { dataset, folder, team, onNotice: notice });
  const options = { ...given, config };
  const mode = modeIn(team, config, folder);
  await using loader = trainLoader(config, train, team);
  await using valLoader = evaluationLoader(config, dataset.splits.val, loader, team);

  const initial = new Generator(config.seed);
  const generator = new Generator(drawsSeed(config.seed, ...ownDraws(team)), mode.device);
  const model = tidy(() => buildModel(config, loader, train.classes.length, initial, mode, generator));
  const objective = buildObjective(config, train, mode, generator);
  const description = describe(options, model, objective, loader, train, mode, team);
  let teacher: ReturnType<typeof loadTeacher> | undefined;
  let extension: Extension | undefined;
  try {
    checkSameRun(team, description, model);
    const begun = team.shared(() => {
      if (options.extend !== undefined) folder.description(); // Says where there is no run.
      folder.claim(description);
      return { extension: extensionOf(folder, options.extend), finished: folder.finished };
    });
    extension = begun.extension;
    if (begun.finished) {
      objective.dispose();
      model.dispose();
      const epochs = team.shared(() => folder.metrics());
      return { finished: true, folder: folder.path, epochs, broken: [] };
    }
    if (needsTeacher(config.objective)) {
      const path = config.teacher ?? folder.file('teacher');
      teacher = loadTeacher(path, config, loader, train.classes.length, mode, team);
    }
  } catch (error) {
    objective.dispose();
    model.dispose();
    throw error;
  }
  const optimizer = makeOptimizer(config, model);
  const ema = config.ema > 0 ? new WeightAverage(model, config.ema) : undefined;
  const weights =
    config.classWeights === null
      ? undefined
      : keep(
          tidy(() => tensor(classWeights(train.targets, config.classWeights!)).to({ device: mode.device })),
        );
  const lossScale = mode.precision === 'float16' ? new LossScale(mode.device) : undefined;
  const parts = { model, optimizer, objective, ...(ema && { ema }), ...(lossScale && { lossScale }) };
  const state = new RunState(folder, parts, generator, team);
  const before = extension?.after ?? { epochs: 0, steps: 0 };
  const epochsNow = extension?.epochs ?? config.epochs;
  const schedule = makeSchedule({ ...config, epochs: epochsNow });
  const steps = before.steps + Math.ceil(loader.batches / config.accumulate) * epochsNow;
  onEvent({ type: 'start', description, mode, steps });
  let reducer: ReturnType<Team['reducer']>;

  try {
    const resumed = state.resume((path, reason) => notice(`checkpoint passed over: ${path}: ${reason}`));
    if (resumed !== null) onEvent({ type: 'resume', epoch: resumed.epoch, step: resumed.step });
    else if (extension !== undefined) {
      startFromKept(team, folder, extension, model, objective, generator, config, mode);
      ema?.reset();
      notice(
        `${extension.epochs} epochs more from the weights after ${before.epochs}: the schedule begins anew, which is not what ${before.epochs + extension.epochs} epochs at once would be`,
      );
    } else if (config.weights !== null) {
      const { weights, strictWeights } = config;
      if (team.leads) loadPretrained(model, weights, { strict: strictWeights, notice });
      team.copy(model.stateDict().values());
      ema?.reset();
    }
    reducer = team.reducer(new Map(model.namedParameters()));
    const together = config.syncBatchNorm && team.size > 1;
    if (together) team.synchronizeBatchNorm(model);
    const progress = resumed ?? { ...freshProgress(), epoch: before.epochs, step: before.steps };
    const brokenBefore = progress.broken;
    const save = () => {
      const found = team.gather([...loader.broken, ...(valLoader?.broken ?? [])]);
      progress.broken = union(brokenBefore, ...found);
      state.save(progress);
    };
    const session: Session = {
      config,
      model,
      optimizer,
      objective,
      teacher,
      mixup: config.mixup > 0 ? { alpha: config.mixup, generator } : undefined,
      doubtWeight: config.doubtWeight ?? 0,
      classWeights: weights,
      lossScale,
      ...(together && {
        noInputs: () => ({
          images: aten.zeros([0, loader.channels, loader.size, loader.size], { device: mode.device }),
        }),
      }),
      ema,
      busy: new BusyWatch(mode.threads),
      schedule,
      before: before.epochs,
      last: before.epochs + epochsNow,
      loader,
      valLoader,
      val: dataset.splits.val,
      mode,
      save,
      progress,
      steps,
      team,
      reducer,
      signal,
      onEvent,
    };
    const kept = team.shared(() => folder.metrics(progress.epoch));
    if (team.leads) folder.resetMetrics(kept);
    const epochs = [...kept];
    // Steps that were drawn and then lost are drawn again.
    const last = kept.at(-1);
    const resumeStep = last === undefined ? {} : { resumeStep: last.step + 1 };
    const events = team.leads ? new EventWriter(folder.path, resumeStep) : undefined;
    try {
      while (progress.epoch < before.epochs + epochsNow) {
        const completed = await trainEpoch(session);
        if (!completed) lock?.check();
        if (!completed) return { finished: false, folder: folder.path, epochs, broken: progress.broken };
        const metrics = await endEpoch(session);
        epochs.push(metrics);
        if (events !== undefined) {
          folder.appendMetrics(metrics);
          writeEvents(events, metrics);
        }
        save();
        onEvent({ type: 'epoch', metrics, epochs: before.epochs + epochsNow });
      }
    } finally {
      events?.close();
    }
    if (lock !== undefined) {
      keepTrained(folder, ema ?? model, objective, config);
      folder.finish({
        finished: new Date().toISOString(),
        steps: progress.step,
        seconds: epochs.reduce((sum, metrics) => sum + metrics.seconds, 0),
        broken: progress.broken,
      });
      if (!config.keepCheckpoints) folder.dropCheckpoints();
      // A folder that was removed while the last step was under way is no finished run.
      lock.check();
    }
    return { finished: true, folder: folder.path, epochs, broken: progress.broken };
  } finally {
    reducer?.[Symbol.dispose]();
    ema?.dispose();
    lossScale?.dispose();
    weights?.dispose();
    optimizer.dispose();
    objective.dispose();
    teacher?.dispose();
    model.dispose();
  }
}

/** The mode of this process: its own device and threads, in the precision and with the kernels of all. */
function modeIn(team: Team, config: TrainConfig, folder: RunFolder): Mode {
  const begun = team.leads ? folder.mode() : undefined;
  const mode = chooseMode(config, { localRank: team.localRank, begun });
  return { ...mode, ...team.shared(() => ({ precision: mode.precision, fused: mode.fused })) };
}

/**
 * Checks that every process trains the same run.
 * @throws `training/other-rank` naming the first setting that differs
 */
function checkSameRun(team: Team, description: RunDescription, model: Network): void {
  if (team.size === 1) return;
  const { config, data, code } = essence(description);
  const runs = team.gather({ config, data, code });
  for (const [rank, run] of runs.entries()) {
    const difference = firstDifference(runs[0], run, '', ['on rank 0', `on rank ${rank}`]);
    if (difference === null) continue;
    throw new PenumbraError('training/other-rank', `the processes were started differently: ${difference}`, {
      hint: 'give every process the same command and the same data',
    });
  }
  team.verify([...model.stateDict().values()]);
}

/** The trained weights and what the method had learnt, in their files. */
function keepTrained(
  folder: RunFolder,
  trained: Pick<Network, 'stateDict'>,
  objective: ObjectiveRun,
  { model, objective: name }: TrainConfig,
): void {
  tidy(() => {
    writeSafetensors(folder.file('model.safetensors'), hosted(trained.stateDict()), { model });
    const learnt = objective.stateDict();
    if (learnt.size > 0)
      writeSafetensors(folder.file('objective.safetensors'), hosted(learnt), { objective: name });
  });
}

/** What names the draws of a process beside the seed: those of rank 0 are those of one process. */
function ownDraws({ rank }: Team): number[] {
  return rank === 0 ? [] : [0, rank];
}

/**
 * The seed of everything that is drawn while training: dropout, mixup, what an objective draws. Runs of neighbouring
 * seeds must not share a stream, so it is named, not counted on; 32 bits, as the engine's generator keeps no more.
 */
function drawsSeed(seed: number, ...more: number[]): number {
  return new Random(seed, 0xd3a5, ...more).uint32();
}

/** The kept weights and what the method had learnt; draws begin anew, and not as those of the run before. */
function startFromKept(
  team: Team,
  folder: RunFolder,
  extension: Extension,
  model: Network,
  objective: ObjectiveRun,
  generator: Generator,
  { seed }: TrainConfig,
  { device }: Mode,
): void {
  if (team.leads && folder.weightsIdentity() !== extension.weights) {
    throw new PenumbraError(
      'training/extend',
      `${folder.path} has other weights than those that were extended`,
      {
        hint: 'put its model.safetensors back',
        where: { file: folder.file('model.safetensors') },
      },
    );
  }
  using _scope = new Scope();
  generator.state = new Generator(drawsSeed(seed, extension.after.epochs, ...ownDraws(team)), device).state;
  if (team.leads) {
    model.loadStateDict(readSafetensors(folder.file('model.safetensors')).tensors);
    const learnt = folder.file('objective.safetensors');
    if (existsSync(learnt)) objective.loadStateDict(readSafetensors(learnt).tensors);
  }
  team.copy([...model.stateDict().values(), ...objective.stateDict().values()]);
}

/** Validation and the epoch's line; resets `progress` to the start of the next epoch. */
async function endEpoch(session: Session): Promise<EpochMetrics> {
  const { config, model, objective, loader, valLoader, mode, progress, team, ema } = session;
  if (progress.seen === 0) {
    throw new PenumbraError(
      'training/too-few',
      'no batch of the training split has two images that can be read',
      {
        hint: 'training needs at least two',
      },
    );
  }
  tidy(() => objective.endEpoch((tensor) => team.sum(tensor)));
  checkSameState(team, objective.name, objective.stateDict());
  const epoch = progress.epoch + 1;
  let val: ValFigures | undefined;
  if (valLoader !== undefined && (epoch % config.evaluateEvery === 0 || epoch === session.last)) {
    // Each rank has seen other images: batch norm's statistics are those of rank 0, which are also the ones that are kept.
    team.copy(buffersOf(model, ema));
    const look = () => predict(model, valLoader, session.val!.targets, mode, { team });
    val = valFigures(await (ema?.during(look) ?? look()));
  }
  const metrics: EpochMetrics = {
    epoch,
    step: progress.step,
    learningRate: learningRate(session, 1 - 1 / Math.max(1, loader.batches)),
    trainLoss: progress.lossSum / progress.terms,
    [objective.task.kind === 'one-of-k' ? 'trainTop1' : 'trainAccuracy']: progress.correct / progress.terms,
    ...(val && { val }),
    seconds: progress.seconds,
    imagesPerSecond: progress.seen / progress.seconds,
  };
  // Each rank has its own clock.
  const ofAll = team.shared(() => metrics);
  Object.assign(progress, {
    epoch,
    batch: 0,
    lossSum: 0,
    correct: 0,
    seen: 0,
    terms: 0,
    seconds: 0,
  } satisfies Partial<Progress>);
  return ofAll;
}

/** What a network remembers beside its weights, which are equal on all ranks; of the averaged network too. */
function buffersOf(model: Network, ema: WeightAverage | undefined): Tensor[] {
  const names = Array.from(model.namedBuffers(), ([name]) => name);
  const states = [model.stateDict(), ...(ema === undefined ? [] : [ema.stateDict()])];
  return states.flatMap((state) => names.map((name) => state.get(name)!));
}

function describe(
  options: FitOptions,
  model: Network,
  objective: ObjectiveRun,
  loader: BatchLoader,
  train: Subset,
  mode: Mode,
  team: Team,
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
      fingerprint: datasetIdentity(options.dataset),
    },
    model: {
      size: loader.size,
      channels: loader.channels,
      parameters: model.parameterCount,
      activation: objective.task.activation,
    },
    ...ownCode(config),
    ...(team.leads &&
      needsTeacher(config.objective) &&
      config.teacher !== null && { teacher: teacherFingerprint(config.teacher) }),
    mode: {
      device: mode.device,
      precision: mode.precision,
      threads: mode.threads,
      fused: mode.fused,
      ...(team.size > 1 && { ranks: team.size }),
    },
    software: { node: process.version, libtorch: engineInfo().version },
  };
}

function writeEvents(events: EventWriter, metrics: EpochMetrics): void {
  events.scalar('train/loss', metrics.trainLoss, metrics.step);
  if (metrics.trainTop1 !== undefined) events.scalar('train/top1', metrics.trainTop1, metrics.step);
  if (metrics.trainAccuracy !== undefined)
    events.scalar('train/accuracy', metrics.trainAccuracy, metrics.step);
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

/** The steps of one epoch: batches, groups of them, progress and checkpoints. */
import { setImmediate } from 'node:timers/promises';
import type { Batch, BatchLoader, Subset } from '../data/index.ts';
import type { Network } from '../models/index.ts';
import type { ObjectiveRun } from '../objectives/index.ts';
import type { Schedule } from '../torch/optim/index.ts';
import type { TrainConfig } from './config.ts';
import type { WeightAverage } from './ema.ts';
import type { FitEvent } from './fit-event.ts';
import { diverged, type Progress } from './run-state.ts';
import { AccumulatedStep, type StepResult, type Trainee, trainStep } from './train-step.ts';

/** What the two halves of an epoch work with. */
export interface Session extends Trainee {
  config: TrainConfig;
  model: Network;
  objective: ObjectiveRun;
  ema: WeightAverage | undefined;
  schedule: Schedule;
  /** Epochs of the run before this schedule: 0, unless a finished run is extended. */
  before: number;
  /** The number of the last epoch. */
  last: number;
  loader: BatchLoader;
  valLoader: BatchLoader | undefined;
  val: Subset | undefined;
  /** Writes a checkpoint of `progress` and every tensor. */
  save: () => void;
  progress: Progress;
  steps: number;
  signal: AbortSignal | undefined;
  onEvent: (event: FitEvent) => void;
}

/** The rest of the running epoch. False where it was aborted, with a checkpoint saved. */
export async function trainEpoch(session: Session): Promise<boolean> {
  const { config, model, optimizer, loader, progress } = session;
  const clock = new EpochClock(session);
  let group: StepGroup | undefined;
  model.train();
  for await (const batch of loader.epoch(progress.epoch, { from: progress.batch })) {
    if (batch.indices.length === 1) {
      // Broken files left one image, whose batch norm would have no variance.
      batch.release();
      continue;
    }
    const number = Math.floor(batch.number / config.accumulate);
    if (group !== undefined && group.number !== number && !(await endStep(session, group, clock)))
      return false;
    if (group?.number !== number) {
      optimizer.learningRate = learningRate(session, batch.number / loader.batches);
      group = new StepGroup(session, number);
    }
    group.add(batch);
    batch.release();
    if (!group.complete(loader.batches)) continue;
    if (!(await endStep(session, group, clock))) return false;
    group = undefined;
  }
  // Its last batches could not be read.
  if (group !== undefined && !(await endStep(session, group, clock))) return false;
  return true;
}

/** The batches of one step of the optimizer. */
class StepGroup {
  readonly number: number;
  images = 0;
  terms = 0;
  lossSum = 0;
  correct = 0;
  /** Of the last batch. */
  batch = 0;
  private readonly session: Session;
  private readonly accumulated: AccumulatedStep | undefined;

  constructor(session: Session, number: number) {
    this.session = session;
    this.number = number;
    if (session.config.accumulate > 1) this.accumulated = new AccumulatedStep(session);
  }

  /** @throws `training/diverged` */
  add(batch: Batch): void {
    const { progress } = this.session;
    const result: StepResult =
      this.accumulated?.add(batch, progress.epoch) ?? trainStep(this.session, batch, progress.epoch);
    if (!Number.isFinite(result.loss)) {
      throw diverged(
        `the loss became ${result.loss} at step ${progress.step + 1} (epoch ${progress.epoch + 1})`,
      );
    }
    this.batch = batch.number;
    this.images += batch.indices.length;
    this.terms += result.terms;
    this.lossSum += result.loss * result.terms;
    this.correct += result.correct;
  }

  complete(batches: number): boolean {
    return this.batch + 1 === Math.min(batches, (this.number + 1) * this.session.config.accumulate);
  }

  update(): void {
    this.accumulated?.update();
  }
}

/** Ends a step: progress, events, and a checkpoint where one is due. False where the run was aborted. */
async function endStep(session: Session, group: StepGroup, clock: EpochClock): Promise<boolean> {
  const { config, loader, save, progress, signal } = session;
  group.update();
  progress.batch = group.batch + 1;
  progress.step += 1;
  progress.lossSum += group.lossSum;
  progress.correct += group.correct;
  progress.seen += group.images;
  progress.terms += group.terms;
  session.ema?.update(progress.step);
  clock.tick();
  session.onEvent({
    type: 'step',
    step: progress.step,
    steps: session.steps,
    loss: group.lossSum / Math.max(1, group.terms),
    images: group.images,
  });
  await setImmediate(); // Signals and messages of decoding threads are heard between steps.
  const due = (config.checkpointSteps > 0 && progress.step % config.checkpointSteps === 0) || clock.due;
  if (signal?.aborted || (due && progress.batch < loader.batches)) {
    save();
    if (signal?.aborted) return false;
    clock.saved();
  }
  return true;
}

/** The seconds that an epoch trained, without those that checkpoints took. */
class EpochClock {
  private readonly session: Session;
  private readonly before: number;
  private startedAt = performance.now();
  private savedAt = performance.now();
  private now = performance.now();

  constructor(session: Session) {
    this.session = session;
    this.before = session.progress.seconds;
  }

  tick(): void {
    this.now = performance.now();
    this.session.progress.seconds = this.before + (this.now - this.startedAt) / 1000;
  }

  /** Whether the last checkpoint is old. */
  get due(): boolean {
    const { checkpointSeconds } = this.session.config;
    return checkpointSeconds > 0 && this.now - this.savedAt > checkpointSeconds * 1000;
  }

  saved(): void {
    this.savedAt = performance.now();
    this.startedAt += this.savedAt - this.now; // Writing a checkpoint is not training.
  }
}

/** @param part of the running epoch that is done, in [0, 1) */
export function learningRate(
  { config, schedule, before, objective, progress }: Session,
  part: number,
): number {
  const { epoch } = progress;
  return config.learningRate * schedule(epoch - before + part) * objective.learningRateScale(epoch);
}

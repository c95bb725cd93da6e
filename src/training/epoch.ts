/** The steps of one epoch: batches, groups of them, progress and checkpoints. */
import { setImmediate } from 'node:timers/promises';
import type { Batch, BatchLoader, Subset } from '../data/index.ts';
import type { Network } from '../models/index.ts';
import type { ObjectiveRun } from '../objectives/index.ts';
import type { distributed } from '../torch/index.ts';
import type { Schedule } from '../torch/optim/index.ts';
import type { BusyWatch } from './busy.ts';
import type { TrainConfig } from './config.ts';
import type { WeightAverage } from './ema.ts';
import type { FitEvent } from './fit-event.ts';
import { diverged, type Progress } from './run-state.ts';
import { type Agreed, SharedStep } from './shared-step.ts';
import type { Team } from './team.ts';
import { AccumulatedStep, type StepResult, type Trainee, trainStep } from './train-step.ts';

/** What the two halves of an epoch work with. */
export interface Session extends Trainee {
  config: TrainConfig;
  model: Network;
  objective: ObjectiveRun;
  ema: WeightAverage | undefined;
  busy: BusyWatch;
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
  team: Team;
  /** Of several processes. */
  reducer: distributed.Reducer | undefined;
  signal: AbortSignal | undefined;
  onEvent: (event: FitEvent) => void;
}

/** The rest of the running epoch. False where it was aborted, with a checkpoint saved. */
export async function trainEpoch(session: Session): Promise<boolean> {
  const { config, model, optimizer, loader } = session;
  const clock = new EpochClock(session);
  let group: StepGroup | undefined;
  model.train();
  for await (const { number: at, batch } of batchesOf(session)) {
    const number = Math.floor(at / config.accumulate);
    if (group !== undefined && group.number !== number && !(await endStep(session, group, clock)))
      return false;
    if (group?.number !== number) {
      optimizer.learningRate = learningRate(session, at / loader.batches);
      group = new StepGroup(session, number, clock);
    }
    group.add(at, batch);
    batch?.release();
    if (!group.complete) continue;
    if (!(await endStep(session, group, clock))) return false;
    group = undefined;
  }
  // Its last batches could not be read.
  if (group !== undefined && !(await endStep(session, group, clock))) return false;
  return true;
}

/** A batch that can be trained on by its number in the epoch. */
interface Numbered {
  readonly number: number;
  /** Undefined where this rank of several has nothing of it: it takes part in the step all the same. */
  readonly batch: Batch | undefined;
}

/** The rest of the running epoch: for one process what can be trained on, for several every number on every rank. */
async function* batchesOf({ loader, progress, team }: Session): AsyncGenerator<Numbered, void, undefined> {
  let next = progress.batch;
  for await (const batch of loader.epoch(progress.epoch, { from: progress.batch })) {
    const { number } = batch;
    if (team.size > 1) while (next < number) yield { number: next++, batch: undefined };
    next = number + 1;
    if (batch.indices.length > 1) {
      yield { number, batch };
      continue;
    }
    // Broken files left one image, whose batch norm would have no variance.
    batch.release();
    if (team.size > 1) yield { number, batch: undefined };
  }
  if (team.size > 1) while (next < loader.batches) yield { number: next++, batch: undefined };
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
  /** What the ranks wish, where there are several. */
  agreed: Agreed | undefined;
  private readonly session: Session;
  private readonly clock: EpochClock;
  private readonly accumulated: AccumulatedStep | undefined;
  private readonly shared: SharedStep | undefined;

  constructor(session: Session, number: number, clock: EpochClock) {
    const { reducer, team, config } = session;
    this.session = session;
    this.clock = clock;
    this.number = number;
    if (reducer !== undefined) this.shared = new SharedStep(session, team, reducer, config.accumulate);
    else if (config.accumulate > 1) this.accumulated = new AccumulatedStep(session);
  }

  /** @throws `training/diverged` */
  add(number: number, batch: Batch | undefined): void {
    this.batch = number;
    if (this.shared !== undefined) {
      this.share(this.shared, batch);
      return;
    }
    const { progress } = this.session;
    const result: StepResult =
      this.accumulated?.add(batch!, progress.epoch) ?? trainStep(this.session, batch!, progress.epoch);
    this.checkFinite(result.loss);
    this.images += batch!.indices.length;
    this.terms += result.terms;
    this.lossSum += result.loss * result.terms;
    this.correct += result.correct;
  }

  get complete(): boolean {
    const { loader, config } = this.session;
    return this.batch + 1 === Math.min(loader.batches, (this.number + 1) * config.accumulate);
  }

  update(): void {
    this.accumulated?.update();
  }

  /** The share of this process. All ranks see every number, so every step is complete on all of them. */
  private share(step: SharedStep, batch: Batch | undefined): void {
    const { progress, signal, team } = this.session;
    if (!this.complete) {
      step.add(batch, progress.epoch);
      return;
    }
    const wishes = { stop: signal?.aborted ?? false, due: team.leads && this.clock.due };
    const agreed = step.finish(batch, progress.epoch, wishes, ({ lossSum }) => this.checkFinite(lossSum));
    this.agreed = agreed;
    ({ images: this.images, terms: this.terms, lossSum: this.lossSum, correct: this.correct } = agreed);
  }

  private checkFinite(loss: number): void {
    if (Number.isFinite(loss)) return;
    const { progress } = this.session;
    throw diverged(`the loss became ${loss} at step ${progress.step + 1} (epoch ${progress.epoch + 1})`);
  }
}

/** Ends a step: progress, events, and a checkpoint where one is due. False where the run was aborted. */
async function endStep(session: Session, group: StepGroup, clock: EpochClock): Promise<boolean> {
  const { config, loader, save, progress, signal } = session;
  group.update();
  progress.batch = group.batch + 1;
  // No rank of several had an image that could be read.
  if (group.images === 0) return true;
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
  const busy = session.busy.step(group.images);
  if (busy !== undefined) session.onEvent({ type: 'busy', message: busy });
  await setImmediate(); // Signals and messages of decoding threads are heard between steps.
  const stop = group.agreed === undefined ? signal?.aborted : group.agreed.stop > 0;
  const old = group.agreed === undefined ? clock.due : group.agreed.due > 0;
  const due = (config.checkpointSteps > 0 && progress.step % config.checkpointSteps === 0) || old;
  if (stop || (due && progress.batch < loader.batches)) {
    save();
    if (stop) return false;
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

import type { Batch } from '../data/index.ts';
import type { distributed } from '../torch/index.ts';
import { tidy } from '../torch/index.ts';
import { scaledLoss, stepScaled } from '../torch/optim/index.ts';
import type { Team } from './team.ts';
import {
  addGradients,
  addSum,
  type Forward,
  nothingSeen,
  type StepResult,
  type Trainee,
} from './train-step.ts';

/** What the ranks tell each other in every step, each a sum over them. */
export interface Agreed {
  readonly images: number;
  readonly terms: number;
  /** Not finite where it is on any rank. */
  readonly lossSum: number;
  readonly correct: number;
  /** How many were asked to stop. */
  readonly stop: number;
  /** How many find a checkpoint due. */
  readonly due: number;
}

/**
 * One step of the optimizer that several processes take together, each by its share of one or several batches: that of one
 * process with the whole batches, where the loss is a mean over their labels and no layer looks at the whole batch.
 *
 * The ranks tell each other what they have after the last forward pass and before the gradients are reduced. So every rank
 * knows then by what the sum is divided, although shares may differ (a last batch, files that cannot be read), whether a
 * loss is not finite, and whether the run is to stop after this step; and all decide the same. A rank without a share
 * takes part with gradients of zero.
 */
export class SharedStep {
  private readonly trainee: Trainee;
  private readonly team: Team;
  private readonly reducer: distributed.Reducer;
  private readonly alone: boolean;
  private images = 0;
  private terms = 0;
  private lossSum = 0;
  private correct = 0;

  /** @param batches in the step; of one batch the loss is scaled and not the gradients, which costs nothing */
  constructor(trainee: Trainee, team: Team, reducer: distributed.Reducer, batches: number) {
    this.trainee = trainee;
    this.team = team;
    this.reducer = reducer;
    this.alone = batches === 1;
    trainee.optimizer.zeroGrad();
  }

  /** This rank's share of a batch that is not the step's last. */
  add(batch: Batch | undefined, epoch: number): void {
    if (batch === undefined) tidy(() => nothingSeen(this.trainee)?.backward());
    else this.count(batch, addGradients(this.trainee, batch, epoch, addSum(this.trainee)));
  }

  /**
   * The share of the last batch, and the optimizer's step; no step where no rank had an image.
   * @param wishes what this rank wants: to stop after the step, a checkpoint
   * @param check called with what the ranks agreed on, before anything is changed; may throw, as it does on all ranks
   */
  finish(
    batch: Batch | undefined,
    epoch: number,
    wishes: { readonly stop: boolean; readonly due: boolean },
    check: (agreed: Agreed) => void,
  ): Agreed {
    const { trainee, team, reducer } = this;
    const agree = (forward: Forward | undefined): Agreed => {
      if (forward !== undefined)
        this.count(batch!, { loss: forward.loss.item(), correct: forward.correct(), terms: forward.terms });
      const unused = forward !== undefined && !reducer.reachesAll(forward.loss);
      const [images, terms, lossSum, correct, stop, due, missing] = team.sums([
        ...[this.images, this.terms, this.lossSum, this.correct],
        ...[wishes.stop, wishes.due, unused].map(Number),
      ]) as [number, number, number, number, number, number, number];
      const agreed = { images, terms, lossSum, correct, stop, due };
      check(agreed);
      if (missing > 0) reducer.findUnused();
      return agreed;
    };
    let agreed: Agreed | undefined;
    const reduce = (forward: Forward | undefined): void => {
      // Before the ranks agree: the layers of the others wait for it in their forward pass.
      const silent = forward === undefined ? nothingSeen(trainee) : undefined;
      agreed = agree(forward);
      if (agreed.images === 0) return;
      const nothing = () => (silent === undefined ? reducer.nothing() : reducer.nothing().add(silent));
      const loss = forward?.loss ?? nothing();
      // The reducer divides by the ranks.
      const whole = Math.max(1, agreed.terms);
      const terms = forward?.terms ?? 0;
      const factor = this.alone ? (terms * team.size) / whole : terms;
      const whose = forward === undefined || factor === 1 ? loss : loss.mul(factor);
      reducer.backward(scaledLoss(whose, trainee.lossScale));
      if (!this.alone) trainee.optimizer.scaleGradients(team.size / whole);
    };
    if (batch === undefined) tidy(() => reduce(undefined));
    else addGradients(trainee, batch, epoch, reduce);
    if (agreed!.images > 0) stepScaled(trainee.optimizer, trainee.lossScale);
    return agreed!;
  }

  private count(batch: Batch, { loss, terms, correct }: StepResult): void {
    this.images += batch.indices.length;
    this.terms += terms;
    this.lossSum += loss * terms;
    this.correct += correct;
  }
}

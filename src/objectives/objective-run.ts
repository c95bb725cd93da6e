import { PenumbraError } from '../errors.ts';
import type { Task } from '../tasks/index.ts';
import type { Tensor } from '../torch/index.ts';
import type { StateDict } from '../torch/nn/index.ts';
import type { Objective, ObjectiveDefinition, Seen } from './objective.ts';

/** An objective at work in one run: bound to its task, with nothing left out. */
export class ObjectiveRun {
  readonly name: string;
  readonly task: Task;
  private readonly objective: Objective;

  /** @throws `objectives/objective` for one without a target and a loss */
  constructor({ name }: Pick<ObjectiveDefinition, 'name'>, objective: Objective, task: Task) {
    if (objective.loss === undefined && objective.target === undefined) {
      throw new PenumbraError('objectives/objective', `${name} makes an objective without target and loss`, {
        hint: 'make must return an object with target(seen, task) or loss(seen, task)',
      });
    }
    this.name = name;
    this.objective = objective;
    this.task = task;
  }

  /** The batch's mean loss, a float32 scalar with gradients. */
  loss(seen: Seen): Tensor {
    const { objective, task } = this;
    return this.guard(() => {
      if (objective.loss !== undefined) return objective.loss(seen, task);
      return task.crossEntropy(seen.logits, objective.target!(seen, task), seen.targets);
    });
  }

  observe(seen: Seen): void {
    this.guard(() => this.objective.observe?.(seen, this.task));
  }

  endEpoch(reduce: (tensor: Tensor) => Tensor = (tensor) => tensor): void {
    this.guard(() => this.objective.endEpoch?.(reduce));
  }

  /** What goes wrong in a method is said with its name: it may be somebody's own, and no fault of ours. */
  private guard<T>(body: () => T): T {
    try {
      return body();
    } catch (cause) {
      if (cause instanceof PenumbraError) throw cause;
      const place = /\n\s+at .*?([^/\s(]+:\d+):\d+\)?/.exec((cause as Error).stack ?? '')?.[1] ?? '';
      throw new PenumbraError('objectives/objective', `${this.name}: ${(cause as Error).message}`, {
        ...(place !== '' && { hint: `at ${place}` }),
        cause,
      });
    }
  }

  learningRateScale(epoch: number): number {
    return this.objective.learningRateScale?.(epoch) ?? 1;
  }

  /** The tensors themselves, not copies. */
  stateDict(): StateDict {
    return this.objective.stateDict?.() ?? new Map();
  }

  /** @throws `objectives/state` before anything is changed */
  loadStateDict(state: StateDict): void {
    const own = this.stateDict();
    for (const [name, tensor] of own) {
      if (state.get(name)?.shape.join() === tensor.shape.join()) continue;
      throw new PenumbraError(
        'objectives/state',
        `${this.name}: the saved state has no '${name}' of ${tensor.shape.join('×')}`,
        { hint: 'it was saved by another method or for another number of classes' },
      );
    }
    for (const [name, tensor] of own) tensor.copy_(state.get(name)!);
  }

  dispose(): void {
    for (const tensor of this.stateDict().values()) tensor.dispose();
  }
}

import { aten } from '../operators.ts';
import type { Tensor } from '../tensor.ts';
import { tidy } from '../tensor.ts';
import { c10d } from './native.ts';
import type { ProcessGroup } from './process-group.ts';

/**
 * c10d's `Reducer`: gradients are averaged over the ranks in buckets (1 MiB first, then 25 MiB), while the backward pass
 * still computes the others (Li et al., VLDB 2020). Buckets never change within a run or between a run and its
 * continuation, so that sums have the same order.
 */
export class Reducer implements Disposable {
  private readonly group: ProcessGroup;
  private readonly names: readonly string[];
  private readonly parameters: readonly Tensor[];
  private number: number;
  private findsUnused = false;

  /**
   * Collective. Leaves gradients of zero behind.
   * @param parameters those without gradients are left out
   */
  constructor(group: ProcessGroup, parameters: ReadonlyMap<string, Tensor>) {
    const trained = [...parameters].filter(([, { requiresGrad }]) => requiresGrad);
    this.group = group;
    this.names = trained.map(([name]) => name);
    this.parameters = trained.map(([, parameter]) => parameter);
    group.verify(this.parameters);
    this.number = this.make(false);
    // The first pass decides the order of buckets for good; this one is in the order of the parameters, reversed.
    tidy(() => this.backward(this.nothing()));
    tidy(() => this.backward(this.nothing()));
  }

  /** Whether every parameter has a part in a loss. */
  reachesAll(loss: Tensor): boolean {
    return c10d().reachesAll(loss.handle, this.handles());
  }

  /**
   * Allows for parameters without a part in a loss, from now on. Collective. Costs a walk through the graph and a further
   * small reduction a step.
   */
  findUnused(): void {
    if (this.findsUnused) return;
    c10d().releaseReducer(this.number);
    this.number = this.make(true);
    this.findsUnused = true;
  }

  /** A loss of 0 in which every parameter has a part: of a rank that has nothing to say in a step. */
  nothing(): Tensor {
    return this.parameters
      .map((parameter) => aten.sum(parameter))
      .reduce((sum, term) => sum.add(term))
      .mul(0);
  }

  /** Adds the gradients of a loss, and averages what every parameter then has over the ranks. Collective. */
  backward(loss: Tensor): void {
    c10d().reduceBackward(this.number, loss.handle);
  }

  [Symbol.dispose](): void {
    c10d().releaseReducer(this.number);
  }

  private make(findUnused: boolean): number {
    return c10d().makeReducer(this.group.number, this.handles(), this.names, findUnused);
  }

  private handles() {
    return this.parameters.map(({ handle }) => handle);
  }
}

import { concatenate } from '../concatenate.ts';
import { PenumbraError } from '../errors.ts';
import { aten, distributed, nn, type Tensor, tidy } from '../torch/index.ts';
import type { StateDict } from '../torch/nn/index.ts';

/**
 * The processes that train one run together. Every call is collective, except `leads`, `rank` and `size`: all ranks make
 * the same calls in the same order. Rank 0 leads: it alone reads and writes the run's folder.
 */
export interface Team {
  /** From 0. */
  readonly rank: number;
  readonly size: number;
  /** Among the processes of this machine: which GPU is its own. */
  readonly localRank: number;
  /** Whether this is rank 0. */
  readonly leads: boolean;
  /** What rank 0 makes of plain data, on every rank. */
  shared<T>(make: () => T): T;
  /** Gives every rank the tensors of rank 0, in place. */
  copy(tensors: Iterable<Tensor>): void;
  /** Gives every rank the tensors that rank 0 names; what the others say is not used. */
  sharedTensors(tensors: () => ReadonlyMap<string, Tensor>): ReadonlyMap<string, Tensor>;
  /** The sum over the ranks: another tensor. */
  sum(tensor: Tensor): Tensor;
  /** Sums of numbers. */
  sums(numbers: readonly number[]): number[];
  /** The ranks' plain data, in order. */
  gather<T>(value: T): T[];
  /** The ranks' arrays, one after another. */
  concatenated<A extends Float32Array | Int32Array>(values: A): A;
  /** The ranks' tensors of one shape, in order. */
  gatherTensors(tensor: Tensor): Tensor[];
  /** @throws `distributed/different` where tensors have other shapes than on rank 0 */
  verify(tensors: readonly Tensor[]): void;
  /** Lets batch norm see the batches of all ranks as one. */
  synchronizeBatchNorm(network: nn.Module): void;
  /** What averages the gradients; undefined for one process. */
  reducer(parameters: ReadonlyMap<string, Tensor>): distributed.Reducer | undefined;
}

/** One process: nothing is asked of c10d. */
export const alone: Team = {
  rank: 0,
  size: 1,
  localRank: 0,
  leads: true,
  shared: (make) => make(),
  copy: () => {},
  sharedTensors: (tensors) => tensors(),
  sum: (tensor) => tensor,
  sums: (numbers) => [...numbers],
  gather: (value) => [value],
  concatenated: (values) => values,
  gatherTensors: (tensor) => [tensor],
  verify: () => {},
  synchronizeBatchNorm: () => {},
  reducer: () => undefined,
};

/** Several processes, over a process group. */
export class GroupTeam implements Team {
  readonly rank: number;
  readonly size: number;
  readonly localRank: number;
  private readonly group: distributed.ProcessGroup;

  constructor(group: distributed.ProcessGroup, localRank: number) {
    this.group = group;
    this.rank = group.rank;
    this.size = group.size;
    this.localRank = localRank;
  }

  get leads(): boolean {
    return this.rank === 0;
  }

  shared<T>(make: () => T): T {
    // A value that is not there has no JSON.
    const text = this.group.broadcastText(this.leads ? JSON.stringify({ value: make() }) : '');
    return (JSON.parse(text) as { value: T }).value;
  }

  copy(tensors: Iterable<Tensor>): void {
    this.group.broadcast(tensors);
  }

  sharedTensors(make: () => ReadonlyMap<string, Tensor>): ReadonlyMap<string, Tensor> {
    const own = this.leads ? make() : new Map<string, Tensor>();
    const manifest = this.shared(() =>
      Array.from(own, ([name, { shape, dtype }]) => ({ name, shape: [...shape], dtype })),
    );
    const tensors = this.leads
      ? own
      : new Map(manifest.map(({ name, shape, dtype }) => [name, aten.empty(shape, { dtype })]));
    this.copy(tensors.values());
    return tensors;
  }

  sum(tensor: Tensor): Tensor {
    return this.group.allReduce(tensor.clone());
  }

  sums(numbers: readonly number[]): number[] {
    return this.group.sum(numbers);
  }

  gather<T>(value: T): T[] {
    return this.group.gatherTexts(JSON.stringify({ value })).map((text) => JSON.parse(text).value as T);
  }

  concatenated<A extends Float32Array | Int32Array>(values: A): A {
    const bytes = this.group.gatherBytes(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    const all = concatenate(bytes, Uint8Array);
    return (values instanceof Float32Array ? new Float32Array(all.buffer) : new Int32Array(all.buffer)) as A;
  }

  gatherTensors(tensor: Tensor): Tensor[] {
    return this.group.allGather(tensor);
  }

  verify(tensors: readonly Tensor[]): void {
    this.group.verify(tensors);
  }

  synchronizeBatchNorm(network: nn.Module): void {
    nn.synchronizeBatchNorm(network, this.group);
  }

  reducer(parameters: ReadonlyMap<string, Tensor>): distributed.Reducer {
    return new distributed.Reducer(this.group, parameters);
  }
}

export interface TeamOptions extends distributed.JoinOptions {}

/**
 * Runs `body` with the processes that a launcher has started, and leaves them in good order. Where one of them is lost, or
 * ends with an error, all end, and each says which it was.
 * @throws `distributed/lost-rank`, what `join` raises, and what `body` raises. The process should end soon after it
 */
export async function asTeam<T>(
  meeting: distributed.Meeting,
  options: TeamOptions,
  body: (team: Team) => Promise<T>,
): Promise<T> {
  const group = await distributed.join(meeting, options);
  try {
    const result = await body(new GroupTeam(group, meeting.localRank));
    group.leave();
    return result;
  } catch (error) {
    if (error instanceof PenumbraError && error.code === 'distributed/peer') {
      const sentence = await group.explain();
      await group.abandon(undefined);
      throw new PenumbraError('distributed/lost-rank', sentence, {
        hint: 'the same command goes on from the last checkpoint',
        cause: error,
      });
    }
    // What is no error of ours may quote a row.
    await group.abandon(error instanceof PenumbraError ? error.message : 'an unexpected one');
    throw error;
  }
}

/** Checks that a method's state has become the same on every rank. @throws `training/team-state` */
export function checkSameState(team: Team, name: string, state: StateDict): void {
  if (team.size === 1 || state.size === 0) return;
  const differs = tidy(() =>
    [...state].find(([, tensor]) => {
      const own = tensor.detach().to({ dtype: 'float64' });
      const mean = team.sum(own).div(team.size);
      // Not above is not the same as at most: a NaN on one rank must count.
      const near = own.sub(mean).abs().le(mean.abs().add(1).mul(1e-6));
      return team.sums([near.all().item() ? 0 : 1])[0]! > 0;
    }),
  );
  if (differs === undefined) return;
  throw new PenumbraError(
    'training/team-state',
    `${name}: its '${differs[0]}' is not the same on every rank at the end of an epoch`,
    { hint: 'endEpoch(reduce) must sum what was observed over the processes; or train it with one process' },
  );
}

import { setTimeout as sleep } from 'node:timers/promises';
import { PenumbraError } from '../../errors.ts';
import { noGrad } from '../autograd.ts';
import { fromTypedArray } from '../create.ts';
import { type BatchNormArguments, type BatchNormalizer, batchNormValues } from '../nn/index.ts';
import { Tensor, tidy } from '../tensor.ts';
import { c10d } from './native.ts';

/** How several values of the ranks become one. */
export type Reduction = 'sum' | 'max' | 'min';

/** What a group was joined with; see `join`. */
export interface Membership {
  readonly rank: number;
  readonly size: number;
  /** The native group and store. */
  readonly group: number;
  readonly store: number;
  readonly hosted: boolean;
}

/** How long a rank that holds the store stays after a failure, so that the others can read what happened. */
const LINGER = 2500;
/** How long the store is waited for before it counts as lost. */
const PATIENCE = 7000;

/**
 * Processes that compute together: c10d's process group over Gloo. Every call is collective: all ranks make the same calls
 * in the same order, with tensors of the same shape and type. Results are equal to the last bit on every rank, and on
 * repetition with the same number of ranks.
 *
 * A call that another process does not answer throws `distributed/peer`; `explain` then says who was lost.
 */
export class ProcessGroup implements BatchNormalizer {
  readonly rank: number;
  readonly size: number;
  /** The native half. For the engine's own use. */
  readonly number: number;
  private readonly store: number;
  private readonly hosted: boolean;

  constructor({ rank, size, group, store, hosted }: Membership) {
    this.rank = rank;
    this.size = size;
    this.number = group;
    this.store = store;
    this.hosted = hosted;
  }

  /** Combines the ranks' tensors, in place, and returns the tensor. */
  allReduce(tensor: Tensor, reduction: Reduction = 'sum'): Tensor {
    noGrad(() => c10d().allReduce(this.number, tensor.handle, reduction));
    return tensor;
  }

  /** Gives every rank the values of rank `from`, in place; all tensors must have the same shape, type and strides. */
  broadcast(tensors: Iterable<Tensor>, from = 0): void {
    noGrad(() => {
      for (const tensor of tensors)
        tidy(() => {
          // In memory order: a tensor in channels-last memory is not contiguous, and Gloo takes nothing else.
          const flat = tensor.detach().contiguous();
          c10d().broadcast(this.number, flat.handle, from);
          tensor.detach().copy_(flat);
        });
    });
  }

  /**
   * Batch normalization of this rank's [N, C, H, W] by the statistics of all ranks' images together; N may differ, and be 0.
   * Mean and variance are joined in double precision (Chan, Golub and LeVeque 1979). The backward pass is collective too. Both
   * have connections of their own: they may run while a reducer's collectives do.
   */
  batchNorm(norm: BatchNormArguments): Tensor {
    return new Tensor(c10d().syncBatchNorm(this.number, ...batchNormValues(norm)));
  }

  /** The ranks' tensors, in order. */
  allGather(tensor: Tensor): Tensor[] {
    return noGrad(() => c10d().allGather(this.number, tensor.handle)).map((handle) => new Tensor(handle));
  }

  /** Sums of numbers, in double precision. */
  sum(numbers: readonly number[]): number[] {
    return tidy(() => {
      const sums = this.allReduce(fromTypedArray(Float64Array.from(numbers)));
      return Array.from(sums.toTypedArray() as Float64Array);
    });
  }

  /** The ranks' texts, in order. */
  gatherTexts(text: string): string[] {
    return this.gatherBytes(new TextEncoder().encode(text)).map((bytes) => new TextDecoder().decode(bytes));
  }

  /** Rank `from`'s text. */
  broadcastText(text: string, from = 0): string {
    return tidy(() => {
      const bytes = new TextEncoder().encode(text);
      const length = fromTypedArray(BigInt64Array.of(BigInt(bytes.length)));
      this.broadcast([length], from);
      const values = new Uint8Array(Number(length.item()));
      if (this.rank === from) values.set(bytes);
      if (values.length === 0) return '';
      const sent = fromTypedArray(values);
      this.broadcast([sent], from);
      return new TextDecoder().decode(sent.toTypedArray() as Uint8Array);
    });
  }

  /** The ranks' bytes, in order; they may be of different lengths. */
  gatherBytes(bytes: Uint8Array): Uint8Array[] {
    return tidy(() => {
      const lengths = this.allGather(fromTypedArray(BigInt64Array.of(BigInt(bytes.length)))).map((length) =>
        Number(length.item()),
      );
      const most = Math.max(...lengths);
      if (most === 0) return lengths.map(() => new Uint8Array());
      const padded = new Uint8Array(most);
      padded.set(bytes);
      return this.allGather(fromTypedArray(padded)).map((tensor, rank) =>
        (tensor.toTypedArray() as Uint8Array).slice(0, lengths[rank]),
      );
    });
  }

  /**
   * Checks that tensors have the same shapes, types and strides on every rank: sizes that differ would end a process.
   * @throws `distributed/different` naming the shapes
   */
  verify(tensors: readonly Tensor[]): void {
    const own = tensors.map(({ shape, dtype }) => `${dtype} ${shape.join('×')}`).join(', ');
    const all = this.gatherTexts(own);
    const other = all.findIndex((shapes) => shapes !== all[0]);
    if (other > 0) {
      const [there, here] = [all[0]!.split(', '), all[other]!.split(', ')];
      const at = here.findIndex((shape, i) => shape !== there[i]);
      throw new PenumbraError(
        'distributed/different',
        `rank ${other} has other parameters than rank 0: ${here.length} with ${here[at] ?? 'fewer'}, there ${there.length} with ${there[at] ?? 'fewer'}`,
        { hint: 'start every process with the same command, data and files of your own' },
      );
    }
    c10d().verifyParameters(
      this.number,
      tensors.map(({ handle }) => handle),
    );
  }

  /** Waits for all, and leaves in good order. The group cannot be used after it. */
  leave(): void {
    c10d().leaveGroup(this.number);
    c10d().closeStore(this.store);
  }

  /**
   * To be called by a rank that cannot go on: the others are told why, at once, and end too.
   * @param error undefined where it only follows another rank
   */
  async abandon(error: string | undefined): Promise<void> {
    try {
      c10d().storeSet(this.store, `left/${this.rank}`, error === undefined ? '!' : ` ${error}`);
      c10d().storeSet(this.store, 'trouble', '1');
    } catch {
      return; // The store went first.
    }
    if (this.hosted && this.rank === 0) await sleep(LINGER);
  }

  /** One sentence on why a collective failed: which rank was lost, or what error it ended with. */
  async explain(): Promise<string> {
    c10d().askWatch(this.number);
    for (const until = performance.now() + PATIENCE; performance.now() < until; ) {
      const verdict = c10d().watchVerdict(this.number);
      if (verdict !== null) return verdict;
      await sleep(50);
    }
    return c10d().lostStore(this.number);
  }
}

/** Ends this process at once, with no thread waited for: after a failure one may wait for a process that is gone. */
export function exitNow(code: number): never {
  return c10d().exitNow(code);
}

import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { deferred } from '../deferred.ts';
import { PenumbraError } from '../errors.ts';
import type { WorkerData, WorkerReply, WorkerRequest } from './decode-worker.ts';
import { type BatchRequest, type BatchResult, type ReaderSpec, SampleReader } from './sample-reader.ts';
import { type Share, shareOf } from './share.ts';
import { makeBatch } from './subset.ts';
import { takeTargets } from './targets.ts';
import {
  epochOrder,
  normalizationTerms,
  type Transform,
  type WeightedOrder,
  weightedOrder,
} from './transform.ts';
import type { Batch, BrokenFile, Layout, LoaderOptions, Subset, TokenInput, TokenSource } from './types.ts';

/**
 * Batches of one split, decoded ahead in worker threads.
 *
 * The order of an epoch is a function of (seed, epoch), and each sample of (seed, epoch, index): any number of workers
 * gives the same batches in the same order, and an epoch can be entered at any batch. A file that cannot be decoded is
 * left out of its batch, which is then smaller (a batch with none left is not given), and listed in `broken`; batch
 * numbers and all other samples stay as they are.
 *
 *     await using loader = new BatchLoader(dataset.splits.train, { batchSize: 64, shuffle: true, seed: 1 });
 *     for await (const batch of loader.epoch(0)) { …; batch.release(); }
 *
 * Workers stop at `close` (or `await using`), at an abort of `options.signal`, and never keep the process alive.
 */
export class BatchLoader implements AsyncDisposable {
  /** Batches in a whole epoch. */
  readonly batches: number;
  /** C, of the batches' shape. */
  readonly channels: 1 | 3;
  /** H and W, of the batches' shape. */
  readonly size: number;
  readonly layout: Layout;
  readonly workers: number;

  private readonly subset: Subset;
  /** Samples of a batch for this loader, and for all loaders that share it. */
  private readonly batchSize: number;
  private readonly wholeSize: number;
  private readonly share: Share;
  private readonly shuffle: boolean;
  private readonly weights: Float64Array | undefined;
  private readonly ahead: number;
  private readonly spec: ReaderSpec;
  private readonly signal: AbortSignal | undefined;
  private readonly onAbort = () => this.stop(this.signal?.reason);
  private readonly brokenFiles = new Map<number, BrokenFile>();
  private readonly free: Float32Array<SharedArrayBuffer>[] = [];
  private readonly jobs = new Map<number, Job>();
  private readonly floor = new Int32Array(new SharedArrayBuffer(4));
  private readonly local: SampleReader | undefined;
  private threads: Thread[] | undefined;
  private nextJob = 1;
  private running = false;
  private closed = false;
  private failure: unknown;
  private closing: Promise<void> | undefined;

  /** @throws {PenumbraError} `data/loader-option` for an option outside its range. */
  constructor(subset: Subset, options: LoaderOptions) {
    const { source } = subset;
    const stored = source?.kind === 'memory' ? Math.max(source.height, source.width) : 224;
    const isStoredSize = (side: number) =>
      source?.kind === 'memory' && source.height === side && source.width === side;
    this.subset = subset;
    this.batchSize = checked('batchSize', options.batchSize, 1);
    this.share = options.share ?? { index: 0, count: 1 };
    checked('share.index', this.share.index, 0, checked('share.count', this.share.count, 1) - 1);
    this.wholeSize = this.batchSize * this.share.count;
    this.size = checked('size', options.size ?? stored, 1, 16384);
    const resize = checked('resize', options.resize ?? this.size, 1, 16384);
    const pad = checked('augment.pad', options.augment?.pad ?? 0, 0, 16384);
    if (this.size > resize + 2 * pad) {
      throw new PenumbraError(
        'data/loader-option',
        `a crop of ${this.size} pixels does not fit into ${resize} pixels with a padding of ${pad}`,
        { where: { argument: 'size' }, hint: 'make `resize` or `augment.pad` larger, or `size` smaller' },
      );
    }
    this.channels = options.channels ?? source?.channels ?? 1;
    this.layout = options.layout ?? 'NCHW';
    this.shuffle = options.shuffle ?? false;
    this.weights = options.weights && checkWeights(options.weights, subset.length);
    const normalization = options.normalization ?? 'symmetric';
    if (normalization !== 'symmetric') checkMeanAndStd(normalization, this.channels);
    const transform: Transform = {
      size: this.size,
      resize,
      fit: options.fit ?? 'fill',
      channels: this.channels,
      layout: this.layout,
      ...(options.window && { window: options.window }),
      augment: options.augment && { pad, flip: options.augment.flip ?? false },
      ...normalizationTerms(normalization, this.channels),
    };
    const maxPixels = checked('maxPixels', options.maxPixels ?? 2 ** 27, 1);
    this.spec = { source, rows: subset.rows, transform, maxPixels, seed: options.seed ?? 0 };
    const few = Math.min(4, Math.max(1, availableParallelism() >> 1));
    const decodes = source !== undefined && !isStoredSize(resize);
    this.workers = checked('workers', options.workers ?? (decodes ? few : 0), 0, 256);
    const prefetch = checked('prefetch', options.prefetch ?? 2, 1, 4096);
    // In this thread there is nobody to decode ahead.
    this.ahead = this.workers === 0 ? 1 : Math.max(prefetch, this.workers);
    if (this.workers === 0) this.local = new SampleReader(this.spec);
    const whole = Math.floor(subset.length / this.wholeSize);
    const rest = subset.length % this.wholeSize;
    this.batches = rest > 0 && options.dropLast !== true ? whole + 1 : whole;
    this.signal = options.signal;
    this.signal?.addEventListener('abort', this.onAbort, { once: true });
    if (this.signal?.aborted) this.onAbort();
  }

  /** The broken files among the batches given so far, in the order they were met, each once. */
  get broken(): readonly BrokenFile[] {
    return [...this.brokenFiles.values()];
  }

  /**
   * The batches of an epoch in order, from batch `from` (default 0) to the last. Leaving the loop early cancels what is
   * under way. One epoch at a time.
   *
   * @throws {PenumbraError} `data/loader-closed`, `data/loader-busy`, `data/worker-died`; `data/all-broken` at the end
   * of a whole epoch in which no file could be read; the reason of an abort.
   */
  async *epoch(epoch: number, options: { from?: number } = {}): AsyncGenerator<Batch, void, undefined> {
    this.assertOpen();
    if (this.running) {
      throw new PenumbraError('data/loader-busy', 'this loader already runs an epoch', {
        hint: 'end that loop first, or make a second loader',
      });
    }
    const from = checked('from', options.from ?? 0, 0, this.batches);
    const { seed } = this.spec;
    const { order, draws }: Partial<WeightedOrder> & { order: Uint32Array } = this.weights
      ? weightedOrder(this.weights, seed, epoch)
      : { order: epochOrder(this.subset.length, this.shuffle, seed, epoch) };
    const queue: Job[] = [];
    let next = from;
    let given = 0;
    const fill = () => {
      while (next < this.batches && queue.length < this.ahead) {
        const first = next++ * this.wholeSize;
        const { start, end } = shareOf(first, Math.min(order.length, first + this.wholeSize), this.share);
        queue.push(this.submit(epoch, order.slice(start, end), draws?.slice(start, end)));
      }
    };
    this.running = true;
    try {
      for (let number = from; number < this.batches; number++) {
        fill();
        const job = queue.shift()!;
        const result = await job.result;
        this.note(result);
        // The workers get the next request before the caller gets busy with this batch.
        if (this.workers > 0) fill();
        if (result.indices.length === 0) {
          this.free.push(job.images);
          continue;
        }
        given++;
        yield this.batch(number, result, job.images);
        this.assertOpen();
      }
      // Of several loaders that share the batches, another may have something to give.
      if (given === 0 && from === 0 && this.batches > 0 && this.share.count === 1) throw this.allBroken();
    } finally {
      this.running = false;
      if (queue.length > 0) Atomics.store(this.floor, 0, this.nextJob);
    }
  }

  /** Ends the workers. A running epoch ends with `data/loader-closed`. Safe to call twice. */
  close(): Promise<void> {
    this.stop(undefined);
    return this.closing!;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private submit(epoch: number, indices: Uint32Array, draws: Uint32Array | undefined): Job {
    const values = this.subset.source === undefined ? 0 : this.size * this.size * this.channels;
    const images = this.free.pop() ?? new Float32Array(new SharedArrayBuffer(this.batchSize * values * 4));
    if (indices.length === 0)
      return { images, result: Promise.resolve(NOTHING), settle: () => {}, fail: () => {} };
    const request: BatchRequest = { epoch, indices, images, ...(draws && { draws }) };
    if (this.local !== undefined)
      return { images, result: this.local.read(request), settle: () => {}, fail: () => {} };

    const number = this.nextJob++;
    this.threads ??= this.startThreads();
    const { promise, resolve, reject } = deferred<BatchResult>();
    promise.catch(() => {}); // A job that fails while nobody waits for it is reported by the one that is waited for.
    const job: Job = { images, result: promise, settle: resolve, fail: reject };
    this.jobs.set(number, job);
    // Posted at once, not when a worker falls idle: a training step may block this thread's event loop for seconds.
    let least = this.threads[0];
    for (const thread of this.threads) if (thread.load < least.load) least = thread;
    if (least.load++ === 0) least.worker.ref();
    least.worker.postMessage({ job: number, ...request } satisfies WorkerRequest);
    return job;
  }

  private startThreads(): Thread[] {
    // `.ts` from the sources, `.js` from the build.
    const extension = import.meta.url.slice(import.meta.url.lastIndexOf('.'));
    const file = new URL('./decode-worker' + extension, import.meta.url);
    const workerData: WorkerData = { spec: this.spec, floor: this.floor };
    return Array.from({ length: this.workers }, () => {
      // Without this process's own flags: some, such as --input-type, are not for files.
      const worker = new Worker(file, { workerData, name: 'penumbra-decode', execArgv: [] });
      const exited = deferred<void>();
      const thread: Thread = { worker, load: 0, exited: exited.promise };
      worker.unref();
      worker.on('message', (reply: WorkerReply) => this.receive(thread, reply));
      worker.on('error', (error) => this.stop(workerDied(error)));
      worker.on('exit', () => {
        exited.resolve();
        this.stop(workerDied(undefined)); // Without effect where it was asked to end.
      });
      return thread;
    });
  }

  private receive(thread: Thread, reply: WorkerReply): void {
    if (--thread.load === 0) thread.worker.unref();
    const job = this.jobs.get(reply.job);
    this.jobs.delete(reply.job);
    if (job === undefined) return;
    // The reply to a cancelled job: nobody waits for it, but its memory is good.
    if (reply.job < Atomics.load(this.floor, 0)) this.free.push(job.images);
    else job.settle(reply);
  }

  private batch(number: number, result: BatchResult, memory: Float32Array<SharedArrayBuffer>): Batch {
    const { size, channels, layout, free } = this;
    const { source, tokens, targets, rows } = this.subset;
    const { indices } = result;
    const count = indices.length;
    let released = false;
    return makeBatch({
      number,
      inputs: {
        ...(source && {
          images: {
            values: memory.subarray(0, count * size * size * channels),
            shape: layout === 'NCHW' ? [count, channels, size, size] : [count, size, size, channels],
            layout,
          },
        }),
        ...(tokens && { tokens: takeTokens(tokens, rows, indices) }),
      },
      targets: takeTargets(targets, indices),
      indices,
      release() {
        if (!released) free.push(memory);
        released = true;
      },
    });
  }

  private note(result: BatchResult): void {
    for (const { index, reason } of result.broken) {
      if (!this.brokenFiles.has(index)) {
        this.brokenFiles.set(index, { file: this.subset.nameOf(index), reason });
      }
    }
  }

  /** Ends everything, once. `reason` undefined: a wanted close; otherwise what a running epoch ends with. */
  private stop(reason: unknown): void {
    if (this.closed) return;
    this.closed = true;
    this.failure = reason;
    this.signal?.removeEventListener('abort', this.onAbort);
    Atomics.store(this.floor, 0, 0x7fffffff);
    const error = reason ?? closedError();
    for (const job of this.jobs.values()) job.fail(error);
    this.jobs.clear();
    this.closing = Promise.all((this.threads ?? []).map(endThread)).then(() => {});
  }

  private assertOpen(): void {
    if (this.closed) throw this.failure ?? closedError();
  }

  private allBroken(): PenumbraError {
    const first = this.broken[0];
    return new PenumbraError(
      'data/all-broken',
      `none of the ${this.brokenFiles.size} images of split ${this.subset.split} could be read; ` +
        `the first, ${first.file}: ${first.reason}`,
      {
        where: { split: this.subset.split, file: first.file },
        hint: 'see to that reason first; images are PNG or JPEG files',
      },
    );
  }
}

/** Of a batch in which this loader has no share. */
const NOTHING: BatchResult = { indices: new Int32Array(), broken: [] };

/** The texts of the samples `indices`, in that order. */
function takeTokens(tokens: TokenSource, rows: Uint32Array, indices: Int32Array): TokenInput {
  const { ids, mask, length } = tokens;
  const values = new Int32Array(indices.length * length);
  const taken = new Uint8Array(values.length);
  for (let i = 0; i < indices.length; i++) {
    const from = rows[indices[i]] * length;
    values.set(ids.subarray(from, from + length), i * length);
    taken.set(mask.subarray(from, from + length), i * length);
  }
  return { values, mask: taken, shape: [indices.length, length] };
}

interface Job {
  readonly images: Float32Array<SharedArrayBuffer>;
  readonly result: Promise<BatchResult>;
  settle(result: BatchResult): void;
  fail(reason: unknown): void;
}

interface Thread {
  readonly worker: Worker;
  /** Requests without a reply. */
  load: number;
  readonly exited: Promise<void>;
}

/** Asks a worker to end after the sample it is at, since ending a thread inside the decoder by force is not safe. */
async function endThread(thread: Thread): Promise<void> {
  thread.worker.ref();
  thread.worker.postMessage('stop' satisfies WorkerRequest);
  const patience = setTimeout(() => void thread.worker.terminate(), 65_000); // A decode takes at most 60 s.
  await thread.exited;
  clearTimeout(patience);
}

function workerDied(cause: unknown): PenumbraError {
  const what = cause instanceof Error ? `: ${cause.message}` : '';
  return new PenumbraError('data/worker-died', `a decoding worker ended unexpectedly${what}`, {
    cause,
    hint: 'if memory ran out, use fewer workers or smaller batches; `workers: 0` decodes in the main thread',
  });
}

function closedError(): PenumbraError {
  return new PenumbraError('data/loader-closed', 'this loader was closed', {
    hint: 'make a new BatchLoader',
  });
}

function checked(name: string, value: number, min: number, max = 2 ** 31 - 1): number {
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new PenumbraError(
    'data/loader-option',
    `${name} must be an integer from ${min} to ${max}, not ${value}`,
    {
      where: { argument: name },
    },
  );
}

function checkWeights(weights: Float64Array, length: number): Float64Array {
  const good = weights.length === length && weights.every((weight) => weight >= 0 && Number.isFinite(weight));
  if (good && weights.some((weight) => weight > 0)) return weights;
  throw new PenumbraError(
    'data/loader-option',
    `weights must be ${length} numbers of 0 or more, not all 0: one for each sample`,
    { where: { argument: 'weights' } },
  );
}

function checkMeanAndStd(terms: { mean: readonly number[]; std: readonly number[] }, channels: number): void {
  for (const name of ['mean', 'std'] as const) {
    const values = terms[name];
    const counts = values.length === 1 || values.length === channels;
    if (counts && values.every((v) => Number.isFinite(v) && (name === 'mean' || v > 0))) continue;
    throw new PenumbraError(
      'data/loader-option',
      `normalization.${name} must be 1 or ${channels} numbers${name === 'std' ? ' above 0' : ''}, in intensities of [0, 1]`,
      { where: { argument: `normalization.${name}` } },
    );
  }
}

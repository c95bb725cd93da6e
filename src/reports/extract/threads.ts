import { statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { type Deferred, deferred } from '../../deferred.ts';
import { PenumbraError } from '../../errors.ts';
import type { AssessorFlags } from '../rules/open.ts';
import type { ToDo } from './add-rows.ts';

/** How a thread opens the extractor that this process has open. */
export interface ThreadSource {
  /** Its name among the extractors. */
  readonly extractor: string;
  /** What it, and the rules that it is given, were opened with. */
  readonly flags: AssessorFlags & Readonly<Record<string, unknown>>;
  /** The module that registers it, as `import` takes it; empty for what this room registers itself. */
  readonly module: string;
}

export interface ThreadData {
  readonly source: ThreadSource;
  readonly mentionedOnly: boolean;
}

export interface ThreadRequest {
  readonly batch: number;
  readonly items: readonly ToDo[];
}

/** The lines of a batch of reports. */
export interface JudgedBatch {
  readonly bytes: Uint8Array;
  readonly reports: number;
  /** Of these, failed. */
  readonly failed: number;
}

/** First what the extractor is, once it is open; then an answer for each request. */
export type ThreadAnswer = { readonly version: string } | ({ readonly batch: number } & JudgedBatch);

/** What reads, writes and hands out reports is busy with about so many threads. */
const mostUseful = 4;

/** What a slip of the keyboard must not exceed: each has some 100 MB of its own. */
export const mostThreads = 64;

/** As many threads as pay on this machine: one core judges some 50,000 reports a second, one that hands them out three times as many. */
export function usefulThreads(): number {
  return Math.min(mostUseful, availableParallelism());
}

/**
 * Worker threads that judge reports, each with an extractor of its own. They share nothing, and what they answer does not
 * depend on which of them does. They never keep the process alive, and end with it.
 */
export class ExtractorThreads implements Disposable {
  readonly count: number;
  private readonly version: string;
  private readonly threads: Thread[];
  private readonly waiting = new Map<number, Deferred<JudgedBatch>>();
  private next = 1;
  private opened = 0;
  private failure: PenumbraError | undefined;
  private closed = false;

  /** @param version of this process's extractor: theirs must be the same */
  constructor(source: ThreadSource, version: string, mentionedOnly: boolean, count: number) {
    this.count = count;
    this.version = version;
    // `.ts` from the sources, `.js` from the build.
    const extension = import.meta.url.slice(import.meta.url.lastIndexOf('.'));
    const file = new URL(`./thread${extension}`, import.meta.url);
    this.threads = Array.from({ length: count }, () => {
      const workerData: ThreadData = { source, mentionedOnly };
      // Without this process's own flags: some, such as --input-type, are not for files.
      const worker = new Worker(file, { workerData, name: 'penumbra-extract', execArgv: [] });
      const thread: Thread = { worker, load: 0 };
      worker.unref();
      worker.on('message', (answer: ThreadAnswer) => this.receive(thread, answer));
      worker.on('error', (error) => this.fail(died(error)));
      worker.on('exit', () => this.fail(died(undefined))); // Without effect where it was asked to end.
      return thread;
    });
  }

  /** Whether all are open: `failed` where one could not be, or ended. */
  get state(): 'opening' | 'ready' | 'failed' {
    if (this.failure !== undefined) return 'failed';
    return this.opened === this.count ? 'ready' : 'opening';
  }

  /**
   * The lines of some reports.
   * @throws PenumbraError `reports/thread-died`; `reports/other-configuration` where a file of words changed meanwhile
   */
  judge(items: readonly ToDo[]): Promise<JudgedBatch> {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    const batch = this.next++;
    const answer = deferred<JudgedBatch>();
    this.waiting.set(batch, answer);
    let least = this.threads[0]!;
    for (const thread of this.threads) if (thread.load < least.load) least = thread;
    if (least.load++ === 0) least.worker.ref();
    least.worker.postMessage({ batch, items } satisfies ThreadRequest);
    return answer.promise;
  }

  [Symbol.dispose](): void {
    this.closed = true;
    for (const { worker } of this.threads) void worker.terminate();
  }

  private receive(thread: Thread, answer: ThreadAnswer): void {
    if ('version' in answer) {
      this.opened++;
      if (answer.version !== this.version) {
        this.fail(
          new PenumbraError(
            'reports/other-configuration',
            'A lexicon or findings file changed while the extraction began.',
            { hint: 'Start it again.' },
          ),
        );
      }
      return;
    }
    if (--thread.load === 0) thread.worker.unref();
    this.waiting.get(answer.batch)?.resolve(answer);
    this.waiting.delete(answer.batch);
  }

  private fail(failure: PenumbraError): void {
    if (this.closed || this.failure !== undefined) return;
    this.failure = failure;
    for (const answer of this.waiting.values()) answer.reject(failure);
    this.waiting.clear();
    this[Symbol.dispose]();
  }
}

/**
 * Where threads pay: opening one and compiling its code takes about a second of a core, in which that core judges some
 * 50,000 reports. A file of so many bytes takes four seconds at least; of a folder it is known by what was seen of it.
 */
const largeFile = 64 << 20;
const manyReports = 50_000;
/** Reports that a thread is handed at once. */
const handful = 128;
/** Handfuls per thread that may wait for slower ones before them. */
const window = 4;

/** Has reports judged by threads and writes what they answer in the order of the reports. */
export class ThreadQueue implements Disposable {
  private readonly make: () => ExtractorThreads;
  private readonly write: (done: JudgedBatch) => void;
  private readonly wanted: number | 'auto';
  private readonly large: boolean;
  private readonly queue: Promise<JudgedBatch>[] = [];
  private threads: ExtractorThreads | undefined;

  /** @param input the file or folder that is read */
  constructor(
    jobs: { readonly count: number | 'auto'; readonly source: ThreadSource } | undefined,
    input: string,
    version: string,
    mentionedOnly: boolean,
    write: (done: JudgedBatch) => void,
  ) {
    this.wanted = jobs?.count === 'auto' && usefulThreads() === 1 ? 1 : (jobs?.count ?? 1);
    const stat = statSync(input);
    this.large = stat.isFile() && stat.size >= largeFile;
    this.write = write;
    this.make = () => {
      const count = this.wanted === 'auto' ? usefulThreads() : this.wanted;
      return new ExtractorThreads(jobs!.source, version, mentionedOnly, count);
    };
  }

  /**
   * Whether threads are to judge what comes next. With `auto` they are started where the input is large, and take over
   * when all are open; where they cannot be opened, this thread goes on alone.
   */
  takes(extracted: number): boolean {
    if (this.wanted === 1) return false;
    if (this.wanted !== 'auto') {
      this.threads ??= this.make();
      return true;
    }
    if (this.threads === undefined && !this.large && extracted < manyReports) return false;
    this.threads ??= this.make();
    return this.queue.length > 0 || this.threads.state === 'ready';
  }

  /** Waits where too much is under way. */
  async add(items: readonly ToDo[]): Promise<void> {
    const threads = this.threads!;
    for (let from = 0; from < items.length; from += handful) {
      const answer = threads.judge(items.slice(from, from + handful));
      answer.catch(() => {}); // It is thrown when its turn comes.
      this.queue.push(answer);
      if (this.queue.length >= threads.count * window) await this.writeFirst();
    }
  }

  /** Writes all that is under way; ends at the first that failed, since nothing may be left out before what is written. */
  async drain(): Promise<void> {
    while (this.queue.length > 0) await this.writeFirst();
  }

  [Symbol.dispose](): void {
    this.threads?.[Symbol.dispose]();
  }

  private async writeFirst(): Promise<void> {
    try {
      this.write(await this.queue[0]!);
      this.queue.shift();
    } catch (error) {
      this.queue.length = 0;
      throw error;
    }
  }
}

interface Thread {
  readonly worker: Worker;
  /** Requests without an answer. */
  load: number;
}

function died(cause: Error | undefined): PenumbraError {
  const memory = (cause as NodeJS.ErrnoException | undefined)?.code === 'ERR_WORKER_OUT_OF_MEMORY';
  return new PenumbraError(
    'reports/thread-died',
    `A thread that judges reports ended unexpectedly${memory ? ': it ran out of memory' : ''}.`,
    { hint: 'What was written is kept: the same command goes on, with --jobs 1 in one thread.', cause },
  );
}

import { type ChildProcess, fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { deferred } from '../../deferred.ts';
import { PenumbraError } from '../../errors.ts';
import { openRegular, type RegularFile } from '../../files/index.ts';
import type { Backend, Completion, CompletionRequest } from './backend.ts';
import { Failure } from './failure.ts';
import { checkGguf } from './gguf.ts';
import type { FromModel, ToModel } from './local-protocol.ts';
import type { AnswerSchema } from './schema.ts';

/** Options of a model in a GGUF file. */
export interface LocalOptions {
  gguf: string;
  /** Tokens of prompt and answer together. Default 8,192, or what the model was trained with if that is less. */
  contextSize?: number;
  /** Threads of the engine. Default: all cores but one. */
  threads?: number;
  /** Use a GPU where the installed binaries can. Default true. */
  gpu?: boolean;
  /** Milliseconds for one answer. Default 600,000. */
  timeout?: number;
  /** Let reasoning models reason first. Default false. */
  thinking?: boolean;
}

const defaultTimeout = 600_000;
/** A process that does not obey a cancellation for so long is ended. */
const patience = 10_000;
/** Processes in a row that end before the model is loaded, before there is no further try. */
const mostFailedStarts = 2;

/**
 * What names the model in rows' versions: length, and the hash of the first and the last MiB. The first holds the
 * names, shapes and settings; hashing gigabytes would take longer than loading them.
 * @throws PenumbraError `reports/llm-model` when the file cannot be read or is no GGUF file
 */
export function describeModelFile(path: string): string {
  const fail = (what: string, cause?: unknown): never => {
    throw new PenumbraError('reports/llm-model', `The model file ${what}.`, {
      hint: 'Give the path of a .gguf file.',
      where: { file: path },
      cause,
    });
  };
  let file: RegularFile;
  try {
    file = openRegular(path);
  } catch (cause) {
    return fail('cannot be opened, or is no file', cause);
  }
  try {
    const problem = checkGguf(file);
    if (problem !== undefined) return fail(problem);
    const { size } = file.stat;
    const hash = createHash('sha256').update(String(size));
    const part = Buffer.alloc(Math.min(1 << 20, size));
    for (const position of [0, size - part.length]) {
      readSync(file.descriptor, part, 0, part.length, position);
      hash.update(part);
    }
    return `gguf ${hash.digest('hex')}`;
  } finally {
    file[Symbol.dispose]();
  }
}

/** The model of a GGUF file in a process of its own, started at the first request and again after a crash. */
export function openLocalModel(options: LocalOptions & { sequences: number }, schema: AnswerSchema): Backend {
  return new LocalModel(options, schema);
}

interface Pending {
  readonly resolve: (completion: Completion) => void;
  readonly reject: (error: unknown) => void;
}

class LocalModel implements Backend {
  readonly mode = 'grammar';
  private readonly options: LocalOptions & { sequences: number };
  private readonly schema: AnswerSchema;
  private child: ChildProcess | undefined;
  private readonly pending = new Map<number, Pending>();
  /** Requests given up here that the process still works on, with the timers that end it. */
  private readonly givenUp = new Map<number, NodeJS.Timeout>();
  private nextId = 0;
  private failedStarts = 0;
  /** Set when no further request can succeed. */
  private unusable: PenumbraError | undefined;
  private closed = false;

  constructor(options: LocalOptions & { sequences: number }, schema: AnswerSchema) {
    this.options = options;
    this.schema = schema;
  }

  async complete(request: CompletionRequest): Promise<Completion> {
    request.signal?.throwIfAborted();
    if (this.unusable !== undefined) throw this.unusable;
    if (this.closed) throw new PenumbraError('reports/llm-closed', 'The extractor is closed.');
    const child = (this.child ??= this.start());
    const id = this.nextId++;
    const timeout = this.options.timeout ?? defaultTimeout;
    const { promise, resolve, reject } = deferred<Completion>();
    this.pending.set(id, { resolve, reject });
    this.keepAlive(child);
    const giveUp = (reason: unknown): void => {
      if (!this.pending.delete(id)) return;
      reject(reason);
      this.cancel(child, id);
    };
    const onAbort = (): void => giveUp(request.signal!.reason);
    const timer = setTimeout(
      () => giveUp(new Failure('timeout', `no answer within ${timeout / 1000} s`)),
      timeout,
    );
    request.signal?.addEventListener('abort', onAbort, { once: true });
    const { system, user, temperature, seed, maxTokens } = request;
    this.send(child, { type: 'complete', id, system, user, temperature, seed, maxTokens });
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      request.signal?.removeEventListener('abort', onAbort);
      this.keepAlive(child);
    }
  }

  async close(): Promise<void> {
    this.closed = true;
    const { child } = this;
    if (child === undefined) return;
    const ended = new Promise<void>((done) => child.once('exit', () => done()));
    child.ref();
    const timer = setTimeout(() => child.kill('SIGKILL'), patience);
    if (child.connected) child.disconnect();
    await ended;
    clearTimeout(timer);
  }

  private start(): ChildProcess {
    // The sources run as they are, the package runs its compiled copy.
    const file = new URL(`./local-worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url);
    // The process needs no keys, and must not fetch anything.
    const { PENUMBRA_LLM_API_KEY: _, ...env } = process.env;
    const child = fork(file, [], {
      execArgv: [],
      // What native code prints may quote a report.
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      env: { ...env, NODE_LLAMA_CPP_SKIP_DOWNLOAD: 'true' },
    });
    let ready = false;
    child.on('message', (message: FromModel) => {
      if (message.type === 'ready') {
        ready = true;
        this.failedStarts = 0;
      } else if (message.type === 'unusable') {
        this.unusable = unusable(message.what, message.detail, this.options.gguf);
        this.rejectAll(this.unusable);
        child.kill('SIGKILL');
      } else this.receive(message);
    });
    child.once('error', () => this.ended(child, ready, 'it could not be started'));
    child.once('exit', (code, signal) => {
      this.ended(child, ready, signal === null ? `exit code ${code}` : `signal ${signal}`);
    });
    this.send(child, {
      type: 'load',
      gguf: resolve(this.options.gguf),
      schema: this.schema.json,
      sequences: this.options.sequences,
      contextSize: this.options.contextSize,
      // The threads wait for each other many times a token. Where one of them gets no core, all stand still: on a busy
      // machine of two cores, two threads were more than ten times slower than one.
      threads: this.options.threads ?? Math.max(1, availableParallelism() - 1),
      gpu: this.options.gpu ?? true,
      thinking: this.options.thinking ?? false,
    });
    return child;
  }

  private send(child: ChildProcess, message: ToModel): void {
    // A closed channel means that the process has ended; its `exit` tells all who wait.
    child.send(message, () => {});
  }

  private receive(message: Extract<FromModel, { id: number }>): void {
    const timer = this.givenUp.get(message.id);
    if (timer !== undefined) {
      clearTimeout(timer);
      this.givenUp.delete(message.id);
      return;
    }
    const pending = this.pending.get(message.id);
    this.pending.delete(message.id);
    if (message.type === 'failed') pending?.reject(new Failure(message.kind, message.detail));
    else pending?.resolve(message);
  }

  private cancel(child: ChildProcess, id: number): void {
    this.givenUp.set(
      id,
      setTimeout(() => child.kill('SIGKILL'), patience),
    );
    this.send(child, { type: 'cancel', id });
  }

  private ended(child: ChildProcess, ready: boolean, how: string): void {
    if (this.child !== child) return;
    this.child = undefined;
    for (const timer of this.givenUp.values()) clearTimeout(timer);
    this.givenUp.clear();
    if (!ready && !this.closed && ++this.failedStarts >= mostFailedStarts) {
      this.unusable ??= unusable(
        'model',
        `the process ended while it was loading (${how})`,
        this.options.gguf,
      );
    }
    this.rejectAll(this.unusable ?? new Failure('crashed', `the process of the model ended (${how})`));
  }

  private rejectAll(error: unknown): void {
    for (const { reject } of this.pending.values()) reject(error);
    this.pending.clear();
  }

  /** Waiting for an answer keeps Node running; an idle model does not. */
  private keepAlive(child: ChildProcess): void {
    if (this.pending.size > 0) {
      child.ref();
      child.channel?.ref();
    } else {
      child.unref();
      child.channel?.unref();
    }
  }
}

function unusable(what: 'package' | 'model', detail: string, file: string): PenumbraError {
  return what === 'package'
    ? new PenumbraError('reports/llm-package', `GGUF files need the package node-llama-cpp (${detail}).`, {
        hint: 'npm install node-llama-cpp, or name a server instead of a file.',
      })
    : new PenumbraError('reports/llm-model', `The model could not be loaded: ${detail}.`, {
        hint: 'Is it a complete GGUF file that this llama.cpp knows, and is there memory for it?',
        where: { file },
      });
}

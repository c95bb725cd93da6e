import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type Deferred, deferred } from '../../deferred.ts';
import { PenumbraError } from '../../errors.ts';
import type { FitEvent } from '../../training/index.ts';
import { memoryOf } from './memory.ts';
import { errorOf, type Job, type JobSource, type Reply, type Request } from './protocol.ts';

/** A process that trains one run after another, and ends with this one. */
export class JobProcess {
  readonly ended: Promise<void>;
  private readonly child: ChildProcess;
  private waiting: Deferred<Reply> | undefined;
  private onFit: ((event: FitEvent) => void) | undefined;
  private death: PenumbraError | undefined;

  constructor() {
    // `.ts` from the sources, `.js` from the build.
    const extension = import.meta.url.slice(import.meta.url.lastIndexOf('.'));
    const file = fileURLToPath(new URL(`./child${extension}`, import.meta.url));
    const [program, ...args] = [...tie(), process.execPath, file];
    // What libraries print may quote data, and would run through the parent's progress.
    const errors = process.env.PENUMBRA_DEBUG === '1' ? 'inherit' : 'ignore';
    this.child = spawn(program!, args, {
      stdio: ['ignore', 'ignore', errors, 'ipc'],
      serialization: 'advanced',
    });
    this.child.on('message', (reply: Reply) => {
      if (reply.type === 'fit') this.onFit?.(reply.event);
      else this.waiting?.resolve(reply);
    });
    const { promise, resolve } = deferred<void>();
    this.ended = promise;
    const end = (how: string) => {
      this.death ??= new PenumbraError('study/job-died', how, {
        hint: 'where the system ended it, memory ran out: use fewer --jobs, or smaller batches; PENUMBRA_DEBUG=1 shows what it said last',
      });
      this.waiting?.reject(this.death);
      resolve();
    };
    this.child.on('error', (error: NodeJS.ErrnoException) =>
      end(`a process for a run cannot be started (${error.code ?? error.name})`),
    );
    this.child.on('exit', (code, signal) =>
      end(signal === null ? `its process ended with code ${code}` : `its process was ended by ${signal}`),
    );
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  get alive(): boolean {
    return this.death === undefined;
  }

  /** What it holds and the most that it has held, in bytes. */
  get memory(): { readonly now: number; readonly peak: number } | undefined {
    return memoryOf(this.pid);
  }

  /** @throws what opening raises there; `study/job-died` */
  async open(source: JobSource): Promise<void> {
    await this.ask({ type: 'open', source });
  }

  /**
   * Trains a run, or goes on with it.
   * @returns false where `stop` was called: its folder holds the checkpoint to go on from
   * @throws what training raises there; `study/job-died` where the process ended on its way
   */
  async train(job: Job, onEvent: (event: FitEvent) => void): Promise<boolean> {
    this.onFit = onEvent;
    try {
      const reply = await this.ask({ type: 'train', job });
      return reply.type === 'trained' && reply.finished;
    } finally {
      this.onFit = undefined;
    }
  }

  /** Images a second of a run's training steps, measured for so many seconds. */
  async time(job: Job, seconds: number): Promise<number> {
    const reply = await this.ask({ type: 'time', job, seconds });
    return reply.type === 'timed' ? reply.imagesPerSecond : 0;
  }

  stop(): void {
    this.send({ type: 'stop' });
  }

  /** Ends the process, which has nothing to do. */
  async end(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.ended;
  }

  private async ask(request: Request): Promise<Reply> {
    if (this.death !== undefined) throw this.death;
    this.waiting = deferred<Reply>();
    this.send(request);
    try {
      const reply = await this.waiting.promise;
      if (reply.type === 'failed') throw errorOf(reply.error);
      return reply;
    } finally {
      this.waiting = undefined;
    }
  }

  private send(request: Request): void {
    // A process that has just ended is told of by its `exit`.
    if (this.child.connected) this.child.send(request, () => {});
  }
}

let tied: boolean | undefined;

/** What ties the life of a command that follows it to this process; nothing where setpriv is missing or too old. */
function tie(): string[] {
  tied ??= spawnSync('setpriv', ['--pdeathsig', 'KILL', 'true'], { stdio: 'ignore' }).status === 0;
  return tied ? ['setpriv', '--pdeathsig', 'KILL'] : [];
}

import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fstatSync,
  ftruncateSync,
  futimesSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  statSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { PenumbraError } from '../errors.ts';
import { fileError, systemCode } from './failure.ts';
import { describeHolder, type Holder, hasEnded, isOfThisKernel, readHolder, thisHolder } from './holder.ts';
import { kernel } from './kernel.ts';
import { lockReach } from './lock-reach.ts';

export interface LockOptions {
  /** What is locked, for the message: `runs/ols`, `rows.jsonl`. Default: the lock's path without `.lock`. */
  readonly what?: string;
  /** Of the error where somebody else holds it. Default: `files/locked`. */
  readonly code?: string;
  /** For tests: take no lock of the kernel, as on a file system that has none. */
  readonly withoutKernel?: boolean;
}

/** An exclusive lock. Disposing it gives it back; the kernel drops it with the process, however that ends. */
export interface Lock extends Disposable {
  readonly path: string;
  /**
   * Makes sure that what was locked is still there and still ours: call it before saying that work is finished.
   * @throws `files/lost` where the lock file was removed or replaced meanwhile, for example with its folder
   */
  check(): void;
}

/** A holder on another host that gives no sign for so long (ms) may be gone. It gives one every {@link SIGN_EVERY}. */
const SILENT_AFTER = 120_000;
const SIGN_EVERY = 20_000;

/**
 * Keeps everybody else out until the returned lock is disposed.
 *
 * The lock is the kernel's (an open-file-description lock on `path`): it ends with its holder, and holds for all
 * processes and containers of a machine, and over NFS and Ceph for those of others. The file holds who has it, for the
 * message, and for file systems where this kernel's lock does not reach other hosts: there the record of another host
 * counts as a lock. On file systems without locks the file itself is the lock, claimed by linking it into place, and
 * taken over from a holder that has provably ended.
 *
 * @param path of the lock file; its folder is made where it is missing. It is removed when the lock is given back.
 * @throws `files/locked` (or `code`) naming the holder, at once: see {@link waitForLock}
 */
export function takeLock(path: string, options: LockOptions = {}): Lock {
  const full = resolve(path);
  try {
    makeFolder(dirname(full));
    if (options.withoutKernel !== true) {
      const lock = lockOpenFile(full, options);
      if (lock !== undefined) return lock;
    }
    return linkLock(full, options);
  } catch (error) {
    throw fileError(error, path, 'locked');
  }
}

/** A file in the folder's place is no folder, whatever the system calls it (EEXIST). */
function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw code === 'EEXIST' ? Object.assign(new Error('not a folder'), { code: 'ENOTDIR' }) : error;
  }
}

/** {@link takeLock}, but waits for the holder to end. `onWait` is called once, with the holder's description. */
export async function waitForLock(
  path: string,
  options: LockOptions & {
    readonly signal?: AbortSignal | undefined;
    readonly onWait?: (holder: string) => void;
  } = {},
): Promise<Lock> {
  const code = options.code ?? 'files/locked';
  for (let waited = false; ; waited = true) {
    options.signal?.throwIfAborted();
    try {
      return takeLock(path, options);
    } catch (error) {
      if (!(error instanceof PenumbraError) || error.code !== code) throw error;
      if (!waited) options.onWait?.(String(error.where.holder ?? 'another process'));
    }
    await sleep(waited ? 400 : 50, undefined, options.signal === undefined ? {} : { signal: options.signal });
  }
}

/** @returns undefined where the file system has no locks */
function lockOpenFile(path: string, options: LockOptions): Lock | undefined {
  const { tryLock } = kernel();
  for (;;) {
    const file = openSync(path, 'a+');
    let kept = false;
    try {
      let granted: boolean;
      try {
        granted = tryLock(file);
      } catch (error) {
        if (['ENOLCK', 'ENOSYS', 'EOPNOTSUPP', 'ENOTSUP', 'EINVAL'].includes(systemCode(error) ?? ''))
          return undefined;
        throw error;
      }
      // A holder unlinks the file before it lets go: what was locked may be a file without a name.
      if (granted && !isSameFile(file, path)) continue;
      const holder = readHolder(readWhole(file));
      if (!granted) throw locked(path, options, holder);
      if (holder !== undefined && !isOfThisKernel(holder)) checkOtherHost(path, file, holder, options);
      const mine = thisHolder(newToken());
      ftruncateSync(file, 0);
      writeSync(file, `${JSON.stringify(mine)}\n`, 0);
      kept = true;
      return new HeldLock(path, file, mine);
    } finally {
      if (!kept) closeSync(file);
    }
  }
}

/** The kernel grants the lock, and the record names another host: whether that can be believed. */
function checkOtherHost(path: string, file: number, holder: Holder, options: LockOptions): void {
  if (hasEnded(holder)) return;
  const silent = fileSystemNow(path) - fstatSync(file).mtimeMs;
  if (silent > SILENT_AFTER && lockReach(path) === 'everybody') return;
  throw locked(path, options, holder);
}

/** The file is the lock: for file systems that have no other. */
function linkLock(path: string, options: LockOptions): Lock {
  const mine = thisHolder(newToken());
  const own = `${path}.${mine.token}`;
  // Linked into place with its content: nobody sees a lock without its holder.
  writeFileSync(own, `${JSON.stringify(mine)}\n`, { flag: 'wx' });
  try {
    for (let attempt = 0; ; attempt++) {
      try {
        linkSync(own, path);
        return new HeldLock(path, undefined, mine);
      } catch (error) {
        if (systemCode(error) !== 'EEXIST') throw error;
      }
      const holder = readHolder(readText(path) ?? '');
      if (
        attempt > 100 ||
        holder === undefined ||
        !hasEnded(holder) ||
        !removeLockOf(holder, path, mine.token)
      ) {
        if (readText(path) === undefined && attempt <= 100) continue; // Given back between two looks.
        throw locked(path, options, holder);
      }
    }
  } finally {
    unlinkSync(own);
  }
}

/**
 * Removes the lock of a holder that has ended. Whoever makes the mark with the holder's token may remove its lock, and
 * nobody else: so what lies there is that lock until it is removed, and never that of a quicker one.
 */
function removeLockOf(holder: Holder, path: string, token: string): boolean {
  const mark = `${path}.takeover-${holder.token.replace(/[^0-9a-f]/g, '')}`;
  try {
    writeFileSync(mark, token, { flag: 'wx' });
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return false;
    throw error;
  }
  try {
    if (readHolder(readText(path) ?? '')?.token === holder.token) unlinkSync(path);
    return true;
  } finally {
    unlinkSync(mark);
  }
}

class HeldLock implements Lock {
  readonly path: string;
  private file: number | undefined;
  private readonly mine: Holder;
  private readonly sign: NodeJS.Timeout;
  private given = false;

  constructor(path: string, file: number | undefined, mine: Holder) {
    this.path = path;
    this.file = file;
    this.mine = mine;
    this.sign = setInterval(() => this.giveSign(), SIGN_EVERY);
    this.sign.unref();
  }

  check(): void {
    if (!this.given && this.isThere()) return;
    throw new PenumbraError(
      'files/lost',
      `${dirname(this.path)} was removed or replaced while it was worked on`,
      {
        hint: 'what was written there since is lost; the same command begins again',
        where: { file: this.path },
      },
    );
  }

  [Symbol.dispose](): void {
    if (this.given) return;
    this.given = true;
    clearInterval(this.sign);
    try {
      // First the name, then the lock: whoever is granted the lock in between sees that its file has no name.
      if (this.isThere()) unlinkSync(this.path);
    } catch {
      // The folder is gone or became read-only; the lock ends with the file below.
    }
    if (this.file !== undefined) closeSync(this.file);
    this.file = undefined;
  }

  private isThere(): boolean {
    if (this.file !== undefined) return isSameFile(this.file, this.path);
    return readHolder(readText(this.path) ?? '')?.token === this.mine.token;
  }

  private giveSign(): void {
    const now = new Date();
    try {
      if (this.file !== undefined) futimesSync(this.file, now, now);
      else utimesSync(this.path, now, now);
    } catch {
      // It is gone, which `check` will say.
    }
  }
}

function locked(path: string, options: LockOptions, holder: Holder | undefined): PenumbraError {
  const who = describeHolder(holder);
  const elsewhere = holder !== undefined && !isOfThisKernel(holder);
  return new PenumbraError(
    options.code ?? 'files/locked',
    `${options.what ?? path.replace(/\.lock$/, '')} is in use by ${who}`,
    {
      hint: elsewhere
        ? `wait for it to end, or choose another place; if that host no longer works at it, delete ${path}`
        : 'wait for it to end, or choose another place',
      where: { file: path, holder: who },
    },
  );
}

function newToken(): string {
  return randomBytes(8).toString('hex');
}

function isSameFile(file: number, path: string): boolean {
  const there = statSync(path, { throwIfNoEntry: false, bigint: true });
  const ours = fstatSync(file, { bigint: true });
  return there !== undefined && there.ino === ours.ino && there.dev === ours.dev;
}

/** The time by the clock of the file system's host, as its other times are. */
function fileSystemNow(path: string): number {
  const probe = `${path}.${newToken()}`;
  const file = openSync(probe, 'wx');
  try {
    return fstatSync(file).mtimeMs;
  } finally {
    closeSync(file);
    unlinkSync(probe);
  }
}

function readWhole(file: number): string {
  const buffer = Buffer.alloc(4096);
  return buffer.toString('utf8', 0, readSync(file, buffer, 0, buffer.length, 0));
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmdirSync,
  rmSync,
  type Stats,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { PenumbraError } from '../errors.ts';
import { fileError, systemCode } from './failure.ts';

/**
 * Writes a file that is there whole or not at all, also after a power failure: into a temporary file beside it, which
 * takes its place. What was there before keeps its permissions, and stays until then. A link is followed to its file.
 * A device or a pipe that the user names (`/dev/stdout`) is written to.
 * @throws `files/…` as {@link fileError}; then nothing has changed
 */
export function writeWhole(path: string, content: string | Uint8Array | Iterable<string | Uint8Array>): void {
  const pieces = typeof content === 'string' || content instanceof Uint8Array ? [content] : content;
  writeWith(path, (file) => {
    for (const piece of pieces) writeAll(file, piece);
  });
}

/**
 * Writes a new file into a draft, a folder of ours that is not in its place yet: nobody reads it before it is whole.
 * Folders on the way are made.
 */
export function writeNew(path: string, content: string | Uint8Array): void {
  makeFolder(dirname(path));
  try {
    withFile(path, path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, (file) =>
      writeAll(file, content),
    );
  } catch (error) {
    throw fileError(error, path, 'written');
  }
}

/** {@link writeWhole} for content that is made while it is written, with an open file. */
export function writeWith(path: string, fill: (file: number) => void): void {
  const target = targetOf(path);
  if (target.special) {
    withFile(path, target.path, constants.O_WRONLY | constants.O_NOCTTY, fill);
    return;
  }
  const temporary = temporaryFor(target.path);
  try {
    withFile(path, temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, (file) => {
      if (target.mode !== undefined) fchmodSync(file, target.mode);
      fill(file);
      fsyncSync(file);
    });
    renameSync(temporary, target.path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw fileError(error, path, 'written');
  }
  syncFolder(dirname(target.path));
}

/** {@link writeWhole} for content that comes piece by piece, from work that goes on meanwhile. */
export async function writePieces(
  path: string,
  pieces: AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>,
): Promise<void> {
  const target = targetOf(path);
  const name = target.special ? target.path : temporaryFor(target.path);
  const flags = target.special
    ? constants.O_WRONLY | constants.O_NOCTTY
    : constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;
  try {
    const file = openSync(name, flags);
    try {
      if (target.mode !== undefined) fchmodSync(file, target.mode);
      for await (const piece of pieces) writeAll(file, piece);
      if (!target.special) fsyncSync(file);
    } finally {
      closeSync(file);
    }
    if (!target.special) renameSync(name, target.path);
  } catch (error) {
    if (!target.special) rmSync(name, { force: true });
    throw systemCode(error) === undefined ? error : fileError(error, path, 'written');
  }
  if (!target.special) syncFolder(dirname(target.path));
}

/** {@link writeWhole} for libraries that write by name: `fill` gets the name of the temporary file. */
export async function writeNamed<T>(path: string, fill: (temporary: string) => Promise<T>): Promise<T> {
  const target = targetOf(path);
  if (target.special) {
    throw new PenumbraError('files/not-regular', `${path} is a device or a pipe; this format needs a file`, {
      where: { file: path },
    });
  }
  const temporary = temporaryFor(target.path);
  let result: T;
  try {
    result = await fill(temporary);
    if (target.mode !== undefined) chmodSync(temporary, target.mode);
    syncFile(temporary);
    renameSync(temporary, target.path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw systemCode(error) === undefined ? error : fileError(error, path, 'written');
  }
  syncFolder(dirname(target.path));
  return result;
}

/** Opens a log of ours to add to its end (and to read); it is made where it is missing. Links are not followed. */
export function openLog(path: string): number {
  let file: number | undefined;
  try {
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_APPEND;
    file = openSync(path, flags | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    if (!fstatSync(file).isFile()) {
      throw new PenumbraError('files/not-regular', `${path} is not a file`, { where: { file: path } });
    }
    return file;
  } catch (error) {
    if (file !== undefined) closeSync(file);
    throw fileError(error, path, 'written');
  }
}

/** Opens a file that was not there before, to add to its end. @throws `files/exists` where it was */
export function openNew(path: string): number {
  try {
    return openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_APPEND);
  } catch (error) {
    throw fileError(error, path, 'written');
  }
}

/** Adds to the end of a log, see {@link openLog}. */
export function appendToLog(path: string, text: string): void {
  const file = openLog(path);
  try {
    writeAll(file, text);
  } catch (error) {
    throw fileError(error, path, 'written');
  } finally {
    closeSync(file);
  }
}

/** Puts a file that was made under the name of {@link temporaryFor} into its place. */
export function putInPlace(temporary: string, path: string): void {
  try {
    renameSync(temporary, path);
  } catch (error) {
    throw fileError(error, path, 'written');
  }
}

/** Cuts an open log of ours off behind `size` bytes. */
export function cutLog(file: number, size: number): void {
  ftruncateSync(file, size);
}

/** Removes a folder of ours if nothing is left in it. */
export function removeEmptyFolder(path: string): void {
  if (existsSync(path) && readdirSync(path).length === 0) rmdirSync(path);
}

/** Removes what lies in a draft, a folder that {@link temporaryFor} named, and refuses anything else. */
export function removeFromDraft(path: string): void {
  if (!/\.penumbra-[0-9a-f]{16}\.tmp\//.test(path))
    throw new Error('what is to be removed is not in a draft');
  rmSync(path, { recursive: true, force: true });
}

/** Makes a folder, and those above it. */
export function makeFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true });
  } catch (error) {
    throw fileError(error, path, 'made');
  }
}

/** The system writes at most 2 GB at once, and less where it likes. */
export function writeAll(file: number, content: string | Uint8Array): void {
  const bytes = typeof content === 'string' ? Buffer.from(content, 'utf8') : content;
  const most = 64 << 20;
  for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at, Math.min(most, bytes.length - at));
}

/** A name beside `path` that nobody else has: `.<its name>.penumbra-<16 random digits>.tmp`. */
export function temporaryFor(path: string): string {
  return join(dirname(path), `.${shortened(basename(path))}.penumbra-${randomBytes(8).toString('hex')}.tmp`);
}

/**
 * Removes what a killed process left of writing `path`, and nothing else: files and folders that {@link temporaryFor}
 * named for it. Only for who holds the lock of `path`, since a living writer's temporaries look the same.
 */
export function removeTemporariesOf(path: string): void {
  const own = `.${shortened(basename(path))}.penumbra-`;
  removeTemporaries(dirname(path), (name) => name.startsWith(own));
}

/** The same for all temporaries of ours in a folder that is ours alone, such as a run's, by who holds its lock. */
export function removeTemporaries(folder: string, which: (name: string) => boolean = () => true): void {
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder)) {
    if (/^\..*\.penumbra-[0-9a-f]{16}\.tmp$/s.test(name) && which(name)) {
      rmSync(join(folder, name), { recursive: true, force: true });
    }
  }
}

/** Makes a renaming last through a power failure, where the system can do so. */
export function syncFolder(folder: string): void {
  try {
    const descriptor = openSync(folder, 'r');
    try {
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  } catch {
    // Some file systems know no syncing of folders; the file itself is safe.
  }
}

interface Target {
  /** What the name leads to over links. */
  readonly path: string;
  readonly special: boolean;
  readonly mode: number | undefined;
}

function targetOf(path: string): Target {
  let stat: Stats | undefined;
  try {
    stat = statSync(path, { throwIfNoEntry: false });
  } catch (error) {
    throw fileError(error, path, 'written');
  }
  if (stat?.isDirectory()) {
    throw new PenumbraError('files/folder', `${path} is a folder, and a file is to be written there`, {
      hint: 'name a file in it',
      where: { file: path },
    });
  }
  if (stat === undefined) return { path: danglingTarget(path), special: false, mode: undefined };
  // `/dev/stdout` leads to a name such as `pipe:[123]` that cannot be opened: keep what was given.
  if (!stat.isFile()) return { path, special: true, mode: undefined };
  return { path: realpathSync(path), special: false, mode: stat.mode & 0o7777 };
}

/** A link to nothing yet: the file is made where it points to. */
function danglingTarget(path: string): string {
  let at = resolve(path);
  for (let i = 0; i < 40; i++) {
    try {
      at = resolve(dirname(at), readlinkSync(at));
    } catch {
      return at;
    }
  }
  return at;
}

function withFile(path: string, name: string, flags: number, use: (file: number) => void): void {
  let file: number;
  try {
    file = openSync(name, flags);
  } catch (error) {
    throw fileError(error, path, 'written');
  }
  try {
    use(file);
  } finally {
    closeSync(file);
  }
}

/** Makes what was written into a file last. */
export function syncFile(path: string): void {
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** A name of 255 bytes is the longest there is, so long ones are cut, and kept apart by a hash. */
function shortened(name: string): string {
  const bytes = Buffer.from(name);
  if (bytes.length <= 200) return name;
  return `${bytes.toString('latin1', 0, 40).replace(/[^\w.-]/g, '_')}-${createHash('sha256').update(bytes).digest('hex').slice(0, 16)}`;
}

/** Removes a file of ours; one that is not there is as good. */
export function removeFile(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw fileError(error, path, 'removed');
  }
}

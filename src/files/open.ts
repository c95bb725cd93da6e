import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  type Stats,
} from 'node:fs';
import { isAbsolute, relative, resolve, sep } from 'node:path';
import { PenumbraError } from '../errors.ts';
import { fileError } from './failure.ts';

export interface OpenOptions {
  /**
   * The folder that was opened: a file that lies elsewhere in truth, behind links or by `..`, is refused. Its own path
   * may lead over links. Default: any file may be opened, as for one that the user named.
   */
  readonly within?: string | undefined;
}

/** A regular file that is open for reading. Disposing it closes it. */
export class RegularFile implements Disposable {
  readonly descriptor: number;
  readonly stat: Stats;

  constructor(descriptor: number, stat: Stats) {
    this.descriptor = descriptor;
    this.stat = stat;
  }

  /** A path by which a library in this process reads what is open, whatever the name: no pattern, no link, no race. */
  get path(): string {
    return `/proc/self/fd/${this.descriptor}`;
  }

  [Symbol.dispose](): void {
    closeSync(this.descriptor);
  }
}

/**
 * Opens a file to read, and only a file: a pipe, a socket or a device is refused instead of waited for.
 * @throws `files/not-found` …, as {@link fileError}
 * @throws `files/not-regular` for anything but a regular file
 * @throws `files/outside` for a file outside `within`
 */
export function openRegular(path: string, { within }: OpenOptions = {}): RegularFile {
  let descriptor: number;
  try {
    // Without O_NONBLOCK, opening a pipe waits for somebody to write into it.
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (error) {
    throw fileError(error, path, 'opened');
  }
  try {
    const stat = fstatSync(descriptor);
    if (!stat.isFile()) throw notRegular(path, stat);
    if (within !== undefined && !isBelow(placeOf(descriptor, path), realRoot(within)))
      throw outside(path, within);
    return new RegularFile(descriptor, stat);
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

/** The whole of a regular file. @throws as {@link openRegular}; `files/too-large` over `most` bytes */
export function readRegular(path: string, options: OpenOptions & { readonly most?: number } = {}): Buffer {
  using file = openRegular(path, options);
  const { most = 2 ** 31 - 1 } = options;
  if (file.stat.size > most) {
    throw new PenumbraError('files/too-large', `${path} has ${file.stat.size} bytes; the limit is ${most}`, {
      where: { file: path },
    });
  }
  try {
    return readFileSync(file.descriptor);
  } catch (error) {
    throw fileError(error, path, 'read');
  }
}

/**
 * The file that a table names, relative to a root. Says nothing about links: {@link openRegular} does.
 * @param anywhere whether it may lie outside the root
 * @throws `files/outside` for `../…` and absolute paths that leave the root
 */
export function resolveInside(root: string, name: string, anywhere = false): string {
  const full = resolve(root, name);
  if (anywhere || isBelow(full, resolve(root))) return full;
  throw outside(name, root);
}

/** Whether a path is `root` or lies below it, by its text. Both absolute. */
export function isBelow(path: string, root: string): boolean {
  if (path === root) return true;
  const way = relative(root, path);
  return way !== '' && way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

function outside(path: string, root: string): PenumbraError {
  return new PenumbraError('files/outside', `${path} leads out of ${root}`, {
    hint: 'files behind links or by ../ are read only with --allow-outside; or copy them into the folder',
    where: { file: path },
  });
}

function notRegular(path: string, stat: Stats): PenumbraError {
  const kind = stat.isDirectory()
    ? 'a folder'
    : stat.isFIFO()
      ? 'a pipe'
      : stat.isSocket()
        ? 'a socket'
        : 'a device';
  return new PenumbraError('files/not-regular', `${path} is ${kind}, not a file`, {
    hint: stat.isDirectory() ? 'name a file in it' : 'write what comes from it into a file first',
    where: { file: path },
  });
}

/** Where an open file really lies. */
function placeOf(descriptor: number, path: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${descriptor}`);
  } catch {
    return realpathSync(path);
  }
}

/** Roots are few and opened often. */
function realRoot(root: string): string {
  let real = realRoots.get(root);
  if (real === undefined) {
    if (realRoots.size > 64) realRoots.clear();
    real = realpathSync(root);
    realRoots.set(root, real);
  }
  return real;
}
const realRoots = new Map<string, string>();

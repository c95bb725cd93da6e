import { existsSync, lstatSync, readdirSync, readFileSync, renameSync, rmdirSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { PenumbraError } from '../errors.ts';
import { checkDistinct } from './distinct.ts';
import { fileError, systemCode } from './failure.ts';
import { type FileIdentity, fileIdentity } from './identity.ts';
import { kernel } from './kernel.ts';
import { takeLock } from './lock.ts';
import {
  makeFolder,
  removeFile,
  removeTemporariesOf,
  syncFile,
  syncFolder,
  temporaryFor,
  writeWhole,
} from './write.ts';

export interface OutputFolderOptions {
  /** What the folder is, for its manifest: only a folder of the same kind is replaced. */
  readonly kind: string;
  /** Replace what an earlier call wrote there. */
  readonly overwrite?: boolean;
  /** What is read meanwhile: none of it may be the folder, or lie in it. */
  readonly inputs: readonly string[];
}

/** Lists what a folder of ours holds: what is not in it, or is not as it says, is somebody else's. */
export const MANIFEST = 'manifest.json';

interface Manifest {
  readonly writer: 'penumbra';
  readonly kind: string;
  readonly files: Readonly<Record<string, FileIdentity>>;
}

/**
 * Writes a folder that appears at once, or not at all: `fill` writes a draft beside it, which takes its place. Only one
 * process writes to the same place at a time. An existing folder is replaced only with `overwrite`, and only where its
 * manifest lists everything in it, as it is there; a killed call leaves the old folder as it was.
 *
 * @throws `files/locked` where another process writes it
 * @throws `files/exists` naming what would be lost
 * @throws `files/same` where an input is the folder or lies in it
 */
export async function writeFolder<T>(
  path: string,
  options: OutputFolderOptions,
  fill: (draft: string) => Promise<T>,
): Promise<T> {
  const full = resolve(path);
  checkDistinct(full, options.inputs);
  checkReplaceable(full, path, options);
  using lock = takeLock(`${full}.lock`, { what: path });
  checkReplaceable(full, path, options);
  removeTemporariesOf(full);
  const draft = temporaryFor(full);
  makeFolder(draft);
  try {
    const result = await fill(draft);
    writeWhole(join(draft, MANIFEST), `${JSON.stringify(manifestOf(draft, options.kind), null, 2)}\n`);
    lock.check();
    checkDistinct(full, options.inputs);
    const old = checkReplaceable(full, path, options);
    await putInPlace(draft, full);
    if (old !== undefined) removeListed(draft, old, path);
    syncFolder(dirname(full));
    return result;
  } catch (error) {
    rmSync(draft, { recursive: true, force: true });
    throw systemCode(error) === undefined ? error : fileError(error, path, 'written');
  }
}

/** @returns the manifest of what is there; undefined where nothing is, or an empty folder */
function checkReplaceable(full: string, path: string, options: OutputFolderOptions): Manifest | undefined {
  const there = lstatSync(full, { throwIfNoEntry: false });
  if (there === undefined) return undefined;
  const refuse = (what: string, hint: string, file = path): never => {
    throw new PenumbraError('files/exists', what, { hint, where: { file } });
  };
  if (!there.isDirectory()) return refuse(`${path} exists already and is no folder`, 'choose another place');
  if (readdirSync(full).length === 0) return undefined;
  if (!options.overwrite) {
    return refuse(`${path} exists already and is not empty`, 'choose another folder, or --overwrite');
  }
  const manifest = readManifest(full);
  if (manifest?.kind !== options.kind) {
    return refuse(
      `${path} was not written by this command: it has no ${MANIFEST} that says so`,
      'it is not overwritten: choose another folder, or delete it yourself',
    );
  }
  for (const name of filesBelow(full)) {
    const listed = manifest.files[name];
    const why =
      name === MANIFEST ? '' : listed === undefined ? 'is not of this command' : changed(full, name, listed);
    if (why !== '') {
      refuse(`${join(path, name)} ${why}, and would be lost`, 'move it elsewhere first', join(path, name));
    }
  }
  return manifest;
}

function changed(folder: string, name: string, listed: FileIdentity): string {
  const path = join(folder, name);
  if (!lstatSync(path).isFile()) return 'is no file any more';
  const now = fileIdentity(path);
  return now.bytes === listed.bytes && now.hash === listed.hash ? '' : 'was changed since it was written';
}

function manifestOf(folder: string, kind: string): Manifest {
  const names = filesBelow(folder);
  // Each takes some milliseconds; thousands of pictures are drawn again as quickly.
  if (names.length <= 200) for (const name of names) syncFile(join(folder, name));
  return {
    writer: 'penumbra',
    kind,
    files: Object.fromEntries(names.map((name) => [name, fileIdentity(join(folder, name))])),
  };
}

function readManifest(folder: string): Manifest | undefined {
  try {
    const value = JSON.parse(readFileSync(join(folder, MANIFEST), 'utf8')) as Partial<Manifest> | null;
    const { writer, kind, files } = value ?? {};
    return writer === 'penumbra' && typeof kind === 'string' && typeof files === 'object' && files !== null
      ? { writer, kind, files }
      : undefined;
  } catch {
    return undefined;
  }
}

/** Everything that is no folder, and every folder that is empty, by paths from the folder. */
function filesBelow(folder: string, prefix = ''): string[] {
  return readdirSync(join(folder, prefix), { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const name = prefix === '' ? entry.name : `${prefix}/${entry.name}`;
      if (!entry.isDirectory()) return [name];
      const inside = filesBelow(folder, name);
      return inside.length > 0 ? inside : [name];
    });
}

/** One step where the file system can exchange two names, two where it cannot. */
async function putInPlace(draft: string, full: string): Promise<void> {
  if (!existsSync(full)) {
    renameSync(draft, full);
    return;
  }
  try {
    await kernel().swap(draft, full);
  } catch (error) {
    if (!['EINVAL', 'ENOSYS', 'EOPNOTSUPP', 'ENOTSUP'].includes(systemCode(error) ?? '')) throw error;
    const aside = temporaryFor(full);
    renameSync(full, aside);
    try {
      renameSync(draft, full);
    } catch (cause) {
      renameSync(aside, full);
      throw cause;
    }
    renameSync(aside, draft);
  }
}

/** Removes what the manifest lists. What came into the folder in the last moment stays, and is named. */
function removeListed(folder: string, manifest: Manifest, path: string): void {
  const folders = new Set<string>();
  for (const name of [...Object.keys(manifest.files), MANIFEST]) {
    removeFile(join(folder, name));
    for (let at = dirname(name); at !== '.'; at = dirname(at)) folders.add(at);
  }
  try {
    for (const name of [...folders].sort((a, b) => b.length - a.length)) rmdirSync(join(folder, name));
    rmdirSync(folder);
  } catch (cause) {
    const aside = `${resolve(path)}.kept`;
    renameSync(folder, aside);
    throw new PenumbraError('files/exists', `${path} is written; something came into the old one meanwhile`, {
      hint: `it is kept in ${aside}`,
      where: { file: aside },
      cause,
    });
  }
}

/**
 * Stamps: a step writes `.cache/setup/<name>.stamp` when it has ended well. The stamp holds the hash of everything
 * that went into the step, so a step runs again exactly when its inputs changed, its result is gone, or it was cut short.
 */
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * The hash of files, folders and words. A folder counts with the relative path and content of every file in it that
 * `accept` lets through; a path that does not exist counts as absent.
 * @param {{paths?: string[], words?: string[], accept?: (path: string) => boolean}} inputs
 */
export function hashInputs({ paths = [], words = [], accept = () => true }) {
  const hash = createHash('sha256');
  const add = (kind, name, content) =>
    hash.update(`${kind} ${name.length} ${content.length}\n${name}`).update(content);
  for (const word of words) add('word', '', word);
  paths.forEach((path, i) => {
    for (const file of filesBelow(path)) {
      if (accept(file)) add('file', `${i}${file.slice(path.length)}`, readFileSync(file));
    }
  });
  return hash.digest('hex');
}

/** Whether the stamp is there, for these inputs, and the results are as the step left them. */
export function isFresh(folder, name, key, outputs = []) {
  return readText(stampPath(folder, name)) === stampText(key, outputs);
}

/** Before the work: an interrupted step must not look done. */
export function clearStamp(folder, name) {
  rmSync(stampPath(folder, name), { force: true });
}

export function writeStamp(folder, name, key, outputs = []) {
  writeAtomically(stampPath(folder, name), stampText(key, outputs));
}

/** Readers see the old content or the new one, never a part. */
export function writeAtomically(path, content) {
  mkdirSync(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}.tmp`;
  writeFileSync(temporary, content);
  renameSync(temporary, path);
}

export function readText(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** Every file at or below `path`, sorted, so that the hash does not depend on the file system's order. */
export function filesBelow(path) {
  let entries;
  try {
    entries = readdirSync(path, { withFileTypes: true });
  } catch {
    return existsSync(path) ? [path] : [];
  }
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  return entries.flatMap((entry) =>
    entry.isDirectory() ? filesBelow(join(path, entry.name)) : [join(path, entry.name)],
  );
}

/** The sizes of the results stand in the stamp: a full disk or an editor can leave a file that exists and is wrong. */
function stampText(key, outputs) {
  return [key, ...outputs.map(sizeOf)].join('\n');
}

function sizeOf(path) {
  const status = statSync(path, { throwIfNoEntry: false });
  if (status === undefined) return 'missing';
  return status.isDirectory() ? 'folder' : status.size;
}

function stampPath(folder, name) {
  return join(folder, `${name}.stamp`);
}

import { existsSync, readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** Folders that are tried, and files that each way is tried on. */
const MOST_FOLDERS = 64;
const SAMPLE = 64;

/**
 * How listed files are found below a root when they are not where the table says: without some of their first folders,
 * in the root itself or in one of its folders. That is what happens when a published set is unpacked under another
 * name. Of all ways the one that finds most of a sample counts, and of equals the one that changes least.
 *
 * @returns the path of a listed file, relative to the root, with `/`. The same as listed where nothing is found.
 */
export function findFiles(root: string, listed: readonly string[]): (file: string) => string {
  const step = Math.max(1, Math.floor(listed.length / SAMPLE));
  const sample = listed.filter((_, i) => i % step === 0).slice(0, SAMPLE);
  const depth = sample.reduce((most, file) => Math.max(most, file.split('/').length - 1), 0);
  let best = { found: 0, drop: 0, folder: '' };
  for (const folder of ['', ...foldersIn(root)]) {
    for (let drop = 0; drop <= depth; drop++) {
      const found = sample.filter((file) => existsSync(resolve(root, placed(file, drop, folder)))).length;
      if (found > best.found) best = { found, drop, folder };
      if (found === sample.length) return (file) => placed(file, drop, folder);
    }
  }
  return (file) => placed(file, best.drop, best.folder);
}

/** The path without its first `drop` folders, in another folder. */
function placed(file: string, drop: number, folder: string): string {
  const words = file.split('/');
  const rest = words.slice(Math.min(drop, words.length - 1)).join('/');
  return folder === '' ? rest : `${folder}/${rest}`;
}

function foldersIn(root: string): string[] {
  if (!existsSync(root)) return [];
  // A folder of images is often a link to where the disk is.
  const isFolder = (name: string) => statSync(join(root, name), { throwIfNoEntry: false })?.isDirectory();
  return readdirSync(root, { withFileTypes: true })
    .filter((entry) => !entry.isFile() && !entry.name.startsWith('.'))
    .map((entry) => entry.name)
    .sort()
    .slice(0, MOST_FOLDERS)
    .filter(isFolder);
}

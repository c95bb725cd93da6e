/** Where things lie. Plain Node 20, no packages: these scripts run before anything is installed. */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The project's folder: a clone, or the installed package. */
export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** A clone has the lock file; the published package never does. Only a clone installs packages and compiles `src`. */
export const isClone = existsSync(join(root, 'package-lock.json'));

/**
 * Where set-up puts what it makes and fetches. A clone's lies in the clone; a package's in the user's cache, since `npm ci`
 * in somebody's project empties node_modules.
 */
const cacheFolder = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'penumbra');
const own = isClone ? root : join(cacheFolder, version());

export const stampFolder = isClone ? join(own, '.cache/setup') : join(own, 'setup');
export const libTorchFolder = isClone ? join(own, '.cache/libtorch') : join(cacheFolder, 'libtorch');
export const addonFile = join(own, 'build/penumbra.node');
/** What the set-up found, as JSON; see libtorch.mjs. */
export const libTorchRecord = join(stampFolder, 'libtorch.json');
export const mainFile = join(root, 'dist/cli/main.js');

/** The oldest Node that runs the project's own code (these scripts run on 20). */
export const oldestNode = 22;

/** A path inside an installed npm package, or undefined where the package is not installed. */
export function inPackage(name, ...path) {
  try {
    return join(dirname(createRequire(join(root, 'package.json')).resolve(`${name}/package.json`)), ...path);
  } catch {
    return undefined;
  }
}

/** A Node that runs the project's code: this one where it is new enough, else the one from the npm packages. */
export function findNode() {
  if (Number.parseInt(process.versions.node, 10) >= oldestNode) return process.execPath;
  const bundled = inPackage(`node-linux-${process.arch}`, 'bin/node');
  return bundled !== undefined && existsSync(bundled) ? bundled : undefined;
}

function version() {
  return JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version;
}

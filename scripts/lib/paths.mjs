/** Where things lie. Plain Node 20, no packages: these scripts run before anything is installed. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The project's folder: a clone, or the installed package. */
export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** A clone has the lock file; the published package never does. Only a clone installs packages and compiles `src`. */
export const isClone = existsSync(join(root, 'package-lock.json'));

export const stampFolder = join(root, '.cache/setup');
export const addonFile = join(root, 'build/penumbra.node');
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

/** Methods and networks in files of the user's own: `--objective ./mine.ts:beta=0.2`, `--model ./mine.ts`. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import * as nodeModule from 'node:module';
import { basename, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { PenumbraError } from '../errors.ts';
import { type ModelDefinition, registerModel } from '../models/index.ts';
import {
  defineObjective,
  formatObjective,
  type ObjectiveDefinition,
  parseObjective,
  registerObjective,
} from '../objectives/index.ts';
import type { TrainConfig } from './config.ts';

/** Identifies a file that a run was made by. Files that it imports are not looked at. */
export interface OwnCode {
  /** As it was named. */
  readonly file: string;
  readonly sha256: string;
}

const objectives = new Map<string, OwnCode>();
const models = new Map<string, OwnCode>();
/** What each file exported, and what was made of it: the same file gives the same method. */
const completed = new WeakMap<object, unknown>();

/**
 * Makes the method of a file known.
 * @param text `./mine.ts`, with options after a colon as in `./mine.ts:beta=0.2`; a method's name stays as it is
 * @returns the text that configurations take: `mine:beta=0.2`
 * @throws `training/own-code` for a file that is not there, cannot be run, or exports no objective, and what
 * `parseObjective` raises
 */
export async function importObjective(text: string): Promise<string> {
  const match = FILE.exec(text.trim());
  if (match === null) return text;
  const [, file = '', options] = match;
  const { value, code } = await importDefault(file, 'objective', (exported: Partial<ObjectiveDefinition>) =>
    defineObjective({ name: nameOf(file), ...exported } as ObjectiveDefinition),
  );
  registerObjective(value);
  objectives.set(value.name, code);
  return formatObjective(parseObjective(options === undefined ? value.name : `${value.name}:${options}`));
}

/** The same for a network. @param text `./mine.ts`, or the name of a network */
export async function importModel(text: string): Promise<string> {
  const match = FILE.exec(text.trim());
  if (match === null || match[2] !== undefined) return text;
  const [, file = ''] = match;
  const { value, code } = await importDefault(file, 'model', (exported: Partial<ModelDefinition>) => {
    return { name: nameOf(file), ...exported } as ModelDefinition;
  });
  registerModel(value);
  models.set(value.name, code);
  return value.name;
}

/**
 * Makes what a file exports known, a method or a network.
 * @throws as `importObjective`
 */
export async function importCode(file: string): Promise<void> {
  const { exported } = await load(file, 'objective or network');
  await ('tasks' in exported ? importObjective(file) : importModel(file));
}

/** The files that a configuration's method and network come from, where they come from files. */
export function ownCode(config: Pick<TrainConfig, 'objective' | 'model'>): {
  code?: { objective?: OwnCode; model?: OwnCode };
} {
  const objective = objectives.get(parseObjective(config.objective).name);
  const model = models.get(config.model);
  if (objective === undefined && model === undefined) return {};
  return { code: { ...(objective && { objective }), ...(model && { model }) } };
}

/** A file's path, and what follows a colon. */
const FILE = /^(.+?\.[cm]?[jt]s)(?::(.*))?$/;

function nameOf(file: string): string {
  return basename(file).replace(/\.[cm]?[jt]s$/, '');
}

/**
 * What a file exports, completed once.
 * @throws `training/own-code`
 */
async function importDefault<Exported, Value>(
  file: string,
  what: 'objective' | 'model',
  complete: (exported: Exported) => Value,
): Promise<{ value: Value; code: OwnCode }> {
  const { exported, code } = await load(file, what);
  const known = completed.get(exported) ?? complete(exported as Exported);
  completed.set(exported, known);
  return { value: known as Value, code };
}

/** @throws `training/own-code` */
async function load(file: string, what: string): Promise<{ exported: object; code: OwnCode }> {
  const path = resolve(file);
  const fail = (message: string, hint: string, cause?: unknown) =>
    new PenumbraError('training/own-code', `${file}: ${message}`, { hint, where: { file }, cause });
  if (!existsSync(path)) throw fail('there is no such file', `give the path of the file with your ${what}`);
  if (/ts$/.test(path) && !process.features.typescript) {
    throw fail(
      `Node ${process.versions.node} does not run TypeScript`,
      'use Node 22.18 or later, or write the file in JavaScript, as .mjs',
    );
  }
  const sha256 = createHash('sha256').update(readFileSync(path)).digest('hex');
  resolveForUsers();
  let exported: unknown;
  try {
    // Its content is a part of its address: a file that changed is another module.
    const url = `${pathToFileURL(path).href}?${sha256.slice(0, 16)}`;
    exported = ((await import(url)) as { default?: unknown }).default;
  } catch (cause) {
    if (cause instanceof PenumbraError) throw cause;
    throw fail((cause as Error).message, 'correct the file; only types that can be erased are run', cause);
  }
  if (typeof exported !== 'object' || exported === null || !('make' in exported)) {
    const how = what === 'model' ? 'defineModel({ name, make })' : 'defineObjective({ name, tasks, make })';
    throw fail(`it has no ${what} as its default export`, `end it with: export default ${how}`);
  }
  return { exported, code: { file, sha256 } };
}

let resolves = false;

/**
 * A user's file imports `penumbra` from wherever it lies, and gets what runs: a second copy would have tensors of
 * another class. `zod` is ours where the file has none of its own.
 */
function resolveForUsers(): void {
  if (resolves) return;
  resolves = true;
  const root = new URL('../../', import.meta.url);
  const own = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as {
    exports: Record<string, { default: string } | string>;
  };
  // From the sources where they run, in development.
  const fromSources = import.meta.url.endsWith('.ts');
  const entries = Object.entries(own.exports).flatMap(([name, target]) => {
    if (typeof target === 'string') return [];
    const path = fromSources
      ? target.default.replace('./dist/', './src/').replace(/\.js$/, '.ts')
      : target.default;
    return [[name.replace(/^\./, 'penumbra'), new URL(path, root).href] as const];
  });
  const addresses = new Map(entries);
  nodeModule.registerHooks?.({
    resolve(specifier, context, next) {
      const address = addresses.get(specifier);
      if (address !== undefined)
        return { url: address, shortCircuit: true, format: fromSources ? 'module-typescript' : 'module' };
      if (/^file:.*\?[0-9a-f]{16}$/.test(specifier)) {
        // Else Node asks for a package.json that says so.
        const format = /\.[cm]?ts\?/.test(specifier) ? 'module-typescript' : 'module';
        return { url: specifier, shortCircuit: true, format };
      }
      if (specifier !== 'zod') return next(specifier, context);
      try {
        return next(specifier, context);
      } catch {
        return next(specifier, { ...context, parentURL: import.meta.url });
      }
    },
  });
}

/** For messages: the file of a registered network. */
export function modelFile(name: string): OwnCode | undefined {
  return models.get(name);
}

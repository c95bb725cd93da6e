import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PenumbraError } from '../errors.ts';
import { makeFolder, writeWhole } from './write.ts';

/** Marks a folder that one of our commands writes into again and again. */
const MARK = '.penumbra.json';

export interface Claim {
  /** What the command writes: `study`, `comparison`. */
  readonly kind: string;
  /** The names that it writes anew each time. */
  readonly names: readonly string[];
  /** A JSON file that earlier versions, which set no mark, left there, and keys that it has. */
  readonly known?: { readonly file: string; readonly keys: readonly string[] };
}

/**
 * Takes a folder for results that are written anew by each call. The first time none of their names may be taken: what
 * is there then is somebody else's. A mark says from then on that they are ours.
 * @throws `files/exists` naming what would be overwritten
 */
export function claimFolder(folder: string, { kind, names, known }: Claim): void {
  makeFolder(folder);
  const mark = join(folder, MARK);
  if (jsonOf(mark)?.kind === kind) return;
  const taken = names.find((name) => existsSync(join(folder, name)));
  const before = known === undefined ? undefined : jsonOf(join(folder, known.file));
  const isOurs = before !== undefined && known!.keys.every((key) => key in before);
  if (taken !== undefined && !isOurs) {
    throw new PenumbraError(
      'files/exists',
      `${join(folder, taken)} exists already and is not of this command`,
      {
        hint: 'it would be overwritten: choose another --out folder, or move it elsewhere',
        where: { file: join(folder, taken) },
      },
    );
  }
  writeWhole(mark, `${JSON.stringify({ writer: 'penumbra', kind })}\n`);
}

function jsonOf(path: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

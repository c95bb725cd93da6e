import { realpathSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { PenumbraError } from '../errors.ts';
import { isBelow } from './open.ts';

/**
 * Makes sure that writing `output` cannot destroy what is read: it is none of the inputs, by inode (so no link, hard or
 * symbolic, and no `a/../a` hides it), and no folder that holds one.
 * @throws `files/same` naming both
 */
export function checkDistinct(output: string, inputs: readonly string[]): void {
  const there = statSync(output, { throwIfNoEntry: false, bigint: true });
  const outputPlace = realPlace(output);
  for (const input of inputs) {
    const stat = statSync(input, { throwIfNoEntry: false, bigint: true });
    if (stat === undefined) continue;
    const isSame = there !== undefined && there.ino === stat.ino && there.dev === stat.dev;
    if (isSame || isBelow(realPlace(input), outputPlace)) {
      throw new PenumbraError(
        'files/same',
        isSame
          ? `${output} is the input ${input} itself, and would be overwritten`
          : `${output} is a folder that holds the input ${input}, and would be replaced with it`,
        { hint: 'choose another place for the output', where: { file: output, input } },
      );
    }
  }
}

/** A path without links; of what does not exist yet, as far as it exists. */
function realPlace(path: string): string {
  const full = resolve(path);
  try {
    return realpathSync(full);
  } catch {
    const parent = dirname(full);
    return parent === full ? full : join(realPlace(parent), basename(full));
  }
}

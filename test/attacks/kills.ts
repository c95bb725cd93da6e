import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../../src/random.ts';
import { Tally } from './tally.ts';
import { childOf, leftovers, prepare, start, type Verb } from './work.ts';

/**
 * Kills a verb (SIGKILL) at random moments, its launcher or itself, several times in a row, then lets it come to its
 * end: what it leaves must be what an undisturbed run leaves, to the byte, with nothing beside it.
 */
export async function kill(verb: Verb, kills: number, folder: string, random: Random): Promise<Tally> {
  const tally = new Tally(`kills: ${verb.name}`);
  await prepare(verb, folder);
  const out = join(folder, verb.output);
  const args = verb.args(folder, out);
  const began = performance.now();
  const undisturbed = await start(args, folder).ended;
  const duration = performance.now() - began;
  if (undisturbed.code !== 0) throw new Error(`${verb.name} does not run: ${undisturbed.err}`);
  const whole = await verb.digest(out);
  rmSync(out, { recursive: true });
  while (tally.tries < kills) {
    const row = 1 + random.below(5);
    for (let i = 0; i < row && tally.tries < kills; i++) {
      tally.tries++;
      const { launcher, ended } = start(args, folder);
      await Promise.race([sleep(random.uniform() * duration * 1.05), ended]);
      const child = childOf(launcher);
      const target = random.below(2) === 0 || child === undefined ? launcher : child;
      try {
        process.kill(target, 'SIGKILL');
      } catch {
        // It was quicker.
      }
      const end = await Promise.race([ended, sleep(20_000)]);
      tally.check(end !== undefined, () => 'a process lives on 20 s after the kill');
      if (end?.code) tally.check(!/locked|\n\s+at /.test(end.err), () => end.err.slice(0, 300));
      if (verb.appearsWhole && existsSync(out)) {
        const left = await verb.digest(out).catch((error) => String(error));
        tally.check(left === whole, () => `the output is torn after a kill: ${left}`);
      }
    }
    const end = await start(args, folder).ended;
    // A verb that writes a new folder only may find the one that a killed call had just put in place.
    const isDone = end.code === 0 || (verb.appearsWhole && /files\/exists/.test(end.err));
    const digest = isDone ? await verb.digest(out).catch(String) : `exit ${end.code}: ${end.err}`;
    tally.check(digest === whole, () => `not what an undisturbed run leaves: ${digest}`);
    tally.check(leftovers(folder, verb.output).length === 0, () => `left: ${leftovers(folder, verb.output)}`);
    rmSync(out, { recursive: true, force: true });
  }
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  return tally;
}

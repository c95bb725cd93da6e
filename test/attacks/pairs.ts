import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../../src/random.ts';
import { Tally } from './tally.ts';
import { leftovers, prepare, start, type Verb } from './work.ts';

/**
 * Starts a verb twice at once with the same output. One does the work; the other refuses, naming what is in its way, or
 * comes late and finds it done. The output is that of one run.
 */
export async function pair(verb: Verb, pairs: number, folder: string, random: Random): Promise<Tally> {
  const tally = new Tally(`pairs at once: ${verb.name}`);
  await prepare(verb, folder);
  const out = join(folder, verb.output);
  const args = verb.args(folder, out);
  await start(args, folder).ended;
  const whole = await verb.digest(out);
  for (; tally.tries < pairs; tally.tries++) {
    rmSync(out, { recursive: true, force: true });
    const both = await Promise.all([
      start(args, folder).ended,
      sleep(random.uniform() ** 3 * 200).then(() => start(args, folder).ended),
    ]);
    const done = both.filter(({ code }) => code === 0).length;
    const refused = both.filter(({ err }) => /error \[(files|training)\/(locked|exists)\]/.test(err)).length;
    tally.check(
      done >= 1 && done + refused === 2,
      () => `${done} done, ${refused} refused: ${both.map(({ err }) => err).join()}`,
    );
    const digest = await verb.digest(out).catch(String);
    tally.check(digest === whole, () => `not the output of one run: ${digest}`);
    tally.check(leftovers(folder, verb.output).length === 0, () => `left: ${leftovers(folder, verb.output)}`);
  }
  rmSync(folder, { recursive: true, force: true });
  return tally;
}

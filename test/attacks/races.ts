import { type ChildProcess, fork } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { thisHolder } from '../../src/files/holder.ts';
import type { Random } from '../../src/random.ts';
import { Tally } from './tally.ts';

export interface RaceRequest {
  readonly path: string;
  readonly withoutKernel: boolean;
  /** Wall-clock time (ms) at which all begin. */
  readonly at: number;
  readonly hold: number;
}
export type RaceReply = 'held' | 'locked' | 'two' | { readonly error: string };

/**
 * Processes that race for a lock whose holder was killed, all at the same moment. At most one may hold it at a time:
 * while it does it makes a file that only one can make.
 */
export async function race(races: number, folder: string, random: Random, racers = 8): Promise<Tally> {
  const tally = new Tally(`races for a stale lock, ${racers} processes`);
  mkdirSync(folder, { recursive: true });
  const script = fileURLToPath(new URL('./racer.ts', import.meta.url));
  const children = Array.from({ length: racers }, () => fork(script, { execArgv: [] }));
  await Promise.all(children.map((child) => ask(child, undefined)));
  for (; tally.tries < races; tally.tries++) {
    const path = join(folder, 'run.lock');
    const withoutKernel = random.below(2) === 0;
    // A holder that has ended: this process's number, and another start.
    writeFileSync(
      path,
      JSON.stringify({ ...thisHolder(random.uint32().toString(16).padStart(16, '0')), started: '1' }),
    );
    const request = { path, withoutKernel, at: Date.now() + 4, hold: random.below(3) };
    const replies = await Promise.all(children.map((child) => ask(child, request)));
    const bad = replies.filter((reply) => reply === 'two' || typeof reply === 'object');
    tally.check(bad.length === 0, () => JSON.stringify(bad));
    tally.check(replies.includes('held'), () => 'nobody was given the lock of a dead holder');
    const left = readdirSync(folder);
    tally.check(left.length === 0, () => `left: ${left}`);
    for (const name of left) rmSync(join(folder, name));
  }
  for (const child of children) child.disconnect();
  return tally;
}

function ask(child: ChildProcess, request: RaceRequest | undefined): Promise<RaceReply> {
  return new Promise((resolve) => {
    child.once('message', (reply) => resolve(reply as RaceReply));
    if (request !== undefined) child.send(request);
  });
}

/**
 * Loses a random rank at a random moment, again and again, by hand:
 *
 *     node test/distributed/lose.ts [times=50] [ranks=3] [timeout=5] [seed=1]
 *
 * Each time a run is started or gone on with; SIGKILL or SIGSTOP goes to one of its ranks; the others must end within the
 * timeout and ten seconds, each with a sentence that names the rank. A run that comes to its end must be, bit for bit, what it is
 * without any loss. Prints a line a loss, and ends with 1 where anything was otherwise.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Random } from '../../src/random.ts';
import type { RankRun } from '../training/rank-child.ts';
import { type Rank, startRanks, until } from './ranks.ts';

const options = new Map(process.argv.slice(2).map((word) => word.split('=') as [string, string]));
const option = (name: string, otherwise: number) => Number(options.get(name) ?? otherwise);
const [times, size, timeout] = [option('times', 50), option('ranks', 3), option('timeout', 5)];
const random = new Random(option('seed', 1));
const child = fileURLToPath(new URL('../training/rank-child.ts', import.meta.url));
const root = mkdtempSync(join(tmpdir(), 'penumbra-lose-'));

const runIn = (folder: string): RankRun => ({
  folder: join(root, folder),
  settings: {
    model: 'flat-dropout',
    objective: 'ols',
    epochs: 150,
    batchSize: 8,
    mixup: 0.2,
    threads: 1,
    precision: 'float32',
    checkpointSteps: 7,
    evaluateEvery: 10,
  },
  announce: true,
  timeout,
});

const start = (folder: string) => startRanks(size, [child, JSON.stringify(runIn(folder))]);
const weights = (folder: string) => readFileSync(join(root, folder, 'model.safetensors'));
let faults = 0;

function fault(what: string): void {
  faults++;
  console.log(`FAULT: ${what}`);
}

/** False where the run had come to its end before. */
async function lose(ranks: readonly Rank[], number: number): Promise<boolean> {
  const lost = random.below(size);
  const signal = random.below(2) === 0 ? 'SIGKILL' : 'SIGSTOP';
  await until(ranks[0]!, /training|finished/, 500);
  await sleep(random.below(1200));
  const victim = ranks[lost]!;
  if (victim.child.exitCode !== null || ranks[0]!.stdout() !== '') return false;
  victim.child.kill(signal);
  const at = performance.now();
  const others = ranks.filter((_, rank) => rank !== lost);
  await Promise.race([Promise.all(others.map(({ ended }) => ended)), sleep(1000 * (timeout + 60))]);
  const seconds = (performance.now() - at) / 1000;
  victim.child.kill('SIGKILL');
  const ended = others.map(({ child: { exitCode, signalCode } }) => exitCode ?? signalCode);
  // Its last step may just have been done.
  if (ended.every((code) => code === 0)) return true;
  console.log(
    `${number}: ${signal} of rank ${lost}: the others ended with ${ended} after ${seconds.toFixed(1)} s`,
  );
  if (seconds > timeout + 10) fault(`they took ${seconds.toFixed(1)} s`);
  for (const { stderr } of others)
    if (!stderr().includes(`rank ${lost} of ${size} (process ${victim.child.pid}) was lost`)) fault(stderr());
  return true;
}

for (const { ended, stderr } of await start('straight')) {
  const { code } = await ended;
  if (code !== 0) throw new Error(stderr());
}
let folder = 0;
let resumed = 0;
for (let number = 1; number <= times; ) {
  const ranks = await start(String(folder));
  if (await lose(ranks, number)) {
    number++;
    resumed++;
    continue;
  }
  for (const { ended } of ranks) await ended;
  if (!weights(String(folder)).equals(weights('straight'))) fault(`run ${folder} has other weights`);
  else console.log(`run ${folder} was lost ${resumed} times and has the weights of one that was not`);
  folder++;
  resumed = 0;
}
const last = await start(String(folder));
for (const { ended } of last) await ended;
if (!weights(String(folder)).equals(weights('straight'))) fault(`run ${folder} has other weights`);
else console.log(`run ${folder} was lost ${resumed} times and has the weights of one that was not`);
rmSync(root, { recursive: true });
console.log(`${times} losses, ${faults} faults`);
process.exitCode = faults === 0 ? 0 : 1;

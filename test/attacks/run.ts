/**
 * The attacks at full size, by hand: `npm run attack -- [kills] [pairs] [races] [inputs] [markers] [cases]`, each
 * with a number behind `=` where the usual is not wanted: `kills=100`. Without names, all. Prints the rows of
 * docs/attacks.md; exits with 1 where anything failed.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Random } from '../../src/random.ts';
import { tryCases } from './cases.ts';
import { kill } from './kills.ts';
import { plantMarkers } from './markers.ts';
import { bombAll, mutateAll } from './mutate.ts';
import { pair } from './pairs.ts';
import { race } from './races.ts';
import type { Tally } from './tally.ts';
import { verbs } from './work.ts';

const usual: Record<string, number> = {
  kills: 100,
  pairs: 100,
  races: 500,
  inputs: 1_000_000,
  markers: 500,
  cases: 1,
};
const asked = process.argv.slice(2).map((arg) => arg.split('='));
const wanted = Object.fromEntries(
  asked.length === 0 ? Object.entries(usual) : asked.map(([name, n]) => [name, Number(n ?? usual[name!])]),
);
const seed = Number(process.env.ATTACK_SEED ?? Date.now() % 1e6);
const only = process.env.ATTACK_VERB;
const random = new Random(seed);
const folder = mkdtempSync(join(tmpdir(), 'penumbra-attacks-'));
let failed = false;

function show(tally: Tally): void {
  process.stdout.write(`${tally.row()}\n`);
  for (const failure of tally.failures.slice(0, 5)) process.stdout.write(`  ${failure}\n`);
  failed ||= tally.failures.length > 0;
}

process.stdout.write(`seed ${seed}\n`);
const chosen = verbs.filter(({ name }) => only === undefined || name.startsWith(only));
if (wanted.cases) show(await tryCases(join(folder, 'cases')));
if (wanted.races) show(await race(wanted.races, join(folder, 'races'), random));
if (wanted.inputs) {
  show(await bombAll(join(folder, 'bombs')));
  for await (const tally of mutateAll(wanted.inputs, join(folder, 'inputs'), random)) show(tally);
}
if (wanted.markers) show(await plantMarkers(wanted.markers, join(folder, 'markers')));
if (wanted.kills)
  for (const verb of chosen) show(await kill(verb, wanted.kills, join(folder, 'kills'), random));
if (wanted.pairs)
  for (const verb of chosen) show(await pair(verb, wanted.pairs, join(folder, 'pairs'), random));
rmSync(folder, { recursive: true, force: true });
process.exitCode = failed ? 1 : 0;

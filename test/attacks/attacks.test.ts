/** The attacks at a size for every day; at full size by hand: `npm run attack`. See docs/attacks.md. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { Random } from '../../src/random.ts';
import { tryCases } from './cases.ts';
import { kill } from './kills.ts';
import { plantMarkers } from './markers.ts';
import { bombAll, mutateAll } from './mutate.ts';
import { pair } from './pairs.ts';
import { race } from './races.ts';
import type { Tally } from './tally.ts';
import { verbs } from './work.ts';

const minutes = 60_000;
const folder = mkdtempSync(join(tmpdir(), 'penumbra-attacks-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const random = new Random(9);
const quick = verbs.filter(({ name }) => name !== 'train' && name !== 'compare');

function expectNone(tally: Tally, tries: number): void {
  expect(tally.failures).toEqual([]);
  expect(tally.tries).toBeGreaterThanOrEqual(tries);
}

test('cases of overwriting, paths and same files', { timeout: 20 * minutes }, async () => {
  expectNone(await tryCases(join(folder, 'cases')), 30);
});

test('races for a stale lock', { timeout: 5 * minutes }, async () => {
  expectNone(await race(20, join(folder, 'races'), random, 6), 20);
});

test('mutated inputs', { timeout: 10 * minutes }, async () => {
  expectNone(await bombAll(join(folder, 'bombs')), 6);
  for await (const tally of mutateAll(8000, join(folder, 'inputs'), random)) expectNone(tally, 100);
});

test('planted markers', { timeout: 20 * minutes }, async () => {
  expectNone(await plantMarkers(50, join(folder, 'markers')), 50);
});

test.each(quick)('kills of $name', { timeout: 10 * minutes }, async (verb) => {
  expectNone(await kill(verb, 3, join(folder, 'kills'), random), 3);
});

test.each(quick)('two at once of $name', { timeout: 10 * minutes }, async (verb) => {
  expectNone(await pair(verb, 1, join(folder, 'pairs'), random), 1);
});

import { expect, test } from 'vitest';
import { Random } from '../src/random.ts';
import { growth } from './growth.ts';

/** What `growth` makes of memory that is a function of the steps, and after how many steps. */
async function seen(memory: (steps: number) => number): Promise<{ perStep: number; steps: number }> {
  let steps = 0;
  const perStep = await growth(
    (until) => {
      steps = until;
    },
    () => memory(steps),
    200,
  );
  return { perStep, steps };
}

test.each([
  ['flat', () => 240e6, 10_000],
  ['15 MB that come over the first 10,000 steps', (n: number) => 15e6 * Math.min(1, n / 10_000), 20_000],
  ['12 MB that come late, at once', (n: number) => (n > 30_000 ? 12e6 : 0), 10_000],
  ['a slow approach', (n: number) => 30e6 * (1 - Math.exp(-n / 15_000)), 80_000],
])('steady: %s', async (_, memory, steps) => {
  const found = await seen(memory);
  expect(found.perStep).toBeLessThan(200);
  expect(found.steps).toBe(steps);
});

test.each([300, 1000])('a leak of %i bytes a step is found under 2 MB of noise', async (leak) => {
  const random = new Random(leak);
  const found = await seen((n) => leak * n + 2e6 * Math.max(0, 1 - n / 5000) + 2e5 * random.normal());
  expect(found.perStep).toBeGreaterThan(200);
  expect(found.steps).toBe(160_000);
});

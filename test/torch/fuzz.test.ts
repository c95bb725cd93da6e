import { expect, test } from 'vitest';
import { crashingOperators, fuzz } from './fuzz.ts';
import { fuzzedSchemas } from './fuzz-calls.ts';

const CALLS = 100_000;

/** In child processes, so that a crash is a failed test that names the operator. */
test(`${CALLS} calls of operators with random arguments, of the right types and of others: no crash, no hang`, async () => {
  const result = await fuzz(CALLS, 2026);
  expect(result.failures).toEqual([]);
  expect(result.improper).toEqual([]);
  const refused = Object.values(result.refused).reduce((sum, count) => sum + count, 0);
  expect(result.returned + refused).toBe(CALLS);
  // The arguments are good enough to get past the checks, and bad enough to meet every one of them.
  expect(result.returned).toBeGreaterThan(CALLS / 10);
  for (const code of [
    'torch/operator',
    'torch/argument-type',
    'torch/argument-value',
    'torch/missing-argument',
    'torch/needs-generator',
  ])
    expect(result.refused[code], code).toBeGreaterThan(0);
}, 600_000);

test(`${Object.keys(crashingOperators).length} operators are left out of the fuzz, each for a reason`, () => {
  const all = new Set(fuzzedSchemas([]).map((schema) => schema.name)).size;
  const left = new Set(fuzzedSchemas(Object.keys(crashingOperators)).map((schema) => schema.name)).size;
  expect(left).toBeGreaterThan(0.95 * all);
  for (const [name, reason] of Object.entries(crashingOperators))
    expect(reason.length, name).toBeGreaterThan(20);
});

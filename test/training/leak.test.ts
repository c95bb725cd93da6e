import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const child = fileURLToPath(new URL('./leak-child.ts', import.meta.url));
const MB = 1e6;

test.each([
  ['float32', 'ols', '0'],
  ['bfloat16', 'ols', '0'],
  ['float32', 'tfkd-self', '0.2'],
])('10,000 steps in %s with %s and mixup %s leave nothing behind', { timeout: 300_000 }, (...settings) => {
  const output = execFileSync(process.execPath, ['--expose-gc', child, ...settings], { encoding: 'utf8' });
  const { step, tensors, resident, collected } = JSON.parse(output) as {
    step: number;
    tensors: number[];
    resident: number[];
    collected: number;
  };
  expect(step).toBe(10_000);
  expect(tensors, 'different numbers of live tensors after a step').toHaveLength(1);
  // Scopes release everything; the garbage collector finds nothing to do.
  expect(collected).toBe(0);
  expect(resident).toHaveLength(10);
  // After a warm-up of 2,000 steps, over 8,000: the median slope, which one late growth of V8's heap does not move.
  expect(medianSlope(resident.slice(1)), 'bytes per 1,000 steps').toBeLessThan(MB);
});

/** Theil–Sen: the median of the slopes between all pairs of points, per position. */
function medianSlope(values: readonly number[]): number {
  const slopes = values.flatMap((a, i) => values.slice(i + 1).map((b, j) => (b - a) / (j + 1)));
  return slopes.sort((a, b) => a - b)[slopes.length >> 1]!;
}

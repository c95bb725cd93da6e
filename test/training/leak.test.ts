import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const child = fileURLToPath(new URL('./leak-child.ts', import.meta.url));
/** Bytes a step: a lost tensor of one element is some 300. */
const LIMIT = 200;

test.each([
  ['float32', 'ols', '0'],
  ['bfloat16', 'ols', '0'],
  ['float32', 'tfkd-self', '0.2'],
])('10,000 steps in %s with %s and mixup %s leave nothing behind', { timeout: 600_000 }, (...settings) => {
  const output = execFileSync(process.execPath, ['--expose-gc', child, ...settings, String(LIMIT)], {
    encoding: 'utf8',
  });
  const { step, tensors, perStep, collected } = JSON.parse(output) as {
    step: number;
    tensors: number[];
    perStep: number;
    collected: number;
  };
  expect(step).toBeGreaterThanOrEqual(10_000);
  expect(tensors, 'different numbers of tensors after a step').toHaveLength(1);
  // Scopes release everything; the garbage collector finds nothing to do.
  expect(collected).toBe(0);
  expect(perStep, `bytes a step, seen after ${step}`).toBeLessThan(LIMIT);
});

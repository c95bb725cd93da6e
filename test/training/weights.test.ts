import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import type { WeightsFixture } from './weights-child.ts';

// What `node test/training/weights-child.ts` prints in the environment `portable`, by the code of before Task and Objective.
const fixture = JSON.parse(
  readFileSync(new URL('../fixtures/training/weights.json', import.meta.url), 'utf8'),
) as WeightsFixture;
const child = fileURLToPath(new URL('./weights-child.ts', import.meta.url));

/** Instructions that every x64 processor has, so that their sums are rounded alike. */
const portable = {
  ATEN_CPU_CAPABILITY: 'default',
  ONEDNN_MAX_CPU_ISA: 'SSE41',
  MKL_CBWR: 'COMPATIBLE',
};

// Under a minute of one processor; a busy machine may take its time.
vi.setConfig({ testTimeout: 1_800_000, hookTimeout: 1_800_000 });

describe('what every objective trains is what it always was', () => {
  let found: WeightsFixture;

  beforeAll(() => {
    const { stdout, stderr, status } = spawnSync(process.execPath, [child], {
      encoding: 'utf8',
      env: { ...process.env, ...portable },
    });
    expect(status, stderr).toBe(0);
    found = JSON.parse(stdout) as WeightsFixture;
    expect(Object.keys(found.runs)).toEqual(Object.keys(fixture.runs));
  });

  test.each(Object.entries(fixture.runs))('%s', (name, expected) => {
    const run = found.runs[name]!;
    // Where plain operators round as on the machine of the fixture, every bit is the same.
    if (found.probe === fixture.probe) expect(run).toEqual(expected);
    // Elsewhere rounding grows: with AVX2 instructions the losses of six steps differ by up to 1.5 %.
    for (const [epoch, loss] of run.losses.entries())
      expect(Math.abs(loss / expected.losses[epoch]! - 1), `loss of epoch ${epoch + 1}`).toBeLessThan(0.05);
  });
});

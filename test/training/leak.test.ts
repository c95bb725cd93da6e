import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const child = fileURLToPath(new URL('./leak-child.ts', import.meta.url));
const MB = 1e6;

test.each(['float32', 'bfloat16'])(
  '10,000 steps in %s leave nothing behind',
  { timeout: 300_000 },
  (precision) => {
    const output = execFileSync(process.execPath, ['--expose-gc', child, precision], { encoding: 'utf8' });
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
    // After a warm-up of 2,000 steps, over 8,000.
    expect((resident[9]! - resident[1]!) / 8, 'bytes per 1,000 steps').toBeLessThan(MB);
  },
);

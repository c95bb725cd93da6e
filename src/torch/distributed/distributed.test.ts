import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { type Rank, startRanks, until } from '../../../test/distributed/ranks.ts';
import { available } from './index.ts';

const member = fileURLToPath(new URL('../../../test/distributed/member.ts', import.meta.url));
// Seconds on an idle machine.
vi.setConfig({ testTimeout: 400_000 });

let ranks: Rank[] = [];
afterEach(() => {
  for (const { child } of ranks) child.kill('SIGKILL');
});

async function start(size: number, scenario: string, options: Parameters<typeof startRanks>[2] = {}) {
  ranks = await startRanks(size, [member, scenario], options);
  return ranks;
}

/** What the scenarios that train print. */
interface Trained {
  readonly hash: string;
  /** The first numbers of each parameter. */
  readonly some: Readonly<Record<string, readonly number[]>>;
}

/** What each rank printed in the end. */
async function results<R = Trained>(size: number, scenario: string): Promise<R[]> {
  await start(size, scenario);
  for (const { ended, stderr } of ranks) {
    const { code } = await ended;
    expect(code, stderr()).toBe(0);
    expect(stderr()).toBe('');
  }
  return ranks.map(({ stdout }) => JSON.parse(stdout()));
}

describe.skipIf(!available())('processes together (this LibTorch has c10d)', () => {
  test('collectives: sums, extremes, tensors in any memory order, numbers and texts', async () => {
    const found = await results<object>(3, 'collectives');
    for (const one of found)
      expect(one).toEqual({
        sum: [6, 6, 9],
        most: [2, 0],
        sent: new Array(24).fill(1),
        gathered: [0, 1, 2],
        numbers: [0.1 + 0.1 + 0.1, 3].map((value) => expect.closeTo(value, 15)),
        texts: ['', 'é', 'éé'],
        text: 'of rank 2: ü',
        empty: '',
      });
  });

  test('training: the weights are equal on all ranks, the same on repetition, and those of one process with the whole batch', async () => {
    const [whole] = await results(1, 'whole');
    for (const size of [2, 4]) {
      const once = await results(size, 'train');
      const hashes = new Set(once.map(({ hash }) => hash));
      expect(hashes.size, `${size} ranks`).toBe(1);
      expect((await results(size, 'train'))[0]!.hash).toBe(once[0]!.hash);
      for (const [name, values] of Object.entries(whole!.some))
        values.forEach((value, i) => {
          expect(once[0]!.some[name]![i], `${name} ${i}`).toBeCloseTo(value, 6);
        });
    }
  });

  test('a parameter without a part in the loss, and a rank without a batch, hold nobody up', async () => {
    for (const scenario of ['unused', 'idle']) {
      const found = await results(2, scenario);
      expect(found[0]!.hash, scenario).toBe(found[1]!.hash);
    }
  });

  test("batch norm over three ranks, one of them without images, is LibTorch's of the whole batch", async () => {
    for (const found of await results<Record<string, number>>(3, 'norm')) {
      for (const [what, error] of Object.entries(found)) {
        // Inputs near 30 lose five bits to their mean; outputs of bfloat16 up to 8 are rounded by 1/64.
        const tolerance = what.startsWith('float64') ? 1e-12 : what.startsWith('float32') ? 2e-4 : 0.02;
        expect(error, what).toBeLessThan(tolerance);
      }
      expect(Object.keys(found)).toHaveLength(21);
    }
  });

  test('parameters that differ are an error that says how, and no crash', async () => {
    await start(2, 'different');
    for (const { ended, stderr } of ranks) {
      expect((await ended).code).toBe(1);
      expect(stderr()).toContain(
        'rank 1 has other parameters than rank 0: 7 with float32 32×3×3×3, there 7 with float32 64×3×3×3',
      );
    }
  });

  test('an error of one rank is told by all the others', async () => {
    await start(3, 'fails');
    for (const { ended } of ranks) expect((await ended).code).toBe(1);
    for (const { stderr } of ranks.slice(0, 2))
      expect(stderr()).toMatch(/^rank 2 of 3 \(process \d+\) ended with an error: the disk is full$/m);
    expect(ranks[2]!.stderr()).toContain('the disk is full');
  });

  test.each([
    [1, 'SIGKILL', 60],
    [0, 'SIGKILL', 60],
    [2, 'SIGSTOP', 8],
    [0, 'SIGSTOP', 8],
  ] as const)('rank %i and %s: the others end with its name', async (lost, signal, timeout) => {
    await start(3, 'forever', { env: { RANK_TIMEOUT: String(timeout) } });
    for (const rank of ranks) await until(rank, 'ready');
    const { child } = ranks[lost]!;
    const at = performance.now();
    child.kill(signal);
    const others = ranks.filter((_, rank) => rank !== lost);
    for (const { ended } of others) expect((await ended).code).toBe(1);
    // Far below the timeout where the connection says that it ended.
    expect(performance.now() - at).toBeLessThan(1000 * 50);
    for (const { stderr } of others)
      expect(stderr()).toContain(`rank ${lost} of 3 (process ${child.pid}) was lost`);
  });

  test('a rank that never comes is named', async () => {
    await start(3, 'collectives', { ranks: [0, 2], env: { JOIN_TIMEOUT: '8' } });
    for (const { ended, stderr } of ranks) {
      expect((await ended).code).toBe(1);
      expect(stderr()).toContain('rank 1 of 3 did not come');
    }
  });
});

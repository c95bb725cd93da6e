import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { createAssessor } from '../rules/assess.ts';
import { ThreadQueue, usefulThreads } from './threads.ts';

const folder = mkdtempSync(join(tmpdir(), 'penumbra-threads-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const small = join(folder, 'small.csv');
writeFileSync(small, 'id,text\n');
const large = join(folder, 'large.csv');
writeFileSync(large, '');
truncateSync(large, 64 << 20);

const { version } = createAssessor();
const source = { extractor: 'rules', flags: {}, module: '' };
const queue = (count: number | 'auto', input: string, own = source) =>
  new ThreadQueue({ count, source: own }, input, version, false, () => {});
const untilTaken = async (threads: ThreadQueue, extracted: number): Promise<boolean> => {
  for (let i = 0; i < 600 && !threads.takes(extracted); i++) await new Promise((go) => setTimeout(go, 100));
  return threads.takes(extracted);
};

describe('when threads judge', () => {
  test('never with one job, at once with several', () => {
    using one = queue(1, large);
    expect(one.takes(1e6)).toBe(false);
    using two = queue(2, small);
    expect(two.takes(0)).toBe(true);
  });

  test.skipIf(availableParallelism() === 1)(
    'auto: once the input is large, and not before all are open',
    async () => {
      expect(usefulThreads()).toBeGreaterThan(1);
      using a = queue('auto', small);
      expect(a.takes(0)).toBe(false);
      expect(a.takes(49_999)).toBe(false);
      expect(a.takes(50_000)).toBe(false); // they begin to open
      expect(await untilTaken(a, 50_000)).toBe(true);
      using b = queue('auto', large);
      expect(b.takes(0)).toBe(false);
      expect(await untilTaken(b, 0)).toBe(true);
    },
  );

  test('auto: threads that cannot be opened leave the work where it is', async () => {
    using threads = queue('auto', large, { ...source, module: 'file:///nowhere.ts' });
    expect(threads.takes(0)).toBe(false);
    await new Promise((go) => setTimeout(go, 2000));
    expect(threads.takes(0)).toBe(false);
  });
});

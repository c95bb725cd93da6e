import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { runNode } from '../../test/attacks/child.ts';
import { PenumbraError } from '../errors.ts';
import { type Holder, hasEnded, thisHolder } from './holder.ts';
import { takeLock, waitForLock } from './lock.ts';
import { lockReach, nfsLocksAtServer } from './lock-reach.ts';

const child = fileURLToPath(new URL('../../test/attacks/lock-child.ts', import.meta.url));
let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'penumbra-lock-'));
  path = join(folder, 'run.lock');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    return error instanceof PenumbraError ? error.code : String(error);
  }
  return 'nothing was thrown';
}
const record = (changes: Partial<Holder>) =>
  JSON.stringify({ ...thisHolder('00ff00ff00ff00ff'), ...changes });

describe.each([false, true])('a lock (without the kernel: %s)', (withoutKernel) => {
  test('keeps others out, in this process and in another, and names the holder', async () => {
    const lock = takeLock(path, { withoutKernel });
    expect(codeOf(() => takeLock(path, { withoutKernel }))).toBe('files/locked');
    const other = await runNode([child, path, '0', withoutKernel ? 'link' : 'kernel', 'end']);
    expect(other.out).toBe(`locked ${path.replace('.lock', '')} is in use by process ${process.pid}\n`);
    lock[Symbol.dispose]();
    expect(readdirSync(folder)).toEqual([]);
    takeLock(path, { withoutKernel })[Symbol.dispose]();
  });

  test('in a folder that is a file is refused with that reason', () => {
    const file = join(folder, 'file');
    writeFileSync(file, '');
    expect(() => takeLock(join(file, 'run.lock'), { withoutKernel })).toThrow(/is a file, not a folder/);
  });
  test('ends with a killed holder', async () => {
    const killed = await runNode([child, path, '1', withoutKernel ? 'link' : 'kernel', 'die']);
    expect(killed.signal).toBe('SIGKILL');
    expect(existsSync(path)).toBe(true);
    using lock = takeLock(path, { withoutKernel });
    lock.check();
    expect(readdirSync(folder)).toEqual(['run.lock']);
  });

  test('says when it is gone, and disposing leaves what came instead', () => {
    const lock = takeLock(path, { withoutKernel });
    rmSync(path);
    expect(codeOf(() => lock.check())).toBe('files/lost');
    const next = takeLock(path, { withoutKernel });
    lock[Symbol.dispose]();
    next.check();
    next[Symbol.dispose]();
  });

  test('is waited for', async () => {
    const first = takeLock(path, { withoutKernel });
    const heard: string[] = [];
    setTimeout(() => first[Symbol.dispose](), 150);
    using second = await waitForLock(path, { withoutKernel, onWait: (holder) => heard.push(holder) });
    second.check();
    expect(heard).toEqual([`process ${process.pid}`]);
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 30);
    await expect(waitForLock(path, { withoutKernel, signal: controller.signal })).rejects.toThrow('abort');
  });

  test('a live run of another host is refused by its name', () => {
    writeFileSync(path, record({ boot: 'ffffffff-0000', host: 'node7', pid: 4711 }));
    try {
      takeLock(path, { withoutKernel, what: 'runs/ols' });
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({
        code: 'files/locked',
        message: 'runs/ols is in use by process 4711 on node7',
        hint: `wait for it to end, or choose another place; if that host no longer works at it, delete ${path}`,
      });
    }
    expect(readFileSync(path, 'utf8')).toContain('node7');
  });
});

test('another host that is silent: taken over where the lock reaches everybody, and only there', () => {
  writeFileSync(path, record({ boot: 'ffffffff-0000', host: 'node7' }));
  const old = new Date(Date.now() - 600_000);
  utimesSync(path, old, old);
  if (lockReach(path) === 'everybody') takeLock(path)[Symbol.dispose]();
  else expect(codeOf(() => takeLock(path))).toBe('files/locked');
});

test('a torn or foreign lock file that nobody holds is no lock of the kernel, and no proof without it', () => {
  writeFileSync(path, '1234');
  expect(codeOf(() => takeLock(path, { withoutKernel: true }))).toBe('files/locked');
  takeLock(path)[Symbol.dispose]();
});

test('who has ended', () => {
  const me = thisHolder('a');
  expect(hasEnded(me)).toBe(false);
  expect(hasEnded({ ...me, started: '1' })).toBe(true);
  expect(hasEnded({ ...me, pidNamespace: 'pid:[1]', started: '1' })).toBe(false);
  expect(hasEnded({ ...me, boot: 'ffff', host: 'elsewhere' })).toBe(false);
});

test('an NFS that was mounted to lock for itself does not reach others', () => {
  const mount = (options: string) =>
    `90 22 0:50 / /home rw - nfs4 server:/home rw,vers=4.2,${options},addr=10.0.0.1\n`;
  expect(nfsLocksAtServer(50, mount('local_lock=none'))).toBe(true);
  expect(nfsLocksAtServer(50, mount('local_lock=flock'))).toBe(false);
  expect(nfsLocksAtServer(50, mount('nolock'))).toBe(false);
  expect(nfsLocksAtServer(51, mount('local_lock=none'))).toBe(false);
});

test.each(['kernel', 'link'])('a race for a stale lock (%s) has one winner at a time', async (kind) => {
  for (let round = 0; round < 2; round++) {
    await runNode([child, path, '0', kind, 'die']);
    const all = await Promise.all(Array.from({ length: 5 }, () => runNode([child, path, '20', kind, 'end'])));
    expect(all.map(({ err }) => err).join('')).toBe('');
    expect(all.filter(({ out }) => out.includes('two'))).toEqual([]);
    expect(all.some(({ out }) => out === 'held\n')).toBe(true);
    expect(readdirSync(folder)).toEqual([]);
  }
});

const canUnshare =
  spawnSync('unshare', ['--user', '--map-root-user', '--pid', '--fork', 'true']).status === 0;
describe.skipIf(!canUnshare)(
  'two containers on one folder (PID and UTS namespaces; skipped without unshare)',
  () => {
    const container = ['unshare', '--user', '--map-root-user', '--pid', '--uts', '--fork', '--kill-child'];
    test.each(['kernel', 'link'])('the second is refused, with the container named (%s)', async (kind) => {
      using _lock = takeLock(path, { withoutKernel: kind === 'link' });
      const second = await runNode([child, path, '0', kind, 'end'], { before: container });
      expect(second.out).toContain(`is in use by process ${process.pid} in another container`);
    });

    test('both inside containers, where both are process 1 or 2', async () => {
      const [first, second] = await Promise.all([
        runNode([child, path, '1500', 'kernel', 'end'], { before: container }),
        new Promise((resolve) => setTimeout(resolve, 700)).then(() =>
          runNode([child, path, '0', 'kernel', 'end'], { before: container }),
        ),
      ]);
      expect([first.out, second.out.slice(0, 6)].sort()).toEqual(['held\n', 'locked']);
    });
  },
);

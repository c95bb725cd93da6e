import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { takeLock } from '../../scripts/lib/lock.mjs';
import { clearStamp, hashInputs, isFresh, writeAtomically, writeStamp } from '../../scripts/lib/stamp.mjs';
import { temporaryFolder, writeTree } from './temporary.ts';

describe('the hash of the inputs', () => {
  test('does not change by itself, and changes with a content, a name, a word, and where a name ends', () => {
    const folder = temporaryFolder();
    const tree = (files: Record<string, string>) => {
      rmSync(join(folder, 'in'), { recursive: true, force: true });
      writeTree(join(folder, 'in'), files);
      return hashInputs({ paths: [join(folder, 'in')], words: ['w'] });
    };
    const hashes = [
      tree({ 'a.ts': '1', 'b/c.ts': '2' }),
      tree({ 'a.ts': '1', 'b/c.ts': '3' }),
      tree({ 'a.ts': '1', 'b/d.ts': '2' }),
      tree({ 'a.ts': '1' }),
      tree({ 'a.ts1': '' }),
      tree({}),
      hashInputs({ paths: [join(folder, 'absent')], words: ['v'] }),
      hashInputs({ words: ['v', 'w'] }),
      hashInputs({ words: ['vw'] }),
    ];
    expect(new Set(hashes).size).toBe(hashes.length);
    expect(tree({ 'b/c.ts': '2', 'a.ts': '1' })).toBe(hashes[0]);
  });

  test('leaves out what does not count', () => {
    const folder = temporaryFolder();
    writeTree(folder, { 'a.ts': '1' });
    const hash = () => hashInputs({ paths: [folder], accept: (path) => !path.endsWith('.test.ts') });
    const before = hash();
    writeTree(folder, { 'a.test.ts': 'expect' });
    expect(hash()).toBe(before);
    writeTree(folder, { 'b.ts': '' });
    expect(hash()).not.toBe(before);
  });
});

describe('a stamp', () => {
  test('holds for its key and its results, as they were', () => {
    const folder = temporaryFolder();
    const result = join(folder, 'result');
    writeFileSync(result, 'whole');
    expect(isFresh(folder, 'step', 'key', [result])).toBe(false);
    writeStamp(folder, 'step', 'key', [result]);
    expect(isFresh(folder, 'step', 'key', [result])).toBe(true);
    expect(isFresh(folder, 'step', 'other', [result])).toBe(false);
    writeFileSync(result, 'cut');
    expect(isFresh(folder, 'step', 'key', [result])).toBe(false);
    rmSync(result);
    expect(isFresh(folder, 'step', 'key', [result])).toBe(false);
  });

  test('is gone while its step works', () => {
    const folder = temporaryFolder();
    writeStamp(folder, 'step', 'key');
    clearStamp(folder, 'step');
    clearStamp(folder, 'step');
    expect(isFresh(folder, 'step', 'key')).toBe(false);
  });

  test('an atomic write leaves nothing beside the file', () => {
    const folder = temporaryFolder();
    writeAtomically(join(folder, 'deep/file'), 'text');
    expect(readdirSync(join(folder, 'deep'))).toEqual(['file']);
  });
});

describe('the lock', () => {
  test('lets one in at a time', async () => {
    const folder = temporaryFolder();
    const events: string[] = [];
    const first = await takeLock(folder);
    const second = takeLock(folder, (owner) => events.push(`waits for ${owner === process.pid}`)).then(
      (unlock) => {
        events.push('second');
        return unlock;
      },
    );
    await new Promise((resolve) => setTimeout(resolve, 400));
    events.push('first leaves');
    first();
    (await second)();
    expect(events).toEqual(['waits for true', 'first leaves', 'second']);
    expect(readdirSync(folder)).toEqual([]);
  });

  test.each([
    ['of a process that has ended', '999999999 1'],
    ['of a process whose id another one has now', `${process.pid} 1`],
    ['of a process that was killed before it wrote its name', ''],
  ])('is taken over: %s', async (_, content) => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'lock'), content);
    (await takeLock(folder))();
    expect(readdirSync(folder)).toEqual([]);
  });
});

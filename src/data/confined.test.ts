import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BatchLoader, openDataset } from './index.ts';

let folder: string;
const at = (...parts: string[]) => join(folder, ...parts);
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'penumbra-confined-'));
  const png = await sharp({ create: { width: 8, height: 8, channels: 3, background: '#777' } })
    .toColourspace('b-w')
    .png()
    .toBuffer();
  for (const name of ['a', 'b']) {
    mkdirSync(at('set', name), { recursive: true });
    for (let i = 0; i < 4; i++) writeFileSync(at('set', name, `${i}.png`), png);
  }
  writeFileSync(at('secret.png'), png);
  symlinkSync(at('secret.png'), at('set', 'a', 'link.png'));
  symlinkSync('/dev/zero', at('set', 'a', 'zero.png'));
  spawnSync('mkfifo', [at('set', 'a', 'pipe.png')]);
  writeFileSync(at('set', 'up.csv'), 'file,label\na/0.png,x\nb/0.png,y\n../secret.png,x\n');
  writeFileSync(at('set', 'absolute.csv'), `file,label\na/0.png,x\nb/0.png,y\n${at('secret.png')},x\n`);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function brokenOf(options: { allowOutside?: boolean } = {}) {
  const dataset = openDataset(at('set'), { fractions: { val: 0, test: 0 }, ...options });
  await using loader = new BatchLoader(dataset.splits.train!, { batchSize: 4, size: 8, workers: 0 });
  for await (const batch of loader.epoch(0)) batch.release();
  return Object.fromEntries(loader.broken.map(({ file, reason }) => [file, reason]));
}

test('links out of the folder, devices and pipes are broken files, not waited for', async () => {
  rmSync(at('set', 'up.csv'));
  rmSync(at('set', 'absolute.csv'));
  expect(await brokenOf()).toEqual({
    'a/link.png': expect.stringContaining('--allow-outside'),
    'a/zero.png': 'not a file',
    'a/pipe.png': 'not a file',
  });
  expect(Object.keys(await brokenOf({ allowOutside: true })).sort()).toEqual(['a/pipe.png', 'a/zero.png']);
});

test.each([
  ['../', () => 'file,label\na/0.png,x\nb/0.png,y\n../secret.png,x\n'],
  ['absolute paths', () => `file,label\na/0.png,x\nb/0.png,y\n${at('secret.png')},x\n`],
])('a table that leaves its folder by %s is refused unless told', (_, text) => {
  writeFileSync(at('set', 't.csv'), text());
  const open = (allowOutside: boolean) =>
    openDataset(at('set', 't.csv'), { allowOutside, fractions: { val: 0, test: 0 } });
  expect(() => open(false)).toThrow(expect.objectContaining({ code: 'files/outside' }));
  expect(open(true).splits.train!.length).toBe(3);
});

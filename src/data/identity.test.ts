import { cpSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { datasetIdentity, openDataset, subsetIdentity } from './index.ts';

let folder: string;
const at = (...parts: string[]) => join(folder, ...parts);
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'penumbra-identity-'));
  for (const split of ['train', 'test'])
    for (const name of ['a', 'b']) {
      mkdirSync(at('set', split, name), { recursive: true });
      for (let i = 0; i < 4; i++) writeFileSync(at('set', split, name, `${i}.png`), `${split}${name}${i}`);
    }
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));
const identity = (name = 'set') => datasetIdentity(openDataset(at(name)));

test('files: another content, size, name, label or split is other data; another place is not', () => {
  const before = identity();
  cpSync(at('set'), at('copy'), { recursive: true });
  expect(identity('copy')).toBe(before);
  const changes: (() => void)[] = [
    () => writeFileSync(at('copy', 'train', 'a', '1.png'), 'TRAINa1'.slice(0, 7)),
    () => writeFileSync(at('copy', 'test', 'a', '1.png'), 'longer than before'),
    () => renameSync(at('copy', 'train', 'a', '1.png'), at('copy', 'train', 'a', '9.png')),
    () => renameSync(at('copy', 'train', 'a', '1.png'), at('copy', 'train', 'b', '9.png')),
    () => renameSync(at('copy', 'train', 'a', '1.png'), at('copy', 'test', 'a', '9.png')),
    () => rmSync(at('copy', 'train', 'a', '1.png')),
  ];
  const seen = new Set([before]);
  for (const change of changes) {
    rmSync(at('copy'), { recursive: true });
    cpSync(at('set'), at('copy'), { recursive: true });
    change();
    seen.add(identity('copy'));
  }
  expect(seen.size).toBe(changes.length + 1);
});

test('memory: every pixel counts', () => {
  const phantom = { images: 40, size: 32 };
  const open = () => openDataset('phantom', { phantom });
  const [one, two] = [open(), open()];
  expect(datasetIdentity(one)).toBe(datasetIdentity(two));
  const { source } = two.splits.train!;
  if (source?.kind !== 'memory') throw new Error('phantoms are in memory');
  source.pixels[source.pixels.length - 7]! ^= 1;
  const three = { splits: { train: { ...two.splits.train!, source: { ...source } } } };
  const four = { splits: { train: { ...one.splits.train!, source: { ...one.splits.train!.source! } } } };
  expect(datasetIdentity(three)).not.toBe(datasetIdentity(four));
  expect(subsetIdentity(one.splits.train!)).not.toBe(subsetIdentity(one.splits.test!));
});

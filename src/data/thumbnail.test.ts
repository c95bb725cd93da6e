import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, expect, test } from 'vitest';
import { phantomDataset } from './phantom-dataset.ts';
import { imageThumbnail, thumbnail } from './thumbnail.ts';

const folder = mkdtempSync(join(tmpdir(), 'penumbra-thumbnail-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function pixelsOf(bytes: Uint8Array | undefined) {
  const { data, info } = await sharp(bytes!).greyscale().raw().toBuffer({ resolveWithObject: true });
  return { data, width: info.width, height: info.height };
}

test('a sample in memory is its own picture, as large as asked for', async () => {
  const { splits } = phantomDataset({ images: 40, size: 32 });
  const subset = splits.test!;
  const { data, width, height } = await pixelsOf(await thumbnail(subset, 2, 64));
  expect([width, height]).toEqual([64, 64]);
  const { source, rows } = subset;
  if (source?.kind !== 'memory') throw new Error('phantoms are in memory');
  const own = source.pixels.subarray(rows[2]! * 1024, (rows[2]! + 1) * 1024);
  const mean = (values: ArrayLike<number>) => Array.from(values).reduce((a, b) => a + b, 0) / values.length;
  expect(Math.abs(mean(data) - mean(own))).toBeLessThan(3);
});

test('12 bits in a 16-bit file are stretched: a nearly black square shows nothing', async () => {
  const dark = Uint16Array.from({ length: 400 }, (_, i) => (i * 4095) / 399);
  const png = await sharp(dark, { raw: { width: 20, height: 20, channels: 1 } })
    .toColourspace('grey16')
    .png()
    .toBuffer();
  writeFileSync(join(folder, 'dark.png'), png);
  const { data } = await pixelsOf(await imageThumbnail(folder, 'dark.png'));
  expect(Math.max(...data)).toBeGreaterThan(230);
  expect(Math.min(...data)).toBeLessThan(25);
});

test('what is missing, broken or outside the folder is no picture, and no error', async () => {
  writeFileSync(join(folder, 'broken.png'), 'not an image');
  for (const path of ['missing.png', 'broken.png', '../../etc/hostname'])
    expect(await imageThumbnail(folder, path), path).toBeUndefined();
});

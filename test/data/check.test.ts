import { copyFileSync, cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { checkData, tellDataset } from '../../src/cli/check-data.ts';
import { BatchLoader, checkImages, openDataset, resolveWindow } from '../../src/data/index.ts';
import { windowed } from '../../src/data/window.ts';
import { folderMaker, pictures } from './folder-maker.ts';

const maker = folderMaker('check');
afterAll(() => maker.dispose());

/** A 16-bit PNG whose pixels are `value(i)`. */
async function png16(path: string, value: (i: number) => number, side = 16): Promise<void> {
  mkdirSync(dirname(path), { recursive: true });
  const data = Uint16Array.from({ length: side * side }, (_, i) => value(i));
  await sharp(data, { raw: { width: side, height: side, channels: 1 } })
    .toColourspace('grey16')
    .png()
    .toFile(path);
}

async function said(work: () => unknown): Promise<string> {
  const write = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  try {
    await work();
    return write.mock.calls.map(([text]) => String(text)).join('');
  } finally {
    write.mockRestore();
  }
}

/** Class folders `train/a`, `train/b`, `test/a`, `test/b` of 12-bit images in 16-bit PNG, all different. */
async function twelveBit(): Promise<string> {
  const root = maker.make({ 'README.txt': 'x' });
  let seed = 1;
  for (const split of ['train', 'test'])
    for (const name of ['a', 'b'])
      for (let i = 0; i < 6; i++) {
        const own = seed++;
        await png16(join(root, split, name, `${i}.png`), (at) => (at * 37 + own * 101) % 4096);
      }
  return root;
}

describe('what is left out is said', () => {
  test('90 DICOM files in a class folder', async () => {
    const dicom = Buffer.concat([Buffer.alloc(128), Buffer.from('DICM')]);
    const files = Object.fromEntries(Array.from({ length: 90 }, (_, i) => [`train/b/${i}.dcm`, dicom]));
    const root = maker.make({
      ...pictures('train/a/1.png', 'train/b/x.png', 'test/a/1.png', 'test/b/1.png'),
      ...files,
      'train/a/Thumbs.db': 'x',
    });
    const dataset = openDataset(root);
    const text = await said(() => tellDataset(dataset, root));
    expect(text).toContain('note: 91 files are left out');
    expect(text).toMatch(/\.dcm: 90 \(train\/b\/0\.dcm, train\/b\/1\.dcm, train\/b\/10\.dcm, …\)/);
    expect(text).toContain('.db: 1 (train/a/Thumbs.db)');
    expect(text).toMatch(/hint: DICOM files are not read: convert them/);
  });

  test('a class or a split behind a link', async () => {
    const root = maker.make(
      pictures('train/a/1.png', 'train/b/1.png', 'test/a/1.png', 'test/b/1.png', 'other/1.png'),
    );
    const set = maker.make({});
    for (const name of ['train', 'test']) mkdirSync(join(set, name), { recursive: true });
    for (const name of ['train/a', 'train/b', 'test/a', 'test/b'])
      cpSync(join(root, name), join(set, name), { recursive: true });
    symlinkSync(join(root, 'other'), join(set, 'train/c'));
    symlinkSync(join(root, 'other'), join(set, 'val'));
    const dataset = openDataset(set);
    expect(dataset.skipped.map(({ file }) => file).sort()).toEqual(['train/c', 'val']);
    expect(await said(() => tellDataset(dataset, set))).toContain('2 files are left out');
  });

  test('a folder of DICOM is called so, with or without classes and endings', () => {
    const dicom = Buffer.concat([Buffer.alloc(128), Buffer.from('DICM')]);
    const folders: Record<string, Buffer>[] = [
      { 'a/1.dcm': dicom, 'b/2.dcm': dicom },
      { '1.dcm': dicom },
      { IM0001: dicom },
      { 'a/IM1': dicom, 'b/IM2': dicom },
    ];
    for (const folder of folders) {
      expect(() => openDataset(maker.make(folder))).toThrow(
        expect.objectContaining({ hint: expect.stringContaining('DICOM files are not read') }),
      );
    }
    expect(() => openDataset(maker.make({ 'a/1.txt': 'x', 'b/2.txt': 'x' }))).toThrow(
      /hold no PNG or JPEG, but 2 other files/,
    );
  });

  test('a class whose files are of another kind is named', () => {
    const root = maker.make({
      ...pictures('train/a/1.png', 'test/a/1.png'),
      'train/b/1.tif': 'x',
      'test/b/1.tif': 'x',
    });
    expect(() => openDataset(root)).toThrow(/test\/b\/ holds 1 files, and none is a PNG or JPEG/);
    const other = maker.make({
      ...pictures('train/a/1.png', 'train/b/2.png', 'test/a/1.png'),
      'test/b/1.dcm': 'x',
    });
    expect(() => openDataset(other)).toThrow(
      expect.objectContaining({ hint: expect.stringContaining('DICOM files are not read') }),
    );
  });
});

describe('a quick look before training', () => {
  test('finds broken images by their headers and ends, and copies, across splits first', async () => {
    const root = await twelveBit();
    const whole = readFileSync(join(root, 'train/a/0.png'));
    writeFileSync(join(root, 'train/a/1.png'), '');
    writeFileSync(join(root, 'train/a/2.png'), 'no image');
    writeFileSync(join(root, 'train/a/3.png'), whole.subarray(0, whole.length - 20));
    copyFileSync(join(root, 'test/b/0.png'), join(root, 'train/b/0.png'));
    copyFileSync(join(root, 'train/b/4.png'), join(root, 'train/b/5.png'));
    const dataset = openDataset(root);
    const found = await checkImages(dataset);
    expect(found.broken.map(({ file, reason }) => [file, reason.split(':')[0]])).toEqual([
      ['train/a/1.png', 'empty (0 bytes)'],
      ['train/a/2.png', 'neither PNG nor JPEG, by its first bytes'],
      ['train/a/3.png', 'truncated'],
    ]);
    expect(found.duplicates.map(({ name, other }) => [name, other.name])).toEqual([
      ['train/b/0.png', 'test/b/0.png'],
      ['train/b/5.png', 'train/b/4.png'],
    ]);
    expect(found).toMatchObject({ looked: 24, images: 24, unused: { greatest: expect.any(Number) } });

    const text = await said(() => checkData(dataset, {}, false));
    expect(text).toContain('warning: 3 images cannot be read and will be left out');
    expect(text).toContain('2 images are copies of another, 1 of them of one in another split');
    expect(text).toContain('train: train/b/0.png = test: test/b/0.png');
    expect(text).toMatch(
      /values up to 40\d\d of 65535 .*nearly black\n {2}hint: --window auto stretches 0 to 4095/,
    );
    expect(await said(() => checkData(dataset, { check: 'none' }, false))).toBe('');

    let kept = dataset;
    await said(async () => {
      kept = await checkData(dataset, { skipDuplicates: true }, true);
    });
    expect(kept.splits.test!.length).toBe(12);
    const names = Array.from({ length: kept.splits.train!.length }, (_, i) => kept.splits.train!.nameOf(i));
    expect(names).toHaveLength(10);
    expect(names).not.toContain('train/b/0.png');
    expect(names).toContain('train/b/4.png');
    expect((await checkImages(kept)).duplicates).toEqual([]);
  });

  test('a sample of a large set is spread over it', async () => {
    const dataset = openDataset(await twelveBit());
    const found = await checkImages(dataset, { most: 10 });
    expect(found).toMatchObject({ looked: 10, images: 24, broken: [], duplicates: [] });
  });

  test('a table can be read without rows whose files are missing or listed twice', () => {
    const rows = [
      'a.png,x',
      'gone.png,y',
      'b.png,y',
      'a.png,x',
      'c.png,y',
      'lost.png,x',
      'd.png,x',
      'e.png,y',
    ];
    const root = maker.make({
      ...pictures('a.png', 'b.png', 'c.png', 'd.png', 'e.png'),
      'labels.csv': `file,label\n${rows.join('\n')}\n`,
    });
    expect(() => openDataset(root, { skipDuplicates: true })).toThrow(
      /2 of 8 listed files are not under .*line 3, 7/,
    );
    expect(() => openDataset(root, { skipMissing: true })).toThrow(/was listed before/);
    const dataset = openDataset(root, { skipMissing: true, skipDuplicates: true, fractions: { test: 0.4 } });
    const names = Object.values(dataset.splits).flatMap((subset) =>
      Array.from({ length: subset.length }, (_, i) => subset.nameOf(i)),
    );
    expect(names.sort()).toEqual(['a.png', 'b.png', 'c.png', 'd.png', 'e.png']);
    expect(dataset.skipped).toEqual([
      { file: 'gone.png', reason: 'listed, and not there' },
      { file: 'lost.png', reason: 'listed, and not there' },
      { file: 'a.png', reason: 'listed by an earlier row' },
    ]);
  });
});

describe('intensity windows', () => {
  test('auto fills the range with 12-bit data, and is numbers', async () => {
    const root = await twelveBit();
    const { train } = openDataset(root).splits;
    const window = await resolveWindow('auto', train!);
    expect(window).toEqual({ low: 0, high: 4095 });
    const means = [];
    for (const each of [undefined, window]) {
      await using loader = new BatchLoader(train!, {
        batchSize: 12,
        size: 16,
        workers: 0,
        ...(each && { window: each }),
      });
      for await (const { images } of loader.epoch(0))
        means.push(images.reduce((sum, v) => sum + v, 0) / images.length);
    }
    expect(means[0]).toBeLessThan(-0.9); // Nearly black.
    expect(Math.abs(means[1]!)).toBeLessThan(0.1);
    expect(await resolveWindow({ percentile: [0, 100], per: 'set' }, train!)).toMatchObject({
      low: expect.any(Number),
      high: expect.any(Number),
    });

    const eight = openDataset(maker.make(pictures('train/a/1.png', 'train/b/1.png')));
    expect(await resolveWindow('auto', eight.splits.train!)).toBeUndefined();
  });

  test('values are stretched linearly, clipped, and by percentiles of the image itself', () => {
    const pixels = {
      data: Uint16Array.of(0, 100, 200, 300, 400),
      height: 1,
      width: 5,
      channels: 1,
      max: 65535,
    } as const;
    expect([...windowed(pixels, { low: 100, high: 300 }).data]).toEqual([0, 0, 32768, 65535, 65535]);
    // The least value with at least 20 % at or below it is 0, with 80 % it is 300.
    expect([...windowed(pixels, { percentile: [20, 80] }).data]).toEqual([0, 21845, 43690, 65535, 65535]);
    const flat = { ...pixels, data: new Uint16Array(5).fill(7) };
    expect([...windowed(flat, { percentile: [1, 99] }).data]).toEqual([0, 0, 0, 0, 0]);
    const eight = { ...pixels, data: Uint8Array.of(0, 50, 255, 1, 2), max: 255 } as const;
    expect(windowed(eight, { low: 0, high: 4095 })).toBe(eight);
  });
});

import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { BatchLoader, type OpenOptions, openDataset } from '../../src/data/index.ts';
import { PenumbraError } from '../../src/errors.ts';
import { makeZip, type ZipFile } from '../reports/zip-maker.ts';

const fixtures = fileURLToPath(new URL('../fixtures/data', import.meta.url));
const values = JSON.parse(readFileSync(join(fixtures, 'npz.json'), 'utf8')) as Record<
  'colour' | 'grey' | 'several',
  Record<string, number[]>
>;
const root = mkdtempSync(join(tmpdir(), 'penumbra-npz-'));
afterAll(() => rmSync(root, { recursive: true }));

describe('NumPy wrote', () => {
  test.each([
    ['colour', 3, 5, 4],
    ['grey', 1, 3, 2],
  ] as const)('%s.npz: all pixels and labels, in C order', (name, channels, height, width) => {
    const data = openDataset(join(fixtures, `${name}.npz`));
    const classes = name === 'colour' ? ['0', '1', '2'] : ['0', '1'];
    expect(data).toMatchObject({ format: 'npz', name: `${name}.npz`, classes, channels });
    expect(data.imageSize).toEqual({ height, width });
    for (const split of ['train', 'val', 'test'] as const) {
      const { source, labels, nameOf } = data.splits[split]!;
      if (source?.kind !== 'memory') throw new Error('in memory');
      expect([...source.pixels]).toEqual(values[name][`${split}_images`]);
      expect([...labels]).toEqual(values[name][`${split}_labels`]);
      expect(nameOf(1)).toBe(`${split}/1`);
    }
  });

  test('several labels an image: findings, by number or by the names of ChestMNIST', () => {
    const data = openDataset(join(fixtures, 'several.npz'));
    expect(data).toMatchObject({
      kind: 'findings',
      classes: Array.from({ length: 14 }, (_, k) => String(k)),
    });
    for (const split of ['train', 'val', 'test'] as const) {
      const { targets, length } = data.splits[split]!;
      expect([...targets.values]).toEqual(values.several[`${split}_labels`]);
      expect(targets.values).toHaveLength(14 * length);
    }
    const path = join(root, 'chestmnist_64.npz');
    copyFileSync(join(fixtures, 'several.npz'), path);
    expect(openDataset(path).classes.slice(0, 3)).toEqual(['atelectasis', 'cardiomegaly', 'effusion']);
    const two = openDataset(path, { classes: ['hernia', 'mass'] });
    const all = values.several.test_labels;
    expect([...two.splits.test!.targets.values]).toEqual(
      Array.from({ length: 5 }, (_, i) => [all[14 * i + 13], all[14 * i + 4]]).flat(),
    );
    expect(() => openDataset(path, { classes: ['hernai', 'mass'] })).toThrow(
      expect.objectContaining({
        code: 'data/unknown-finding',
        hint: expect.stringContaining("mean 'hernia'"),
      }),
    );
  });
});

test('batches, class names from info.json, and a validation part as the test split', async () => {
  const path = join(root, 'set.npz');
  copyFileSync(join(fixtures, 'colour.npz'), path);
  writeFileSync(join(root, 'info.json'), '{"classes": ["adipose", "mucus", "stroma"]}');
  const data = openDataset(path, { splits: { test: 'val' } });
  rmSync(join(root, 'info.json'));
  expect(data.classes).toEqual(['adipose', 'mucus', 'stroma']);
  expect(Object.keys(data.splits)).toEqual(['train', 'test']);
  const identity = { mean: [0], std: [1 / 255] } as const;
  await using loader = new BatchLoader(data.splits.test!, {
    batchSize: 4,
    size: 4,
    resize: 5,
    workers: 0,
    layout: 'NHWC',
    normalization: identity,
  });
  for await (const batch of loader.epoch(0)) {
    expect(batch.shape).toEqual([4, 4, 4, 3]);
    expect([...batch.labels]).toEqual([0, 1, 2, 0]);
  }
});

/** An array of bytes as `.npy`. */
function npy(shape: number[], bytes = Buffer.alloc(shape.reduce((a, b) => a * b, 1))): Buffer {
  const tuple = `(${shape.map((side) => `${side},`).join(' ')})`;
  const header = `{'descr': '|u1', 'fortran_order': False, 'shape': ${tuple}, }\n`;
  const head = Buffer.from('\x93NUMPY\x01\x00\0\0', 'latin1');
  head.writeUInt16LE(header.length, 8);
  return Buffer.concat([head, Buffer.from(header), bytes]);
}

const images = (n: number, side = 2): ZipFile => ({ name: 'train_images.npy', bytes: npy([n, side, side]) });
const labels = (...values: number[]): ZipFile => ({
  name: 'train_labels.npy',
  bytes: npy([values.length, 1], Buffer.from(values)),
});

let files = 0;
function open(zip: Buffer, options?: OpenOptions) {
  const path = join(root, `${files++}.npz`);
  writeFileSync(path, zip);
  return openDataset(path, options);
}

describe('archives', () => {
  test('of ZIP64, stored or deflated, with other members beside', () => {
    for (const zip64 of [false, true]) {
      for (const method of [0, 8]) {
        const other = { name: 'notes.npy', bytes: Buffer.from('no array') };
        const zip = makeZip([other, { ...images(3), method }, { ...labels(0, 1, 1), method }], { zip64 });
        expect(open(zip).splits.train).toMatchObject({ length: 3, labels: Int32Array.of(0, 1, 1) });
      }
    }
  });

  test.each<[string, Buffer, string, string]>([
    ['no zip', Buffer.from('not at all'), 'data/npz', 'no'],
    ['no arrays of a data set', makeZip([{ name: 'x.npy', bytes: npy([1]) }]), 'data/npz', 'train_images'],
    ['images without labels', makeZip([images(2)]), 'data/npz', 'train_labels is missing'],
    ['labels without images', makeZip([labels(0, 1)]), 'data/npz', 'train_images is missing'],
    ['too few labels', makeZip([images(3), labels(0, 1)]), 'data/npz', '2 train_labels for 3 images'],
    ['a wrong checksum', makeZip([{ ...images(2), claimCrc: 1 }, labels(0, 1)]), 'data/npz', 'checksum'],
    [
      'a bomb: more than is claimed',
      makeZip([{ ...images(2, 2000), claimSize: 1000 }, labels(0, 1)]),
      'data/npz',
      'unpacks to more',
    ],
    [
      'a bomb: 4 GiB are claimed',
      makeZip([{ ...images(2), claimSize: 0xfffffffe }, labels(0, 1)]),
      'data/npz',
      'the limit is',
    ],
    [
      'a volume',
      makeZip([{ name: 'train_images.npy', bytes: npy([2, 4, 4, 4]) }, labels(0, 1)]),
      'data/npy',
      '2×4×4×4',
    ],
    [
      'labels of another shape',
      makeZip([images(2), { name: 'train_labels.npy', bytes: npy([2, 1, 1]) }]),
      'data/npy',
      'labels are N×1',
    ],
  ])('%s: refused', (_, zip, code, what) => {
    expect(() => open(zip)).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(what) }),
    );
  });

  test('a label that is none of the classes', () => {
    expect(() => open(makeZip([images(3), labels(0, 1, 2)]), { classes: ['no', 'yes'] })).toThrow(
      expect.objectContaining({
        code: 'data/label-range',
        where: expect.objectContaining({ row: 2, label: 2 }),
      }),
    );
  });

  test('damaged ones are read or refused, never anything else', () => {
    const whole = makeZip([images(3), labels(0, 1, 1)]);
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.nat(255), fc.boolean(), (at, byte, cut) => {
        const broken = Buffer.from(whole);
        broken[at] = byte;
        try {
          open(cut ? broken.subarray(0, at) : broken);
        } catch (error) {
          expect(error).toBeInstanceOf(PenumbraError);
        }
      }),
      { numRuns: 300 },
    );
  });
});

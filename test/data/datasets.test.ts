import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, test } from 'vitest';
import {
  BatchLoader,
  type Dataset,
  type OpenOptions,
  openDataset,
  phantomDataset,
  type Subset,
  writePhantom,
} from '../../src/data/index.ts';

const picture = fileURLToPath(new URL('../fixtures/data/grey8.png', import.meta.url));
const root = mkdtempSync(join(tmpdir(), 'penumbra-datasets-'));
afterAll(() => rmSync(root, { recursive: true }));

let folders = 0;
/** A new folder of files: strings and buffers as they are, `true` for a small PNG. */
function make(files: Record<string, string | Buffer | true>): string {
  const folder = join(root, String(folders++));
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    if (content === true) copyFileSync(picture, path);
    else writeFileSync(path, content);
  }
  return folder;
}

const pictures = (...names: string[]) => Object.fromEntries(names.map((name) => [name, true as const]));
const namesOf = (subset: Subset | undefined) => Array.from(subset!.labels, (_, i) => subset!.nameOf(i));
const sizes = ({ splits }: Dataset) =>
  Object.fromEntries(Object.entries(splits).map(([k, v]) => [k, v.length]));

function idx(shape: number[], values: number[]): Buffer {
  const head = [0, 0, 8, shape.length, ...shape.flatMap((side) => [0, 0, side >> 8, side & 255])];
  return Buffer.from([...head, ...values]);
}
const images = (n: number, side = 2) => idx([n, side, side], Array(n * side * side).fill(7));
const labels = (...values: number[]) => idx([values.length], values);

describe('class folders', () => {
  test('with splits by folder name', () => {
    const data = openDataset(
      make({
        ...pictures('Training/b/1.png', 'Training/a/2.PNG', 'Training/a/deep/er/3.jpeg'),
        ...pictures('valid/a/4.png', 'valid/b/5.jpg', 'test/a/6.png', 'test/b/.hidden.png', 'test/b/7.png'),
        'test/b/notes.txt': 'x',
      }),
    );
    expect(data).toMatchObject({ format: 'folders', classes: ['a', 'b'], channels: 1, imageSize: undefined });
    expect(sizes(data)).toEqual({ train: 3, val: 2, test: 2 });
    expect(namesOf(data.splits.train)).toEqual([
      'Training/a/2.PNG',
      'Training/a/deep/er/3.jpeg',
      'Training/b/1.png',
    ]);
    expect([...data.splits.train!.labels]).toEqual([0, 0, 1]);
    expect(data.skipped).toEqual([{ file: 'test/b/notes.txt', reason: expect.stringContaining('.png') }]);
  });

  test('numbers sort as numbers, and fractions divide what names do not', () => {
    const files = Array.from({ length: 12 }, (_, k) => [
      `${k}/a.png`,
      `${k}/b.png`,
      `${k}/c.png`,
      `${k}/d.png`,
    ]).flat();
    const data = openDataset(make(pictures(...files)), { fractions: { test: 0.25 } });
    expect(data.classes).toEqual(['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '10', '11']);
    expect(sizes(data)).toEqual({ train: 36, test: 12 });
  });

  test('patients by an expression stay whole', () => {
    const files = Array.from({ length: 40 }, (_, p) =>
      ['L', 'R'].map((side) => `k${p % 2}/p${p}_${side}.png`),
    ).flat();
    const { splits } = openDataset(make(pictures(...files)), {
      group: '^(p\\d+)_',
      fractions: { val: 0.2, test: 0.2 },
    });
    const patients = Object.values(splits).map(
      (subset) => new Set(namesOf(subset).map((n) => n.match(/p\d+/)![0])),
    );
    expect(patients.map((set) => set.size).reduce((a, b) => a + b)).toBe(40);
    expect(new Set(Object.values(splits).flatMap(({ groups }) => [...groups!])).size).toBe(40);
  });
});

describe('tables', () => {
  const files = pictures('i/a.png', 'i/b.png', 'i/c, d.png', 'i/e.png');

  test('one with a split and a patient column, quoted fields and CRLF', () => {
    const table =
      'Patient,FILE,label,split\r\n7,i/a.png,x,train\r\n8,i/b.png,y,train\r\n9,"i/c, d.png",y,val\r\n1,i\\e.png,x,val\r\n';
    const data = openDataset(join(make({ ...files, 'all.csv': table }), 'all.csv'));
    expect(data).toMatchObject({ format: 'csv', classes: ['x', 'y'] });
    expect(namesOf(data.splits.val)).toEqual(['i/c, d.png', 'i/e.png']);
    expect([...data.splits.val!.labels]).toEqual([1, 0]);
    expect([...data.splits.train!.groups!]).toHaveLength(2);
  });

  test('one per split, columns by name, numbers as labels of named classes, a root', () => {
    const pictureRoot = make(files);
    const folder = make({
      'train.csv': 'where,what\na.png,1\nb.png,0\n',
      'test.csv': 'where,what\n"c, d.png",0\ne.png,1\n',
      'info.json': '{"classes": ["no", "yes"]}',
    });
    const data = openDataset(folder, {
      root: join(pictureRoot, 'i'),
      columns: { file: 'where', label: 'what' },
    });
    expect(data.classes).toEqual(['no', 'yes']);
    expect([...data.splits.train!.labels]).toEqual([1, 0]);
  });
});

describe('IDX', () => {
  test('splits by file name, gzip, colour, class and file names beside them', () => {
    const data = openDataset(
      make({
        'train-images-idx4-ubyte.gz': gzipSync(idx([4, 1, 2, 3], Array(24).fill(1))),
        'train-labels-idx1-ubyte.gz': gzipSync(labels(0, 1, 1, 0)),
        't10k-images.idx4-ubyte': idx([2, 1, 2, 3], Array(12).fill(1)),
        't10k-labels.idx1-ubyte': labels(1, 0),
        't10k-files.csv': 'index,file,patient\n0,u/a.png,1\n1,u/b.png,2\n',
        'info.json': '{"classes": ["no", "yes"]}',
      }),
    );
    expect(data).toMatchObject({
      format: 'idx',
      classes: ['no', 'yes'],
      channels: 3,
      imageSize: { height: 1, width: 2 },
    });
    expect(sizes(data)).toEqual({ train: 4, test: 2 });
    expect(namesOf(data.splits.test)).toEqual(['u/a.png', 'u/b.png']);
    expect(data.splits.train!.nameOf(2)).toBe('train/2');
  });

  test('a fraction that is asked for comes out of train', () => {
    const values = Array.from({ length: 40 }, (_, i) => i % 2);
    const folder = make({
      'train-images-idx3-ubyte': images(40),
      'train-labels-idx1-ubyte': labels(...values),
      'test-images-idx3-ubyte': images(2),
      'test-labels-idx1-ubyte': labels(0, 1),
    });
    expect(sizes(openDataset(folder))).toEqual({ train: 40, test: 2 });
    expect(sizes(openDataset(folder, { fractions: { val: 0.1, test: 0.5 } }))).toEqual({
      train: 36,
      val: 4,
      test: 2,
    });
    expect(sizes(openDataset(join(folder, 'train-images-idx3-ubyte')))).toEqual({ train: 40 });
  });
});

describe('named parts as other splits', () => {
  const folder = () =>
    make(
      pictures(
        ...['a', 'b'].flatMap((k) => Array.from({ length: 20 }, (_, i) => `train/${k}/p${i}_${k}.png`)),
        ...['validation/a/q1.png', 'validation/b/q2.png', 'validation/b/q3.png'],
      ),
    );

  test('the validation part as the test split, and a new validation split from train by patient', () => {
    const options = { splits: { test: 'val' }, fractions: { val: 0.25 }, group: '^(.\\d+)' } as const;
    const data = openDataset(folder(), options);
    expect(sizes(data)).toEqual({ train: 30, val: 10, test: 3 });
    expect(data.splits.test!.split).toBe('test');
    expect(namesOf(data.splits.test)).toEqual([
      'validation/a/q1.png',
      'validation/b/q2.png',
      'validation/b/q3.png',
    ]);
    const [train, val] = [data.splits.train!, data.splits.val!].map(({ groups }) => [...new Set(groups!)]);
    expect(new Set([...train, ...val]).size).toBe(train.length + val.length);
  });

  test('parts change places, and one whose name is taken is left out', () => {
    const swapped = openDataset(folder(), { splits: { train: 'validation', val: 'train' } });
    expect(sizes(swapped)).toEqual({ train: 3, val: 40 });
    expect(sizes(openDataset(folder(), { splits: { val: 'train' } }))).toEqual({ val: 40 });
  });
});

describe('data that contradict themselves are refused, with the place', () => {
  const two = pictures('a.png', 'b.png', 'c.png', 'd.png');
  const idxPair = { 'train-images-idx3-ubyte': images(3), 'train-labels-idx1-ubyte': labels(0, 1, 1) };
  const cases: [
    string,
    Record<string, string | Buffer | true>,
    OpenOptions,
    string,
    Record<string, unknown>,
  ][] = [
    [
      'a class missing from a split',
      pictures('train/a/1.png', 'train/b/2.png', 'val/a/3.png'),
      {},
      'data/missing-class',
      { split: 'val', class: 'b' },
    ],
    [
      'an empty class folder',
      { ...pictures('train/a/1.png'), 'train/b/x.txt': '' },
      {},
      'data/missing-class',
      { class: 'b' },
    ],
    [
      'an unknown class in val',
      pictures('train/a/1.png', 'train/b/2.png', 'val/c/3.png'),
      {},
      'data/unknown-class',
      { class: 'c' },
    ],
    [
      'folders that are splits and one that is not',
      pictures('train/a/1.png', 'other/a/2.png'),
      {},
      'data/split-names',
      {},
    ],
    ['two folders for one split', pictures('val/a/1.png', 'valid/a/2.png'), {}, 'data/split-names', {}],
    ['one class', pictures('a/1.png'), {}, 'data/classes', {}],
    [
      'a split that is left empty',
      pictures('a/1.png', 'b/2.png'),
      { fractions: { val: 0.4, test: 0.4 } },
      'data/empty-split',
      { argument: 'fractions' },
    ],
    [
      'an empty split',
      { 'train-images-idx3-ubyte': images(0), 'train-labels-idx1-ubyte': labels() },
      {},
      'data/empty-split',
      { split: 'train' },
    ],
    [
      'a label out of range',
      { ...idxPair, 'info.json': '{"classes":["a","b"]}', 'train-labels-idx1-ubyte': labels(0, 1, 2) },
      {},
      'data/label-range',
      { row: 2, label: 2 },
    ],
    [
      'a hole in the labels',
      { ...idxPair, 'train-labels-idx1-ubyte': labels(0, 0, 2) },
      {},
      'data/missing-class',
      { class: '1' },
    ],
    ['too few labels', { ...idxPair, 'train-labels-idx1-ubyte': labels(0, 1) }, {}, 'data/idx', {}],
    ['no labels', { 'train-images-idx3-ubyte': images(3) }, {}, 'data/not-found', {}],
    [
      'a truncated IDX file',
      { ...idxPair, 'train-images-idx3-ubyte': images(3).subarray(0, 25) },
      {},
      'data/idx',
      {},
    ],
    [
      'splits of two sizes',
      { ...idxPair, 'val-images-idx3-ubyte': images(2, 3), 'val-labels-idx1-ubyte': labels(0, 1) },
      {},
      'data/image-size',
      {},
    ],
    [
      'a table that names missing files',
      { ...two, 't.csv': 'file,label\na.png,0\nx.png,1\ny.png,1\n' },
      {},
      'data/missing-files',
      { line: 3, missing: 2 },
    ],
    [
      'a file twice',
      { ...two, 't.csv': 'file,label\na.png,0\n./a.png,1\n' },
      {},
      'data/duplicate-file',
      { line: 3 },
    ],
    [
      'a file in train and test',
      { ...two, 'train.csv': 'file,label\na.png,0\nb.png,1\n', 'test.csv': 'file,label\na.png,0\n' },
      {},
      'data/duplicate-file',
      { line: 2 },
    ],
    [
      'an unknown label in test',
      { ...two, 'train.csv': 'file,label\na.png,x\nb.png,y\n', 'test.csv': 'file,label\nc.png,z\n' },
      {},
      'data/unknown-class',
      { line: 2 },
    ],
    [
      'a number out of range',
      { ...two, 't.csv': 'file,label\na.png,0\nb.png,2\n' },
      { classes: ['x', 'y'] },
      'data/label-range',
      { line: 3 },
    ],
    ['no label', { ...two, 't.csv': 'file,label\na.png,0\nb.png,\n' }, {}, 'data/empty-field', { line: 3 }],
    ['no such column', { ...two, 't.csv': 'file,grade\na.png,0\n' }, {}, 'data/columns', { column: 'label' }],
    [
      'an unknown split',
      { ...two, 't.csv': 'file,label,split\na.png,0,holdout\n' },
      {},
      'data/split-names',
      { line: 2 },
    ],
    ['an empty table', { ...two, 't.csv': '' }, {}, 'data/columns', {}],
    [
      'a patient in train and val',
      {
        ...two,
        't.csv': 'file,label,split,patient\na.png,0,train,1\nb.png,1,train,2\nc.png,0,val,1\nd.png,1,val,3\n',
      },
      {},
      'data/group-straddles',
      { split: 'val' },
    ],
    [
      'an expression that does not match',
      pictures('a/1.png', 'b/2.png'),
      { group: 'p\\d' },
      'data/group',
      {},
    ],
    ['an expression that is none', pictures('a/1.png', 'b/2.png'), { group: '(' }, 'data/group', {}],
    ['the same class twice', { ...idxPair }, { classes: ['a', 'a'] }, 'data/classes', {}],
    ['classes that are no names', { ...idxPair, 'info.json': '{"classes": [1, 2]}' }, {}, 'data/info', {}],
    ['no JSON', { ...idxPair, 'info.json': '{' }, {}, 'data/info', {}],
    [
      'a posterior that does not sum to 1',
      { ...idxPair, 'train-posterior.csv': 'index,p_0,p_1\n0,1,0\n1,0.4,0.4\n2,0,1\n' },
      {},
      'data/posterior',
      { line: 3 },
    ],
    [
      'a posterior with a row missing',
      { ...idxPair, 'train-posterior.csv': 'index,p_0,p_1\n0,1,0\n2,0,1\n' },
      {},
      'data/posterior',
      { row: 1 },
    ],
    [
      'a part that is not there',
      pictures('train/a/1.png', 'train/b/2.png'),
      { splits: { test: 'val' } },
      'data/split-names',
      { split: 'test', argument: 'splits' },
    ],
    [
      'a part as two splits',
      pictures('train/a/1.png', 'train/b/2.png'),
      { splits: { train: 'train', test: 'train' } },
      'data/split-names',
      { split: 'test' },
    ],
    [
      'a part of undivided data',
      pictures('a/1.png', 'b/2.png'),
      { splits: { test: 'val' } },
      'data/split-names',
      { split: 'test' },
    ],
    ['nothing known', { 'a.txt': 'x' }, {}, 'data/format', {}],
  ];
  test.each(cases)('%s', (_, files, options, code, where) => {
    expect(() => openDataset(make(files), options)).toThrow(
      expect.objectContaining({ name: 'PenumbraError', code, where: expect.objectContaining(where) }),
    );
  });

  test('a path that is not there', () => {
    expect(() => openDataset(join(root, 'nowhere'))).toThrow(
      expect.objectContaining({ code: 'data/not-found' }),
    );
  });

  test('a part of the phantom; those that there are get named', () => {
    expect(() => openDataset('phantom', { splits: { test: 'val' } })).toThrow(
      expect.objectContaining({ code: 'data/split-names' }),
    );
    const folder = make(pictures('train/a/1.png', 'train/b/2.png'));
    expect(() => openDataset(folder, { splits: { test: 'val' } })).toThrow(
      expect.objectContaining({ hint: 'its parts are train' }),
    );
  });
});

describe('phantoms', () => {
  const options = { images: 300, size: 32, seed: 2, readers: 2 } as const;

  test('as a data set: patients whole, the posterior of each sample with it', () => {
    const data = openDataset('phantom', { phantom: options });
    expect(data).toMatchObject({
      name: 'phantom',
      format: 'phantom',
      channels: 1,
      imageSize: { height: 32, width: 32 },
    });
    expect(Object.values(sizes(data)).reduce((a, b) => a + b)).toBe(300);
    for (const { length, posterior, groups } of Object.values(data.splits)) {
      expect(posterior).toHaveLength(length * 5);
      expect(new Set(groups!).size).toBe(length / 2);
    }
  });

  test('written as IDX they read back whole', async () => {
    const folder = join(root, 'phantom-idx');
    const written = await writePhantom(folder, { ...options, format: 'idx' });
    const read = openDataset(folder);
    expect(read.classes).toEqual(written.classes);
    expect(sizes(read)).toEqual(sizes(written));
    for (const split of ['train', 'val', 'test'] as const) {
      const [a, b] = [written.splits[split]!, read.splits[split]!];
      expect(b.labels).toEqual(a.labels);
      expect(b.posterior).toEqual(a.posterior);
      expect(await firstBatch(b)).toEqual(await firstBatch(a));
      expect(new Set(b.groups!).size).toBe(new Set(a.groups!).size);
    }
    expect(readFileSync(join(folder, 'README.md'), 'utf8')).toContain('300 pictures of 32×32');
    await expect(writePhantom(folder, options)).rejects.toMatchObject({ code: 'files/exists' });
  });

  test('written as PNG they read back whole', async () => {
    const folder = join(root, 'phantom-png');
    const written = await writePhantom(folder, { ...options, format: 'png' });
    const read = openDataset(folder, { group: '^(p\\d+)_' });
    expect(read).toMatchObject({ format: 'folders', classes: written.classes, channels: 1 });
    expect(sizes(read)).toEqual(sizes(written));
    const train = read.splits.train!;
    // Samples come in another order: find each by its posterior, which names a severity.
    const keyed = (subset: Subset) =>
      Array.from(subset.labels, (label, i) =>
        [label, ...subset.posterior!.subarray(i * 5, i * 5 + 5)].join(),
      );
    expect(keyed(train).sort()).toEqual(keyed(written.splits.train!).sort());
    expect(new Set(train.groups!).size).toBe(train.length / 2);
  });

  test('an atlas of 165 classes: patients whole, every class in every split', () => {
    const phantom = { kind: 'atlas', images: 10_000, size: 32, seed: 2 } as const;
    const data = openDataset('phantom', { phantom });
    expect(data.classes).toHaveLength(165);
    expect(data.classes).toContain('US_thyroid_septated_cyst');
    for (const { length, labels, posterior, groups } of Object.values(data.splits)) {
      expect(new Set(labels).size).toBe(165);
      expect(posterior).toHaveLength(length * 165);
      expect(new Set(groups!).size).toBe(length / 2);
    }
  });

  async function firstBatch(subset: Subset): Promise<Float32Array> {
    await using loader = new BatchLoader(subset, { batchSize: 16, shuffle: true, seed: 1, workers: 0 });
    for await (const batch of loader.epoch(0)) return Float32Array.from(batch.images);
    throw new Error('no batch');
  }

  test('the first reader’s labels are as probable as the posterior says', () => {
    const { splits } = phantomDataset({ images: 4000, size: 32, seed: 8 });
    const { labels, posterior, length } = splits.train!;
    let hits = 0;
    let expected = 0;
    for (let i = 0; i < length; i++) {
      const row = posterior!.subarray(i * 5, i * 5 + 5);
      expected += Math.max(...row);
      hits += Number(row.indexOf(Math.max(...row)) === labels[i]);
    }
    expect(Math.abs(hits - expected) / length).toBeLessThan(0.04);
    expect(expected / length).toBeGreaterThan(0.65);
    expect(expected / length).toBeLessThan(0.8);
  });
});

const real = process.env.PENUMBRA_TEST_DATA;
const missing = real === undefined || !existsSync(join(real, 'knee-kl-grade'));
describe.skipIf(missing)('real data (needs PENUMBRA_TEST_DATA)', () => {
  test('the knee set: IDX with patients, PNG folders, and both batches of images', async () => {
    const data = openDataset(join(real!, 'knee-kl-grade/idx64'), { group: '^\\d{7}' });
    expect(sizes(data)).toEqual({ train: 5778, val: 826 });
    expect(data.classes).toHaveLength(5);
    const png = openDataset(join(real!, 'knee-kl-grade/png224'));
    expect(sizes(png)).toEqual({ train: 300, val: 100 });
    // Resized, the PNG files are the IDX images up to the resizing filter: the file names say which is which.
    const knees = new Map(
      Array.from(data.splits.val!.labels, (_, i) => [data.splits.val!.nameOf(i).split('/').at(-1), i]),
    );
    await using a = new BatchLoader(png.splits.val!, { batchSize: 100, size: 64, workers: 0 });
    await using b = new BatchLoader(data.splits.val!, { batchSize: 826 });
    const [small] = await all(a);
    const [stored] = await all(b);
    let apart = 0;
    small.indices.forEach((index, i) => {
      const other = knees.get(png.splits.val!.nameOf(index).split('/').at(-1))!;
      expect(stored.labels[other]).toBe(small.labels[i]);
      for (let p = 0; p < 4096; p++)
        apart += Math.abs(small.images[i * 4096 + p] - stored.images[other * 4096 + p]);
    });
    expect(apart / (small.images.length * 2)).toBeLessThan(0.03);
    expect(a.broken).toEqual([]);
  });

  test('the knee set: its val judges, and a validation split comes from train by patient', () => {
    const data = openDataset(join(real!, 'knee-kl-grade/idx64'), {
      group: '^.{7}',
      splits: { test: 'val' },
      fractions: { val: 0.15 },
    });
    const { train, val, test } = data.splits;
    expect(test!.length).toBe(826);
    expect(train!.length + val!.length).toBe(5778);
    expect(new Set([...train!.groups!, ...val!.groups!]).size).toBe(
      new Set(train!.groups!).size + new Set(val!.groups!).size,
    );
    for (let k = 0; k < 5; k++) {
      const [inTrain, inVal] = [train!, val!].map(({ labels }) => labels.filter((l) => l === k).length);
      expect(inVal / (inTrain + inVal)).toBeCloseTo(0.15, 2);
    }
  });

  test('the brain set: a validation split from train', () => {
    const data = openDataset(join(real!, 'brain-mri/idx64'), { fractions: { val: 0.1 } });
    expect(sizes(data)).toEqual({ train: 4781, val: 531, test: 1281 });
  });

  async function all(loader: BatchLoader) {
    const batches = [];
    for await (const batch of loader.epoch(0)) batches.push(batch);
    return batches;
  }
});

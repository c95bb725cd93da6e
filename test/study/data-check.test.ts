import { copyFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { lookAtSets } from '../../src/cli/check-data.ts';
import { writePhantom } from '../../src/data/index.ts';
import { openStudy } from '../../src/study/study.ts';
import { resolveStudy } from '../../src/study/study-file.ts';
import { folderMaker } from '../data/folder-maker.ts';

const maker = folderMaker('study-check');
afterAll(() => maker.dispose());

/** Named splits of class folders with a file that is no image, one cut off, and a training image that is a test image. */
let root: string;
let images: { train: number; test: number };
beforeAll(async () => {
  root = maker.make({});
  await writePhantom(join(root, 'data'), { images: 150, size: 32, format: 'png' });
  const files = (split: string) =>
    readdirSync(join(root, 'data', split), { recursive: true, encoding: 'utf8' }).filter((f) =>
      f.endsWith('.png'),
    );
  const [first, second] = files('train') as [string, string];
  copyFileSync(join(root, 'data/test', files('test')[0]!), join(root, 'data/train', first));
  writeFileSync(join(root, 'data/train', second), '');
  writeFileSync(join(root, 'data/train', `${second}.dcm`), 'no image');
  images = { train: files('train').length, test: files('test').length };
});

const study = (set: object) =>
  resolveStudy(
    {
      name: 'looked-at',
      sets: { own: { path: 'data', ...set } },
      networks: ['resnet10'],
      methods: ['hard'],
      seeds: 1,
      settings: { epochs: 1, batchSize: 8, size: 32, threads: 1 },
      centres: [{ name: 'there', set: { path: 'data' }, split: 'test' }],
    },
    join(root, 'study.json'),
  );

test('what is odd about images is said before anything is trained, of sets and centres by name', async () => {
  const write = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  let text: string;
  try {
    await openStudy(study({}), join(root, 'out'), {}, lookAtSets('full'));
    text = write.mock.calls.map(([line]) => String(line)).join('');
  } finally {
    write.mockRestore();
  }
  expect(text).toContain('set own: note: 1 file is left out');
  expect(text).toContain('set own: warning: 1 image cannot be read and will be left out');
  expect(text).toContain('set own: warning: 1 image is a copy of another, 1 of them of one in another split');
  expect(text).not.toContain('centre there: warning: 1 image is a copy');
});

test('skipDuplicates leaves copies out, the training image first', async () => {
  const [set] = (await openStudy(study({ skipDuplicates: true }), join(root, 'out'))).sets;
  const count = (split: 'train' | 'test') => set!.dataset.splits[split]!.length;
  expect(count('test')).toBe(images.test);
  expect(count('train')).toBe(images.train - 1);
});

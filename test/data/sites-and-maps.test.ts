import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import {
  type ClassMap,
  type Dataset,
  makeSubset,
  mapClasses,
  openDataset,
  phantomDataset,
  type Subset,
  selectSites,
  type Targets,
} from '../../src/data/index.ts';

const root = mkdtempSync(join(tmpdir(), 'penumbra-sites-'));
afterAll(() => rmSync(root, { recursive: true }));

let folders = 0;
/** A folder of tables, and of empty files for the rows that they name. */
function make(tables: Record<string, string>): string {
  const folder = join(root, String(folders++));
  mkdirSync(folder);
  for (const [name, text] of Object.entries(tables)) {
    writeFileSync(join(folder, name), text);
    for (const line of text.split('\n').slice(1)) {
      const file = line.split(',')[0];
      if (file === '') continue;
      mkdirSync(dirname(join(folder, file)), { recursive: true });
      writeFileSync(join(folder, file), '');
    }
  }
  return folder;
}

const namesOf = ({ length, nameOf }: Subset) => Array.from({ length }, (_, i) => nameOf(i));
const sitesOf = ({ sites }: Dataset, subset: Subset) => Array.from(subset.sites!, (site) => sites![site]);

/** Three sites; C has no training sample of class y. */
const centres = () =>
  make({
    'train.csv': 'file,label,Hospital\na/1.png,x,A\na/2.png,y,A\nb/3.png,x,B\nb/4.png,y,B\nc/5.png,x,C\n',
    'test.csv': 'file,label,hospital\nc/6.png,x,C\nc/7.png,y,C\na/8.png,x,A\nb/9.png,y,"B "\n',
  });

describe('sites', () => {
  test('by a column, by a folder, and beside IDX files', () => {
    const byColumn = openDataset(centres());
    expect(byColumn.sites).toEqual(['A', 'B', 'C']);
    expect(sitesOf(byColumn, byColumn.splits.test!)).toEqual(['C', 'C', 'A', 'B']);
    const byFolder = openDataset(centres(), { site: '^([^/]+)/' });
    expect(byFolder.sites).toEqual(['a', 'b', 'c']);
    expect(sitesOf(byFolder, byFolder.splits.train!)).toEqual(['a', 'a', 'b', 'b', 'c']);
    const folder = make({ 'train-files.csv': 'index,centre\n0,Rome\n1,Oslo\n' });
    writeFileSync(
      join(folder, 'train-images-idx3-ubyte'),
      Buffer.from([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 5, 6]),
    );
    writeFileSync(join(folder, 'train-labels-idx1-ubyte'), Buffer.from([0, 0, 8, 1, 0, 0, 0, 2, 0, 1]));
    const idx = openDataset(folder);
    expect(sitesOf(idx, idx.splits.train!)).toEqual(['Rome', 'Oslo']);
    expect(openDataset(centres(), { columns: { site: 'label' } }).sites).toEqual(['x', 'y']);
  });

  test('stay with their samples through a split by fraction', () => {
    const rows = Array.from({ length: 60 }, (_, i) => `s${i % 3}/${i}.png,${i % 2}`);
    const data = openDataset(make({ 'all.csv': `file,label\n${rows.join('\n')}\n` }), { site: '^s\\d' });
    for (const subset of Object.values(data.splits)) {
      expect(sitesOf(data, subset)).toEqual(namesOf(subset).map((name) => name.slice(0, 2)));
    }
  });

  test('train on some, test on others, in-centre and out-of-centre', () => {
    const data = openDataset(centres());
    const inside = selectSites(data, { train: ['A', 'B'], test: ['A', 'B'] });
    const outside = selectSites(data, { test: ['C'] });
    expect(namesOf(inside.splits.train!)).toEqual(['a/1.png', 'a/2.png', 'b/3.png', 'b/4.png']);
    expect(namesOf(inside.splits.test!)).toEqual(['a/8.png', 'b/9.png']);
    expect([...inside.splits.test!.labels]).toEqual([0, 1]);
    expect(Object.keys(outside.splits)).toEqual(['test']);
    expect(namesOf(outside.splits.test!)).toEqual(['c/6.png', 'c/7.png']);
    expect(sitesOf(outside, outside.splits.test!)).toEqual(['C', 'C']);
  });

  test.each<[string, () => unknown, string, Record<string, unknown>]>([
    [
      'a site that is not there',
      () => selectSites(openDataset(centres()), { train: ['A', 'b'] }),
      'data/site',
      { split: 'train', site: 'b' },
    ],
    ['no sites', () => selectSites(phantomDataset({ images: 40, size: 32 }), {}), 'data/site', {}],
    [
      'no such split',
      () => selectSites(openDataset(centres()), { val: ['A'] }),
      'data/no-split',
      { split: 'val' },
    ],
    [
      'nothing left',
      () => selectSites(openDataset(centres()), { test: [] }),
      'data/empty-split',
      { split: 'test' },
    ],
    [
      'no training sample of a class',
      () => selectSites(openDataset(centres()), { train: ['C'] }),
      'data/missing-class',
      { split: 'train', class: 'y' },
    ],
    [
      'a table without the column',
      () =>
        openDataset(
          make({
            'train.csv': 'file,label,site\na.png,x,A\nb.png,y,A\n',
            'val.csv': 'file,label\nc.png,x\nd.png,y\n',
          }),
        ),
      'data/columns',
      { column: 'site', file: expect.stringContaining('val.csv') },
    ],
    [
      'a column that the first table lacks',
      () =>
        openDataset(
          make({
            'train.csv': 'file,label\na.png,x\nb.png,y\n',
            'val.csv': 'file,label,site\nc.png,x,A\nd.png,y,A\n',
          }),
        ),
      'data/columns',
      { column: 'site', file: expect.stringContaining('train.csv') },
    ],
    [
      'a row without its site',
      () => openDataset(make({ 'all.csv': 'file,label,site\na.png,x,A\nb.png,y, \n' })),
      'data/empty-field',
      { line: 3 },
    ],
    [
      'an expression that does not match',
      () => openDataset(centres(), { site: '^[ab]/' }),
      'data/site',
      { argument: 'site', file: 'c/5.png' },
    ],
  ])('refused: %s', (_, act, code, where) => {
    expect(act).toThrow(expect.objectContaining({ code, where: expect.objectContaining(where) }));
  });

  test('the nearest site is named', () => {
    const data = openDataset(centres(), { site: '^.' });
    expect(() => selectSites(data, { train: ['A1'] })).toThrow(
      expect.objectContaining({ hint: "did you mean 'a'? its sites are a, b, c" }),
    );
  });
});

describe('class maps', () => {
  const phantoms = phantomDataset({ images: 120, size: 32, seed: 4 });
  const [none, doubtful, mild, moderate, severe] = phantoms.classes;

  test('merge, rename and leave out, and all that is known of a sample stays with it', () => {
    const target = fc.constantFrom('p', 'q', 'r', null);
    fc.assert(
      fc.property(fc.array(target, { minLength: 5, maxLength: 5 }), (targets) => {
        fc.pre(new Set(targets.filter((t) => t !== null)).size >= 2);
        const map: ClassMap = Object.fromEntries(phantoms.classes.map((name, k) => [name, targets[k]]));
        const mapped = mapClasses(phantoms, map);
        expect(mapped.classes).toEqual([...new Set(targets.filter((t) => t !== null))]);
        for (const [split, subset] of Object.entries(mapped.splits)) {
          const before = phantoms.splits[split as 'train']!;
          const kept = [...before.labels.keys()].filter((i) => targets[before.labels[i]] !== null);
          expect(namesOf(subset)).toEqual(kept.map((i) => before.nameOf(i)));
          expect(subset.classes).toBe(mapped.classes);
          expect(Array.from(subset.labels, (l) => mapped.classes[l])).toEqual(
            kept.map((i) => targets[before.labels[i]]),
          );
          expect([...subset.groups!]).toEqual(kept.map((i) => before.groups![i]));
          expect([...subset.rows]).toEqual(kept.map((i) => before.rows[i]));
          for (const [to, from] of kept.entries()) {
            const old = before.posterior!.subarray(from * 5, from * 5 + 5);
            const total = old.reduce((sum, p, k) => sum + (targets[k] === null ? 0 : p), 0);
            mapped.classes.forEach((name, c) => {
              const own = old.reduce((sum, p, k) => sum + (targets[k] === name ? p : 0), 0);
              expect(subset.posterior![to * mapped.classes.length + c]).toBeCloseTo(own / total, 5);
            });
          }
        }
      }),
      { numRuns: 60 },
    );
  });

  test('into the classes of another set, in their order, some of which may have no source', () => {
    const map = { [none]: 'healthy', [doubtful]: null, [mild]: 'ill', [moderate]: 'ill', [severe]: 'ill' };
    const mapped = mapClasses(phantoms, map, ['ill', 'other', 'healthy']);
    expect(mapped.classes).toEqual(['ill', 'other', 'healthy']);
    expect(new Set(mapped.splits.train!.labels)).toEqual(new Set([0, 2]));
    expect(mapped.splits.train!.posterior).toHaveLength(3 * mapped.splits.train!.length);
  });

  test('strata are merged by name', () => {
    const strata = { modality: ['CT', 'CT', 'MR', 'MR', 'US'] };
    const all = { [none]: 'a', [doubtful]: 'a', [mild]: 'a', [moderate]: 'b', [severe]: null };
    expect(mapClasses({ ...phantoms, strata }, all, ['a', 'b', 'c']).strata).toEqual({
      modality: ['CT + MR', 'MR', 'none'],
    });
  });

  const identity: ClassMap = Object.fromEntries(phantoms.classes.map((name) => [name, name]));
  const { [mild]: _, ...hole } = identity;
  test.each<[string, ClassMap, readonly string[] | undefined, Record<string, unknown>]>([
    [
      'a hole',
      hole,
      undefined,
      { message: expect.stringContaining(`no key for 1 of its 5 classes: ${mild}`) },
    ],
    ['a misspelt key', { ...identity, [`${none}e`]: none }, undefined, { hint: `did you mean '${none}'?` }],
    [
      'a misspelt target',
      { ...identity, [severe]: `${severe}s` },
      phantoms.classes,
      { hint: expect.stringContaining(`did you mean '${severe}'?`) },
    ],
    ['one class left', Object.fromEntries(phantoms.classes.map((name) => [name, 'x'])), undefined, {}],
    ['a class twice', identity, [...phantoms.classes, none], {}],
  ])('refused: %s', (_, map, classes, error) => {
    expect(() => mapClasses(phantoms, map, classes)).toThrow(
      expect.objectContaining({ code: 'data/class-map', ...error }),
    );
  });

  test('refused: a split that nothing is left of', () => {
    const data = openDataset(
      make({ 't.csv': 'file,label,split\na.png,x,train\nb.png,y,train\nc.png,z,train\n' }),
    );
    const targets = { ...data.splits.train!.targets, values: Int32Array.of(2, 2, 2) } as Targets;
    const val = makeSubset({ ...data.splits.train!, split: 'val', targets });
    const both = { ...data, splits: { train: data.splits.train!, val } };
    expect(() => mapClasses(both, { x: 'x', y: 'y', z: null })).toThrow(
      expect.objectContaining({ code: 'data/empty-split', where: expect.objectContaining({ split: 'val' }) }),
    );
  });
});

import { cpSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  BatchLoader,
  openDataset,
  RADIMAGENET_CLASSES,
  radImageNetClass,
  type Subset,
  selectSites,
} from '../../src/data/index.ts';
import { radImageNetClassOf } from '../../src/data/radimagenet.ts';
import { writeRadImageNet } from './radimagenet-fixture.ts';

const root = mkdtempSync(join(tmpdir(), 'penumbra-radimagenet-'));
afterAll(() => rmSync(root, { recursive: true }));

const whole = join(root, 'whole');
let classOf = new Map<string, string>();
beforeAll(async () => {
  mkdirSync(whole);
  classOf = await writeRadImageNet(whole);
});

const FEW = ['CT_abd_normal', 'MR_knee_intra', 'MR_mriabd_normal', 'US_usabd_liver', 'US_usthyroid_thyroid'];
let folders = 0;
async function few(options: Parameters<typeof writeRadImageNet>[1] = {}): Promise<string> {
  const folder = join(root, String(folders++));
  mkdirSync(folder);
  await writeRadImageNet(folder, { classes: FEW, ...options });
  return folder;
}

const labelsByName = ({ labels, classes, nameOf }: Subset) =>
  Object.fromEntries(Array.from(labels, (label, i) => [nameOf(i), classes[label]]));

describe('the 165 classes', () => {
  test('have the modalities and anatomies that the paper counts', () => {
    expect(RADIMAGENET_CLASSES).toHaveLength(165);
    expect([...RADIMAGENET_CLASSES].sort()).toEqual(RADIMAGENET_CLASSES);
    const counts: Record<string, number> = {};
    for (const name of RADIMAGENET_CLASSES) {
      const { modality, anatomy } = radImageNetClass(name);
      counts[`${modality} ${anatomy}`] = (counts[`${modality} ${anatomy}`] ?? 0) + 1;
    }
    expect(counts).toEqual({
      'CT abdomen': 28,
      'CT lung': 6,
      'MR abdomen': 26,
      'MR ankle and foot': 25,
      'MR brain': 10,
      'MR hip': 14,
      'MR knee': 18,
      'MR shoulder': 14,
      'MR spine': 9,
      'US abdomen': 13,
      'US thyroid': 2,
    });
  });

  test.each([
    [
      'MR_af_achilles_pathology_',
      { modality: 'MR', anatomy: 'ankle and foot', finding: 'achilles pathology' },
    ],
    ['MR_shoulder_ca++_tendinosis', { modality: 'MR', anatomy: 'shoulder', finding: 'ca++ tendinosis' }],
    ['US_usthyroid_thyroid_nodule', { modality: 'US', anatomy: 'thyroid', finding: 'thyroid nodule' }],
  ])('%s is told apart', (name, parts) => {
    expect(radImageNetClass(name)).toEqual(parts);
  });

  test('a name that is none names the nearest', () => {
    expect(() => radImageNetClass('MR_knee_acl_patology')).toThrow(
      expect.objectContaining({
        code: 'data/unknown-class',
        hint: 'the nearest is MR_knee_acl_pathology',
      }),
    );
  });

  test('each is found from its label, however much of the name that holds and however it is written', () => {
    const spelling = fc.record({
      name: fc.constantFrom(...RADIMAGENET_CLASSES),
      parts: fc.integer({ min: 1, max: 3 }),
      gap: fc.constantFrom('_', ' ', '-'),
      upper: fc.boolean(),
    });
    fc.assert(
      fc.property(spelling, ({ name, parts, gap, upper }) => {
        const [modality, anatomy, ...words] = name.split('_');
        const finding = words.join(gap);
        const label = [modality, anatomy, finding].slice(-parts).join(gap);
        const place =
          modality === 'US' ? `US/${words.join(' ')}` : `${modality}/${anatomy}/${words.join(' ')}`;
        const folder = `radiology_ai/${place}/`;
        expect(radImageNetClassOf(upper ? label.toUpperCase() : label, folder)).toBe(name);
        if (parts > 1) expect(radImageNetClassOf(label, '')).toBe(name);
      }),
    );
  });

  test.each([
    ['brain-intra-axial mass', '', 'MR_brain_intra'],
    ['extra-axial', 'radiology_ai/MR/brain/extra/', 'MR_brain_extra'],
    ['intraperitoneal_mass', 'radiology_ai/MR/mriabd/x/', 'MR_mriabd_intraperitoneal_mass'],
    ['liver', 'radiology_ai/US/usabd/liver/', 'US_usabd_liver'],
    ['normal', 'radiology_ai/US/liver/', undefined],
    ['normal', '', undefined],
    ['abd-normal-variant', '', undefined],
    ['knee-lung', 'radiology_ai/MR/knee/x/', undefined],
    ['constructor', 'radiology_ai/MR/knee/x/', undefined],
  ])('%j in %j is %s', (label, folder, name) => {
    expect(radImageNetClassOf(label, folder)).toBe(name);
  });
});

describe('the official layout', () => {
  test('all 165 classes: listed, labelled, with strata, and loaded', async () => {
    const data = openDataset(whole);
    expect(data).toMatchObject({ format: 'radimagenet', classes: RADIMAGENET_CLASSES, channels: 1 });
    const [ct, us] = [data.classes.indexOf('CT_lung_Nodule'), data.classes.indexOf('US_usabd_liver')];
    expect([data.strata!.modality[ct], data.strata!.anatomy[ct]]).toEqual(['CT', 'CT lung']);
    expect([data.strata!.modality[us], data.strata!.anatomy[us]]).toEqual(['US', 'US abdomen']);
    const named = Object.values(data.splits).map(labelsByName);
    expect(named.map((all) => Object.keys(all).length)).toEqual([330, 165, 165]);
    expect(Object.assign({}, ...named)).toEqual(Object.fromEntries(classOf));

    await using loader = new BatchLoader(data.splits.test!, { batchSize: 64, size: 32, workers: 0 });
    let seen = 0;
    for await (const batch of loader.epoch(0)) {
      seen += batch.labels.length;
      expect(batch.images.some((value) => value > 0)).toBe(true);
      batch.release();
    }
    expect(seen).toBe(165);
    expect(loader.broken).toEqual([]);
  });

  test('labels whole, by region or by finding mean the same', async () => {
    const [region, wholeName, finding] = await Promise.all(
      (['region', 'whole', 'finding'] as const).map(async (labels) => openDataset(await few({ labels }))),
    );
    expect(labelsByName(region.splits.train!)).toEqual(labelsByName(wholeName.splits.train!));
    expect(labelsByName(region.splits.train!)).toEqual(labelsByName(finding.splits.train!));
    expect(region.classes).toEqual(FEW);
    expect(finding.strata).toEqual({
      modality: ['CT', 'MR', 'MR', 'US', 'US'],
      anatomy: ['CT abdomen', 'MR knee', 'MR abdomen', 'US abdomen', 'US thyroid'],
    });
  });

  test('tables elsewhere with a root, tables inside radiology_ai, and one table alone', async () => {
    const folder = await few();
    const elsewhere = join(root, 'tables');
    mkdirSync(elsewhere);
    for (const split of ['train', 'val', 'test']) {
      const name = `RadiologyAI_${split}.csv`;
      cpSync(join(folder, name), join(elsewhere, name));
      renameSync(join(folder, name), join(folder, 'radiology_ai', name));
    }
    const expected = labelsByName(openDataset(elsewhere, { root: folder }).splits.train!);
    expect(Object.keys(expected)).toHaveLength(10);
    expect(labelsByName(openDataset(join(folder, 'radiology_ai')).splits.train!)).toEqual(expected);
    const one = openDataset(join(elsewhere, 'RadiologyAI_train.csv'), {
      root: folder,
      fractions: { test: 0.5 },
    });
    expect(one).toMatchObject({ format: 'radimagenet', classes: FEW });
    expect(Object.keys(one.splits)).toEqual(['train', 'test']);
  });

  test('sites by a column', async () => {
    const data = openDataset(await few({ images: { train: 4, val: 2, test: 2 }, sites: ['north', 'south'] }));
    expect(data.sites).toEqual(['north', 'south']);
    const out = selectSites(data, { train: ['north'], test: ['south'] });
    expect(Object.values(out.splits).map(({ length }) => length)).toEqual([10, 5]);
    expect(out.strata).toEqual(data.strata);
  });
});

describe('tables that are wrong are refused before anything is loaded', () => {
  const edit = async (change: (table: string) => string, split = 'train') => {
    const folder = await few();
    const path = join(folder, `RadiologyAI_${split}.csv`);
    writeFileSync(path, change(readFileSync(path, 'utf8')));
    return folder;
  };

  test('a label that is no class: the line and the nearest', async () => {
    const folder = await edit((table) => table.replace('knee-intra', 'knee-acl patholgy'));
    expect(() => openDataset(folder)).toThrow(
      expect.objectContaining({
        code: 'data/unknown-class',
        message: expect.stringContaining("line 4: the label 'knee-acl patholgy'"),
        where: { file: join(folder, 'RadiologyAI_train.csv'), line: 4 },
        hint: expect.stringContaining('the nearest is MR_knee_acl_pathology'),
      }),
    );
  });

  test('a class that only the test table has', async () => {
    const folder = await edit((table) => table.replace('knee-intra', 'knee-fracture'), 'test');
    expect(() => openDataset(folder)).toThrow(
      expect.objectContaining({
        code: 'data/unknown-class',
        message: expect.stringContaining('MR_knee_fracture is not one of the 5 classes'),
      }),
    );
  });

  test('files that are not there: how many, and the first', async () => {
    const folder = await few();
    rmSync(join(folder, 'radiology_ai/US'), { recursive: true });
    expect(() => openDataset(folder)).toThrow(
      expect.objectContaining({
        code: 'data/missing-files',
        message: expect.stringContaining('8 of 20 listed files are not under'),
        where: expect.objectContaining({ missing: 8, line: 8 }),
      }),
    );
  });
});

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CLINIC_NAMES } from '../phantom/index.ts';
import { openDataset, writeClinic } from './index.ts';
import type { Findings } from './targets.ts';
import type { Dataset, Subset } from './types.ts';

const folder = mkdtempSync(join(tmpdir(), 'penumbra-judge-by-'));
const clinic = join(folder, 'clinic');
const K = CLINIC_NAMES.length;
let truth: Dataset;

beforeAll(async () => {
  truth = await writeClinic(clinic, { images: 150, size: 32, seed: 4 });
});
afterAll(() => rmSync(folder, { recursive: true }));

const named = (subset: Subset) => Array.from({ length: subset.length }, (_, i) => subset.nameOf(i));

test('the test split has the labels and the posterior of the truth, the others their own', () => {
  const plain = openDataset(join(clinic, 'plain.csv'));
  const judged = openDataset(join(clinic, 'plain.csv'), { judgeBy: clinic });
  const [own, want] = [judged.splits.test!, truth.splits.test!];
  expect(named(own)).toEqual(named(want));
  expect((own.targets as Findings).values).toEqual((want.targets as Findings).values);
  expect((own.targets as Findings).mask).toBeUndefined();
  expect(own.posterior).toEqual(want.posterior);
  expect(judged.splits.train!.targets).toEqual(plain.splits.train!.targets);
  expect((plain.splits.test!.targets as Findings).mask).toBeDefined();
  expect(judged.notes.at(-1)).toBe('the test split is judged by the labels of clinic');
});

test('the true posterior is that of the picture: calibrated, and better than the prevalence', () => {
  const { posterior, targets } = truth.splits.train!;
  const { values } = targets as Findings;
  const [mean, share] = [posterior!, values].map((all) => all.reduce((a, b) => a + b, 0) / all.length);
  expect(Math.abs(mean! - share!)).toBeLessThan(0.02);
  const brier = values.reduce((sum, y, i) => sum + (y - posterior![i]) ** 2, 0) / values.length;
  expect(brier).toBeLessThan(0.75 * share! * (1 - share!));
});

test('images are matched by file name where paths differ, and findings without a truth are unknown', () => {
  const rows = named(truth.splits.test!);
  const { values } = truth.splits.test!.targets as Findings;
  const edema = CLINIC_NAMES.indexOf('Edema');
  const lines = rows.map((path, i) => `elsewhere/${path.split('/').at(-1)},test,${values[i * K + edema]},0`);
  const table = join(folder, 'gold.csv');
  writeFileSync(table, `file,split,edema,mass\n${lines.reverse().join('\n')}\n`);
  const judged = openDataset(join(clinic, 'plain.csv'), { judgeBy: table });
  const own = judged.splits.test!.targets as Findings;
  for (let i = 0; i < rows.length; i++)
    for (let k = 0; k < K; k++) {
      expect(own.mask![i * K + k]).toBe(k === edema ? 1 : 0);
      if (k === edema) expect(own.values[i * K + k]).toBe(values[i * K + k]);
    }
  expect(judged.splits.test!.posterior).toBeUndefined();
});

test('what does not fit is said', () => {
  const path = join(clinic, 'plain.csv');
  const table = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const [first] = named(truth.splits.test!);
  const few = table('few.csv', `file,split,Edema,Pneumonia\n${first},test,1,0\n`);
  expect(() => openDataset(path, { judgeBy: few })).toThrow(/\d+ of \d+ test images are not in it/);
  const other = table('other.csv', `file,split,Mass,Nodule\n${first},test,1,0\n`);
  expect(() => openDataset(path, { judgeBy: other })).toThrow('it has no No Finding');
  const labels = table('labels.csv', `file,label,split\n${first},a,train\nx.png,b,train\n`);
  const twice = table('twice.csv', `file,split,Edema,Pneumonia\n${first},test,1,0\n${first},test,0,0\n`);
  expect(() => openDataset(path, { judgeBy: twice })).toThrow('more than once');
  expect(() => openDataset(path, { judgeBy: labels })).toThrow('the other one label of K');
});

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CLINIC_NAMES, decodeMask, NO_LABEL, seeClinic } from '../phantom/index.ts';
import { buildDataset } from '../reports/dataset/index.ts';
import { createAssessor, extract, openExtractor, openRules, readRows } from '../reports/index.ts';
import { decodeFile } from './decode.ts';
import { openDataset, writeClinic } from './index.ts';
import type { Dataset } from './types.ts';

const OPTIONS = { images: 120, size: 32, seed: 6 };
const folder = mkdtempSync(join(tmpdir(), 'penumbra-clinic-'));
const clinic = join(folder, 'clinic');
let written: Dataset;

beforeAll(async () => {
  written = await writeClinic(clinic, OPTIONS);
});
afterAll(() => rmSync(folder, { recursive: true }));

test('the folder opens as findings with patients and splits, and holds what was seen', async () => {
  const cases = [...seeClinic(OPTIONS)];
  const dataset = openDataset(clinic);
  expect(dataset.format).toBe('clinic');
  expect(dataset.classes).toEqual(CLINIC_NAMES);
  expect(Object.values(dataset.splits).reduce((n, { length }) => n + length, 0)).toBe(120);
  expect(written.splits.train!.length).toBe(dataset.splits.train!.length);
  const { targets } = dataset.splits.train!;
  expect(targets.kind).toBe('findings');
  const lines = readFileSync(join(clinic, 'labels.csv'), 'utf8').trim().split('\n').slice(1);
  const groups = new Map<string, string>();
  lines.forEach((line, i) => {
    const [image, , patient, split, ...labels] = line.split(',');
    expect(labels.map(Number)).toEqual([...cases[i].findings]);
    expect(groups.get(patient) ?? split).toBe(split);
    groups.set(patient, split);
    if (i === 0) expect(image).toMatch(/^images\/p000000_1\.png$/);
  });
  const first = await decodeFile(join(clinic, lines[7].split(',')[0]), {
    size: undefined,
    fit: 'fill',
    maxPixels: 1e6,
  });
  expect([...first.data]).toEqual([...cases[7].pixels]);
});

test('the plain labels are a data set of their own, with blanks and doubts', () => {
  const plain = openDataset(join(clinic, 'plain.csv'));
  expect(plain.classes).toEqual(CLINIC_NAMES);
  const { mask } = plain.splits.train!.targets as { mask?: Uint8Array };
  const cases = [...seeClinic(OPTIONS)];
  const lines = readFileSync(join(clinic, 'plain.csv'), 'utf8').trim().split('\n').slice(1);
  lines.forEach((line, i) => {
    const labels = line.split(',').slice(4);
    expect(labels).toEqual(Array.from(cases[i].plain, (label) => (label === NO_LABEL ? '' : String(label))));
  });
  expect(mask?.includes(0)).toBe(true);
});

test('masks lie on the picture and know whether the finding is there', () => {
  const lines = readFileSync(join(clinic, 'masks.jsonl'), 'utf8').trim().split('\n');
  let present = 0;
  for (const line of lines) {
    const mask = JSON.parse(line) as { finding: string; present: boolean; size: number[]; counts: number[] };
    expect(mask.size).toEqual([32, 32]);
    expect(decodeMask(mask.counts, 32).includes(1)).toBe(true);
    if (mask.present) present++;
  }
  expect(present).toBeGreaterThan(20);
  expect(present).toBeLessThan(lines.length);
});

test('threads write the same bytes as one, and nothing is overwritten', async () => {
  const some = { images: 90, size: 32, seed: 3, silence: 0.5 };
  await writeClinic(join(folder, 'one'), { ...some, workers: 1 });
  const seen: number[] = [];
  await writeClinic(join(folder, 'three'), { ...some, workers: 3, onProgress: (done) => seen.push(done) });
  expect(seen.at(-1)).toBe(90);
  const manifest = (name: string) => readFileSync(join(folder, name, 'manifest.json'), 'utf8');
  expect(manifest('three')).toBe(manifest('one'));
  await expect(writeClinic(clinic, OPTIONS)).rejects.toMatchObject({ code: 'files/exists' });
  await expect(writeClinic(join(folder, 'none'), { habit: -1 })).rejects.toMatchObject({
    code: 'phantom/option',
  });
});

test('reports go through extract and dataset build as any others, and their doubts are heard', async () => {
  const { findings, lexicon } = openRules({ findings: 'chexpert14' });
  const assessor = createAssessor({ findings, lexicon });
  const { extractor, close } = await openExtractor('rules', { findings, assessor, flags: {} });
  const rows = join(folder, 'rows.jsonl');
  const done = await extract(join(clinic, 'reports.csv'), rows, extractor, {});
  await close();
  expect(done).toMatchObject({ extracted: 120, failed: 0, repeated: 0 });
  const heard = await readRows(rows);
  const images = join(clinic, 'labels.csv');
  const built = join(folder, 'built');
  const summary = await buildDataset(built, { rows: [rows], images, findings });
  expect(summary.images).toBe(120);
  const dataset = openDataset(built);
  expect(dataset.splits.train!.length).toBe(written.splits.train!.length);
  expect(dataset.splits.train!.targets.kind).toBe('findings');
  // What is heard rises with what the reader believed: no more is asked of rules that know nothing of this clinic.
  const cases = [...seeClinic(OPTIONS)];
  const pairs: [number, number][] = [];
  const findingsHeard = heard.findings.length;
  heard.mask.forEach((known, at) => {
    const name = heard.findings[at % findingsHeard];
    const { readerPosterior } = cases[Math.floor(at / findingsHeard)];
    if (known === 1 && name !== 'No Finding')
      pairs.push([heard.probability[at], readerPosterior[CLINIC_NAMES.indexOf(name)]]);
  });
  const mean = (of: [number, number][]) => of.reduce((sum, [, p]) => sum + p, 0) / of.length;
  const low = mean(pairs.filter(([p]) => p < 0.2));
  const middle = mean(pairs.filter(([p]) => p >= 0.2 && p < 0.8));
  const high = mean(pairs.filter(([p]) => p >= 0.8));
  expect(low).toBeLessThan(middle);
  expect(middle).toBeLessThan(high);
});

test('several readings of a study: a report each, one image that names them all, and one label in the data set', async () => {
  const many = join(folder, 'many');
  await writeClinic(many, { ...OPTIONS, images: 40, reads: 2 });
  const one = join(folder, 'unshared');
  await writeClinic(one, { ...OPTIONS, images: 40 });
  const lines = (path: string) => readFileSync(path, 'utf8').trim().split('\n').slice(1);
  expect(lines(join(many, 'reports.csv')).filter((line) => /^p\d{6}_\d+(_r2)?,p/.test(line))).toHaveLength(
    80,
  );
  expect(lines(join(many, 'truth.csv'))).toHaveLength(80);
  expect(lines(join(many, 'labels.csv'))[0]).toMatch(
    /^images\/p000000_1\.png,p000000_1\|p000000_1_r2,p000000,/,
  );
  expect(lines(join(many, 'truth.csv')).filter((_, i) => i % 2 === 0)).toEqual(lines(join(one, 'truth.csv')));
  expect(openDataset(many).splits.train!.posterior).toEqual(openDataset(one).splits.train!.posterior);
  const rows = join(folder, 'many.jsonl');
  const { extractor, close } = await openExtractor('rules', {
    findings: openRules({}).findings,
    assessor: createAssessor(),
    flags: {},
  });
  await extract(join(many, 'reports.csv'), rows, extractor);
  await close();
  const summary = await buildDataset(join(folder, 'many-data'), {
    rows: [rows],
    images: join(many, 'labels.csv'),
  });
  expect(summary.images).toBe(40);
  expect(summary.notes.join()).toContain('40 images have several reports');
  const { values, rates } = openDataset(join(folder, 'many-data')).splits.train!.targets as {
    values: Float32Array;
    rates?: Float32Array;
  };
  expect(values.every((y) => y === 0 || y === 1)).toBe(true);
  // Readers that disagree leave doubt where neither had any.
  expect(rates!.some((r) => r === MOST)).toBe(true);
});

/** A rate of 1, p = 1/2, as it is read. */
const MOST = Math.fround(1 - 2 ** -24);

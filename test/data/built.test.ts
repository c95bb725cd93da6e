import { readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test, vi } from 'vitest';
import {
  BatchLoader,
  csvLine,
  datasetIdentity,
  type Findings,
  openDataset,
  parseCsv,
} from '../../src/data/index.ts';
import { buildDataset } from '../../src/reports/dataset/index.ts';
import { createAssessor, extract, rulesExtractor } from '../../src/reports/index.ts';
import { folderMaker, pictures } from './folder-maker.ts';

vi.setConfig({ testTimeout: 300_000 }); // for a busy machine

const { make, dispose } = folderMaker('built');
afterAll(dispose);
const rules = rulesExtractor(createAssessor());

/** Rows of reports, extracted by the rules. */
async function rowsOf(folder: string, reports: Readonly<Record<string, string>>): Promise<string> {
  const lines = Object.entries(reports).map(([id, text]) => JSON.stringify({ id, text }));
  writeFileSync(join(folder, 'reports.jsonl'), `${lines.join('\n')}\n`);
  await extract(join(folder, 'reports.jsonl'), join(folder, 'rows.jsonl'), rules);
  return join(folder, 'rows.jsonl');
}

const reports = {
  r1: 'Probable pneumonia. No pleural effusion.',
  r2: 'No pneumonia. Cardiomegaly.',
  r3: 'Pneumonia. Pleural effusion is possible.',
};
const table =
  'image,report,patient,split\nold/-1.png,r1,p1,train\nold/2.png,r1,p1,train\nold/3.png,r2,p2,train\nold/4.png,r3,p3,test\n';
const images = pictures('set/new/-1.png', 'set/new/2.png', 'set/new/3.png', 'set/new/4.png');

async function built(files = { ...images, 'set/images.csv': table }) {
  const folder = make(files);
  const out = join(folder, 'out');
  await buildDataset(out, { rows: [await rowsOf(folder, reports)], images: join(folder, 'set/images.csv') });
  return { folder, out };
}

describe('what dataset build writes opens as it is', () => {
  test('labels, rates and unknowns as labels.csv has them; images where the table was', async () => {
    const { out } = await built();
    const data = openDataset(out);
    expect(data).toMatchObject({ format: 'penumbra', kind: 'findings', name: 'out' });
    expect(data.classes).toHaveLength(14);
    expect(data.notes[0]).toBe('images are in new, and not in old as listed');
    const { train, test: judged } = data.splits;
    expect([train!.length, judged!.length, data.splits.val]).toEqual([3, 1, undefined]);
    expect(train!.nameOf(0)).toBe('new/-1.png');
    expect([...train!.groups!]).toEqual([0, 0, 1]);

    // Each cell against the file, read anew.
    let header: string[] = [];
    const rows: string[][] = [];
    parseCsv(readFileSync(join(out, 'labels.csv'), 'utf8'), 'labels.csv', (fields) => {
      if (header.length === 0) header = fields;
      else rows.push(fields);
    });
    const { values, mask, rates } = train!.targets as Findings;
    let doubtful = 0;
    rows
      .filter((row) => row[header.indexOf('split')] === 'train')
      .forEach((row, i) => {
        data.classes.forEach((name, c) => {
          const cell = (what: string) => row[header.indexOf(`${name} ${what}`)];
          const at = i * 14 + c;
          expect(mask![at]).toBe(cell('y') === '' ? 0 : 1);
          expect(values[at]).toBe(Number(cell('y')));
          expect(rates![at]).toBeCloseTo(Math.min(Number(cell('r')), 1 - 2 ** -24), 6);
          if (rates![at] > 0) {
            doubtful++;
            // The smoothed target (1 − r)·y + r/2 is the probability.
            expect((1 - rates![at]) * values[at] + rates![at] / 2).toBeCloseTo(Number(cell('p')), 5);
          }
        });
      });
    expect(doubtful).toBeGreaterThan(0);
    await using loader = new BatchLoader(train!, { batchSize: 3, size: 8 });
    for await (const { targets } of loader.epoch(0)) expect((targets as Findings).rates).toEqual(rates);
    expect(loader.broken).toEqual([]);
  });

  test('errors of labels come with the card, and those that are given are in their place', async () => {
    const folder = make({ ...images, 'set/images.csv': table });
    const out = join(folder, 'out');
    const rows = [await rowsOf(folder, reports)];
    const errors = { Pneumonia: { falsePositive: 0.02, miss: 0.1, hedged: 0 } };
    await buildDataset(out, { rows, images: join(folder, 'set/images.csv'), errors });
    const opened = openDataset(out);
    const of = (data: typeof opened) => (data.splits.train!.targets as Findings).errors;
    expect(of(opened)!).toHaveLength(14);
    expect(of(opened)![opened.classes.indexOf('Pneumonia')]).toEqual(errors.Pneumonia);
    expect(of(opened)![0]).toEqual({ falsePositive: 0, miss: 0, hedged: 0 });
    expect(of(openDataset(out, { classes: ['Pneumonia'] }))).toEqual([errors.Pneumonia]);
    const given = { Pneumonia: { falsePositive: 0, miss: 0.3, hedged: 0.1 } };
    expect(of(openDataset(out, { classes: ['Pneumonia'], findings: { errors: given } }))).toEqual([
      given.Pneumonia,
    ]);
    expect(of(openDataset(out, { findings: { values: 'probabilities' } }))).toBeUndefined();
    expect(() =>
      openDataset(out, { findings: { errors: { Pneumonia: { falsePositive: 0.7, miss: 0, hedged: 0 } } } }),
    ).toThrow(
      expect.objectContaining({
        code: 'data/findings-option',
        message: expect.stringContaining('Pneumonia'),
      }),
    );
    expect(datasetIdentity(opened)).not.toBe(
      datasetIdentity(openDataset(out, { findings: { errors: given } })),
    );
  });

  test('probabilities, chosen findings, the table itself, another root', async () => {
    const { out, folder } = await built();
    const p = openDataset(join(out, 'labels.csv'), {
      findings: { values: 'probabilities' },
      classes: ['Pneumonia', 'Pleural Effusion'],
    });
    const { values, rates } = p.splits.train!.targets as Findings;
    expect(p.classes).toEqual(['Pneumonia', 'Pleural Effusion']);
    expect(values[0]).toBeGreaterThan(0.5);
    expect(values[0]).toBeLessThan(1);
    expect(rates).toBeUndefined();
    renameSync(join(folder, 'set'), join(folder, 'moved'));
    expect(() => openDataset(out)).toThrow(expect.objectContaining({ code: 'data/missing-files' }));
    expect(openDataset(out, { root: join(folder, 'moved') }).splits.train!.length).toBe(3);
  });

  test('a card that is damaged is named', async () => {
    const { out } = await built();
    for (const text of ['{', '{}', 'null', '{"findings":[{"finding":3}]}']) {
      writeFileSync(join(out, 'dataset.json'), text);
      expect(() => openDataset(out)).toThrow(expect.objectContaining({ code: 'data/info' }));
    }
  });

  test('two patients and large shares: a clear error, in the build and in the data', async () => {
    const two = table
      .replace(/,split\n/, '\n')
      .replace(/,(train|test)\n/g, '\n')
      .replace('p3', 'p2');
    const folder = make({ ...images, 'set/images.csv': two });
    const rows = [await rowsOf(folder, reports)];
    const tries = Array.from({ length: 12 }, (_, seed) =>
      buildDataset(join(folder, `out${seed}`), {
        rows,
        images: join(folder, 'set/images.csv'),
        val: 0.3,
        test: 0.3,
        seed,
      }).then(
        ({ splits }) => splits.map(({ split }) => split),
        (error) => (error as { code: string }).code,
      ),
    );
    const results = await Promise.all(tries);
    expect(results).toContain('dataset/splits');
    // Whatever was built has something to train on.
    for (const splits of results) expect(splits === 'dataset/splits' || splits.includes('train')).toBe(true);
    const findings = 'file,patient,A,B\nnew/2.png,1,1,0\nnew/3.png,2,0,1\nnew/4.png,2,0,1\n';
    expect(() =>
      openDataset(make({ ...pictures('new/2.png', 'new/3.png', 'new/4.png'), 't.csv': findings }), {
        fractions: { val: 0.3, test: 0.3 },
      }),
    ).toThrow(
      expect.objectContaining({
        code: 'data/empty-split',
        message: expect.stringContaining('2 groups (patients), none of which is divided, are too few'),
      }),
    );
  });
});

describe.skipIf(process.env.PENUMBRA_TEST_DATA === undefined)('real data (PENUMBRA_TEST_DATA)', () => {
  test('the chest images with notes: reports extracted, built, opened and loaded', async () => {
    const source = join(process.env.PENUMBRA_TEST_DATA!, 'chest-images-with-notes');
    const folder = make({ 'set/empty.txt': '' });
    symlinkSync(join(source, 'images'), join(folder, 'set/images'));
    let header: string[] = [];
    let own = 'image,report,patient\n';
    const notes: Record<string, string> = {};
    const seen = new Set<string>();
    parseCsv(readFileSync(join(source, 'metadata.csv'), 'utf8'), 'metadata.csv', (fields, line) => {
      if (header.length === 0) header = fields;
      else {
        const cell = (name: string) => fields[header.indexOf(name)];
        const image = cell('packed_file');
        if (cell('clinical_notes').trim() === '' || seen.has(image)) return;
        seen.add(image);
        notes[`r${line}`] = cell('clinical_notes');
        own += csvLine([image, `r${line}`, cell('patientid')]);
      }
    });
    writeFileSync(join(folder, 'set/images.csv'), own);
    const out = join(folder, 'out');
    const rows = [await rowsOf(folder, notes)];
    const summary = await buildDataset(out, { rows, images: join(folder, 'set/images.csv') });
    // The images lie behind a link.
    const data = openDataset(out, { allowOutside: true });
    const lengths = Object.fromEntries(Object.entries(data.splits).map(([k, s]) => [k, s.length]));
    expect(lengths).toEqual(Object.fromEntries(summary.splits.map((s) => [s.split, s.images])));
    await using loader = new BatchLoader(data.splits.train!, { batchSize: 128, size: 32 });
    for await (const batch of loader.epoch(0)) expect(batch.targets.values.length).toBeGreaterThan(0);
    expect(loader.broken).toEqual([]);
  });
});

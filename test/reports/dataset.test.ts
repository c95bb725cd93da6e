import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type BuildOptions, buildDataset, releaseDataset } from '../../src/reports/dataset/index.ts';
import { createAssessor, extract, rulesExtractor } from '../../src/reports/index.ts';
import { parseCsv } from '../../src/reports/io/csv.ts';
import { withDuckDB } from '../../src/reports/io/tables.ts';

vi.setConfig({ testTimeout: 300_000 }); // for a busy machine

let dir: string;
const at = (name: string): string => join(dir, name);
const rules = rulesExtractor(createAssessor());
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'penumbra-dataset-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** Rows of reports given as id → text. */
async function rowsOf(reports: Record<string, string>, name = 'rows.jsonl'): Promise<string> {
  const lines = Object.entries(reports).map(([id, text]) => JSON.stringify({ id, text }));
  writeFileSync(at('reports.jsonl'), `${lines.join('\n')}\n`);
  await extract(at('reports.jsonl'), at(name), rules);
  return at(name);
}

const texts = {
  s50000001: 'Probable pneumonia. No effusion.',
  s50000002: 'No pneumonia. Cardiomegaly.',
  s50000003: 'Clear lungs.',
  s50000004: 'Effusion.',
  s59999999: 'No image of this one.',
};

function mimic(packed: boolean): string {
  mkdirSync(at('mimic'), { recursive: true });
  const put = (table: string, text: string): void =>
    writeFileSync(
      at(`mimic/mimic-cxr-2.0.0-${table}.csv${packed ? '.gz' : ''}`),
      packed ? gzipSync(text) : text,
    );
  put(
    'metadata',
    'dicom_id,subject_id,study_id,ViewPosition\nd1,10000001,50000001,PA\nd2,10000001,50000001,LATERAL\nd3,10000002,50000002,AP\nd4,10000003,50000003,AP\nd5,10000003,50000004,AP\nd6,10000004,50000077,AP\n',
  );
  put(
    'split',
    'dicom_id,study_id,subject_id,split\nd1,50000001,10000001,train\nd2,50000001,10000001,train\nd3,50000002,10000002,validate\nd4,50000003,10000003,test\nd5,50000004,10000003,test\nd6,50000077,10000004,train\n',
  );
  put(
    'chexpert',
    'subject_id,study_id,Cardiomegaly,Pneumonia,Pleural Effusion\n10000001,50000001,,-1.0,0.0\n10000002,50000002,1.0,0.0,\n10000003,50000004,,,0.0\n',
  );
  return at('mimic');
}

describe.each([true, false])('MIMIC-CXR-JPG (packed: %s)', (packed) => {
  test('joins images, reports and labels', async () => {
    const summary = await buildDataset(at('out'), { rows: [await rowsOf(texts)], images: mimic(packed) });
    expect(summary).toMatchObject({
      source: 'mimic-cxr-jpg',
      images: 5,
      reports: 4,
      patients: 3,
      splitBy: 'given',
      leftOut: { imagesWithoutReport: 1, reportsWithoutImage: 1, failedReports: 0 },
      splits: [
        { split: 'train', images: 2, reports: 1, patients: 1 },
        { split: 'val', images: 1, reports: 1, patients: 1 },
        { split: 'test', images: 2, reports: 2, patients: 1 },
      ],
    });
    const pneumonia = summary.findings.find((f) => f.finding === 'Pneumonia')!;
    expect(pneumonia.statuses).toEqual({ uncertain: 1, absent: 1, not_mentioned: 2 });
    expect(pneumonia).toMatchObject({
      positives: 1,
      negatives: 1,
      meanRate: 0.215,
      agreement: { both: 2, equal: 2 },
    });
    expect(summary.findings.find((f) => f.finding === 'Pleural Effusion')!.agreement).toEqual({
      both: 2,
      equal: 1,
    });
    expect(summary.hedges).toEqual([{ phrase: 'probable', count: 1, probability: 0.785 }]);

    const [header, ...rows] = parseCsv(readFileSync(at('out/labels.csv'), 'utf8'));
    const column = (name: string): number => header!.indexOf(name);
    const first = rows.find((row) => row[0] === 'files/p10/p10000001/s50000001/d1.jpg')!;
    expect([first[column('patient')], first[column('report')], first[column('split')]]).toEqual([
      '10000001',
      '50000001',
      'train',
    ]);
    expect(['y', 'p', 'r'].map((x) => first[column(`Pneumonia ${x}`)])).toEqual(['1', '0.785', '0.43']);
    expect(['y', 'p', 'r'].map((x) => first[column(`Fracture ${x}`)])).toEqual(['', '', '']);
    const [evidence] = await withDuckDB(({ run }) =>
      run(
        `SELECT "Pneumonia".evidence[2].phrase, "Pneumonia".given, view FROM read_parquet('${at('out/dataset.parquet')}') WHERE image LIKE '%d1.jpg'`,
      ),
    );
    expect(evidence).toEqual(['Probable', -1, 'PA']);
  });
});

test('CheXpert with report ids, split by patient', async () => {
  const reports: Record<string, string> = {};
  const lines = ['Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Pneumonia'];
  for (let p = 1; p <= 200; p++) {
    const patient = `patient${String(p).padStart(5, '0')}`;
    reports[`${patient}/study1`] = p % 2 ? 'Pneumonia.' : 'No pneumonia.';
    lines.push(
      `CheXpert-v1.0/train/${patient}/study1/view1_frontal.jpg,F,50,Frontal,AP,,${p % 2 ? '1.0' : '0.0'}`,
    );
    lines.push(
      `CheXpert-v1.0/train/${patient}/study1/view2_lateral.jpg,F,50,Lateral,,,${p % 2 ? '1.0' : '0.0'}`,
    );
  }
  writeFileSync(at('train.csv'), `${lines.join('\n')}\n`);
  const options = { rows: [await rowsOf(reports)], images: at('train.csv'), val: 0.2, test: 0.2 };
  const summary = await buildDataset(at('out'), options);
  expect(summary).toMatchObject({ source: 'chexpert', images: 400, patients: 200, splitBy: 'patients' });
  for (const { images, patients, split } of summary.splits) {
    expect(images).toBe(2 * patients);
    expect(patients).toBeGreaterThan(split === 'train' ? 90 : 20);
  }
  expect(summary.findings.find((f) => f.finding === 'Pneumonia')!.agreement).toEqual({
    both: 200,
    equal: 200,
  });
  const [header, ...rows] = parseCsv(readFileSync(at('out/labels.csv'), 'utf8'));
  const sides = new Map<string, Set<string>>();
  for (const row of rows) {
    const patient = row[header!.indexOf('patient')]!;
    sides.set(patient, (sides.get(patient) ?? new Set()).add(row[header!.indexOf('split')]!));
  }
  expect([...sides.values()].every((side) => side.size === 1)).toBe(true);

  // The same input gives the same version; another seed another one; shards give the same as the whole.
  expect((await buildDataset(at('again'), options)).version).toBe(summary.version);
  expect((await buildDataset(at('other'), { ...options, seed: 1 })).version).not.toBe(summary.version);
  for (const index of [1, 2]) {
    await extract(at('reports.jsonl'), at(`part-${index}.jsonl`), rules, { shard: { index, count: 2 } });
  }
  expect(
    (await buildDataset(at('shards'), { ...options, rows: [at('part-1.jsonl'), at('part-2.jsonl')] }))
      .version,
  ).toBe(summary.version);
  await extract(at('reports.jsonl'), at('rows.parquet'), rules);
  expect((await buildDataset(at('parquet'), { ...options, rows: [at('rows.parquet')] })).version).toBe(
    summary.version,
  );
});

describe('a table of images', () => {
  const table =
    'file,accession,mrn,side\na.png,s50000001,1,train\nb.png,s50000002,2,validation\nc.png,s50000004,3,test\n';
  const columns = { report: 'accession', patient: 'mrn', split: 'side' };
  const setUp = async (text: string): Promise<BuildOptions> => {
    writeFileSync(at('images.csv'), text);
    const reports = Object.fromEntries(Object.entries(texts).map(([id, t]) => [`x-${id}`, t]));
    return { rows: [await rowsOf(reports)], images: at('images.csv'), columns };
  };

  test('is joined by the columns that are named', async () => {
    const options = await setUp(table.replaceAll('s5', 'x-s5'));
    expect(await buildDataset(at('out'), options)).toMatchObject({
      images: 3,
      splits: [{ split: 'train' }, { split: 'val' }, { split: 'test' }],
    });
    await expect(buildDataset(at('out'), options)).rejects.toMatchObject({ code: 'files/exists' });
    expect((await buildDataset(at('out'), { ...options, overwrite: true })).images).toBe(3);
  });

  test.each<[string, string, Partial<BuildOptions>, string]>([
    ['ids that do not meet', table, {}, 'dataset/join'],
    [
      'a patient on two sides',
      table.replaceAll('s5', 'x-s5').replace('b.png,x-s50000002,2', 'b.png,x-s50000002,1'),
      {},
      'dataset/splits',
    ],
    ['an unknown split', table.replaceAll('s5', 'x-s5').replace('validation', 'tset'), {}, 'dataset/splits'],
    ['a wrong column', table, { columns: { ...columns, patient: 'nrm' } }, 'dataset/columns'],
    [
      'an image twice',
      table
        .replaceAll('s5', 'x-s5')
        .replace('c.png', 'a.png')
        .replace('s50000004,3,test', 's50000004,1,train'),
      {},
      'dataset/images',
    ],
    ['no patient', table.replaceAll('s5', 'x-s5').replace(',2,', ',,'), {}, 'dataset/patients'],
    ['nothing to train on', table, { val: 0.5, test: 0.5 }, 'dataset/shares'],
    ['no such rows', table, { rows: ['/nowhere.jsonl'] }, 'dataset/rows'],
  ])('%s is an error, and nothing is left behind', async (_, text, more, code) => {
    const options = { ...(await setUp(text)), ...more };
    await expect(buildDataset(at('out'), options)).rejects.toMatchObject({ name: 'PenumbraError', code });
    expect(readdirSync(dir).filter((name) => name.startsWith('out'))).toEqual([]);
  });

  test('a shard given twice, rows of two configurations, and a torn file are errors', async () => {
    const options = await setUp(table.replaceAll('s5', 'x-s5'));
    await expect(
      buildDataset(at('out'), { ...options, rows: [...options.rows, ...options.rows] }),
    ).rejects.toMatchObject({ code: 'dataset/rows' });
    const whole = readFileSync(options.rows[0]!, 'utf8');
    writeFileSync(at('torn.jsonl'), whole.slice(0, whole.length - 20));
    await expect(buildDataset(at('out'), { ...options, rows: [at('torn.jsonl')] })).rejects.toMatchObject({
      code: 'dataset/rows',
    });
    writeFileSync(at('mixed.jsonl'), whole.replace(/"version":"\w+"/, '"version":"0"'));
    await expect(buildDataset(at('out'), { ...options, rows: [at('mixed.jsonl')] })).rejects.toMatchObject({
      code: 'dataset/rows',
    });
  });
});

test('the page and the card hold the figures, fetch nothing, and escape what they show', async () => {
  const summary = await buildDataset(at('<b>out'), { rows: [await rowsOf(texts)], images: mimic(true) });
  const page = readFileSync(at('<b>out/report.html'), 'utf8');
  const body = page.replace(/<style>.*?<\/style>/s, '').replace(/<script>.*?<\/script>/s, '');
  expect(body).not.toMatch(/ src=| href="(?!#|README\.md)|@import|<script|<b>out/);
  expect(body).toContain('href="README.md"');
  for (const status of ['present', 'uncertain', 'absent', 'historical', 'conditional', 'someone else'])
    expect(body).toContain(`</span>${status}</dt>`);
  expect(page).toContain('prefers-color-scheme: dark');
  // Every bar's count can be read beside it, and the answer comes first.
  expect(body.indexOf('class="answer"')).toBeLessThan(body.indexOf('<table'));
  expect(page).toContain('Pleural Effusion');
  expect(page).toContain(summary.version);
  expect(page).toContain('probable');
  const card = readFileSync(at('<b>out/README.md'), 'utf8');
  expect(card).toContain('| val | 1 | 1 | 1 |');
  expect(card).toContain('1 images without a report, 1 reports without an image');
  expect(JSON.parse(readFileSync(at('<b>out/dataset.json'), 'utf8'))).toEqual(summary);
});

test('several readings of an image are one: the mean of what they express, and how far they are apart', async () => {
  const rows = await rowsOf({
    a: 'Probable pneumonia. No effusion.',
    b: 'No pneumonia. No effusion.',
    c: 'Cardiomegaly.',
    d: 'Effusion.',
  });
  writeFileSync(
    at('images.csv'),
    'image,report,patient,split\nx.png,a|b|c,p1,train\ny.png,d,p2,train\nz.png,d|gone,p3,train\n',
  );
  const summary = await buildDataset(at('data'), { rows: [rows], images: at('images.csv') });
  expect(summary.images).toBe(3);
  expect(summary.notes).toContainEqual(expect.stringMatching(/^2 images have several reports/));
  expect(summary.leftOut.reportsWithoutImage).toBe(0);
  const [header, ...lines] = parseCsv(readFileSync(at('data/labels.csv'), 'utf8'));
  const of = (image: string, column: string) =>
    lines.find(([name]) => name === image)![header!.indexOf(column)];
  const probable = 0.785;
  expect(Number(of('x.png', 'Pneumonia p'))).toBeCloseTo(probable / 2, 4);
  expect(of('x.png', 'Pneumonia y')).toBe('0');
  expect(Number(of('x.png', 'Pneumonia r'))).toBeCloseTo(probable, 4);
  expect(Number(of('x.png', 'Pleural Effusion p'))).toBe(0);
  expect(Number(of('x.png', 'Cardiomegaly p'))).toBe(1);
  expect(of('x.png', 'Fracture y')).toBe('');
  expect(Number(of('y.png', 'Pleural Effusion p'))).toBe(1);
  expect(Number(of('z.png', 'Pleural Effusion p'))).toBe(1);
  await withDuckDB(async ({ run, source }) => {
    const [[status, deviation, words]] = (await run(
      `SELECT t.Pneumonia.status, t.Pneumonia.deviation, len(t.Pneumonia.evidence) FROM (SELECT * FROM read_parquet(${source(at('data/dataset.parquet'))})) t WHERE image = 'x.png'`,
    )) as [[string, number, unknown]];
    expect(status).toBe('uncertain');
    expect(Number(deviation)).toBeGreaterThan(probable / 2 - 0.001);
    expect(Number(words)).toBeGreaterThanOrEqual(2);
  });
});

describe('from all images to pairs', () => {
  test('every step is counted: views, reports, failed and silent ones', async () => {
    const rows = await rowsOf({ ...texts, s50000003: 'Of this image nothing is said.' });
    const summary = await buildDataset(at('out'), {
      rows: [rows],
      images: mimic(true),
      views: ['frontal'],
      silent: 'drop',
    });
    expect(summary.steps).toEqual([
      { step: 'in the tables of images', images: 6, reports: 5, patients: 4 },
      { step: 'of the views frontal', images: 5, reports: 5, patients: 4 },
      { step: 'with a report among the rows', images: 4, reports: 4, patients: 3 },
      { step: 'whose report could be read and is kept', images: 4, reports: 4, patients: 3 },
      { step: 'whose report speaks of a finding', images: 3, reports: 3, patients: 3 },
    ]);
    expect(summary).toMatchObject({ images: 3, leftOut: { imagesOfOtherViews: 1, silentReports: 1 } });
    expect(readFileSync(at('out/README.md'), 'utf8')).toContain('| of the views frontal | 5 | 5 | 4 |');
  });

  test("a table's own column of views", async () => {
    const rows = await rowsOf({ a: 'Edema.', b: 'No edema.', c: 'Effusion.' });
    const lines = ['x.png,a,p1,PA', 'y.png,b,p2,L', 'z.png,c,p3,AP Supine'];
    writeFileSync(at('images.csv'), `image,report,patient,view\n${lines.join('\n')}\n`);
    const images = at('images.csv');
    const summary = await buildDataset(at('out'), { rows: [rows], images, views: ['frontal'] });
    expect(summary).toMatchObject({ images: 2, leftOut: { imagesOfOtherViews: 1 } });
  });

  test('paths that are relative to another folder than the table', async () => {
    const rows = await rowsOf({ a: 'Edema.', b: 'No edema.' });
    writeFileSync(at('images.csv'), 'image,report,patient\nx.png,a,p1\ny.png,b,p2\n');
    const root = at('pictures');
    await buildDataset(at('out'), { rows: [rows], images: at('images.csv'), root });
    expect(JSON.parse(readFileSync(at('out/dataset.json'), 'utf8')).imageRoot).toBe('../pictures');
  });

  test('an image that two rows list is told by the rows, not by its name', async () => {
    const rows = await rowsOf({ a: 'Edema.', b: 'No edema.' });
    const lines = ['x.png,a,"p\n1"', 'y.png,b,p2', 'x.png,b,p3'];
    writeFileSync(at('images.csv'), `image,report,patient\n${lines.join('\n')}\n`);
    const images = at('images.csv');
    await expect(buildDataset(at('out'), { rows: [rows], images })).rejects.toMatchObject({
      code: 'dataset/images',
      message: `${images} lists an image more than once: rows 1, 3 below the header`,
      where: { rows: '1, 3' },
    });
  });

  test('without a choice all are kept, and views that are not there are named', async () => {
    const rows = await rowsOf({ ...texts, s50000003: 'Of this image nothing is said.' });
    const { steps, leftOut } = await buildDataset(at('out'), { rows: [rows], images: mimic(false) });
    expect(steps.map(({ images }) => images)).toEqual([6, 5, 5]);
    expect(leftOut).toMatchObject({ imagesOfOtherViews: 0, silentReports: 0 });
    await expect(
      buildDataset(at('other'), { rows: [rows], images: mimic(false), views: ['oblique'] }),
    ).rejects.toMatchObject({ code: 'data/view', hint: expect.stringContaining('LATERAL') });
  });
});

describe('a release', () => {
  /** Built from reports with words that are nobody else's, and a quotation as a language model makes one. */
  async function built(): Promise<string> {
    const rows = await rowsOf({ ...texts, s50000001: 'Zyxoword: probable pneumonia. No effusion.' });
    const lines = readFileSync(rows, 'utf8').replaceAll(
      '"phrase":"Effusion"',
      '"phrase":"Quoteword effusion"',
    );
    expect(lines).toContain('Quoteword');
    writeFileSync(rows, lines);
    await buildDataset(at('built'), { rows: [rows], images: mimic(true) });
    return at('built');
  }
  const table = (name: string) => parseCsv(readFileSync(at(`release/${name}`), 'utf8'));

  test('holds no word of a report but those of the word database', async () => {
    const released = await releaseDataset(await built(), at('release'));
    expect(released).toMatchObject({ images: 5, reports: 4, otherPlaces: 1 });
    expect(readdirSync(at('release')).sort()).toEqual([
      'README.md',
      'evidence.csv',
      'manifest.json',
      'rates.csv',
      'rates.parquet',
      'release.json',
      'words.csv',
    ]);
    const columns = await withDuckDB(({ run }) =>
      run(`SELECT CAST(COLUMNS(*) AS VARCHAR) FROM read_parquet('${at('release/rates.parquet')}')`),
    );
    const all = [
      JSON.stringify(columns),
      ...readdirSync(at('release')).map((name) => readFileSync(at(`release/${name}`), 'latin1')),
    ].join();
    for (const text of ['Zyxoword', 'Quoteword', 'No effusion', 'Clear lungs'])
      expect(all).not.toContain(text);
    // The data set itself has them: the test would see them.
    expect(
      JSON.stringify(
        await withDuckDB(({ run }) =>
          run(`SELECT CAST(COLUMNS(*) AS VARCHAR) FROM read_parquet('${at('built/dataset.parquet')}')`),
        ),
      ),
    ).toMatch(/Zyxoword.*Quoteword/s);
  });

  test('the word database counts reports, offsets lead to the words, and rates are those of the data set', async () => {
    await releaseDataset(await built(), at('release'));
    const [heads, ...words] = table('words.csv');
    expect(heads).toEqual(
      'phrase,kind,finding,probability,deviation,source,reports,present,absent,uncertain'.split(','),
    );
    const probable = words.find(([phrase]) => phrase === 'probable')!;
    expect([probable[1], probable[3], ...probable.slice(6)]).toEqual(['hedge', '0.785', '1', '0', '0', '1']);
    expect(words.some(([phrase, , , , , , reports]) => phrase === 'possible' && reports === '0')).toBe(true);

    const [, ...places] = table('evidence.csv');
    const text = 'Zyxoword: probable pneumonia. No effusion.';
    const of = places.filter(([report, finding]) => /50000001$/.test(report!) && finding === 'Pneumonia');
    expect(of.map(([, , status, , start, end]) => [status, text.slice(Number(start), Number(end))])).toEqual(
      expect.arrayContaining([
        ['uncertain', 'pneumonia'],
        ['uncertain', 'probable'],
      ]),
    );

    const labels = parseCsv(readFileSync(at('built/labels.csv'), 'utf8'));
    expect(table('rates.csv')).toEqual(labels);
  });

  test('of what is no built data set, and over what is not ours, is refused', async () => {
    mkdirSync(at('empty'));
    await expect(releaseDataset(at('empty'), at('release'))).rejects.toMatchObject({
      code: 'dataset/release',
    });
    mkdirSync(at('release'));
    writeFileSync(at('release/mine.txt'), 'mine');
    await expect(releaseDataset(await built(), at('release'))).rejects.toThrow();
    expect(readFileSync(at('release/mine.txt'), 'utf8')).toBe('mine');
  });
});

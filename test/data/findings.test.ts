import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, test } from 'vitest';
import {
  BatchLoader,
  CHESTXRAY8_FINDINGS,
  countFindings,
  type Dataset,
  type Findings,
  lackingFindings,
  mapClasses,
  type OpenOptions,
  openDataset,
  registerFormat,
  type Subset,
  selectSites,
} from '../../src/data/index.ts';
import { folderMaker, pictures } from './folder-maker.ts';

const { make, dispose } = folderMaker('findings');
afterAll(dispose);

const findingsOf = (subset: Subset | undefined) => subset!.targets as Findings;
/** Values with `?` where they are not known. */
const table = (subset: Subset | undefined) => {
  const { names, values, mask } = findingsOf(subset);
  const cells = Array.from(values, (y, at) => (mask?.[at] === 0 ? '?' : y));
  return Array.from({ length: subset!.length }, (_, i) =>
    cells.slice(i * names.length, (i + 1) * names.length),
  );
};
const files = (subset: Subset | undefined) =>
  Array.from({ length: subset!.length }, (_, i) => subset!.nameOf(i));
const noSplits = { fractions: { val: 0, test: 0 } } as const;

describe('a column per finding', () => {
  const four = pictures('a.png', 'b.png', 'c.png', 'd.png');
  const csv =
    'file,patient,Age,Edema,Mass\na.png,1,50,1,0\nb.png,1,51,-1,\nc.png,2,60,0.25,1.0\nd.png,3,70,nan,0.0\n';
  const open = (options: OpenOptions = {}, text = csv) =>
    openDataset(make({ ...four, 't.csv': text }), { ...noSplits, ...options });

  test('1, 0, fractions and −1; blanks and the uncertain are unknown unless something else is asked for', () => {
    const data = open();
    expect(data).toMatchObject({ format: 'csv', kind: 'findings', classes: ['Edema', 'Mass'] });
    expect(table(data.splits.train)).toEqual([
      [1, 0],
      ['?', '?'],
      [0.25, 1],
      ['?', 0],
    ]);
    expect(findingsOf(data.splits.train).rates).toBeUndefined();
    expect([...data.splits.train!.groups!]).toEqual([0, 0, 1, 2]);
    expect(data.notes).toEqual([
      'each of these columns of t.csv is a finding: Edema, Mass',
      'columns that were not read: Age',
    ]);
  });

  test('views of a table that names them; asking for them anywhere else is an error, not in vain', () => {
    const named =
      'file,patient,View Position,Edema,Mass\na.png,1,PA,1,0\nb.png,1,L,0,0\nc.png,2,AP Supine,0,1\nd.png,3,,1,1\n';
    const frontal = open({ views: ['frontal'] }, named);
    expect(files(frontal.splits.train)).toEqual(['a.png', 'c.png']);
    expect(table(frontal.splits.train)).toEqual([
      [1, 0],
      [0, 1],
    ]);
    const refusal = (hint: string) => expect.objectContaining({ code: 'data/view', hint });
    expect(() => open({ views: ['oblique'] }, named)).toThrow(
      refusal('its views are PA, L, AP Supine, (blank)'),
    );
    const without = refusal('leave views out, or give the table a column view');
    expect(() => open({ views: ['PA'] })).toThrow(without);
    expect(() => openDataset('phantom', { views: ['PA'] })).toThrow(without);
    const classes = pictures('x/a.png', 'y/b.png');
    expect(() => openDataset(make(classes), { ...noSplits, views: ['PA'] })).toThrow(without);
  });

  test.each<[string, OpenOptions['findings'], (number | string)[], number[] | undefined]>([
    ['zeros', { uncertain: 'zeros' }, [1, 0, 0.25, '?'], undefined],
    ['ones', { uncertain: 'ones' }, [1, 1, 0.25, '?'], undefined],
    ['a half', { uncertain: 0.5 }, [1, 0.5, 0.25, '?'], undefined],
    ['a rate', { uncertain: { rate: 0.5 } }, [1, 1, 0.25, '?'], [0, 0.5, 0, 0]],
    ['blanks as zeros', { blank: 'zeros' }, [1, '?', 0.25, 0], undefined],
  ])('uncertain and blank: %s', (_, findings, edema, rates) => {
    const { targets } = open({ findings, classes: ['Edema'] }).splits.train!;
    const { mask, values } = targets as Findings;
    expect(Array.from(values, (y, i) => (mask?.[i] === 0 ? '?' : y))).toEqual(edema);
    expect((targets as Findings).rates && [...(targets as Findings).rates!]).toEqual(rates);
  });

  test('without an unknown value there is no mask', () => {
    const data = open({ findings: { uncertain: 'ones', blank: 'zeros' } });
    expect(findingsOf(data.splits.train).mask).toBeUndefined();
  });

  test('classes choose findings and their order, also of columns that look like none', () => {
    const data = open({ classes: ['mass', 'Edema'] });
    expect(data.classes).toEqual(['mass', 'Edema']);
    expect(table(data.splits.train)[0]).toEqual([0, 1]);
    const sex = 'file,sex,Mass\na.png,1,0\nb.png,0,1\n';
    expect(open({ classes: ['sex', 'Mass'] }, sex).classes).toEqual(['sex', 'Mass']);
  });

  test('rates and probabilities beside the labels, in two spellings', () => {
    const csv =
      'image,split,Edema y,Edema p,Edema r,Mass,Mass_rate\na.png,train,1,0.75,0.5,0,-0.5\nb.png,train,1,0.5,1,,\n' +
      'c.png,train,0,0.25,,1,0.25\n';
    const labels = findingsOf(open({}, csv).splits.train);
    expect(labels.names).toEqual(['Edema', 'Mass']);
    expect([...labels.values]).toEqual([1, 0, 1, 0, 0, 1]);
    expect([...labels.mask!]).toEqual([1, 1, 1, 0, 1, 1]);
    // Rates are inside (−1, 1): a rate of 1 is the float32 below it.
    expect([...labels.rates!]).toEqual([0.5, -0.5, 1 - 2 ** -24, 0, 0, 0.25]);
    const p = findingsOf(open({ findings: { values: 'probabilities' } }, csv).splits.train);
    expect([...p.values]).toEqual([0.75, 0, 0.5, 0, 0.25, 1]);
    expect(p.rates).toBeUndefined();
  });

  test('one table a split', () => {
    const head = 'file,A,B\n';
    const folder = make({
      ...four,
      'train.csv': `${head}a.png,1,0\nb.png,0,1\n`,
      'test.csv': `${head}c.png,1,\n`,
    });
    const data = openDataset(folder);
    expect(table(data.splits.test)).toEqual([[1, '?']]);
    expect(lackingFindings(data)).toContainEqual({ split: 'test', what: 'known value', findings: ['B'] });
  });

  test.each<[string, string, OpenOptions, string, object]>([
    [
      'a value that is none',
      'file,A,B\na.png,1,0\nb.png,2,0\n',
      {},
      'data/finding-value',
      { line: 3, finding: 'A' },
    ],
    ['a text', 'file,A,B\na.png,yes,0\n', { classes: ['A', 'B'] }, 'data/finding-value', { line: 2 }],
    ['a rate above 1', 'file,A,A r\na.png,1,1.5\n', {}, 'data/finding-value', { finding: 'A' }],
    ['a rate below −1', 'file,A,A r\na.png,1,0\nb.png,0,-1.5\n', {}, 'data/finding-value', { line: 3 }],
    [
      'a finding that is not there',
      'file,A,B\na.png,1,0\n',
      { classes: ['A', 'X'] },
      'data/unknown-finding',
      {},
    ],
    ['no finding at all', 'file,Age\na.png,50\n', {}, 'data/columns', { column: 'label' }],
    [
      'a label column of another name',
      'file,kind\na.png,0\nb.png,1\n',
      {},
      'data/columns',
      { column: 'label' },
    ],
    ['a column twice', 'file,A,B,A\na.png,1,0,1\n', {}, 'data/columns', { column: 'A' }],
    [
      'no positive to learn',
      'file,A,B\na.png,0,0\nb.png,0,0\n',
      {},
      'data/missing-class',
      { split: 'train' },
    ],
    ['an option out of range', csv, { findings: { uncertain: 2 } }, 'data/findings-option', {}],
    ['a rate option out of range', csv, { findings: { uncertain: { rate: 1 } } }, 'data/findings-option', {}],
  ])('refused: %s', (_, text, options, code, where) => {
    expect(() => open(options, text)).toThrow(
      expect.objectContaining({ code, where: expect.objectContaining(where) }),
    );
  });

  test('other columns in a later table are refused', () => {
    const tables = { 'train.csv': 'file,A,B\na.png,1,0\nb.png,0,1\n', 'test.csv': 'file,B,A\nc.png,1,0\n' };
    expect(() => openDataset(make({ ...four, ...tables }))).toThrow(/other columns of findings/);
    // By name the order does not matter.
    expect(table(openDataset(make({ ...four, ...tables }), { classes: ['A', 'B'] }).splits.test)).toEqual([
      [0, 1],
    ]);
  });

  test('duplicate and missing files are counted', () => {
    const twice = 'file,A,B\na.png,1,0\nb.png,0,1\na.png,1,0\nb.png,1,0\n';
    expect(() => open({}, twice)).toThrow(
      expect.objectContaining({
        code: 'data/duplicate-file',
        message: expect.stringMatching(
          /^2 rows list a file again; .*t\.csv, line 4: a\.png was listed before.* line 2$/,
        ),
        where: expect.objectContaining({ duplicates: 2, line: 4 }),
      }),
    );
    expect(() => open({}, 'file,A,B\na.png,1,0\nx.png,0,1\ny.png,0,1\n')).toThrow(/^2 of 3 listed files/);
  });
});

describe('labels joined by |', () => {
  const csv =
    'file,label,patient\na.png,Mass|Edema,1\nb.png,No Finding,1\nc.png,Edema,2\nd.png, Hernia | Mass,3\n';
  const open = (options: OpenOptions = {}, text = csv) =>
    openDataset(make({ ...pictures('a.png', 'b.png', 'c.png', 'd.png'), 't.csv': text }), {
      ...noSplits,
      ...options,
    });

  test('are findings, never a class for each combination', () => {
    const data = open();
    expect(data).toMatchObject({ kind: 'findings', classes: ['Edema', 'Hernia', 'Mass'] });
    expect(table(data.splits.train)).toEqual([
      [1, 0, 1],
      [0, 0, 0],
      [1, 0, 0],
      [0, 1, 1],
    ]);
    expect(findingsOf(data.splits.train).mask).toBeUndefined();
  });

  test('classes choose among them, and a wrong one is named', () => {
    expect(table(open({ classes: ['Mass'] }).splits.train)).toEqual([[1], [0], [0], [1]]);
    expect(() => open({ classes: ['Mess'] })).toThrow(
      expect.objectContaining({ code: 'data/unknown-finding', hint: expect.stringContaining("mean 'Mass'") }),
    );
  });

  test('only where it is asked for is each label a class', () => {
    const combinations = open({ kind: 'one-of-k' });
    expect(combinations).toMatchObject({ kind: 'one-of-k' });
    expect(combinations.classes).toHaveLength(4);
    const single = 'file,label\na.png,Mass\nb.png,Edema\n';
    expect(open({}, single)).toMatchObject({ kind: 'one-of-k', classes: ['Edema', 'Mass'] });
    expect(open({ kind: 'findings' }, single)).toMatchObject({
      kind: 'findings',
      classes: ['Edema', 'Mass'],
    });
  });
});

describe('NIH ChestX-ray14', () => {
  const head =
    'Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,' +
    'OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]\n';
  const name = (patient: number, visit: number) =>
    `${String(patient).padStart(8, '0')}_${String(visit).padStart(3, '0')}.png`;
  const labels = ['No Finding', 'Hernia', 'Mass|Edema', 'Cardiomegaly'];
  const images = Array.from({ length: 24 }, (_, i) => ({
    file: name(1 + (i >> 1), i % 2),
    line: `${name(1 + (i >> 1), i % 2)},${labels[(i >> 1) % 4]},${i % 2},${1 + (i >> 1)},57,M,${i % 2 ? 'AP' : 'PA'},2682,2749,0.143,0.143\n`,
  }));
  const csv = head + images.map(({ line }) => line).join('');
  const lists = {
    'train_val_list.txt': images
      .slice(0, 16)
      .map(({ file }) => `${file}\n`)
      .join(''),
    'test_list.txt': images
      .slice(16)
      .map(({ file }) => file)
      .join('\r\n'),
  };
  const layouts: [string, (file: string, i: number) => string][] = [
    ['images/', (file) => `images/${file}`],
    ['images_001/images/ …', (file, i) => `images_${String(1 + (i % 12)).padStart(3, '0')}/images/${file}`],
    ['beside the table', (file) => file],
  ];

  test.each(layouts)(
    'images in %s; official lists, patients whole, validation from the first',
    (_, place) => {
      const paths = images.map(({ file }, i) => place(file, i));
      const data = openDataset(make({ ...pictures(...paths), ...lists, 'Data_Entry_2017.csv': csv }));
      expect(data).toMatchObject({ format: 'nih-chestxray', kind: 'findings' });
      expect(data.classes).toHaveLength(14);
      expect(files(data.splits.test)).toEqual(paths.slice(16));
      expect(data.splits.train!.length + data.splits.val!.length).toBe(16);
      // An eighth is one patient of eight; each rare finding asks for one more, up to twice the share.
      expect(data.splits.val!.length).toBe(4);
      const mass = data.classes.indexOf('Mass');
      const edema = data.classes.indexOf('Edema');
      table(data.splits.test).forEach((row, i) => {
        const isThird = ((16 + i) >> 1) % 4 === 2;
        expect([row[mass], row[edema]]).toEqual(isThird ? [1, 1] : [0, 0]);
      });
      expect(new Set(data.splits.test!.groups).size).toBe(4);
    },
  );

  const folder = () =>
    make({
      ...pictures(...images.map(({ file }) => `images/${file}`)),
      ...lists,
      'Data_Entry_2017.csv': csv,
    });

  test('8 findings, No Finding, and views', () => {
    expect(openDataset(folder(), { classes: CHESTXRAY8_FINDINGS }).classes).toEqual(CHESTXRAY8_FINDINGS);
    const none = openDataset(folder(), { classes: ['No Finding', 'Hernia'] });
    expect(countFindings(findingsOf(none.splits.test)).map(({ positive }) => positive)).toEqual([2, 2]);
    const pa = openDataset(folder(), { views: ['PA'], fractions: { val: 0 } });
    expect([pa.splits.train!.length, pa.splits.test!.length]).toEqual([8, 4]);
    expect(() => openDataset(folder(), { views: ['lateral'] })).toThrow(
      expect.objectContaining({ code: 'data/view', hint: 'its views are PA, AP' }),
    );
  });

  test('without the lists all is divided, and an image in neither list is an error', () => {
    const pictureFiles = pictures(...images.map(({ file }) => `images/${file}`));
    const data = openDataset(make({ ...pictureFiles, 'Data_Entry_2017.csv': csv }), {
      fractions: { val: 0.25, test: 0.25 },
    });
    expect(Object.values(data.splits).reduce((sum, { length }) => sum + length, 0)).toBe(24);
    const short = {
      ...lists,
      'test_list.txt': images
        .slice(18)
        .map(({ file }) => `${file}\n`)
        .join(''),
    };
    expect(() => openDataset(make({ ...pictureFiles, ...short, 'Data_Entry_2017.csv': csv }))).toThrow(
      expect.objectContaining({
        code: 'data/unlisted',
        where: expect.objectContaining({ missing: 2, line: 18 }),
      }),
    );
  });

  test('a label that was never published, and files that are missing', () => {
    const odd = csv.replace('Hernia', 'Hernai');
    expect(() => openDataset(make({ ...lists, 'Data_Entry_2017.csv': odd }))).toThrow(
      expect.objectContaining({
        code: 'data/unknown-finding',
        hint: expect.stringContaining("mean 'Hernia'"),
      }),
    );
    expect(() => openDataset(make({ ...lists, 'Data_Entry_2017.csv': csv }))).toThrow(
      /^24 of 24 listed files/,
    );
  });
});

describe('CheXpert', () => {
  const findings = [
    'No Finding',
    'Enlarged Cardiomediastinum',
    'Cardiomegaly',
    'Lung Opacity',
    'Lung Lesion',
    'Edema',
    'Consolidation',
    'Pneumonia',
    'Atelectasis',
    'Pneumothorax',
    'Pleural Effusion',
    'Pleural Other',
    'Fracture',
    'Support Devices',
  ];
  const head = `Path,Sex,Age,Frontal/Lateral,AP/PA,${findings.join(',')}\n`;
  const cells = (given: Record<string, string>) => findings.map((name) => given[name] ?? '').join(',');
  const path = (part: string, patient: number, view = 'view1_frontal') =>
    `${part}/patient${String(patient).padStart(5, '0')}/study1/${view}.jpg`;
  const row = (file: string, view: string, given: Record<string, string>) =>
    `CheXpert-v1.0-small/${file},Male,60,${view},${cells(given)}\n`;
  const train = [
    row(path('train', 1), 'Frontal,AP', { Edema: '1.0', Cardiomegaly: '-1.0', Fracture: '0.0' }),
    row(path('train', 1, 'view2_lateral'), 'Lateral,', {
      Edema: '1.0',
      Cardiomegaly: '-1.0',
      Fracture: '0.0',
    }),
    row(path('train', 2), 'Frontal,PA', { 'No Finding': '1.0', 'Support Devices': '1.0' }),
    row(path('train', 3), 'Frontal,AP', { Edema: '-1.0', Fracture: '1.0', Cardiomegaly: '1.0' }),
  ];
  const valid = [
    row(
      path('valid', 9),
      'Frontal,AP',
      Object.fromEntries(findings.map((f) => [f, f === 'Edema' ? '1.0' : '0.0'])),
    ),
  ];
  const jpgs = pictures(
    path('train', 1),
    path('train', 1, 'view2_lateral'),
    path('train', 2),
    path('train', 3),
    path('valid', 9),
  );
  const tables = { 'train.csv': head + train.join(''), 'valid.csv': head + valid.join('') };
  const folder = () => make({ ...jpgs, ...tables });

  test('paths, patients, splits; blanks and doubt unknown; a blank under No Finding is a 0', () => {
    const data = openDataset(folder());
    expect(data).toMatchObject({ format: 'chexpert', classes: findings });
    expect(Object.keys(data.splits)).toEqual(['train', 'val']);
    expect(files(data.splits.train)[1]).toBe('train/patient00001/study1/view2_lateral.jpg');
    expect([...data.splits.train!.groups!]).toEqual([0, 0, 1, 2]);
    const five = (split: 'train' | 'val') =>
      table(
        openDataset(folder(), { classes: ['No Finding', 'Cardiomegaly', 'Edema', 'Fracture'] }).splits[split],
      );
    expect(five('train')).toEqual([
      [0, '?', 1, 0],
      [0, '?', 1, 0],
      [1, '?', '?', '?'],
      [0, 1, '?', 1],
    ]);
    expect(five('val')).toEqual([[0, 0, 1, 0]]);
  });

  test('policies', () => {
    const open = (options: OpenOptions['findings']) =>
      table(openDataset(folder(), { findings: options, classes: ['Cardiomegaly', 'Edema'] }).splits.train);
    expect(open({ uncertain: 'ones', blank: 'zeros' })).toEqual([
      [1, 1],
      [1, 1],
      [0, 0],
      [1, 1],
    ]);
    expect(open({ uncertain: 0.5, blank: 'zeros' })[3]).toEqual([1, 0.5]);
  });

  test('views, a root around the folder, and the training table alone', () => {
    expect(openDataset(folder(), { views: ['frontal'] }).splits.train!.length).toBe(3);
    expect(openDataset(folder(), { views: ['AP'] }).splits.train!.length).toBe(2);
    const around = make({
      ...Object.fromEntries(Object.keys(jpgs).map((file) => [`CheXpert-v1.0-small/${file}`, true as const])),
    });
    const data = openDataset(folder(), { root: around });
    expect(files(data.splits.val)).toEqual([`CheXpert-v1.0-small/${path('valid', 9)}`]);
    const alone = openDataset(join(folder(), 'train.csv'), { fractions: { val: 0, test: 0.34 } });
    expect(Object.keys(alone.splits)).toEqual(['train', 'test']);
  });

  test('its valid judges, and validation comes from train by patient', () => {
    const data = openDataset(folder(), { splits: { test: 'val' }, fractions: { val: 0.3 } });
    expect(Object.keys(data.splits)).toEqual(['train', 'val', 'test']);
    expect(data.splits.test!.length).toBe(1);
  });
});

describe('MIMIC-CXR-JPG', () => {
  const findings = ['Atelectasis', 'Cardiomegaly', 'Edema', 'No Finding'];
  const chexpert =
    `subject_id,study_id,${findings.join(',')}\n` +
    '10000032,50414267,,,1.0,\n10000032,53189527,-1.0,0.0,,\n12000764,57375967,,1.0,,\n13000980,50985099,1.0,,0.0,\n13000999,50985100,,,,1.0\n';
  const images = [
    ['aa-1', 10000032, 50414267, 'train', 'PA'],
    ['aa-2', 10000032, 50414267, 'train', 'LATERAL'],
    ['bb-1', 10000032, 53189527, 'train', 'AP'],
    ['cc-1', 12000764, 57375967, 'validate', 'AP'],
    ['dd-1', 13000980, 50985099, 'test', 'AP'],
    ['dd-2', 13000980, 50985099, 'test', 'LL'],
    ['ee-1', 13000999, 50985100, 'test', ''],
    ['ff-1', 19999999, 59999999, 'train', 'AP'],
  ] as const;
  const split = `dicom_id,study_id,subject_id,split\n${images.map(([d, p, s, part]) => `${d},${s},${p},${part}\n`).join('')}`;
  const metadata = `dicom_id,subject_id,study_id,ViewPosition\n${images.map(([d, p, s, , view]) => `${d},${p},${s},${view}\n`).join('')}`;
  const jpg = ([d, p, s]: (typeof images)[number]) => `files/p${String(p).slice(0, 2)}/p${p}/s${s}/${d}.jpg`;
  const all = pictures(...images.map(jpg));
  const plain = {
    'mimic-cxr-2.0.0-chexpert.csv': chexpert,
    'mimic-cxr-2.0.0-split.csv': split,
    'mimic-cxr-2.0.0-metadata.csv': metadata,
  };
  const packed = Object.fromEntries(
    Object.entries(plain).map(([name, text]) => [`${name}.gz`, gzipSync(text)]),
  );

  test.each([
    ['plain', plain],
    ['packed', packed],
  ])('%s tables: the labels of a study for each of its images, patients as groups', (_, tables) => {
    const data = openDataset(make({ ...all, ...tables }));
    expect(data).toMatchObject({ format: 'mimic-cxr-jpg', classes: findings });
    expect(files(data.splits.train)).toEqual(images.slice(0, 3).map(jpg));
    expect(table(data.splits.train)).toEqual([
      ['?', '?', 1, 0],
      ['?', '?', 1, 0],
      ['?', 0, '?', 0],
    ]);
    expect(table(data.splits.val)).toEqual([['?', 1, '?', 0]]);
    expect(table(data.splits.test)[2]).toEqual(['?', '?', '?', 1]);
    expect(new Set(data.splits.train!.groups).size).toBe(1);
    expect(data.notes[0]).toBe('1 images of studies without labels are left out');
  });

  test('views from the metadata', () => {
    const data = openDataset(make({ ...all, ...plain }), { views: ['frontal'] });
    expect(Object.values(data.splits).map(({ length }) => length)).toEqual([2, 1, 1]);
    const { 'mimic-cxr-2.0.0-metadata.csv': _, ...without } = plain;
    expect(() => openDataset(make({ ...all, ...without }), { views: ['PA'] })).toThrow(/metadata/);
  });

  test('a damaged table, a study twice, missing files', () => {
    const torn = { ...packed, 'mimic-cxr-2.0.0-split.csv.gz': gzipSync(split).subarray(0, 60) };
    expect(() => openDataset(make({ ...all, ...torn }))).toThrow(
      expect.objectContaining({ code: 'data/gzip' }),
    );
    const twice = { ...plain, 'mimic-cxr-2.0.0-chexpert.csv': `${chexpert}10000032,50414267,,,1.0,\n` };
    expect(() => openDataset(make({ ...all, ...twice }))).toThrow(
      expect.objectContaining({ code: 'data/duplicate-study', where: expect.objectContaining({ line: 7 }) }),
    );
    expect(() => openDataset(make(plain))).toThrow(/^7 of 7 listed files/);
  });
});

describe('sites and class maps', () => {
  const csv =
    'file,site,split,A,B,C\na.png,x,train,1,0,\nb.png,x,train,0,1,-1\nc.png,y,train,0,,1\nd.png,y,test,1,1,1\n';
  const data = () => openDataset(make({ ...pictures('a.png', 'b.png', 'c.png', 'd.png'), 't.csv': csv }));

  test('sites choose samples, and what is then missing is said', () => {
    const chosen = selectSites(data(), { train: ['y'], test: ['y'] });
    expect(table(chosen.splits.train)).toEqual([[0, '?', 1]]);
    expect(lackingFindings(chosen)).toContainEqual({ split: 'train', what: 'positive', findings: ['A'] });
  });

  test('findings merge: present where any is, absent where all are known to be, else unknown', () => {
    const mapped = mapClasses(data(), { A: 'AB', B: 'AB', C: null });
    expect(mapped.classes).toEqual(['AB']);
    expect(table(mapped.splits.train)).toEqual([[1], [1], ['?']]);
    const wider = mapClasses(data(), { A: 'A', B: 'B', C: null }, ['B', 'new', 'A']);
    expect(table(wider.splits.train)).toEqual([
      [0, '?', 1],
      [1, '?', 0],
      ['?', '?', 0],
    ]);
  });
});

test('a format of one’s own is asked first', () => {
  registerFormat({
    name: 'mine',
    what: 'mine',
    detects: ({ names }) => names.includes('mine.txt'),
    read: (path, options) => ({
      ...listingOf(openDataset(join(path, 'inner'), options)),
    }),
  });
  const folder = make({ 'mine.txt': 'x', 'inner/a/1.png': true, 'inner/b/2.png': true });
  expect(openDataset(folder, noSplits)).toMatchObject({ format: 'mine', classes: ['a', 'b'] });
  expect(() =>
    registerFormat({ name: 'mine', what: '', detects: () => false, read: () => listingOf({} as Dataset) }),
  ).toThrow(expect.objectContaining({ code: 'data/format' }));
});

/** What a reader would have given for a data set that is not divided. */
function listingOf({ splits, skipped }: Dataset) {
  const { source, rows, targets } = splits.train!;
  const part = { split: undefined, source: source!, rows, targets };
  const rest = { names: undefined, groups: undefined, posterior: undefined };
  return { format: 'mine', parts: [{ ...part, ...rest }], skipped };
}

describe.skipIf(process.env.PENUMBRA_TEST_DATA === undefined)('real data (PENUMBRA_TEST_DATA)', () => {
  test('758 radiographs of NIH: findings, lists, patients, and pixels', async () => {
    const data = openDataset(join(process.env.PENUMBRA_TEST_DATA!, 'nih-1000'));
    expect(data).toMatchObject({ kind: 'findings', format: 'nih-chestxray' });
    const { train, val, test: judged } = data.splits;
    expect(judged!.length).toBe(330);
    expect(train!.length + val!.length).toBe(428);
    const patients = Object.values(data.splits).map(({ groups }) => new Set(groups));
    expect(patients.reduce((sum, { size }) => sum + size, 0)).toBe(202);
    await using loader = new BatchLoader(judged!, { batchSize: 100, size: 64 });
    let seen = 0;
    for await (const { targets, indices, images } of loader.epoch(0)) {
      expect(targets.values).toHaveLength(14 * indices.length);
      expect(images.some((value) => value > 0)).toBe(true);
      seen += indices.length;
    }
    expect([seen, loader.broken.length]).toEqual([330, 0]);
  });
});

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { run } from '../../src/cli/main.ts';
import { Random } from '../../src/random.ts';

vi.setConfig({ testTimeout: 300_000 }); // for a busy machine

const root = mkdtempSync(join(tmpdir(), 'penumbra-lacking-'));
const at = (...names: string[]) => join(root, ...names);
const small = [
  '--model',
  'resnet10_half',
  '--epochs',
  '1',
  '--size',
  '16',
  '--batch-size',
  '8',
  '--threads',
  '1',
];
const SPLITS = { train: 24, val: 12, test: 12 };

/** Findings that are there in some of each split; never in train; never in test; never known in val; always in train. */
const findings: Readonly<Record<string, (split: string, i: number) => number | ''>> = {
  Edema: (_, i) => i % 2,
  Mass: (split, i) => (split === 'train' ? 0 : i % 3 === 0 ? 1 : 0),
  Hernia: (split, i) => (split === 'test' ? 0 : i % 3 === 1 ? 1 : 0),
  Nodule: (split, i) => (split === 'val' ? '' : i % 4 === 0 ? 1 : 0),
  Devices: (split, i) => (split === 'train' ? 1 : i % 2),
};

function table(name: string, of: typeof findings): void {
  const rows = Object.entries(SPLITS).flatMap(([split, many]) =>
    Array.from({ length: many }, (_, i) =>
      [`${split}${i}.png`, split, ...Object.values(of).map((value) => value(split, i))].join(','),
    ),
  );
  writeFileSync(at(name), [`file,split,${Object.keys(of).join(',')}`, ...rows, ''].join('\n'));
}

beforeAll(async () => {
  mkdirSync(root, { recursive: true });
  const random = new Random(1);
  for (const [split, many] of Object.entries(SPLITS))
    for (let i = 0; i < many; i++) {
      const pixels = Uint8Array.from({ length: 256 }, () => random.below(256));
      await sharp(pixels, { raw: { width: 16, height: 16, channels: 1 } })
        .png()
        .toFile(at(`${split}${i}.png`));
    }
  table('some.csv', findings);
  table('none.csv', { Edema: () => 0, Mass: (split, i) => (split === 'test' ? i % 2 : 0) });
});
afterAll(() => rmSync(root, { recursive: true }));

/** Runs a command line: its exit code and what was written to stderr, and how much of that before the first epoch. */
async function cli(...args: string[]): Promise<{ code: number; text: string; before: string }> {
  let text = '';
  const write = (piece: string | Uint8Array) => {
    text += String(piece);
    return true;
  };
  const err = vi.spyOn(process.stderr, 'write').mockImplementation(write);
  const out = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  const codeBefore = process.exitCode;
  process.exitCode = 0;
  try {
    await run(['node', 'penumbra', ...args]);
    return { code: Number(process.exitCode ?? 0), text, before: text.split(/epoch|start/)[0]! };
  } finally {
    process.exitCode = codeBefore;
    err.mockRestore();
    out.mockRestore();
  }
}

const WARNINGS = [
  'warning: split train has no positive of Mass: it cannot be learnt\n',
  'warning: split train has no negative of Devices: it cannot be learnt\n',
  'warning: split val has no known value of Nodule: no threshold and no calibrator can be fitted for it\n',
  'warning: split test has no positive of Hernia: its AUROC',
];

function expectWarnings(text: string, about = ''): void {
  for (const line of WARNINGS) expect(text).toContain(`${about}${line}`);
  expect(text.match(/ {2}hint: train without them/g)).toHaveLength(1);
}

test('train says before training which finding lacks what, and evaluate measures the others', async () => {
  const folder = at('run');
  const trained = await cli('train', at('some.csv'), '--out', folder, '--objective', 'asl', ...small);
  expect(trained.text).not.toMatch(/^error/m);
  expect(trained.code).toBe(0);
  expectWarnings(trained.before);
  const json = at('figures.json');
  const judged = await cli('evaluate', folder, at('some.csv'), '--split', 'test', '--json', json);
  expect(judged.code).toBe(0);
  expectWarnings(judged.text);
  const { auroc, nll } = JSON.parse(readFileSync(json, 'utf8'));
  const { value, perFinding } = auroc;
  expect(perFinding.Hernia.value).toBeNull();
  const known = Object.keys(findings)
    .filter((name) => name !== 'Hernia')
    .map((name) => perFinding[name].value as number);
  expect(known.every((one) => one >= 0 && one <= 1)).toBe(true);
  expect(value).toBeCloseTo(known.reduce((sum, one) => sum + one, 0) / known.length, 12);
  expect(nll.perFinding.Hernia.value).toBeGreaterThan(0);
});

test('a comparison of methods that weigh by frequency says it, and is judged', async () => {
  const folder = at('compared');
  const done = await cli(
    ...[
      'compare',
      at('some.csv'),
      '--objectives',
      'hard,aucm',
      '--seeds',
      '1',
      '--class-weights',
      'balanced',
    ],
    ...['--out', folder, '--no-images', ...small],
  );
  expect(done.text).not.toMatch(/^error/m);
  expect(done.code).toBe(0);
  expectWarnings(done.before);
  const result = JSON.parse(readFileSync(join(folder, 'result.json'), 'utf8'));
  expect(result.notes.join('\n')).toContain('split train has no positive of Mass');
  const { methods } = result.cells[0].judgement.parts.figures;
  for (const { figures } of methods) {
    expect(figures.auroc.perFinding.Hernia.value).toBeNull();
    expect(figures.auroc.value).toBeGreaterThanOrEqual(0);
    expect(figures.nll.value).toBeGreaterThan(0);
  }
});

const study = (name: string, path: string) => {
  const settings = { epochs: 1, batchSize: 8, size: 16, threads: 1 };
  const sets = { chest: { path } };
  const content = { name, sets, networks: ['resnet10_half'], methods: ['hard'], seeds: 1, settings };
  writeFileSync(at(`${name}.json`), JSON.stringify({ ...content, images: false, embeddings: false }));
  return at(`${name}.json`);
};

test('a study says it by the name of the set', async () => {
  const done = await cli('study', study('lacking', 'some.csv'), '--out', at('studied'), '--dry-run');
  expect(done.text).not.toMatch(/^error/m);
  expectWarnings(done.text, 'set chest: ');
});

test.each<[string, () => string[]]>([
  ['train', () => ['train', at('none.csv'), '--out', at('refused'), ...small]],
  ['compare', () => ['compare', at('none.csv'), '--out', at('refused'), '--seeds', '1', ...small]],
  ['study', () => ['study', study('hopeless', 'none.csv'), '--out', at('refused')]],
])('%s refuses data in which no finding has a positive to learn', async (_, args) => {
  const refused = await cli(...args());
  expect(refused.code).toBeGreaterThan(0);
  expect(refused.text).toMatch(/^error \[data\/missing-class\]: .*no finding has a positive in split train/m);
  expect(refused.text).toMatch(/^ {2}hint: check what marks a finding as present/m);
  expect(existsSync(at('refused'))).toBe(false);
});

/** One report an image: heart failure in some, a pneumothorax in those of a split alone. */
function reports(of: (split: string, i: number) => string): string[] {
  const ids = Object.entries(SPLITS).flatMap(([split, many]) =>
    Array.from({ length: many }, (_, i) => ({ split, i, id: `${split}${i}` })),
  );
  writeFileSync(
    at('images.csv'),
    ['image,report,patient,split', ...ids.map(({ split, id }) => `${id}.png,${id},${id},${split}`), ''].join(
      '\n',
    ),
  );
  writeFileSync(
    at('reports.csv'),
    ['id,text', ...ids.map(({ split, i, id }) => `${id},"${of(split, i)}"`), ''].join('\n'),
  );
  return [at('images.csv'), '--reports', at('reports.csv')];
}
const COMMON = '--findings chexpert14 --blank zeros'.split(' ');

test('a data set of reports says it when it is built, and rep-gls before it trains', async () => {
  const heart = (i: number) => (i % 2 === 0 ? 'Cardiomegaly.' : 'No cardiomegaly.');
  const some = reports((split, i) => `${heart(i)}${split === 'test' && i < 4 ? ' Pneumothorax.' : ''}`);
  const folder = at('heard');
  const done = await cli(
    ...[
      'rep-gls',
      ...some,
      '--out',
      folder,
      ...COMMON,
      '--objectives',
      'hard',
      '--seeds',
      '1',
      '--no-images',
    ],
    ...small,
  );
  expect(done.text).not.toMatch(/^error/m);
  expect(done.code).toBe(0);
  expect(done.before).toMatch(
    /warning: split train has no positive of .*Pneumothorax.*: they cannot be learnt/,
  );
  const { notes } = JSON.parse(readFileSync(join(folder, 'data', 'dataset.json'), 'utf8'));
  const said = notes.find((note: string) => note.startsWith('split train has no positive of '));
  expect(said).toContain('Pneumothorax');
  expect(said).not.toContain('Cardiomegaly');
  expect(notes.find((note: string) => note.startsWith('split test '))).not.toContain('Pneumothorax');
});

test('rep-gls refuses reports that name nothing as present', async () => {
  const none = reports(() => 'No cardiomegaly. No pneumothorax.');
  const refused = await cli('rep-gls', ...none, '--out', at('unheard'), ...COMMON, ...small);
  expect(refused.code).toBeGreaterThan(0);
  expect(refused.text).toMatch(/^error \[data\/missing-class\]: .*no finding has a positive in split train/m);
  expect(existsSync(at('unheard', 'networks'))).toBe(false);
});

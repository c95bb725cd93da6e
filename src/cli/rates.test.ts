import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { register as registerExtract } from './extract.ts';
import { register as registerRates } from './rates.ts';

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 }); // for a busy machine

const folder = mkdtempSync(join(tmpdir(), 'penumbra-rates-'));
const at = (name: string) => join(folder, name);
let [said, told] = ['', ''];

async function penumbra(...args: string[]): Promise<string> {
  [said, told] = ['', ''];
  const program = new Command('penumbra').exitOverride();
  for (const register of [registerExtract, registerRates]) register(program);
  const out = vi.spyOn(process.stdout, 'write').mockImplementation((text) => (said += text) !== '');
  const err = vi.spyOn(process.stderr, 'write').mockImplementation((text) => (told += text) !== '');
  try {
    await program.parseAsync(args, { from: 'user' });
  } finally {
    out.mockRestore();
    err.mockRestore();
  }
  return said;
}

const sentences = [
  'No edema.',
  'Probable edema.',
  'No pneumothorax.',
  'Possible pneumothorax.',
  'Pneumonia is present.',
];

/** The command that trains a network of the reports and rows here. */
const trainInto = (out: string, ...more: string[]) => {
  const given = [at('r.csv'), '--rows', at('rows.jsonl'), '--out', at(out)];
  return ['rates', 'train', ...given, ...more];
};

beforeAll(async () => {
  const lines = Array.from(
    { length: 80 },
    (_, i) => `r${i},p${i >> 1},${sentences[i % 5]} ${sentences[(i >> 2) % 5]}`,
  );
  writeFileSync(at('r.csv'), `id,patient,text\n${lines.join('\n')}\n`);
  await penumbra('extract', at('r.csv'), '--out', at('rows.jsonl'));
  const small = ['--epochs', '2', '--width', '16', '--depth', '1', '--batch-size', '16', '--threads', '1'];
  writeFileSync(at('ranking.csv'), 'phrase,mu,sigma\nprobable,39,1\npossible,23,1\nversus,15,1\n');
  const train = trainInto('rgn', '--rankings', at('ranking.csv'));
  expect(await penumbra(...train, ...small)).toBe(`${at('rgn')}\n`);
  expect(told).toContain('not ranked, since they stand between two findings: 1 phrases');
  expect(told).toMatch(/rgn: epoch 2\/2 {2}loss \d\.\d+/);
  expect(told).toMatch(/note: nothing is said of Fracture/);
});
afterAll(() => rmSync(folder, { recursive: true }));

test('a trained network reads reports', async () => {
  const args = [
    'extract',
    at('r.csv'),
    '--out',
    at('rgn.jsonl'),
    '--extractor',
    'rgn',
    '--network',
    at('rgn'),
  ];
  expect(await penumbra(...args)).toContain('80 reports extracted');
  const rows = readFileSync(at('rgn.jsonl'), 'utf8').trim().split('\n');
  expect(rows).toHaveLength(80 * 14);
  expect(JSON.parse(rows[0]!)).toMatchObject({ id: 'r0', extractor: 'rgn' });
});

test('a network begins with a trained encoder, and reads reports', async () => {
  const tiny = fileURLToPath(new URL('../../test/fixtures/rates/bert/', import.meta.url));
  const train = trainInto('bert', '--encoder', tiny);
  const small = ['--epochs', '1', '--encoder-learning-rate', '0.0001', '--threads', '1'];
  expect(await penumbra(...train, ...small, '--tokenizer', join(tiny, 'vocab.txt'))).toBe(`${at('bert')}\n`);
  expect(told).toMatch(/rgn: encoder: 2 tensors that an encoder does without are left out/);
  const { config, encoder } = JSON.parse(readFileSync(join(at('bert'), 'config.json'), 'utf8'));
  expect(config).toMatchObject({ width: 32, learningRate: 0.001, encoderLearningRate: 0.0001 });
  expect(encoder.family).toBe('bert');
  const args = ['--out', at('bert.jsonl'), '--extractor', 'rgn', '--network', at('bert')];
  expect(await penumbra('extract', at('r.csv'), ...args)).toContain('80 reports extracted');
});

test('a trained network is judged beside its teacher', async () => {
  writeFileSync(
    at('truth.csv'),
    `report,Edema\n${Array.from({ length: 80 }, (_, i) => `r${i},0.${1 + (i % 8)}`).join('\n')}\n`,
  );
  const args = ['rates', 'evaluate', at('rgn'), at('r.csv'), '--rows', at('rows.jsonl'), '--split', 'all'];
  const shown = await penumbra(
    ...args,
    '--truth',
    at('truth.csv'),
    '--json',
    at('f.json'),
    '--disagreements',
    at('d.jsonl'),
  );
  expect(shown).toMatch(/^80 reports\n\nfinding +both say +only network/);
  expect(shown).toMatch(/\nEdema +\d+/);
  expect(shown).toMatch(/\nall +\d+/);
  const figures = JSON.parse(readFileSync(at('f.json'), 'utf8'));
  expect(figures.findings.map(({ finding }: { finding: string }) => finding)).toContain('Edema');
  expect(figures.disagreements).toBeUndefined();
  for (const line of readFileSync(at('d.jsonl'), 'utf8').split('\n').filter(Boolean))
    expect(Object.keys(JSON.parse(line))).not.toContain('text');
  writeFileSync(
    at('g.csv'),
    `report,Edema\n${Array.from({ length: 80 }, (_, i) => `r${i},${i % 2}`).join('\n')}\n`,
  );
  expect(await penumbra(...args, '--gold', at('g.csv'), '--hedges', 'probable,possible')).toContain(
    'against people',
  );
});

test('networks that differ in their seeds are joined', async () => {
  const train = ['rates', 'train', at('r.csv'), '--rows', at('rows.jsonl'), '--out'];
  const small = ['--epochs', '1', '--width', '16', '--depth', '1', '--threads', '1'];
  const sides = Array.from({ length: 80 }, (_, i) => `r${i},p${i >> 1},${i < 60 ? 'train' : 'val'}`);
  writeFileSync(at('sides.csv'), `report,patient,split\n${sides.join('\n')}\n`);
  small.push('--splits', at('sides.csv'));
  for (const seed of ['0', '1']) await penumbra(...train, at(`seed${seed}`), ...small, '--seed', seed);
  const joined = await penumbra('rates', 'join', at('seed0'), at('seed1'), '--out', at('joined'));
  expect(joined).toBe(`${at('joined')}\n`);
  const args = ['--out', at('joined.jsonl'), '--extractor', 'rgn', '--network', at('joined')];
  expect(await penumbra('extract', at('r.csv'), ...args)).toContain('80 reports extracted');
  await expect(penumbra('rates', 'join', at('seed0'), '--out', at('z'))).rejects.toMatchObject({
    code: 'rates/join',
  });
});

test('readers are held out of training, and judged by themselves', async () => {
  const rows = Array.from({ length: 80 }, (_, i) => `r${i},p${i >> 1},R${(i >> 1) % 4},0.${1 + (i % 8)}`);
  writeFileSync(at('readers.csv'), `report,patient,reader,Edema\n${rows.join('\n')}\n`);
  const train = ['rates', 'train', at('r.csv'), '--rows', at('rows.jsonl'), '--out', at('unseen')];
  const held = ['--splits', at('readers.csv'), '--hold-out', 'reader=R1,R3'];
  const small = ['--epochs', '1', '--width', '16', '--depth', '1', '--threads', '1'];
  await penumbra(...train, ...held, ...small);
  const args = ['rates', 'evaluate', at('unseen'), at('r.csv'), '--rows', at('rows.jsonl')];
  const truth = ['--truth', at('readers.csv')];
  expect(await penumbra(...args, ...truth)).toMatch(/^40 reports/);
  expect(await penumbra(...args, ...truth, '--only', 'reader=R3')).toMatch(/^20 reports/);
  await expect(penumbra(...args, '--only', 'reader=R3')).rejects.toMatchObject({ code: 'usage/only' });
});

test.each([
  [['extract', 'r.csv', '--out', 'x.jsonl', '--network', 'rgn'], 'usage/extractor'],
  [['extract', 'r.csv', '--out', 'x.jsonl', '--extractor', 'rgn'], 'usage/network'],
  [
    ['extract', 'r.csv', '--out', 'x.jsonl', '--extractor', 'rgn', '--network', 'rgn', '--stable', 'mask'],
    'usage/extractor',
  ],
  [
    ['extract', 'r.csv', '--out', 'x.jsonl', '--extractor', 'rgn', '--network', 'rgn', '--gguf', 'm'],
    'usage/extractor',
  ],
  [
    [
      'extract',
      'r.csv',
      '--out',
      'x.jsonl',
      '--extractor',
      'rgn',
      '--network',
      'rgn',
      '--findings',
      'chestxray14',
    ],
    'rates/findings',
  ],
  [['rates', 'evaluate', 'rgn', 'r.csv', '--rows', 'rows.jsonl', '--split', 'all the rest'], 'usage/split'],
  [
    ['rates', 'train', 'r.csv', '--rows', 'rows.jsonl', '--out', 'y', '--tokenizer', 'vocab.txt'],
    'usage/encoder',
  ],
  [
    ['rates', 'train', 'r.csv', '--rows', 'rows.jsonl', '--out', 'y', '--encoder', 'nowhere'],
    'rates/encoder',
  ],
  [
    ['rates', 'train', 'r.csv', '--rows', 'rows.jsonl', '--out', 'y', '--encoder-learning-rate', '0'],
    'rates/config',
  ],
  [['rates', 'train', 'r.csv', '--rows', 'rows.jsonl', '--out', 'y', '--width', '30'], 'rates/config'],
  [
    ['rates', 'train', 'r.csv', '--rows', 'rows.jsonl', '--out', 'y', '--hold-out-hedges', 'probable,,'],
    'usage/phrase',
  ],
])('%j is refused', async (args, code) => {
  const placed = args.map((arg) => (/^(r\.csv|rows\.jsonl|x\.jsonl|y|rgn)$/.test(arg) ? at(arg) : arg));
  const extractor = placed.indexOf('--extractor');
  if (extractor >= 0) placed[extractor + 1] = 'rgn';
  await expect(penumbra(...placed)).rejects.toMatchObject({ code });
});

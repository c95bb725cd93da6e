import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { run } from '../../src/cli/main.ts';

/** Every wrong input: one line that says what, a hint, an exit code, no file, and no word of a report. */
let folder: string;
let before: string;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'penumbra-wrong-'));
  before = process.cwd();
  process.chdir(folder);
  writeFileSync('a.csv', 'id,text\n1,"IMPRESSION: Possible Quixotique pneumonia."\n2,Normal chest.\n');
  writeFileSync('images.csv', 'image,report,patient\n1.png,1,p1\n2.png,2,p2\n');
  writeFileSync('gold.csv', 'report,finding,label\n1,Pneumonia,1\n');
  await cli('extract', 'a.csv', '--out', 'rows.jsonl');
});
afterEach(() => {
  process.chdir(before);
  rmSync(folder, { recursive: true, force: true });
});

/** Runs a command line; returns its exit code and what it wrote to stderr. */
async function cli(...args: string[]): Promise<{ code: number; text: string }> {
  let text = '';
  const error = vi.spyOn(process.stderr, 'write').mockImplementation((piece) => {
    text += String(piece);
    return true;
  });
  const out = vi.spyOn(process.stdout, 'write').mockImplementation(() => true);
  const codeBefore = process.exitCode;
  process.exitCode = 0;
  try {
    await run(['node', 'penumbra', ...args]);
    return { code: Number(process.exitCode ?? 0), text };
  } finally {
    process.exitCode = codeBefore;
    error.mockRestore();
    out.mockRestore();
  }
}

const build = ['dataset', 'build', 'images.csv', '--rows', 'rows.jsonl', '--out', 'set'];

test.each<[string, string[], RegExp]>([
  [
    'an encoding that is none',
    ['extract', 'a.csv', '--out', 'r.jsonl', '--encoding', 'nonsense'],
    /"nonsense" is not known/,
  ],
  ['a length that is no number', ['extract', 'a.csv', '--out', 'r.jsonl', '--longest', 'abc'], /--longest/],
  [
    'a server for the rules',
    ['extract', 'a.csv', '--out', 'r.jsonl', '--server', 'http://localhost:1/v1'],
    /--server is for a language model/,
  ],
  [
    'an output of the other form',
    ['extract', 'a.csv', '--out', 'rows.jsonl', '--mentioned-only'],
    /a row for every finding/,
  ],
  [
    'a lexicon that is missing',
    ['extract', 'a.csv', '--out', 'r.jsonl', '--lexicon', 'missing.tsv'],
    /missing\.tsv cannot be read/,
  ],
  [
    'more findings that are missing',
    ['extract', 'a.csv', '--out', 'r.jsonl', '--extend-findings', 'missing.tsv'],
    /missing\.tsv/,
  ],
  ['an output inside a file', ['extract', 'a.csv', '--out', 'a.csv/r.jsonl'], /a\.csv/],
  ['an output of no known form', ['extract', 'a.csv', '--out', 'r.txt'], /no form that is known/],
  ['a gold that is missing', ['reports', 'score', 'missing.csv', '--reports', 'a.csv'], /missing\.csv/],
  [
    'rows that are missing',
    ['reports', 'score', 'gold.csv', '--rows', 'missing.parquet'],
    /missing\.parquet/,
  ],
  ['rows that are none', ['reports', 'score', 'gold.csv', '--rows', 'a.csv'], /cannot be read as rows/],
  ['rows of other findings', [...build, '--findings', 'chestxray14'], /not of the findings chestxray14/],
  ['an extractor that made none', [...build, '--extractor', 'llm'], /none of the extractor "llm"/],
  ['a hedge that nobody wrote', [...build, '--hold-out-hedges', 'perchance'], /"perchance"/],
  ['label errors that are none', [...build, '--errors', 'miss=2'], /error rate|'miss'/],
  ['label errors of a missing file', [...build, '--errors', 'missing.json'], /missing\.json/],
  ['an audit that is none', [...build, '--audit', 'a.csv'], /a\.csv/],
  ['a truth that is missing', ['reports', 'audit', 'a.csv', '--gold', 'missing.csv'], /missing\.csv/],
  ['shares of everything', [...build, '--val', '0.6', '--test', '0.6'], /nothing to train on/],
])('%s', async (_, args, what) => {
  const files = readdirSync('.').sort();
  const { code, text } = await cli(...args);
  expect(code).toBeGreaterThan(0);
  const lines = text
    .trim()
    .split('\n')
    .filter((line) => !line.startsWith('dataset: '));
  expect(lines[0]).toMatch(/^error \[/);
  expect(lines[0]).toMatch(what);
  expect(lines.length).toBeLessThanOrEqual(2);
  expect(lines[1]).toMatch(/^ {2}hint: /);
  expect(text).not.toMatch(/Quixotique|at .*\.ts:\d/);
  expect(readdirSync('.').sort()).toEqual(files);
});

test('two patients and large shares: an error, or a set with images to train on', async () => {
  const codes = new Set<number>();
  for (let seed = 0; seed < 6; seed++) {
    const { code, text } = await cli(
      ...build,
      '--val',
      '0.3',
      '--test',
      '0.3',
      '--seed',
      String(seed),
      '--overwrite',
    );
    codes.add(code);
    if (code !== 0) expect(text).toMatch(/No image is left to train on/);
  }
  expect(codes.has(0)).toBe(true);
});

test('rows in Parquet are scored like those in JSON lines', async () => {
  await cli('extract', 'a.csv', '--out', 'rows.parquet');
  for (const rows of ['rows.jsonl', 'rows.parquet']) {
    const { code } = await cli('reports', 'score', 'gold.csv', '--rows', rows, '--json', `${rows}.json`);
    expect(code).toBe(0);
  }
});

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { register as registerDataset } from '../../src/cli/dataset.ts';
import { register as registerExtract } from '../../src/cli/extract.ts';
import { register as registerLexicon } from '../../src/cli/lexicon.ts';
import { register as registerReports } from '../../src/cli/reports.ts';

vi.setConfig({ testTimeout: 300_000 }); // for a busy machine

let dir: string;
let said: string;
const at = (name: string): string => join(dir, name);
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'penumbra-cli-'));
  said = '';
  const hear = (text: string | Uint8Array): boolean => {
    said += text;
    return true;
  };
  vi.spyOn(process.stdout, 'write').mockImplementation(hear);
  vi.spyOn(process.stderr, 'write').mockImplementation(() => true);
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(dir, { recursive: true, force: true });
});

async function penumbra(...args: string[]): Promise<string> {
  said = '';
  const program = new Command('penumbra').exitOverride();
  for (const register of [registerExtract, registerLexicon, registerDataset, registerReports])
    register(program);
  await program.parseAsync(args, { from: 'user' });
  return said;
}

const reports = [
  'Probable pneumonia. No effusion.',
  'Effusion.',
  'Questionable nodule.',
  'Small consolidation.',
];

test('extract, score, dataset build: from reports to a data set', async () => {
  writeFileSync(at('r.csv'), `study,note\n${reports.map((text, i) => `s${i},${text}`).join('\n')}\n`);
  const args = [
    'extract',
    at('r.csv'),
    '--out',
    at('rows.jsonl'),
    '--id-column',
    'study',
    '--text-column',
    'note',
  ];
  expect(await penumbra(...args)).toContain('4 reports extracted');
  expect(await penumbra(...args)).toContain('0 reports extracted, 4 were done before');
  for (const shard of ['1/2', '2/2'])
    await penumbra(...args.slice(0, 3), at(`rows-${shard[0]}.jsonl`), ...args.slice(4), '--shard', shard);
  const lines = (name: string): string[] => readFileSync(at(name), 'utf8').trim().split('\n');
  expect([...lines('rows-1.jsonl'), ...lines('rows-2.jsonl')].sort()).toEqual(lines('rows.jsonl').sort());

  writeFileSync(at('gold.csv'), 'report,Pneumonia,Pleural Effusion\ns0,1,0\ns1,0,1\n');
  const scored = await penumbra(
    'reports',
    'score',
    at('gold.csv'),
    '--rows',
    at('rows.jsonl'),
    '--min-positives',
    '1',
    '--json',
    at('score.json'),
  );
  expect(scored).toMatch(/Pneumonia +1 +100\.0 +100\.0 +100\.0/);
  expect(JSON.parse(readFileSync(at('score.json'), 'utf8'))).toMatchObject({
    kind: 'reports',
    macroF1: 1,
    missing: 0,
    errors: [
      { finding: 'Pneumonia', hedged: { count: 0, n: 1 } },
      { finding: 'Pleural Effusion', present: { count: 0, n: 1 }, falsePositive: { count: 0, n: 1 } },
    ],
  });

  writeFileSync(
    at('images.csv'),
    `image,report,patient\n${reports.map((_, i) => `${i}.png,s${i},p${i}`).join('\n')}\n`,
  );
  const built = await penumbra(
    'dataset',
    'build',
    at('images.csv'),
    '--rows',
    at('rows-1.jsonl'),
    at('rows-2.jsonl'),
    '--out',
    at('set'),
  );
  expect(built).toMatch(/4 images, 4 reports, 4 patients/);
  for (const file of ['dataset.parquet', 'labels.csv', 'dataset.json', 'README.md', 'report.html'])
    expect(existsSync(at(`set/${file}`))).toBe(true);
});

test('reports audit: from marked cases to a data set that follows it', async () => {
  // Pneumonia's hedges mean what they say; those of Lung Lesion are habit. Fractures are missed.
  const texts: string[] = [];
  const truth: string[] = [];
  for (let i = 0; i < 240; i++) {
    const likely = i % 2 === 0;
    const pneumonia = likely ? i % 5 !== 0 : i % 5 === 1;
    const lesion = i % 4 < 2;
    const fracture = i % 3 === 0;
    const told = fracture && i % 4 !== 0;
    texts.push(
      `${likely ? 'Probable pneumonia' : 'Pneumonia is unlikely'}. ${i % 2 === 0 ? 'Probable lung mass' : 'Lung mass is unlikely'}. ${told ? 'Rib fracture' : 'No fracture'}.`,
    );
    truth.push(`s${i},${Number(pneumonia)},${Number(lesion)},${Number(fracture)}`);
  }
  writeFileSync(at('r.csv'), `id,text\n${texts.map((text, i) => `s${i},${text}`).join('\n')}\n`);
  await penumbra('extract', at('r.csv'), '--out', at('rows.jsonl'));
  writeFileSync(at('gold.csv'), `report,Pneumonia,Lung Lesion,Fracture\n${truth.join('\n')}\n`);
  // Say the reports had the fractures, and the extractor lost them.
  writeFileSync(
    at('read.csv'),
    `report,Fracture\n${truth.map((row) => `${row.split(',')[0]},${row.at(-1)}`).join('\n')}\n`,
  );
  const said = await penumbra(
    'reports',
    'audit',
    at('rows.jsonl'),
    '--gold',
    at('gold.csv'),
    '--read',
    at('read.csv'),
    '--json',
    at('audit.json'),
  );
  expect(said).toMatch(
    /^Train on the expressed probability: Pneumonia\.\nOn labels: Lung Lesion, Fracture\.\nCorrect the extractor’s errors: Fracture\./,
  );
  expect(said).toContain('--objective forward\n');
  expect(said).toMatch(/\nFracture +240 +80 +0 +– /);
  expect(said).toMatch(/Lung Lesion: Its 240 hedges say little about the truth/);

  writeFileSync(
    at('images.csv'),
    `image,report,patient\n${texts.map((_, i) => `${i}.png,s${i},p${i}`).join('\n')}\n`,
  );
  const build = ['dataset', 'build', at('images.csv'), '--rows', at('rows.jsonl'), '--out'];
  await penumbra(...build, at('plain'));
  await penumbra(...build, at('audited'), '--audit', at('audit.json'));
  const card = JSON.parse(readFileSync(at('audited/dataset.json'), 'utf8'));
  expect(card.hedging).toMatchObject({ Pneumonia: 'as-written', 'Lung Lesion': 'as-labels' });
  expect(card.errors.Fracture.miss).toBeGreaterThan(0.1);
  expect(card.errors.Pneumonia).toEqual({ falsePositive: 0, miss: 0, hedged: 0 });
  const rates = (set: string, finding: string) => {
    const [head, ...lines] = readFileSync(at(`${set}/labels.csv`), 'utf8')
      .trim()
      .split('\n');
    const column = head!.split(',').indexOf(`${finding} r`);
    return lines.map((line) => Number(line.split(',')[column]));
  };
  expect(Math.min(...rates('plain', 'Lung Lesion'))).toBeGreaterThan(0);
  expect(Math.max(...rates('audited', 'Lung Lesion'))).toBe(0);
  expect(Math.min(...rates('audited', 'Pneumonia'))).toBeGreaterThan(0);
});

test('a recalibration of hedges moves their probability, label and rate alike', async () => {
  writeFileSync(
    at('r.csv'),
    'id,text\ns0,Probable pneumonia.\ns1,Possible pneumonia.\ns2,Pneumonia.\ns3,No pneumonia.\n',
  );
  await penumbra('extract', at('r.csv'), '--out', at('rows.jsonl'));
  writeFileSync(
    at('images.csv'),
    `image,report,patient\n${[0, 1, 2, 3].map((i) => `${i}.png,s${i},p${i}`).join('\n')}\n`,
  );
  const recommendation = {
    targets: 'soft',
    recalibration: { intercept: 0.5, slope: 2 },
    errors: { falsePositive: 0, miss: 0, hedged: 0 },
  };
  writeFileSync(
    at('audit.json'),
    JSON.stringify({ kind: 'audit', findings: [{ finding: 'Pneumonia', recommendation }] }),
  );
  await penumbra(
    'dataset',
    'build',
    at('images.csv'),
    '--rows',
    at('rows.jsonl'),
    '--out',
    at('set'),
    '--audit',
    at('audit.json'),
  );
  const [head, ...lines] = readFileSync(at('set/labels.csv'), 'utf8').trim().split('\n');
  const cell = (line: string, what: string) =>
    Number(line.split(',')[head!.split(',').indexOf(`Pneumonia ${what}`)]);
  const moved = (p: number) => 1 / (1 + Math.exp(-(0.5 + 2 * Math.log(p / (1 - p)))));
  const expected = [moved(0.785), moved(0.456), 1, 0];
  lines.forEach((line, i) => {
    const p = expected[i]!;
    expect(cell(line, 'p')).toBeCloseTo(p, 5);
    expect(cell(line, 'y')).toBe(Number(p >= 0.5));
    expect(cell(line, 'r')).toBeCloseTo(2 * Math.min(p, 1 - p), 5);
  });
  expect(readFileSync(at('set/README.md'), 'utf8')).toContain('Of Pneumonia the audit recalibrated');
});

test('reports score on mentions writes macroF1', async () => {
  writeFileSync(
    at('gold.jsonl'),
    '{"id":"1","text":"No effusion.","span":[3,11],"finding":"Pleural Effusion","status":"negated"}\n{"id":"2","text":"Effusion.","span":[0,8],"finding":"Pleural Effusion","status":"positive"}\n',
  );
  expect(await penumbra('reports', 'score', at('gold.jsonl'), '--json', at('f.json'))).toContain(
    'macro F1 1.000',
  );
  expect(JSON.parse(readFileSync(at('f.json'), 'utf8'))).toMatchObject({
    kind: 'mentions',
    n: 2,
    macroF1: 1,
    negatedCalledPositive: 0,
  });
});

test("lexicon mine and check; a lexicon of one's own is used", async () => {
  writeFileSync(
    at('r.jsonl'),
    Array.from({ length: 9 }, (_, i) =>
      JSON.stringify({ id: `${i}`, text: 'Shadow evoking pneumonia.' }),
    ).join('\n'),
  );
  expect(await penumbra('lexicon', 'mine', at('r.jsonl'), '--out', at('c.tsv'))).toMatch(/9 {2}evoking/);
  expect(await penumbra('lexicon', 'check', at('r.jsonl'))).toContain('evoking 9');
  expect(await penumbra('lexicon', 'check', at('r.jsonl'), '--extend-lexicon', at('c.tsv'))).toContain(
    'not covered: nothing',
  );
  await penumbra('extract', at('r.jsonl'), '--out', at('rows.jsonl'), '--extend-lexicon', at('c.tsv'));
  expect(readFileSync(at('rows.jsonl'), 'utf8')).toContain('"finding":"Pneumonia","status":"uncertain"');
  writeFileSync(at('c.tsv'), readFileSync(at('c.tsv'), 'utf8').replace(/uncertain\n$/, 'absent\n'));
  await expect(penumbra('lexicon', 'check', '--extend-lexicon', at('c.tsv'))).rejects.toMatchObject({
    code: 'reports/lexicon-examples',
  });
});

test.each([
  [['extract', '/nowhere', '--out', '/tmp/x.jsonl'], 'reports/input'],
  [['extract', 'x', '--out', 'x', '--shard', '4/3'], 'usage/shard'],
  [['extract', 'x', '--out', 'x', '--findings', 'nope'], 'reports/findings'],
  [['extract', 'x', '--out', 'x', '--extractor', 'llm', '--jobs', '2'], 'usage/jobs'],
  [['extract', 'x', '--out', 'x', '--extractor', 'rgn', '--network', 'x', '--jobs', 'auto'], 'usage/jobs'],
  [['reports', 'score', 'x', '--where', 'no'], 'usage/where'],
])('%j is an error with a code', async (args, code) => {
  await expect(penumbra(...args)).rejects.toMatchObject({ name: 'PenumbraError', code });
});

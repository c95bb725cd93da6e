import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { buildDataset } from '../../src/reports/dataset/index.ts';
import {
  createAssessor,
  extract,
  type FindingRow,
  readReports,
  readRows,
  reportKey,
  reportsWithTargets,
  rulesExtractor,
  statusCodes,
} from '../../src/reports/index.ts';
import { rowLines } from '../../src/reports/io/row-lines.ts';
import { withDuckDB } from '../../src/reports/io/tables.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'penumbra-rows-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));
const at = (name: string): string => join(folder, name);

const texts: Record<string, string> = {
  s50000001: 'IMPRESSION: Possible pneumonia. No effusion.',
  s50000002: 'IMPRESSION: Pneumonia cannot be excluded. Small effusion.',
  's5"ü\n3': 'IMPRESSION: Large effusion.',
};

async function extracted(name: string): Promise<string> {
  writeFileSync(
    at('in.jsonl'),
    Object.entries(texts)
      .map(([id, text]) => `${JSON.stringify({ id, text })}\n`)
      .join(''),
  );
  await extract(at('in.jsonl'), at(name), rulesExtractor(createAssessor()));
  return at(name);
}

describe('readRows', () => {
  test.each(['rows.jsonl', 'rows.parquet'])('%s: by report and finding, as the rows say', async (name) => {
    const targets = await readRows(await extracted(name));
    expect(targets.ids).toEqual(Object.keys(texts));
    expect(targets.findings).toEqual(createAssessor().findings.findings);
    const k = targets.findings.length;
    const assessor = createAssessor();
    Object.entries(texts).forEach(([id, text], n) => {
      assessor.assessReport({ id, text }).forEach((row, f) => {
        const i = n * k + f;
        expect(statusCodes[targets.status[i]!]).toBe(row.status);
        expect(targets.mask[i]).toBe(row.label === null ? 0 : 1);
        const near = (value: number, wanted: number | null): void =>
          wanted === null ? expect(value).toBeNaN() : expect(value).toBeCloseTo(wanted, 6);
        near(targets.probability[i]!, row.probability);
        near(targets.rate[i]!, row.rate);
        near(targets.deviation[i]!, row.deviation);
      });
    });
  });
  test('findings in the order that is asked for; others are left out, missing ones are not mentioned', async () => {
    const targets = await readRows(await extracted('rows.jsonl'), { findings: ['Nothing', 'Pneumonia'] });
    expect(targets.findings).toEqual(['Nothing', 'Pneumonia']);
    expect([...targets.mask]).toEqual([0, 1, 0, 1, 0, 0]);
  });
  test('keys in another order, failed reports, more findings than room, several files', async () => {
    const row = (id: string, finding: string, probability: number | null): FindingRow => ({
      id,
      finding,
      status: probability === null ? 'not_mentioned' : 'present',
      probability,
      deviation: null,
      label: probability === null ? null : 1,
      rate: probability === null ? null : 0,
      evidence: [],
      extractor: 'x',
      version: '0',
    });
    const many = Array.from({ length: 40 }, (_, i) => `F${i}`);
    const lines = Array.from({ length: 1500 }, (_, r) =>
      rowLines(many.map((f, i) => row(`r${r}`, f, (i % 4) / 4))),
    ).join('');
    writeFileSync(at('a.jsonl'), lines);
    const { evidence, ...turned } = row('z', 'F1', 1);
    writeFileSync(
      at('b.jsonl'),
      `${JSON.stringify({ evidence, ...Object.fromEntries(Object.entries(turned).reverse()) })}\n` +
        `${JSON.stringify({ ...row('bad', '', null), status: 'failed', reason: 'x' })}`,
    );
    const targets = await readRows([at('a.jsonl'), at('b.jsonl')]);
    expect(targets.ids.length).toBe(1502);
    expect(targets.findings).toEqual(many);
    expect(targets.probability[1499 * 40 + 7]).toBeCloseTo(0.75, 6);
    expect(targets.probability[1500 * 40 + 1]).toBe(1);
    expect(statusCodes[targets.status[1501 * 40 + 5]!]).toBe('failed');
  });
  test('what is no output of extract is an error that quotes nothing', async () => {
    writeFileSync(at('x.jsonl'), '{"secret": "patient"}\n');
    const error = await readRows(at('x.jsonl')).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: 'reports/rows' });
    expect(JSON.stringify(error)).not.toContain('patient');
    await expect(readRows(at('none.jsonl'))).rejects.toThrow(/nothing at/);
    const rows = await extracted('rows.jsonl');
    await expect(readRows([rows, rows])).rejects.toThrow(/more than once/);
  });
  test('reports meet their targets by the key of both', async () => {
    expect([reportKey('s50414267'), reportKey('50414267'), reportKey('CXR1')]).toEqual([
      '50414267',
      '50414267',
      'CXR1',
    ]);
    const targets = await readRows(await extracted('rows.jsonl'));
    const seen: [string, string, number][] = [];
    for await (const batch of reportsWithTargets(at('in.jsonl'), targets)) {
      for (const { id, text, row } of batch) seen.push([id, text, row]);
    }
    expect(seen).toEqual(Object.entries(texts).map(([id, text], row) => [id, text, row]));
  });
});

describe('encodings and separators', () => {
  const notes = async (path: string, options = {}): Promise<unknown[]> => {
    const all: unknown[] = [];
    for await (const batch of readReports(path, options)) all.push(...batch);
    return all;
  };
  test('a replacement mark that stands in the file is text, bytes that are no UTF-8 are a failure', async () => {
    const text = 'id,text\n1,"pneumonia \uFFFD left"\n2,clear\n3,';
    writeFileSync(at('a.csv'), Buffer.concat([Buffer.from(text), Buffer.from([0x66, 0xe9, 0x0a])]));
    expect(await notes(at('a.csv'))).toEqual([
      { report: { id: '1', text: 'pneumonia \uFFFD left' } },
      { report: { id: '2', text: 'clear' } },
      { id: '3', failure: expect.stringContaining('UTF-8') },
    ]);
    writeFileSync(at('a.jsonl'), `${JSON.stringify({ id: '1', text: 'x \uFFFD y' })}\n`);
    expect(await notes(at('a.jsonl'))).toEqual([{ report: { id: '1', text: 'x \uFFFD y' } }]);
  });
  test.each([
    ['UTF-16 with a mark', Buffer.from('\uFEFFid;text\n1;Erguß, klein\n', 'utf16le')],
    ['UTF-16 without one', Buffer.from('id;text\n1;Erguß, klein\n', 'utf16le')],
    ['UTF-16 big endian', Buffer.from('\uFEFFid;text\n1;Erguß, klein\n', 'utf16le').swap16()],
    ['semicolons', Buffer.from('id;text\n1;Erguß, klein\n')],
    ['a UTF-8 mark', Buffer.from('\uFEFFid;text\n1;Erguß, klein\n')],
    ['tabs in a .csv', Buffer.from('id\ttext\n1\tErguß, klein\n')],
  ])('%s', async (_, bytes) => {
    writeFileSync(at('b.csv'), bytes);
    expect(await notes(at('b.csv'))).toEqual([{ report: { id: '1', text: 'Erguß, klein' } }]);
  });
  test('an encoding of its own, and one that is none', async () => {
    writeFileSync(at('c.csv'), Buffer.from('id,text\n1,Ergu\xdf\n', 'latin1'));
    expect(await notes(at('c.csv'), { encoding: 'windows-1252' })).toEqual([
      { report: { id: '1', text: 'Erguß' } },
    ]);
    await expect(notes(at('c.csv'), { encoding: 'nonsense' })).rejects.toThrow(/"nonsense" is not known/);
    writeFileSync(at('d.txt'), Buffer.from('\uFEFFErguß', 'utf16le').swap16());
    expect(await notes(at('d.txt'))).toEqual([{ report: { id: 'd', text: 'Erguß' } }]);
  });
});

describe('data sets say what was done with doubtful rows', () => {
  const base = { deviation: null, evidence: [], extractor: 'llm', version: '0' } as const;
  const findings = createAssessor().findings.findings;
  /** 40 reports, each of another patient, whose every row is present with this reason. */
  function rowsWith(reason: string | undefined): string {
    const lines = Array.from({ length: 40 }, (_, r) =>
      rowLines(
        findings.map((finding) => ({
          ...base,
          id: `r${r}`,
          finding,
          status: 'present' as const,
          probability: 1,
          label: 1 as const,
          rate: 0,
          ...(reason !== undefined && { reason }),
        })),
      ),
    );
    writeFileSync(at('rows.jsonl'), lines.join(''));
    writeFileSync(
      at('images.csv'),
      `image,report,patient\n${Array.from({ length: 40 }, (_, r) => `${r}.png,r${r},p${r}\n`).join('')}`,
    );
    return at('rows.jsonl');
  }
  const build = (rows: string, more: object = {}) =>
    buildDataset(at('set'), { rows: [rows], images: at('images.csv'), overwrite: true, ...more });
  const labels = (): string[] => readFileSync(at('set/labels.csv'), 'utf8').trim().split('\n').slice(1);

  test('rows with invented evidence are masked, counted, and named in the card', async () => {
    const summary = await build(rowsWith('unverified evidence: no quotation stands in the report'));
    expect(summary.rowCounts.unverified).toEqual({ rows: 560, y1: 560, y0: 0 });
    expect(summary.findings.every((f) => f.positives === 0)).toBe(true);
    expect(labels().every((line) => line.endsWith(','.repeat(findings.length * 3 - 1)))).toBe(true);
    expect(readFileSync(at('set/README.md'), 'utf8')).toMatch(/unverified.*560.*560.*mask/);
    const masked = await withDuckDB(({ run, source }) =>
      run(
        `SELECT DISTINCT "Pneumonia".masked, "Pneumonia".status FROM read_parquet(${source(at('set/dataset.parquet'))})`,
      ),
    );
    expect(masked).toEqual([['unverified', 'present']]);
    const kept = await build(at('rows.jsonl'), { policies: { unverified: 'keep' } });
    expect(kept.findings[0]!.positives).toBe(40);
    await expect(build(at('rows.jsonl'), { policies: { unverified: 'drop' } })).rejects.toThrow(/No image/);
  });
  test('disagreeing rows are kept unless they are to be masked', async () => {
    const rows = rowsWith('extractors disagree: the model says absent, 0');
    expect((await build(rows)).findings[0]!.positives).toBe(40);
    const masked = await build(rows, { policies: { disagreeing: 'mask' } });
    expect(masked.findings[0]!.positives).toBe(0);
    expect(masked.rowCounts.disagreeing.rows).toBe(560);
  });
  test('errors of labels are stored, and rates stay the wording’s; the version covers what the labels do not show', async () => {
    const rows = rowsWith(undefined);
    const plain = await build(rows);
    expect(plain.rates).toEqual({ name: 'wording', version: 1 });
    const table = labels();
    const errors = { [findings[0]!]: { falsePositive: 0.05, miss: 0.1, hedged: 0 } };
    const told = await build(rows, { errors });
    expect(told).toMatchObject({ rates: plain.rates, errors });
    expect(labels()).toEqual(table);
    expect(readFileSync(at('set/README.md'), 'utf8')).toMatch(/5\.0 % false positives, 10\.0 % misses/);
    expect(told.version).not.toBe(plain.version);
    const before = readFileSync(rows, 'utf8');
    writeFileSync(
      rows,
      before.replace(
        '"evidence":[]',
        '"evidence":[{"phrase":"x","start":0,"end":1,"section":"body","sentence":"x"}]',
      ),
    );
    expect((await build(rows)).version).not.toBe(plain.version);
    writeFileSync(rows, before);
    expect((await build(rows)).version).toBe(plain.version);
  });
  test('a split that leaves nothing to train on is an error, an empty one a note', async () => {
    const rows = rowsWith(undefined);
    writeFileSync(at('images.csv'), 'image,report,patient\na,r0,p1\nb,r1,p2\n');
    const seeds = await Promise.allSettled(
      [0, 1, 2, 3, 4, 5].map((seed) =>
        buildDataset(at(`set${seed}`), {
          rows: [rows],
          images: at('images.csv'),
          val: 0.45,
          test: 0.45,
          seed,
        }),
      ),
    );
    const failures = seeds
      .filter((s) => s.status === 'rejected')
      .map((s) => String((s as PromiseRejectedResult).reason));
    expect(failures.length).toBeGreaterThan(0);
    for (const failure of failures) expect(failure).toMatch(/No image is left to train on/);
    const made = seeds.find((s) => s.status === 'fulfilled');
    if (made?.status === 'fulfilled') expect(made.value.notes.length).toBeGreaterThan(0);
  });
  test('other findings than the rows have are an error', async () => {
    const { findingSet } = await import('../../src/reports/index.ts');
    await expect(build(rowsWith(undefined), { findings: findingSet('chestxray14') })).rejects.toThrow(
      /not of the findings chestxray14/,
    );
  });
});

test('a split by hedge: the phrase is nowhere but in test, with all of its patients', async () => {
  const phrases = ['possible', 'cannot be excluded', 'probable'];
  const lines: string[] = [];
  let images = 'image,report,patient\n';
  for (let r = 0; r < 60; r++) {
    const phrase = phrases[r % 3]!;
    const text = phrase === 'cannot be excluded' ? `Pneumonia ${phrase}.` : `${phrase} pneumonia.`;
    lines.push(`${JSON.stringify({ id: `r${r}`, text: `IMPRESSION: ${text}` })}\n`);
    images += `${r}.png,r${r},p${Math.floor(r / 2)}\n`;
  }
  writeFileSync(at('in.jsonl'), lines.join(''));
  writeFileSync(at('images.csv'), images);
  await extract(at('in.jsonl'), at('rows.jsonl'), rulesExtractor(createAssessor()));
  const options = { rows: [at('rows.jsonl')], images: at('images.csv'), overwrite: true };
  const summary = await buildDataset(at('set'), { ...options, holdOutHedges: ['Cannot be  excluded'] });
  expect(summary.splitBy).toBe('hedges');
  const rows = readFileSync(at('set/labels.csv'), 'utf8').trim().split('\n').slice(1);
  const split = new Map(rows.map((line) => [Number(line.split('.')[0]), line.split(',')[3]]));
  for (let r = 0; r < 60; r++) {
    const held = r % 3 === 1 || (r % 2 === 0 ? (r + 1) % 3 === 1 : (r - 1) % 3 === 1);
    expect([r, split.get(r) === 'test']).toEqual([r, held]);
  }
  await expect(buildDataset(at('set2'), { ...options, holdOutHedges: ['never said'] })).rejects.toThrow(
    /never said/,
  );
});

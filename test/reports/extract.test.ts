import { spawn } from 'node:child_process';
import {
  appendFileSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { PenumbraError } from '../../src/errors.ts';
import {
  createAssessor,
  extract,
  type FindingRow,
  type Report,
  rulesExtractor,
} from '../../src/reports/index.ts';
import { CsvReader, csvField, parseCsv } from '../../src/reports/io/csv.ts';
import { readOpenIXml } from '../../src/reports/io/openi.ts';
import { type InputItem, type InputOptions, readReports } from '../../src/reports/io/reports-in.ts';
import { IdSet } from '../../src/reports/io/rows-out.ts';
import { withDuckDB } from '../../src/reports/io/tables.ts';
import { makeZip, type ZipFile } from './zip-maker.ts';

// Big files, child processes and a busy machine: what takes seconds alone may take minutes.
vi.setConfig({ testTimeout: 300_000 });

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'penumbra-reports-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const assessor = createAssessor();
const rules = rulesExtractor(assessor);
const at = (name: string): string => join(dir, name);
function put(name: string, content: string | Buffer): string {
  mkdirSync(dirname(at(name)), { recursive: true });
  writeFileSync(at(name), content);
  return at(name);
}
async function all(path: string, options?: InputOptions): Promise<InputItem[]> {
  const items: InputItem[] = [];
  for await (const batch of readReports(path, options)) items.push(...batch);
  return items;
}
const tick = () => new Promise((resolve) => setTimeout(resolve, 20));
const rowsOf = (path: string): FindingRow[] =>
  readFileSync(path, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
const idOf = (item: InputItem): string => ('report' in item ? item.report.id : item.id);
const failures = (items: InputItem[]): [string, string][] =>
  items.flatMap((item) => ('failure' in item ? [[item.id, item.failure] as [string, string]] : []));

describe('CSV', () => {
  test('any table survives writing, cutting into pieces and reading', () => {
    const cell = fc.stringMatching(/^[a-z",\r\n ;é]{0,8}$/);
    fc.assert(
      fc.property(
        fc.array(fc.array(cell, { minLength: 2, maxLength: 4 }), { minLength: 1, maxLength: 6 }),
        fc.constantFrom('\n', '\r\n'),
        fc.integer({ min: 1, max: 7 }),
        (table, newline, size) => {
          const text = table.map((row) => row.map(csvField).join(',')).join(newline) + newline;
          const reader = new CsvReader();
          const rows: string[][] = [];
          for (let i = 0; i < text.length; i += size) rows.push(...reader.push(text.slice(i, i + size)));
          expect(reader.end()).toEqual({ row: undefined, unclosed: false });
          expect(rows).toEqual(table);
          expect(parseCsv(text)).toEqual(table);
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('forms of input', () => {
  const text = 'FINDINGS: Small left effusion.\nIMPRESSION: Probable pneumonia.';
  const expectOne = (items: InputItem[], id: string): void => {
    expect(items.map(idOf)).toEqual([id]);
    expect(failures(items)).toEqual([]);
    const item = items[0]!;
    const rows = 'report' in item ? assessor.assessReport(item.report) : [];
    expect(rows.find((r) => r.finding === 'Pleural Effusion')?.status).toBe('present');
    expect(rows.find((r) => r.finding === 'Pneumonia')?.probability).toBe(0.785);
  };
  const csv = `study_id,report\n7,"${text}"\n`;
  const jsonl = `${JSON.stringify({ uid: '7', indication: 'x', findings: 'Small left effusion.', impression: 'Probable pneumonia.' })}\n`;
  const xml = `<?xml version="1.0"?><eCitation><uId id="CXR7"/><MedlineCitation><Abstract><AbstractText Label="COMPARISON">None.</AbstractText><AbstractText Label="FINDINGS">Small left <b>effusion</b>.</AbstractText><AbstractText Label="IMPRESSION">Probable &#112;neumonia.</AbstractText></Abstract></MedlineCitation></eCitation>`;

  test('CSV', async () => expectOne(await all(put('a.csv', csv)), '7'));
  test('CSV with a byte order mark and CRLF', async () =>
    expectOne(await all(put('a.csv', `\uFEFF${csv.replaceAll('\n', '\r\n')}`)), '7'));
  test('CSV, packed', async () => expectOne(await all(put('a.csv.gz', gzipSync(csv))), '7'));
  test('TSV', async () => expectOne(await all(put('a.tsv', `id\tnote\n7\t"${text}"\n`)), '7'));
  test('JSON lines', async () => expectOne(await all(put('a.jsonl', jsonl)), '7'));
  test('JSON lines without a last line break', async () =>
    expectOne(await all(put('a.jsonl', jsonl.trim())), '7'));
  test('Open-i XML', async () => expectOne(await all(put('7.xml', xml)), 'CXR7'));
  test('lines whose fields differ are each read by their own', async () => {
    const lines = [
      { id: '1', findings: 'Effusion.' },
      { id: '2', findings: '', impression: 'Pneumonia.' },
      { impression: 'Edema.', id: '3' },
    ];
    const items = await all(put('a.jsonl', lines.map((line) => JSON.stringify(line)).join('\n')));
    const said = items.map((item) =>
      'report' in item ? (item.report.sections ?? []).map((s) => s.text).join('') : '',
    );
    expect(said).toEqual(['Effusion.', 'Pneumonia.', 'Edema.']);
  });
  test('a text file', async () => expectOne(await all(put('7.txt', text)), '7'));
  test('a folder of texts', async () => expectOne(await all(dirname(put('notes/7.txt', text))), '7'));
  test("MIMIC-CXR's folder", async () => {
    put('files/p10/p10000032/s50414267.txt', text);
    put('files/p10/p10000032/index.html', 'not a report');
    expectOne(await all(at('files')), 's50414267');
  });
  test("MIMIC-CXR's zip", async () => {
    const zip = makeZip([
      { name: 'files/', bytes: Buffer.alloc(0) },
      { name: 'files/p10/p10000032/s50414267.txt', bytes: Buffer.from(text) },
    ]);
    expectOne(await all(put('r.zip', zip)), 's50414267');
  });
  test('a ZIP64 archive, stored', async () => {
    const zip = makeZip([{ name: 'p10/p10000032/s50414267.txt', bytes: Buffer.from(text), method: 0 }], {
      zip64: true,
    });
    expectOne(await all(put('r.zip', zip)), 's50414267');
  });
  test('Parquet', async () => {
    const path = at('a.parquet');
    await withDuckDB(({ run }) =>
      run(
        `COPY (SELECT 7 AS study_id, 'Small left effusion.' AS findings, 'Probable pneumonia.' AS impression) TO '${path}' (FORMAT parquet)`,
      ),
    );
    expectOne(await all(path), '7');
  });
  test('another encoding', async () => {
    const items = await all(
      put('a.csv', Buffer.from('id,text\n1,Pleural effusion \xe0 gauche\n', 'latin1')),
      { encoding: 'windows-1252' },
    );
    expect(items).toEqual([{ report: { id: '1', text: 'Pleural effusion à gauche' } }]);
  });
  test('UTF-16 with its mark', async () => {
    expect(failures(await all(put('a.txt', Buffer.from(`\uFEFF${text}`, 'utf16le'))))).toEqual([]);
  });
});

describe('malformed input', () => {
  test.each([
    ['nothing there', () => at('nope.csv'), 'reports/input'],
    ['an empty file', () => put('a.csv', ''), 'reports/empty-input'],
    ['only a header', () => put('a.csv', 'id,text\n'), 'reports/empty-input'],
    ['an unknown form', () => put('a.docx', 'x'), 'reports/input'],
    ['no column with reports', () => put('a.csv', 'id,age\n1,2\n'), 'reports/columns'],
    ['no field with reports', () => put('a.jsonl', '{"id":1,"age":2}\n'), 'reports/columns'],
    ['a folder without reports', () => dirname(put('sub/readme.md', 'x')), 'reports/empty-input'],
    [
      'a damaged gz',
      () => put('a.jsonl.gz', gzipSync('{"id":"1","text":"x"}\n').subarray(0, 20)),
      'reports/damaged',
    ],
    ['no Parquet', () => put('a.parquet', 'PAR1 is not enough'), 'reports/damaged'],
    ['no zip', () => put('a.zip', 'PK is not enough, not at all'), 'reports/zip'],
    [
      'a zip that claims more files than it has',
      () => put('a.zip', makeZip([{ name: 'a.txt', bytes: Buffer.from('x') }], { claimCount: 9 })),
      'reports/zip',
    ],
  ])('%s is an error', async (_, make, code) => {
    await expect(all(make())).rejects.toMatchObject({ name: 'PenumbraError', code });
  });

  test('a wrong column is named, and none of the table, whose first line may be a patient', async () => {
    const path = put('a.csv', 'id,text\n1,x\n');
    const headless = put('b.csv', 'Smith,Small effusion.\n');
    await expect(all(headless)).rejects.toSatisfy((error: PenumbraError) => {
      expect(error.code).toBe('reports/columns');
      expect(JSON.stringify(error) + error.message).not.toMatch(/Smith|effusion/);
      return true;
    });
    await expect(all(path, { textColumn: 'txet' })).rejects.toMatchObject({
      code: 'reports/columns',
      message: expect.stringContaining('"txet"'),
      hint: expect.stringContaining('--text-column'),
    });
  });

  test.each<[string, Omit<ZipFile, 'name' | 'bytes'>, RegExp]>([
    ['grows past its claim', { claimSize: 10 }, /more than the archive claims/],
    ['is smaller than its claim', { claimSize: 2_000_000 }, /less than the archive claims/],
    ['claims too much', { claimSize: 3_000_000_000 }, /limit/],
    ['has another checksum', { claimCrc: 1 }, /checksum/],
    ['begins elsewhere', { claimOffset: 7 }, /lies about where/],
    ['begins outside', { claimOffset: 4_000_000_000 }, /lies about where/],
    ['is longer than the archive', { claimPacked: 4_000_000_000 }, /lies about the size/],
    ['is encrypted', { flags: 1 }, /encrypted/],
  ])('a file of a zip that %s is a failure', async (_, lie, reason) => {
    const zip = makeZip([
      { name: 'a.txt', bytes: Buffer.alloc(1_000_000, 'no effusion. '), ...lie },
      { name: '../../b.txt', bytes: Buffer.from('No effusion.') },
    ]);
    const items = await all(put('a.zip', zip));
    expect(items.length).toBe(2);
    expect(failures(items)).toEqual([['a', expect.stringMatching(reason)]]);
  });

  test('bytes that are not UTF-8', async () => {
    const bad = Buffer.from('effusion \xff\xfe gauche', 'latin1');
    expect(failures(await all(put('a.txt', bad)))).toEqual([['a', expect.stringMatching(/not valid UTF-8/)]]);
    const lines = Buffer.concat([
      Buffer.from('{"id":"1","text":"x"}\n{"id":"2","text":"'),
      bad,
      Buffer.from('"}\n{"id":"3","text":"y"}\n'),
    ]);
    expect(failures(await all(put('a.jsonl', lines)))).toEqual([
      ['row-2', expect.stringMatching(/not valid UTF-8/)],
    ]);
    const table = Buffer.concat([Buffer.from('id,text\n1,x\n2,'), bad, Buffer.from('\n3,y\n')]);
    expect(failures(await all(put('a.csv', table)))).toEqual([
      ['2', expect.stringMatching(/not valid UTF-8/)],
    ]);
  });

  test('a 50 MB "report" fails, the others do not, and memory does not grow with it', async () => {
    const huge = 'no effusion '.repeat(4_400_000);
    const csv = put('a.csv', `id,text\n1,No effusion.\n2,"${huge}"\n3,Pneumonia.\n`);
    const jsonl = put(
      'a.jsonl',
      `{"id":"1","text":"x"}\n{"id":"2","text":"${huge}"}\n{"id":"3","text":"y"}\n`,
    );
    const txt = put('big/2.txt', huge);
    for (const [path, ids] of [
      [csv, ['1', '2', '3']],
      [jsonl, ['1', 'row-2', '3']],
      [dirname(txt), ['2']],
    ] as const) {
      const items = await all(path);
      expect(items.map(idOf)).toEqual(ids);
      expect(failures(items).length).toBe(1);
      expect(failures(items)[0]![1]).toMatch(/limit|more than 1000000/);
    }
  });

  test('rows with too few fields, unclosed quotes, lines that are no JSON, fields that are no text', async () => {
    expect(failures(await all(put('a.csv', 'id,text\n1\n2,x\n3,a,b\n')))).toEqual([
      ['1', expect.stringMatching(/1 fields, the header 2/)],
      ['3', expect.stringMatching(/3 fields, the header 2/)],
    ]);
    expect(failures(await all(put('b.csv', 'id,text\n1,"never ends\n2,x\n')))).toEqual([
      ['1', expect.stringMatching(/never ends/)],
    ]);
    const lines =
      '{"id":"1","text":"x"}\nnot json\n[1]\n{"id":"4","text":7}\n{"id":"5"}\n{"id":"6","text":"y"}\n';
    expect(failures(await all(put('a.jsonl', lines)))).toEqual([
      ['row-2', 'the line is not JSON'],
      ['row-3', 'the line is no JSON object'],
      ['4', expect.stringMatching(/no text/)],
      ['row-5', expect.stringMatching(/lacks the fields/)],
    ]);
  });

  test('empty and white texts, XML that is none or declares entities', async () => {
    put('in/a.txt', '');
    put('in/b.txt', ' \n ');
    put('in/c.xml', 'hello');
    put('in/d.xml', '<!DOCTYPE x [<!ENTITY a "aaaa">]><AbstractText Label="FINDINGS">&a;</AbstractText>');
    put('in/e.xml', '<a/>');
    expect(failures(await all(at('in'))).map(([id]) => id)).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  test('no text of a report is in a reason', async () => {
    const secret = 'SECRETNAME';
    put('in/a.txt', Buffer.from(`${secret} \xff`, 'latin1'));
    put('in/b.xml', secret);
    put('in/c.txt', secret.repeat(200_000));
    for (const [, reason] of failures(await all(at('in')))) expect(reason).not.toContain(secret);
  });

  test('hostile bytes never crash a reader', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 300 }),
        fc.constantFrom('a.csv', 'a.jsonl', 'a.xml', 'a.txt', 'a.zip'),
        async (bytes, name) => {
          const path = put(name, Buffer.from(bytes));
          await all(path).catch((error) => expect(error.name).toBe('PenumbraError'));
        },
      ),
      { numRuns: 200 },
    );
    fc.assert(fc.property(fc.string(), (s) => void readOpenIXml(s)));
  });

  test.each([
    '<',
    '<a ',
    '<a b="',
    "<a b='",
    '<!--',
    '<![CDATA[',
    '<?',
    '</',
    '<AbstractText Label="FINDINGS">',
    '<AbstractText ',
    '<uId id="a" ',
    'a=',
    '&#x',
    '&',
    '<AbstractText Label="FINDINGS"><b>x</b>&amp;</AbstractText>',
  ])('XML made of 4 MB of %s takes no longer than it should', (piece) => {
    const begin = performance.now();
    readOpenIXml(piece.repeat(4e6 / piece.length));
    readOpenIXml(`<uId ${piece.repeat(4e6 / piece.length)}/>`);
    expect(performance.now() - begin).toBeLessThan(2000);
  });

  test('what XML knows: CDATA, comments, entities, elements inside, and what people write', () => {
    const xml = `<?xml version="1.0"?><eCitation><uId id="CXR1"/><!-- <AbstractText Label="FINDINGS">no</AbstractText> -->
      <AbstractText Label="FINDINGS">a &lt; 5 &amp; &#233;&#x2C; < 3 <b>bold</b><![CDATA[<raw> & ]]></AbstractText>
      <AbstractText Label='impression' x=">">none</AbstractText ><AbstractText Label="FINDINGS"/></eCitation>`;
    expect(readOpenIXml(xml)).toEqual({
      id: 'CXR1',
      sections: [
        { section: 'findings', text: 'a < 5 & é, < 3  bold <raw> & ' },
        { section: 'impression', text: 'none' },
      ],
    });
    expect(readOpenIXml('<a><!ENTITY x "y"></a>')).toHaveProperty('failure');
  });
});

describe('extract', () => {
  const reports = (n: number, from = 0): string =>
    Array.from({ length: n }, (_, i) =>
      JSON.stringify({ id: `r${from + i}`, text: i % 3 ? 'No effusion.' : 'Probable pneumonia.' }),
    ).join('\n') + '\n';

  test('one row per report and finding, failed ones one row', async () => {
    const path = put('a.jsonl', `${reports(2)}nonsense\n`);
    expect(await extract(path, at('out.jsonl'), rules)).toMatchObject({ seen: 3, extracted: 3, failed: 1 });
    const rows = rowsOf(at('out.jsonl'));
    expect(rows.length).toBe(14 * 2 + 1);
    expect(Object.keys(rows[0]!)).toEqual([
      'id',
      'finding',
      'status',
      'probability',
      'deviation',
      'label',
      'rate',
      'evidence',
      'extractor',
      'version',
    ]);
    expect(rows.at(-1)).toMatchObject({
      id: 'row-3',
      finding: '',
      status: 'failed',
      reason: 'the line is not JSON',
    });
  });

  test('the written line is what JSON.stringify writes', async () => {
    const path = put(
      'a.jsonl',
      `${JSON.stringify({ id: 'ü"\\\n', text: 'Possible "pneumonia"\tin the\u2028 base.' })}\n`,
    );
    await extract(path, at('out.jsonl'), rules);
    for (const line of readFileSync(at('out.jsonl'), 'utf8').trim().split('\n'))
      expect(JSON.stringify(JSON.parse(line))).toBe(line);
  });

  test('a second run does only what is missing, wherever the first was torn', async () => {
    const path = put('a.jsonl', reports(20));
    await extract(path, at('whole.jsonl'), rules);
    const whole = readFileSync(at('whole.jsonl'));
    for (const cut of [
      0,
      100,
      whole.length - 1,
      whole.length - 300,
      whole.indexOf(10, 3000) + 1,
      whole.length,
    ]) {
      writeFileSync(at('torn.jsonl'), whole.subarray(0, cut));
      await extract(path, at('torn.jsonl'), rules);
      expect(readFileSync(at('torn.jsonl')).equals(whole), `cut at ${cut}`).toBe(true);
    }
    // So little of a row that it may be anybody's.
    writeFileSync(at('torn.jsonl'), '{');
    await expect(extract(path, at('torn.jsonl'), rules)).rejects.toMatchObject({ code: 'files/exists' });
    expect(await extract(path, at('whole.jsonl'), rules)).toMatchObject({ extracted: 0, skipped: 20 });
    appendFileSync(path, reports(5, 20));
    expect(await extract(path, at('whole.jsonl'), rules)).toMatchObject({ extracted: 5, skipped: 20 });
    expect(new Set(rowsOf(at('whole.jsonl')).map((r) => r.id)).size).toBe(25);
  });

  test('another configuration is refused, unless begun again', async () => {
    const path = put('a.jsonl', reports(2));
    await extract(path, at('out.jsonl'), rules);
    const other = rulesExtractor(createAssessor({ findings: { ...assessor.findings, text: 'other' } }));
    await expect(extract(path, at('out.jsonl'), other)).rejects.toMatchObject({
      code: 'reports/other-configuration',
    });
    expect(await extract(path, at('out.jsonl'), other, { overwrite: true })).toMatchObject({ extracted: 2 });
    await expect(extract(path, put('x.jsonl', 'not rows\n'), rules)).rejects.toMatchObject({
      code: 'files/exists',
    });
  });

  test('what is not an output of ours is neither cut nor overwritten, and the input never', async () => {
    const foreign = {
      'one-line.jsonl': '{"id":"a","text":"Small effusion."}',
      'rows.jsonl': `${reports(2)}{"id":"c","text":"torn`,
      'notes.jsonl': 'my notes',
    };
    const path = put('a.jsonl', reports(2));
    for (const [name, text] of Object.entries(foreign)) {
      for (const overwrite of [false, true]) {
        await expect(extract(path, put(name, text), rules, { overwrite })).rejects.toMatchObject({
          code: 'files/exists',
        });
        expect(readFileSync(at(name), 'utf8')).toBe(text);
      }
    }
    put('p.parquet', 'PAR1, or not');
    await expect(extract(path, at('p.parquet'), rules, { overwrite: true })).rejects.toMatchObject({
      code: 'files/exists',
    });
    linkSync(path, at('same.jsonl'));
    symlinkSync(path, at('link.jsonl'));
    for (const name of [
      'a.jsonl',
      'same.jsonl',
      'link.jsonl',
      '../' + basename(dirname(path)) + '/a.jsonl',
    ]) {
      for (const overwrite of [false, true]) {
        await expect(extract(path, at(name), rules, { overwrite })).rejects.toMatchObject({
          code: 'files/same',
        });
      }
    }
    expect(readFileSync(path, 'utf8')).toBe(reports(2));
    // Rows of ours with a foreign end.
    await extract(path, at('out.jsonl'), rules);
    appendFileSync(at('out.jsonl'), 'my last note');
    await expect(extract(path, at('out.jsonl'), rules)).rejects.toMatchObject({ code: 'files/exists' });
    expect(readFileSync(at('out.jsonl'), 'utf8')).toContain('my last note');
  });

  test('an output that is begun again stays until there is something new', async () => {
    const path = put('a.jsonl', reports(2));
    await extract(path, at('out.jsonl'), rules);
    const before = readFileSync(at('out.jsonl'), 'utf8');
    const bad = put('bad.csv', 'a,b\n1,2\n');
    await expect(extract(bad, at('out.jsonl'), rules, { overwrite: true })).rejects.toThrow();
    expect(readFileSync(at('out.jsonl'), 'utf8')).toBe(before);
    expect(readdirSync(dirname(path)).filter((name) => /tmp|lock/.test(name))).toEqual([]);
  });

  test('only one process writes an output; one that is removed meanwhile is no success', async () => {
    const path = put('a.jsonl', reports(600));
    const slow = {
      ...rules,
      concurrency: 4,
      async extract(report: Report) {
        await tick();
        return rules.extract(report);
      },
    };
    const first = extract(path, at('out.jsonl'), slow);
    await tick();
    await expect(extract(path, at('out.jsonl'), rules)).rejects.toMatchObject({ code: 'files/locked' });
    await expect(extract(path, at('out.jsonl'), rules, { overwrite: true })).rejects.toMatchObject({
      code: 'files/locked',
    });
    rmSync(at('out.jsonl'));
    await expect(first).rejects.toMatchObject({ code: 'files/lost' });
  });

  test('repeated ids never collide with given ones, in this run and the next', async () => {
    const ids = ['a', 'a', 'a##2', 'a##2##1', 'a', 'b#2', 'b', 'b'];
    const path = put('a.jsonl', ids.map((id) => `${JSON.stringify({ id, text: 'Effusion.' })}\n`).join(''));
    await extract(path, at('out.jsonl'), rules);
    const names = [...new Set(rowsOf(at('out.jsonl')).map((r) => r.id))];
    expect(names).toEqual(['a', 'a##2', 'a##2##1', 'a##2##1##1', 'a##3', 'b#2', 'b', 'b##2']);
    expect(await extract(path, at('out.jsonl'), rules)).toMatchObject({ extracted: 0, skipped: ids.length });
  });

  test('shards part the work; put together they are the whole', async () => {
    const path = put('a.jsonl', reports(200));
    await extract(path, at('whole.jsonl'), rules);
    const lines: string[] = [];
    for (let index = 1; index <= 3; index++) {
      const done = await extract(path, at(`part-${index}.jsonl`), rules, { shard: { index, count: 3 } });
      expect(done.extracted).toBeGreaterThan(40);
      lines.push(
        ...readFileSync(at(`part-${index}.jsonl`), 'utf8')
          .trim()
          .split('\n'),
      );
    }
    expect(lines.sort()).toEqual(readFileSync(at('whole.jsonl'), 'utf8').trim().split('\n').sort());
  });

  test('an id that comes again is kept under another name', async () => {
    const path = put('a.jsonl', reports(2) + reports(2));
    expect(await extract(path, at('out.jsonl'), rules)).toMatchObject({ extracted: 4, repeated: 2 });
    expect([...new Set(rowsOf(at('out.jsonl')).map((r) => r.id))]).toEqual(['r0', 'r1', 'r0##2', 'r1##2']);
    expect(await extract(path, at('out.jsonl'), rules)).toMatchObject({ extracted: 0, skipped: 4 });
  });

  test('failed reports are done again on demand', async () => {
    const path = put('a.jsonl', `${reports(2)}nonsense\n${reports(2, 9)}`);
    await extract(path, at('out.jsonl'), rules);
    writeFileSync(path, `${reports(2)}{"id":"row-3","text":"Effusion."}\n${reports(2, 9)}`);
    expect(await extract(path, at('out.jsonl'), rules)).toMatchObject({ extracted: 0 });
    expect(await extract(path, at('out.jsonl'), rules, { retryFailed: true })).toMatchObject({
      extracted: 1,
      skipped: 4,
    });
    expect(rowsOf(at('out.jsonl')).length).toBe(5 * 14);
  });

  test('only mentions, resumable too', async () => {
    const path = put('a.jsonl', reports(9));
    await extract(path, at('out.jsonl'), rules, { mentionedOnly: true });
    const whole = readFileSync(at('out.jsonl'));
    expect(rowsOf(at('out.jsonl')).every((r) => r.status !== 'not_mentioned')).toBe(true);
    writeFileSync(at('out.jsonl'), whole.subarray(0, whole.length - 40));
    await extract(path, at('out.jsonl'), rules, { mentionedOnly: true });
    expect(readFileSync(at('out.jsonl')).equals(whole)).toBe(true);
  });

  test('Parquet holds the same rows, and goes on', async () => {
    const path = put('a.jsonl', reports(20));
    await extract(path, at('whole.jsonl'), rules);
    await extract(path, at('out.parquet'), rules);
    const read = () =>
      withDuckDB(({ run }) =>
        run(
          `SELECT id, finding, status, probability, label, rate, len(evidence), evidence[1].phrase FROM read_parquet('${at('out.parquet')}')`,
        ),
      );
    const wanted = rowsOf(at('whole.jsonl')).map((r) => [
      r.id,
      r.finding,
      r.status,
      r.probability,
      r.label,
      r.rate,
      r.evidence.length,
      r.evidence[0]?.phrase ?? null,
    ]);
    expect((await read()).map((row) => row.map((x) => (typeof x === 'bigint' ? Number(x) : x)))).toEqual(
      wanted,
    );
    appendFileSync(path, reports(3, 20));
    expect(await extract(path, at('out.parquet'), rules)).toMatchObject({ extracted: 3, skipped: 20 });
    expect((await read()).length).toBe(23 * 14);
    // Killed after the Parquet file was in place, before its log was gone: nothing doubled.
    await extract(path, `${at('out.parquet')}.rows.jsonl`, rules);
    await extract(path, at('out.parquet'), rules);
    expect((await read()).length).toBe(23 * 14);
  });

  describe('with threads', () => {
    const source = { extractor: 'rules', flags: {}, module: '' };
    const jobs = { count: 3, source };
    /** Readable and not, some twice, some long. */
    const many = () =>
      `${reports(900)}nonsense\n${reports(300, 800)}${JSON.stringify({ id: 'long', text: 'Effusion. '.repeat(2000) })}\n${reports(700, 2000)}`;

    test.each([{}, { mentionedOnly: true }, { shard: { index: 2, count: 3 } }, { longestText: 1000 }])(
      'the same bytes and figures as without (%o)',
      async (options) => {
        const path = put('a.jsonl', many());
        const alone = await extract(path, at('whole.jsonl'), rules, options);
        expect(await extract(path, at('out.jsonl'), rules, { ...options, jobs })).toEqual(alone);
        expect(readFileSync(at('out.jsonl')).equals(readFileSync(at('whole.jsonl')))).toBe(true);
      },
    );

    test('a torn output is gone on with, and one that is stopped in order holds whole reports', async () => {
      const path = put('a.jsonl', many());
      await extract(path, at('whole.jsonl'), rules);
      const whole = readFileSync(at('whole.jsonl'));
      writeFileSync(at('out.jsonl'), whole.subarray(0, 1_000_000));
      await extract(path, at('out.jsonl'), rules, { jobs });
      expect(readFileSync(at('out.jsonl')).equals(whole)).toBe(true);
      const stop = new AbortController();
      const done = await extract(path, at('stopped.jsonl'), rules, {
        jobs,
        signal: stop.signal,
        onProgress: ({ seen }) => seen > 500 && stop.abort(),
      });
      const stopped = readFileSync(at('stopped.jsonl'));
      expect(stopped.equals(whole.subarray(0, stopped.length))).toBe(true);
      expect(rowsOf(at('stopped.jsonl')).length).toBe(14 * done.extracted);
      expect(done.extracted).toBe(done.seen);
      expect(stopped.length).toBeLessThan(whole.length);
      await extract(path, at('stopped.jsonl'), rules, { jobs });
      expect(readFileSync(at('stopped.jsonl')).equals(whole)).toBe(true);
    });

    test('where a thread ends, the rows before are kept and the same command goes on', async () => {
      const path = put('a.jsonl', reports(2000));
      await extract(path, at('whole.jsonl'), rules);
      const module = new URL('./fragile-extractor.ts', import.meta.url).href;
      const fragile = { count: 2, source: { extractor: 'fragile', flags: {}, module } };
      await expect(extract(path, at('out.jsonl'), rules, { jobs: fragile })).rejects.toMatchObject({
        code: 'reports/thread-died',
      });
      const kept = readFileSync(at('out.jsonl'));
      expect(kept.equals(readFileSync(at('whole.jsonl')).subarray(0, kept.length))).toBe(true);
      expect(rowsOf(at('out.jsonl')).some((row) => row.id === 'r700')).toBe(false);
      await extract(path, at('out.jsonl'), rules, { jobs });
      expect(readFileSync(at('out.jsonl')).equals(readFileSync(at('whole.jsonl')))).toBe(true);
    });

    test('where the input breaks off, whole reports before it are kept', async () => {
      const csv = `id,text\n${Array.from({ length: 100_000 }, (_, i) => `${i},No effusion.\n`).join('')}`;
      await extract(put('a.csv', csv), at('whole.jsonl'), rules, { mentionedOnly: true });
      const path = put('b.csv.gz', gzipSync(csv).subarray(0, -200_000));
      const run = extract(path, at('out.jsonl'), rules, { mentionedOnly: true, jobs });
      await expect(run).rejects.toMatchObject({ code: 'reports/damaged' });
      const kept = readFileSync(at('out.jsonl'));
      expect(kept.length).toBeGreaterThan(0);
      expect(kept.at(-1)).toBe(10);
      expect(kept.equals(readFileSync(at('whole.jsonl')).subarray(0, kept.length))).toBe(true);
    });

    test('threads that would judge otherwise are refused, and extractors that are not shared', async () => {
      const path = put('a.jsonl', reports(20));
      const other = { count: 2, source: { ...source, flags: { stable: 'mask' as const } } };
      await expect(extract(path, at('out.jsonl'), rules, { jobs: other })).rejects.toMatchObject({
        code: 'reports/other-configuration',
      });
      await expect(
        extract(path, at('out.jsonl'), { ...rules, concurrency: 2 }, { jobs }),
      ).rejects.toMatchObject({ code: 'reports/jobs' });
      for (const count of [0, 1.5, 1000]) {
        await expect(
          extract(path, at('out.jsonl'), rules, { jobs: { count, source } }),
        ).rejects.toMatchObject({ code: 'reports/jobs' });
      }
    });
  });

  test.each([
    { jobs: undefined, count: 60_000 },
    { jobs: { count: 2, source: { extractor: 'rules', flags: {}, module: '' } }, count: 20_000 },
  ])(
    'kill -9 in the middle, start again: nothing lost, nothing doubled (%o)',
    {
      timeout: 120_000,
    },
    async ({ jobs, count }) => {
      const path = put('a.jsonl', reports(count));
      const script = put(
        'run.mjs',
        `import { createAssessor, extract, rulesExtractor } from ${JSON.stringify(new URL('../../src/reports/index.ts', import.meta.url).href)};
       await extract(process.argv[2], process.argv[3], rulesExtractor(createAssessor()), ${JSON.stringify({ jobs })});`,
      );
      const out = at('out.jsonl');
      let killed = 0;
      for (let attempt = 0; attempt < 4; attempt++) {
        const before = attempt === 0 ? 0 : statSync(out).size;
        const child = spawn(process.execPath, [script, path, out], { stdio: 'inherit' });
        const code = await new Promise((resolve) => {
          child.on('exit', (_, signal) => resolve(signal));
          const watch = setInterval(() => {
            let size = 0;
            try {
              size = statSync(out).size;
            } catch {}
            if (size > before + 2_000_000) child.kill('SIGKILL');
          }, 2);
          child.on('exit', () => clearInterval(watch));
        });
        if (code === 'SIGKILL') killed++;
      }
      expect(killed).toBeGreaterThan(0);
      await extract(path, out, rules);
      await extract(path, at('whole.jsonl'), rules);
      expect(readFileSync(out).equals(readFileSync(at('whole.jsonl')))).toBe(true);
    },
  );
});

test('IdSet counts', () => {
  const set = new IdSet();
  for (let i = 0; i < 20_000; i++) expect(set.add(`id${i}`)).toBe(0);
  for (let i = 0; i < 20_000; i++) expect(set.add(`id${i}`)).toBe(1);
  expect(set.size).toBe(20_000);
  expect(set.has('other')).toBe(false);
});

describe('a zip that would grow', () => {
  const text = Buffer.from('No effusion. '.repeat(1000));
  const files = (n: number, change: (i: number) => Partial<ZipFile>): ZipFile[] =>
    Array.from({ length: n }, (_, i) => ({ name: `${i}.txt`, bytes: text, ...change(i) }));

  test('files that lie over each other are not read', async () => {
    // The same packed bytes under a thousand names, as in a bomb of one layer.
    const same = put('same.zip', makeZip(files(1000, () => ({ claimOffset: 0 }))));
    const items = await all(same);
    expect(items).toHaveLength(1000);
    expect(new Set(failures(items).map(([, why]) => why))).toEqual(
      new Set(['it lies over another file of the archive']),
    );
    // Each file claims to reach over all that follow (quoted local headers).
    const whole = makeZip(files(50, () => ({})));
    const over = put(
      'over.zip',
      makeZip(files(50, (i) => (i < 49 ? { claimPacked: whole.length / 2 } : {}))),
    );
    expect(failures(await all(over)).length).toBeGreaterThanOrEqual(24);
    const honest = await all(put('honest.zip', makeZip(files(50, () => ({})))));
    expect(failures(honest)).toEqual([]);
  });
});

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  createReadStream,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildDataset } from '../../src/reports/dataset/index.ts';
import { createAssessor, extract, rulesExtractor } from '../../src/reports/index.ts';
import { withDuckDB } from '../../src/reports/io/tables.ts';
import { type MadeArchive, makeMimic } from './mimic-maker.ts';

/** MIMIC-CXR has 227,835 reports: `PENUMBRA_MIMIC_REPORTS=227835 vitest run test/reports/mimic.test.ts`. */
const count = Number(process.env.PENUMBRA_MIMIC_REPORTS ?? 3000);
const minutes = 60_000;

let dir: string;
let made: MadeArchive;
const at = (name: string): string => join(dir, name);
const seconds: Record<string, number> = {};

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'penumbra-mimic-'));
  made = makeMimic(dir, count, { zip: true });
}, 30 * minutes);
afterAll(() => {
  rmSync(dir, { recursive: true, force: true });
  if (count > 3000) console.log(count, 'reports:', JSON.stringify(seconds), JSON.stringify(made));
}, 30 * minutes);

/** Runs a step in a process of its own and kills it (SIGKILL) as soon as `ripe` says so. Returns whether it was. */
function run(code: string, ripe: () => boolean = () => false): Promise<boolean> {
  const library = JSON.stringify(new URL('../../src/reports/index.ts', import.meta.url).href);
  const dataset = JSON.stringify(new URL('../../src/reports/dataset/index.ts', import.meta.url).href);
  const script = `import { createAssessor, extract, rulesExtractor } from ${library}; import { buildDataset } from ${dataset}; ${code}`;
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    const watch = setInterval(() => {
      if (ripe()) child.kill('SIGKILL');
    }, 1);
    child.on('exit', (status, signal) => {
      clearInterval(watch);
      if (signal === 'SIGKILL') resolve(true);
      else if (status === 0) resolve(false);
      else reject(new Error(`the step ended with ${status ?? signal}`));
    });
  });
}

const sizeOf = (path: string): number => (existsSync(path) ? statSync(path).size : 0);

async function digest(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

test('extract is killed twice and goes on: the same bytes as in one run', {
  timeout: 60 * minutes,
}, async () => {
  const out = at('rows.jsonl');
  const step = `await extract(${JSON.stringify(at('files'))}, ${JSON.stringify(out)}, rulesExtractor(createAssessor()));`;
  // About 3 kB of rows per report; the last kill is well before the end.
  const kills = [count * 600, count * 1200];
  for (const size of kills) expect(await run(step, () => sizeOf(out) > size)).toBe(true);
  expect(sizeOf(out)).toBeGreaterThan(0);
  let start = performance.now();
  expect(await run(step)).toBe(false);
  seconds.lastPart = (performance.now() - start) / 1000;

  // Without an interruption, and from the zip instead of the folder.
  start = performance.now();
  const whole = await extract(
    at('mimic-cxr-reports.zip'),
    at('whole.jsonl'),
    rulesExtractor(createAssessor()),
  );
  seconds.zip = (performance.now() - start) / 1000;
  expect(whole).toMatchObject({ seen: count, extracted: count, failed: 0, repeated: 0 });
  expect(await digest(out)).toBe(await digest(at('whole.jsonl')));
  const [counted] = await withDuckDB(({ run: sql }) =>
    sql(
      `SELECT count(*), count(DISTINCT id) FROM read_json('${out}', format='newline_delimited', columns={id:'VARCHAR'})`,
    ),
  );
  expect(counted!.map(Number)).toEqual([count * 14, count]);
});

test('dataset build is killed, leaves nothing that looks like a data set, and is done again', {
  timeout: 60 * minutes,
}, async () => {
  const options = { rows: [at('rows.jsonl')], images: at('jpg') };
  const drafts = () => readdirSync(dir).filter((name) => name.startsWith('.set.penumbra-'));
  const step = `await buildDataset(${JSON.stringify(at('set'))}, ${JSON.stringify(options)});`;
  expect(await run(step, () => drafts().length > 0)).toBe(true);
  expect(existsSync(at('set'))).toBe(false);
  const start = performance.now();
  expect(await run(step)).toBe(false);
  seconds.build = (performance.now() - start) / 1000;
  expect(drafts()).toEqual([]);
  expect(existsSync(at('set.lock'))).toBe(false);
  const summary = JSON.parse(readFileSync(at('set/dataset.json'), 'utf8'));
  expect(summary).toMatchObject({
    images: made.images,
    reports: made.reports,
    patients: made.patients,
    splitBy: 'given',
    leftOut: { imagesWithoutReport: 0, reportsWithoutImage: 0, failedReports: 0 },
  });
  const [rows] = await withDuckDB(({ run: sql }) =>
    sql(
      `SELECT count(*), count(DISTINCT image), count(DISTINCT report) FROM read_parquet('${at('set/dataset.parquet')}')`,
    ),
  );
  expect(rows!.map(Number)).toEqual([made.images, made.images, made.reports]);
  for (const { finding, statuses } of summary.findings) {
    expect([finding, (Object.values(statuses) as number[]).reduce((a, b) => a + b, 0)]).toEqual([
      finding,
      made.reports,
    ]);
  }
  expect((await buildDataset(at('again'), options)).version).toBe(summary.version);
});

test('from all images to pairs: every step is counted', { timeout: 60 * minutes }, async () => {
  // Reports of which nothing is known any more, and some that are not among the rows.
  const rows = readFileSync(at('rows.jsonl'), 'utf8').trim().split('\n');
  const studies = [...new Set(rows.map((row) => (JSON.parse(row) as { id: string }).id))];
  const gone = new Set(studies.filter((_, i) => i % 10 === 3));
  const silent = new Set(studies.filter((_, i) => i % 10 === 7));
  const some = rows.flatMap((row) => {
    const one = JSON.parse(row) as { id: string };
    if (gone.has(one.id)) return [];
    if (!silent.has(one.id)) return [row];
    const nothing = {
      status: 'not_mentioned',
      probability: null,
      deviation: null,
      label: null,
      rate: null,
      evidence: [],
    };
    return [JSON.stringify({ ...one, ...nothing })];
  });
  writeFileSync(at('some.jsonl'), `${some.join('\n')}\n`);
  const { steps, images } = await buildDataset(at('pairs'), {
    rows: [at('some.jsonl')],
    images: at('jpg'),
    views: ['frontal'],
    silent: 'drop',
  });
  const table = readFileSync(at('pairs/labels.csv'), 'utf8').trim().split('\n').length - 1;
  expect(steps.map(({ step }) => step)).toEqual([
    'in the tables of images',
    'of the views frontal',
    'with a report among the rows',
    'whose report could be read and is kept',
    'whose report speaks of a finding',
  ]);
  const counts = steps.map((one) => one.images);
  expect(counts.slice(0, 2)).toEqual([made.images, made.frontal]);
  // One frontal image a study, but for those without a view.
  const frontalStudies = new Set(studies.filter((_, i) => i % 25 !== 0));
  const without = (some: ReadonlySet<string>) => [...frontalStudies].filter((id) => some.has(id)).length;
  expect(counts.slice(2)).toEqual([
    made.frontal - without(gone),
    made.frontal - without(gone),
    made.frontal - without(gone) - without(silent),
  ]);
  expect([images, table]).toEqual([counts.at(-1), counts.at(-1)]);
});

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

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'penumbra-rep-gls-'));
const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const out = join(folder, 'run');
afterAll(() => rmSync(folder, { recursive: true }));

function penumbra(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], {
    encoding: 'utf8',
    env: { ...process.env, PENUMBRA_DEBUG: '' },
  });
  return { status, stdout, stderr };
}

const phantom = [
  ...['rep-gls', 'phantom', '--out', out, '--phantom-images', '160', '--phantom-size', '32'],
  ...['--model', 'resnet10', '--epochs', '1', '--seeds', '1', '--threads', '1'],
];

test('from nothing to a report, and again without doing anything twice', () => {
  const first = penumbra(...phantom, '--objectives', 'hard,gls:rates=data');
  expect(first.stderr).not.toMatch(/error/);
  expect(first.status).toBe(0);
  expect(first.stdout).toMatch(/^160 images with 160 reports of \d+ patients; 0 reports failed\n/);
  expect(first.stdout).toMatch(/labels from reports: \d+ present, \d+ absent; [\d.]+ % of them hedged/);
  const result = JSON.parse(readFileSync(join(out, 'networks', 'result.json'), 'utf8'));
  const { figures } = result.cells[0].judgement.parts.figures.methods[0];
  // Judged by the clinic's own truth: every finding of every image is known, and so is its posterior.
  expect(result.cells[0].judgement.kind).toBe('findings');
  expect(figures['truth.absolute'].value).toBeGreaterThan(0);
  expect(readFileSync(join(out, 'networks', 'report.html'), 'utf8')).toContain('against the true posterior');

  const weights = join(out, 'networks', 'runs', 'hard-seed0', 'model.safetensors');
  const before = statSync(weights).mtimeMs;
  const rows = readFileSync(join(out, 'rows.jsonl'));
  const again = penumbra(...phantom, '--objectives', 'hard,gls:rates=data');
  expect(again.status).toBe(0);
  expect(again.stderr).not.toContain('clinic: 100 %');
  expect(again.stderr).toContain('finished before');
  expect(statSync(weights).mtimeMs).toBe(before);
  expect(readFileSync(join(out, 'rows.jsonl')).equals(rows)).toBe(true);
}, 600_000);

test('rates from a network that learns from the rows; an audit that is followed; rows of before', () => {
  const clinic = join(out, 'clinic');
  const gold = join(folder, 'gold.csv');
  const [header, ...lines] = readFileSync(join(clinic, 'labels.csv'), 'utf8').trim().split('\n');
  const without = (line: string) =>
    line
      .split(',')
      .slice(1)
      .filter((_, i) => i !== 1 && i !== 2)
      .join(',');
  writeFileSync(gold, `${[header!, ...lines].map(without).join('\n')}\n`);
  const by = join(folder, 'by-network');
  const run = penumbra(
    ...['rep-gls', clinic, '--out', by, '--rates-from', 'rgn', '--rgn-epochs', '1', '--threads', '1'],
    ...['--until', 'data'],
  );
  expect(run.stderr).not.toMatch(/error/);
  expect(run.status).toBe(0);
  expect(run.stderr).toMatch(/rgn: \d+ reports, \d+ to validate on/);
  const card = JSON.parse(readFileSync(join(by, 'data', 'dataset.json'), 'utf8'));
  expect(card.extractors[0].extractor).toBe('rgn');
  const before = ['rep-gls', clinic, '--rows', join(by, 'rows.jsonl'), '--until', 'data'];
  const rows = penumbra(...before, '--out', join(folder, 'rows'), '--audit', gold);
  expect(rows.status).toBe(0);
  expect(rows.stdout).toContain('For all findings in one run: --objective');
  expect(rows.stdout).toMatch(/160 images with 160 reports of \d+ patients\n/);
  const audited = JSON.parse(readFileSync(join(folder, 'rows', 'data', 'dataset.json'), 'utf8'));
  expect(Object.keys(audited.errors)).toContain('Pleural Effusion');
  const only = penumbra('rep-gls', clinic, '--out', join(folder, 'w'), '--audit', gold, '--until', 'rows');
  expect(only.status).toBe(0);
  expect(only.stdout).toContain('marked cases that the reports speak of');
  expect(existsSync(join(folder, 'w', 'data'))).toBe(false);
}, 600_000);

test('what does not fit is said before anything is trained', () => {
  const other = penumbra(...phantom, '--phantom-habit', '0.5');
  expect(other.status).not.toBe(0);
  expect(other.stderr).toMatch(/was drawn with habit 0.08, and 0.5 is asked for/);

  const images = join(folder, 'images.csv');
  writeFileSync(images, 'image,report,patient\na.png,r1,p1\n');
  const none = penumbra('rep-gls', images, '--out', join(folder, 'x'));
  expect(none.stderr).toContain('no reports were named');
  expect(none.stderr).toContain('--reports');

  const both = penumbra(
    'rep-gls',
    images,
    '--rows',
    images,
    '--rates-from',
    'rgn',
    '--out',
    join(folder, 'x'),
  );
  expect(both.stderr).toContain('--rates-from rgn learns from reports');

  const dial = penumbra('rep-gls', images, '--out', join(folder, 'x'), '--phantom-habit', '0.5');
  expect(dial.stderr).toContain('--phantom-habit is for the phantom');

  const reports = join(folder, 'reports.csv');
  writeFileSync(reports, 'id,text\nr2,No effusion.\n');
  const apart = penumbra('rep-gls', images, '--reports', reports, '--out', join(folder, 'y'));
  expect(apart.stderr).toContain('No image has a report among the rows.');

  const stage = penumbra('rep-gls', 'phantom', '--out', join(folder, 'z'), '--until', 'report');
  expect(stage.stderr).toContain('the stages are clinic, rows, data, networks');
}, 300_000);

test('a language model is named, and flags that are another extractor’s are told apart', () => {
  const to = (...more: string[]) =>
    penumbra('rep-gls', 'phantom', '--out', join(folder, 'llm'), '--phantom-images', '20', ...more);
  expect(to('--server', 'http://localhost:1/v1').stderr).toContain(
    '--server is for a language model, and the rules read the reports',
  );
  expect(to('--network', 'rgn').stderr).toContain('--network is for a rate generation network');
  expect(to('--extractor', 'gpt').stderr).toContain('Allowed choices are rules, llm');
  const silent = to(
    ...['--extractor', 'llm', '--server', 'http://127.0.0.1:1/v1', '--retries', '0', '--until', 'rows'],
    ...['--phantom-size', '32'],
  );
  expect(silent.status).not.toBe(0);
  expect(silent.stderr).toContain('The language model does not answer');
}, 300_000);

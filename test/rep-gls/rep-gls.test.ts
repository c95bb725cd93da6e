import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
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
  expect(again.stderr).not.toContain('1 clinic');
  expect(again.stderr).toContain('finished before');
  expect(statSync(weights).mtimeMs).toBe(before);
  expect(readFileSync(join(out, 'rows.jsonl')).equals(rows)).toBe(true);
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

  const dial = penumbra('rep-gls', images, '--out', join(folder, 'x'), '--phantom-habit', '0.5');
  expect(dial.stderr).toContain('--phantom-habit is for the phantom');

  const reports = join(folder, 'reports.csv');
  writeFileSync(reports, 'id,text\nr2,No effusion.\n');
  const apart = penumbra('rep-gls', images, '--reports', reports, '--out', join(folder, 'y'));
  expect(apart.stderr).toContain('No image has a report among the rows.');

  const stage = penumbra('rep-gls', 'phantom', '--out', join(folder, 'z'), '--until', 'report');
  expect(stage.stderr).toContain('the stages are clinic, rows, data, networks');
}, 300_000);

/** A clone in which nothing was installed: what the command line does there before anybody asked it to install. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));
const clone = mkdtempSync(join(tmpdir(), 'penumbra-bare-'));
const parts = ['bin', 'scripts', 'native', 'package.json', 'package-lock.json'];

beforeAll(() => {
  for (const part of parts) cpSync(join(root, part), join(clone, part), { recursive: true });
  return () => rmSync(clone, { recursive: true, force: true });
});

function penumbra(...args: string[]) {
  const { PENUMBRA_LIBTORCH: _, ...env } = process.env;
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(clone, 'bin/penumbra.mjs'), ...args], {
    cwd: clone,
    encoding: 'utf8',
    env,
    timeout: 60_000,
  });
  expect(readdirSync(clone).sort()).toEqual([...parts].sort());
  return { status, stdout, stderr };
}

test('doctor says what is missing and installs nothing', () => {
  const { status, stdout, stderr } = penumbra('doctor');
  expect({ status, stderr }).toEqual({ status: 1, stderr: '' });
  expect(stdout).toMatch(/npm packages +not yet\n/);
  expect(stdout).toMatch(/LibTorch +not yet\n/);
  expect(stdout).toContain('PROBLEM: Penumbra is not set up\n  hint: run `npm run setup`');
  expect(stdout).toMatch(/The main job cannot run yet\.\n$/);
});

test('the same as JSON', () => {
  const { status, stdout } = penumbra('doctor', '--json');
  expect(status).toBe(1);
  const diagnosis = JSON.parse(stdout);
  expect(diagnosis.ok).toBe(false);
  expect(diagnosis.steps).toContainEqual({ step: 'add-on', done: false });
});

test.each([
  ['train', 'images/'],
  ['compare', 'phantom'],
  ['predict', 'run', 'images/'],
  ['extract', 'reports/', '--extractor', 'rgn', '--out', 'rows.jsonl'],
])('%s, without a terminal to ask on, says what to run and installs nothing', (...args) => {
  const { status, stdout, stderr } = penumbra(...args);
  expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
  expect(stderr).toMatch(
    /^error \[setup\/missing\] the engine is not set up \(missing: .*LibTorch.*\)\n {2}hint: run `npm run setup`, once\n$/,
  );
});

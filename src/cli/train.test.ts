import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { parquetRows } from '../../test/parquet.ts';
import { parseCsv } from '../data/index.ts';
import { loadCheckpoint } from '../training/index.ts';
import { interruptible } from './options.ts';

const main = fileURLToPath(new URL('./main.ts', import.meta.url));
const root = mkdtempSync(join(tmpdir(), 'penumbra-cli-'));
const data = ['phantom', '--phantom-images', '64', '--phantom-size', '32'];
const settings = ['--stem', 'standard', '--batch-size', '8', '--threads', '1', '--precision', 'float32'];

// Each call starts a process that loads the engine; a machine with other work takes its time.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });
afterAll(() => rmSync(root, { recursive: true }));

/** Runs the command line; `onText` is told what it has written to stderr so far. */
async function penumbra(
  args: readonly string[],
  onText: (text: string, kill: (signal: 'SIGINT') => void) => void = () => {},
) {
  const child = spawn(process.execPath, [main, ...args], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    onText(stderr, (signal) => child.kill(signal));
  });
  await once(child, 'close');
  return { code: child.exitCode, signal: child.signalCode, stdout, stderr };
}

describe('train', () => {
  const run = ['train', ...data, ...settings, '--objective', 'ols', '--epochs', '60', '--out', 'stopped'];

  test('Ctrl-C, delivered twice as npm does, leaves a good checkpoint, says so and ends with 130; the same command goes on', async () => {
    let pressed = false;
    const { code, signal, stderr } = await penumbra(run, (text, kill) => {
      if (pressed || !text.includes('epoch 1/60')) return;
      pressed = true;
      kill('SIGINT');
      void setTimeout(50).then(() => kill('SIGINT'));
    });
    expect({ code, signal }, stderr).toEqual({ code: 130, signal: null });
    expect(stderr).toContain('stopping after this step … (again to stop at once)');
    expect(stderr).toContain('stopped; a checkpoint is in stopped. The same command goes on from it.');
    const [newest] = readdirSync(join(root, 'stopped', 'checkpoints'))
      .sort()
      .reverse();
    const { progress } = loadCheckpoint<{ step: number; epoch: number }>(
      join(root, 'stopped', 'checkpoints', newest!),
    );
    expect(progress.epoch).toBeGreaterThan(0);
    expect(newest).toBe(`step-${String(progress.step).padStart(9, '0')}.safetensors`);

    pressed = false;
    const again = await penumbra(run, (text, kill) => {
      if (pressed || !/going on from step \d+/.test(text)) return;
      pressed = true;
      kill('SIGINT');
    });
    expect(again.stderr).toContain(`ols: going on from step ${progress.step}, epoch ${progress.epoch + 1}`);
    expect(again.stderr).toContain('float32 on cpu (as configured), 1 threads');
  });

  test('settings come from --config, flags win, and a misspelt key names the nearest', async () => {
    writeFileSync(join(root, 'settings.json'), JSON.stringify({ epochs: 5, momentum: 0.5, objective: 'ls' }));
    const args = [
      'train',
      ...data,
      ...settings,
      '--config',
      'settings.json',
      '--epochs',
      '1',
      '--out',
      'configured',
    ];
    const { code, stdout, stderr } = await penumbra(args);
    expect({ code, stdout }, stderr).toEqual({ code: 0, stdout: 'configured\n' });
    const { config } = JSON.parse(readFileSync(join(root, 'configured', 'config.json'), 'utf8'));
    expect(config).toMatchObject({ epochs: 1, momentum: 0.5, objective: 'ls', batchSize: 8 });

    writeFileSync(join(root, 'misspelt.json'), JSON.stringify({ learnigRate: 0.1 }));
    const misspelt = await penumbra(['train', ...data, '--config', 'misspelt.json']);
    expect(misspelt.code).toBe(1);
    expect(misspelt.stderr).toContain(
      "there is no setting 'learnigRate'\n  hint: did you mean 'learningRate'?",
    );
    writeFileSync(join(root, 'broken.json'), '{"epochs": ');
    const broken = await penumbra(['train', ...data, '--config', 'broken.json']);
    expect(broken.code).toBe(2);
    expect(broken.stderr).toMatch(/^error \[usage\/config\]: --config broken\.json: /);
  });

  test('two runs at one thread are equal to the last bit', async () => {
    const args = (out: string) => [
      'train',
      ...data,
      ...settings,
      '--objective',
      'ls',
      '--epochs',
      '1',
      '--out',
      out,
    ];
    for (const out of ['first', 'second']) expect((await penumbra(args(out))).code).toBe(0);
    const weights = ['first', 'second'].map((out) => readFileSync(join(root, out, 'model.safetensors')));
    expect(weights[0]!.equals(weights[1]!)).toBe(true);
  });
});

describe('evaluate', () => {
  beforeAll(async () => {
    const args = ['train', ...data, ...settings, '--objective', 'hard', '--epochs', '1', '--out', 'judged'];
    expect((await penumbra(args)).code).toBe(0);
  });

  test('writes figures as fractions with intervals, and every sample as CSV and as Parquet', async () => {
    const common = ['evaluate', 'judged', ...data, '--split', 'test', '--replicates', '200'];
    const { code, stdout, stderr } = await penumbra([
      ...common,
      '--json',
      'f.json',
      '--predictions',
      'p.csv',
    ]);
    expect(code, stderr).toBe(0);
    expect(stdout).toContain('Top-1');
    const figures = JSON.parse(readFileSync(join(root, 'f.json'), 'utf8'));
    for (const name of [
      'top1',
      'top5',
      'balancedAccuracy',
      'nll',
      'brier',
      'ece',
      'eceDebiased',
      'smoothEce',
    ]) {
      const { value, low, high } = figures[name];
      expect(low, name).toBeLessThanOrEqual(value);
      expect(high, name).toBeGreaterThanOrEqual(value);
      if (!['nll', 'brier'].includes(name)) expect(high, name).toBeLessThanOrEqual(1);
    }
    expect(figures).toMatchObject({ run: 'judged', split: 'test', samples: expect.any(Number), broken: [] });
    expect(figures.classNames).toHaveLength(5);

    const lines: string[][] = [];
    parseCsv(readFileSync(join(root, 'p.csv'), 'utf8'), 'p.csv', (fields) => lines.push([...fields]));
    const [header, ...rows] = lines;
    const columns = figures.classNames.map((name: string) => `p_${name}`);
    expect(header).toEqual(['name', 'label', 'predicted', ...columns, 'confidence', 'group']);
    expect(rows).toHaveLength(figures.samples);
    for (const row of rows) {
      const said = row.slice(3, -2).map(Number);
      expect(said.reduce((sum, p) => sum + p, 0)).toBeCloseTo(1, 5);
      expect(Number(row.at(-2))).toBe(Math.max(...said));
    }
    const right = rows.filter(([, label, predicted]) => label === predicted).length / rows.length;
    expect(right).toBeCloseTo(figures.top1.value, 12);

    expect((await penumbra([...common, '--predictions', 'p.parquet'])).code).toBe(0);
    const objects = await parquetRows(join(root, 'p.parquet'));
    expect(objects).toHaveLength(rows.length);
    expect(Object.keys(objects[0]!)).toEqual(header);
    objects.forEach((object, i) => {
      expect(Object.values(object).slice(0, 3)).toEqual(rows[i]!.slice(0, 3));
      expect(Object.values(object).slice(3)).toEqual(rows[i]!.slice(3).map(Number).map(Math.fround));
    });
  });

  test('a calibrator that was fitted is used and said; new images, and a run of a comparison, are understood', async () => {
    cpSync(join(root, 'judged'), join(root, 'study', 'runs', 'hard-seed0'), { recursive: true });
    cpSync(join(root, 'judged'), join(root, 'study', 'runs', 'ols-seed0'), { recursive: true });
    const which = await penumbra(['evaluate', 'study', ...data]);
    expect(which).toMatchObject({ code: 1, stderr: expect.stringContaining('hard-seed0, ols-seed0') });
    const fitted = await penumbra(['calibrate', 'study', ...data, '--run', 'hard', '--threads', '1']);
    expect(fitted.stdout, fitted.stderr).toMatch(
      /^study\/runs\/hard-seed0: temperature [\d.]+ fitted on \d+ images of val/,
    );
    const args = [
      'evaluate',
      'study',
      ...data,
      '--run',
      'hard-seed0',
      '--replicates',
      '50',
      '--predictions',
      'c.csv',
    ];
    const judged = await penumbra(args);
    expect(judged.stdout, judged.stderr).toContain('Calibrated by temperature');
    expect(readFileSync(join(root, 'c.csv'), 'utf8')).toMatch(
      /^name,label,.*,confidence,calibrated_confidence,group\n/,
    );
    const bare = await penumbra([...args, '--no-calibration']);
    expect(bare.stdout).not.toContain('Calibrated by');

    expect((await penumbra(['phantom', '--out', 'new', '--images', '40', '--size', '32'])).code).toBe(0);
    const ask = ['predict', 'study', 'new', '--out', 'new.csv'];
    expect(await penumbra(ask)).toMatchObject({ code: 1, stderr: expect.stringContaining('--run METHOD') });
    const said = await penumbra([...ask, '--run', 'hard', '--conformal', '0.8', '--abstain', 'risk=0.0001']);
    expect({ code: said.code, stdout: said.stdout }, said.stderr).toEqual({ code: 0, stdout: 'new.csv\n' });
    expect(said.stderr).toMatch(
      /a risk of 0.01 % cannot be reached on validation|answers from a confidence of/,
    );
    expect(readFileSync(join(root, 'new.csv'), 'utf8').split('\n')).toHaveLength(42);
    expect((await penumbra(['predict', 'new', '--out', 'x.csv'])).code).toBe(2);
  });

  test('refuses what it cannot write or read before it computes', async () => {
    const ending = await penumbra(['evaluate', 'judged', ...data, '--predictions', 'p.xlsx']);
    expect(ending).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('ends in .csv, .jsonl or .parquet'),
    });
    cpSync(join(root, 'judged'), join(root, 'unfinished'), { recursive: true });
    rmSync(join(root, 'unfinished', 'done.json'));
    const unfinished = await penumbra(['evaluate', 'unfinished', ...data]);
    expect(unfinished).toMatchObject({ code: 1, stderr: expect.stringContaining('[training/unfinished]') });
    const missing = await penumbra(['evaluate', 'nowhere', ...data]);
    expect(missing).toMatchObject({ code: 1, stderr: expect.stringContaining('nowhere is no run folder') });
  });
});

test('phantom writes a data set that train reads', async () => {
  const { code, stdout } = await penumbra(['phantom', '--out', 'drawn', '--images', '40', '--size', '32']);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^drawn: train \d+, val \d+, test \d+; classes /);
  const run = await penumbra(['train', 'drawn', ...settings, '--epochs', '1', '--out', 'from-drawn']);
  expect(run.code, run.stderr).toBe(0);
});

test('the handlers of Ctrl-C go when the work is done', () => {
  const before = process.listenerCount('SIGINT');
  {
    using interrupt = interruptible('…');
    expect(process.listenerCount('SIGINT')).toBe(before + 1);
    expect(interrupt.signal.aborted).toBe(false);
  }
  expect(process.listenerCount('SIGINT')).toBe(before);
});

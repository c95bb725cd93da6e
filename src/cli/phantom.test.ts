import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterAll, expect, test } from 'vitest';
import { register } from './phantom.ts';

const folder = mkdtempSync(join(tmpdir(), 'penumbra-phantom-'));
afterAll(() => rmSync(folder, { recursive: true }));

async function phantom(...args: string[]): Promise<void> {
  const program = new Command().exitOverride();
  register(program);
  await program.parseAsync(['phantom', ...args], { from: 'user' });
}

test('a chest clinic is written with its dials, as flags', async () => {
  const out = join(folder, 'clinic');
  await phantom(
    '--kind',
    'chest',
    '--out',
    out,
    '--images',
    '40',
    '--size',
    '32',
    '--false-alarms',
    '0.1',
    '--habit',
    '0.5',
  );
  const { dials } = JSON.parse(readFileSync(join(out, 'clinic.json'), 'utf8'));
  expect(dials).toMatchObject({ images: 40, size: 32, seed: 0, falseAlarms: 0.1, habit: 0.5, silence: 0.2 });
});

test('an atlas is one of 165 classes, and too small a one is refused', async () => {
  const out = join(folder, 'atlas');
  await expect(phantom('--kind', 'atlas', '--out', out, '--images', '60')).rejects.toThrow(
    '10000 images or more',
  );
  await expect(phantom('--kind', 'atlas', '--out', out, '--habit', '0.5')).rejects.toThrow(
    'not for --kind atlas',
  );
  expect(existsSync(out)).toBe(false);
  await phantom('--kind', 'atlas', '--out', out, '--images', '10000', '--size', '32');
  expect(JSON.parse(readFileSync(join(out, 'info.json'), 'utf8')).classes).toHaveLength(165);
});

test("one kind's flags are not taken for the other's, and nothing is written", async () => {
  const out = join(folder, 'none');
  await expect(phantom('--out', out, '--habit', '0.5')).rejects.toThrow('--habit is not for --kind knee');
  await expect(phantom('--kind', 'chest', '--out', out, '--format', 'idx')).rejects.toThrow('--format idx');
  await expect(phantom('--kind', 'chest', '--out', out, '--habit', '7')).rejects.toThrow('habit must be');
  expect(existsSync(out)).toBe(false);
});

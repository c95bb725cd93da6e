import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import manifest from '../../package.json' with { type: 'json' };
import { createProgram } from './main.ts';

const main = fileURLToPath(new URL('./main.ts', import.meta.url));

function penumbra(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [main, ...args], (_, stdout, stderr) => {
      resolve({ code: child.exitCode ?? -1, stdout, stderr });
    });
  });
}

test('--version and --help answer on stdout with 0', async () => {
  expect(await penumbra('--version')).toEqual({ code: 0, stdout: `${manifest.version}\n`, stderr: '' });
  const help = await penumbra('--help');
  expect(help).toMatchObject({ code: 0, stderr: '' });
  expect(help.stdout).toContain('Examples:');
  expect(await penumbra()).toEqual(help);
});

test('a command line that makes no sense ends with 2 and the nearest that would', async () => {
  const command = await penumbra('docter');
  expect(command).toMatchObject({ code: 2, stdout: '' });
  expect(command.stderr).toContain("unknown command 'docter'\n(Did you mean doctor?)");
  const option = await penumbra('doctor', '--jsn');
  expect(option).toMatchObject({ code: 2, stdout: '' });
  expect(option.stderr).toContain("unknown option '--jsn'\n(Did you mean --json?)");
});

test('every verb says what it does', () => {
  const { commands } = createProgram();
  expect(commands.map((command) => command.name())).toContain('doctor');
  for (const command of commands) expect(command.description(), command.name()).not.toBe('');
});

test('the help loads no engine', async () => {
  // Where the add-on cannot be loaded, the doctor says so and the help does not notice.
  const env = { ...process.env, PENUMBRA_ADDON: '/nowhere/penumbra.node' };
  const run = (...args: string[]) =>
    new Promise<number>((resolve) => {
      const child = execFile(process.execPath, [main, ...args], { env }, () => resolve(child.exitCode ?? -1));
    });
  expect(await run('doctor')).toBe(1);
  expect(await run('doctor', '--help')).toBe(0);
});

test('the doctor finds this machine fit, and says the same as JSON', async () => {
  const doctor = await penumbra('doctor', '--json');
  expect(doctor.code).toBe(0);
  expect(JSON.parse(doctor.stdout)).toMatchObject({
    ok: true,
    libtorch: { version: expect.stringMatching(/^2\.\d+/) },
  });
});

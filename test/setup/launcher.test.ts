import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { temporaryFolder, writeTree } from './temporary.ts';

const child = fileURLToPath(new URL('../../scripts/lib/child.mjs', import.meta.url));

/** A launcher around `program`, without a terminal. Resolves to its exit code and output; `act` runs at `ready`. */
async function launch(program: string, act: (launcher: number) => void = () => {}) {
  const folder = temporaryFolder();
  writeTree(folder, {
    'program.mjs': program,
    'launcher.mjs': `import { runForeground } from ${JSON.stringify(child)};
process.exitCode = await runForeground(process.execPath, [${JSON.stringify(join(folder, 'program.mjs'))}]);
console.log('launcher ends');`,
  });
  const launcher = spawn(process.execPath, [join(folder, 'launcher.mjs')], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  // No stream may be a terminal: with one, Ctrl-C is the terminal's to deliver.
  launcher.stderr.on('data', (data) => process.stderr.write(data));
  let output = '';
  let acted = false;
  launcher.stdout.on('data', (data) => {
    output += data;
    if (!acted && output.includes('ready')) {
      acted = true;
      act(launcher.pid!);
    }
  });
  const code = await new Promise<number | null>((resolve) => launcher.on('close', resolve));
  return { code, lines: output.trim().split('\n') };
}

/** Ends 300 ms after the first signal and tells how many came. */
const graceful = (signal: string) => `
let count = 0;
process.on('${signal}', () => { if (++count === 1) setTimeout(() => { console.log('saved', count); process.exit(7); }, 300); });
setTimeout(() => process.exit(99), 20_000);
console.log('ready');`;

/** The state of a process by proc(5): `Z` has ended. */
function stateOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2)[0]!;
  } catch {
    return 'gone';
  }
}

describe('a child in the foreground', () => {
  test('its exit code is the launcher’s', async () => {
    expect(await launch('process.exit(3)')).toEqual({ code: 3, lines: ['launcher ends'] });
    expect((await launch('')).code).toBe(0);
  });

  test('a signal that ends it is 128 + its number', async () => {
    expect((await launch("process.kill(process.pid, 'SIGKILL'); setInterval(() => {}, 1000)")).code).toBe(
      137,
    );
  });

  test('SIGTERM reaches it, and the launcher waits for its own end', async () => {
    const result = await launch(graceful('SIGTERM'), (pid) => process.kill(pid, 'SIGTERM'));
    expect(result).toEqual({ code: 7, lines: ['ready', 'saved 1', 'launcher ends'] });
  });

  test('one Ctrl-C that arrives twice, as npm sends it, is one', async () => {
    const result = await launch(graceful('SIGINT'), (pid) => {
      process.kill(pid, 'SIGINT');
      setTimeout(() => process.kill(pid, 'SIGINT'), 50);
    });
    expect(result).toEqual({ code: 7, lines: ['ready', 'saved 1', 'launcher ends'] });
  });

  test('a launcher that is killed leaves no child at work', async () => {
    const pids: number[] = [];
    const program = `console.log('ready', process.pid); setInterval(() => {}, 1000);`;
    const { code, lines } = await launch(program, (pid) =>
      setTimeout(() => process.kill(pid, 'SIGKILL'), 100),
    );
    expect(code).toBe(null);
    for (const line of lines) if (line.startsWith('ready ')) pids.push(Number(line.slice(6)));
    expect(pids).toHaveLength(1);
    // `launch` returns when both have closed the output; what waits for init to fetch its exit code has ended.
    await expect.poll(() => stateOf(pids[0]!)).toMatch(/gone|Z/);
  });
});

describe('the command line, where the parent is not the launcher that was named', () => {
  const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
  const ending = (launcher: number) =>
    new Promise((resolve) => {
      const env = { ...process.env, PENUMBRA_LAUNCHER: String(launcher) };
      const child = spawn(process.execPath, [main, '--version'], {
        cwd: temporaryFolder(),
        env,
        stdio: 'ignore',
      });
      child.on('close', (code, signal) => resolve(signal ?? code));
    });

  test('ends with a launcher that is gone, also where setpriv is missing', async () => {
    const gone = spawn(process.execPath, ['--version'], { stdio: 'ignore' });
    await new Promise((resolve) => gone.on('close', resolve));
    expect(await ending(gone.pid!)).toBe('SIGKILL');
  });

  test('another program than the command line is not told the name, and cannot hand it on', async () => {
    const { lines } = await launch("console.log('name', process.env.PENUMBRA_LAUNCHER)");
    expect(lines).toContain('name undefined');
  });
});

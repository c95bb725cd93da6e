/** Starts processes as a launcher would, for the tests. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { freePort, rankEnvironment } from '../../src/torch/distributed/local.ts';

export interface Rank {
  readonly child: ChildProcess;
  readonly stdout: () => string;
  readonly stderr: () => string;
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

/** @param args of Node, the same for every rank */
export async function startRanks(
  size: number,
  args: readonly string[],
  options: {
    readonly env?: NodeJS.ProcessEnv;
    readonly cwd?: string;
    readonly ranks?: readonly number[];
  } = {},
): Promise<Rank[]> {
  const port = await freePort();
  return (options.ranks ?? Array.from({ length: size }, (_, rank) => rank)).map((rank) => {
    const child = spawn(process.execPath, args, {
      cwd: options.cwd,
      env: {
        ...process.env,
        OMP_NUM_THREADS: '1',
        ...rankEnvironment(rank, size, port),
        ...options.env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const texts = { stdout: '', stderr: '' };
    child.stdout.setEncoding('utf8').on('data', (text: string) => (texts.stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (texts.stderr += text));
    const ended = once(child, 'close').then(() => ({ code: child.exitCode, signal: child.signalCode }));
    return { child, stdout: () => texts.stdout, stderr: () => texts.stderr, ended };
  });
}

/** Whether `text` appears on a rank's output in time. */
export async function until(rank: Rank, text: string | RegExp, seconds = 300): Promise<void> {
  for (const end = performance.now() + 1000 * seconds; ; ) {
    const said = rank.stdout() + rank.stderr();
    if (typeof text === 'string' ? said.includes(text) : text.test(said)) return;
    if (performance.now() > end || rank.child.exitCode !== null)
      throw new Error(`'${text}' did not appear (exit code ${rank.child.exitCode}) in: ${said}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

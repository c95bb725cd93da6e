/** `--processes N`: the processes of this machine that train one run together, started and looked after without the engine. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism, constants } from 'node:os';
import { fileURLToPath } from 'node:url';
import { freePort, rankEnvironment } from '../torch/distributed/local.ts';

/** Milliseconds that the others have to end by themselves once one has failed. */
const GRACE = 30_000;

interface Rank {
  readonly child: ChildProcess;
  /** What it said on stderr; rank 0 speaks for all as long as it can. */
  said: string;
  readonly ended: Promise<unknown>;
}

/**
 * Starts this command so many times, as ranks of one run, and waits for all of them.
 * @param args of the command, from the verb on
 * @returns the exit code
 */
export async function runLocalRanks(size: number, args: readonly string[]): Promise<number> {
  const port = await freePort();
  const ranks = Array.from({ length: size }, (_, rank) =>
    startRank(rank, size, port, withoutProcesses(args)),
  );
  const signals = forwardSignals(ranks);
  let stuck: NodeJS.Timeout | undefined;
  const killed = new Set<number>();
  for (const { child } of ranks)
    child.on('exit', (code) => {
      if (code === 0 || code === 130 || stuck !== undefined) return;
      stuck = setTimeout(() => {
        for (const [rank, { child: other }] of ranks.entries())
          if (running(other)) {
            killed.add(rank);
            other.kill('SIGKILL');
          }
      }, GRACE);
    });
  await Promise.all(ranks.map(({ ended }) => ended));
  clearTimeout(stuck);
  signals();
  tell(ranks, killed);
  const codes = ranks.map(({ child }) => codeOf(child));
  return codes.find((code) => code === 130) ?? codes.find((code) => code !== 0) ?? 0;
}

function startRank(rank: number, size: number, port: number, args: readonly string[]): Rank {
  // `.ts` from the sources, `.js` from the build.
  const extension = import.meta.url.slice(import.meta.url.lastIndexOf('.'));
  const main = fileURLToPath(new URL(`./main${extension}`, import.meta.url));
  const threads = Math.max(1, Math.floor(availableParallelism() / size));
  const child = spawn(process.execPath, [...process.execArgv, main, ...args], {
    stdio: rank === 0 ? ['ignore', 'inherit', 'inherit'] : ['ignore', 'ignore', 'pipe'],
    env: {
      OMP_NUM_THREADS: String(threads),
      ...process.env,
      ...rankEnvironment(rank, size, port),
      PENUMBRA_LAUNCHER: String(process.pid),
    },
  });
  const ended = Promise.race([once(child, 'close'), once(child, 'error')]);
  const started: Rank = { child, said: '', ended };
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    started.said = (started.said + text).slice(-4000);
  });
  return started;
}

/** The arguments without `--processes N`. */
export function withoutProcesses(args: readonly string[]): string[] {
  const at = args.findIndex((word) => word === '--processes' || word.startsWith('--processes='));
  return at < 0
    ? [...args]
    : [...args.slice(0, at), ...args.slice(at + (args[at] === '--processes' ? 2 : 1))];
}

/** Ctrl-C in a terminal reaches every rank by itself; elsewhere the signal is handed on. Returns what ends it. */
function forwardSignals(ranks: readonly Rank[]): () => void {
  const terminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
  const forward = (signal: NodeJS.Signals) => {
    if (signal === 'SIGINT' && terminal) return;
    for (const { child } of ranks) child.kill(signal);
  };
  const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const name of names) process.on(name, forward);
  return () => {
    for (const name of names) process.off(name, forward);
  };
}

/** How ranks ended that did not say it themselves. Rank 0 has said what it knows of the others. */
function tell(ranks: readonly Rank[], killed: ReadonlySet<number>): void {
  const lead = ranks[0]!.child;
  for (const [rank, { child, said }] of ranks.entries()) {
    const { signalCode } = child;
    if (rank > 0 && said !== '' && (lead.signalCode !== null || lead.exitCode === 0 || signalCode !== null))
      process.stderr.write(said.replace(/^(?=.)/gm, `[rank ${rank}] `));
    if (killed.has(rank)) process.stderr.write(`rank ${rank} did not answer, and was ended\n`);
    else if (signalCode !== null) process.stderr.write(`rank ${rank} was ended by ${signalCode}\n`);
  }
}

function codeOf({ exitCode, signalCode }: ChildProcess): number {
  return exitCode ?? (signalCode === null ? 1 : 128 + constants.signals[signalCode]);
}

function running({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode === null && signalCode === null;
}

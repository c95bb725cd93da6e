/** Child processes: quiet ones that write to a log, and foreground ones that share the terminal. */
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname } from 'node:path';
import { SetupError } from './errors.mjs';
import { readText } from './stamp.mjs';

/** Quiet children that are running now. */
const running = new Set();

/**
 * Runs a command with its output in a log file. A failure is a SetupError with the end of the log.
 * The child leads a process group of its own, so that `stopChildren` reaches its children (make's compilers) too.
 * @param {string} command
 * @param {string[]} args
 * @param {{log: string, what: string, append?: boolean, cwd?: string, env?: NodeJS.ProcessEnv}} options
 * @returns {Promise<void>}
 */
export function runLogged(command, args, { log, what, append = false, cwd, env }) {
  mkdirSync(dirname(log), { recursive: true });
  const output = openSync(log, append ? 'a' : 'w');
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env, detached: true, stdio: ['ignore', output, output] });
    closeSync(output);
    running.add(child);
    const end = (error) => {
      running.delete(child);
      if (error) reject(error);
      else resolve();
    };
    child.on('error', (error) =>
      end(new SetupError(`${what}: cannot run ${command} (${error.code ?? error.message})`)),
    );
    child.on('close', (code, signal) => {
      if (code === 0) return end();
      const ending = signal === null ? `exit code ${code}` : signal;
      end(new SetupError(`${what} failed (${ending}); the whole log: ${log}`, logTail(log)));
    });
  });
}

/** Ends every quiet child and its group; those that do not listen are killed after two seconds. */
export async function stopChildren() {
  const children = [...running];
  const signalAll = (signal) => {
    for (const child of children) {
      try {
        if (running.has(child)) process.kill(-child.pid, signal);
      } catch {
        // It ended meanwhile.
      }
    }
  };
  signalAll('SIGTERM');
  for (let i = 0; i < 20 && children.some((child) => running.has(child)); i++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  signalAll('SIGKILL');
}

/**
 * Runs a command in the terminal of this process and outlives it: signals go to the child, which ends in its own way
 * (a trainer first writes its checkpoint). Returns its exit code (128 + signal number where a signal ended it).
 *
 * Ctrl-C in a terminal reaches the whole foreground group, the child included, so nothing is forwarded there. Without
 * a terminal SIGINT is forwarded, repeats within a second as one: npm sends its own copy of the same key press.
 *
 * A launcher that is killed takes the child with it: nobody would know of it, and it would hold its locks. The kernel
 * sees to that (prctl(2), PR_SET_PDEATHSIG, by way of util-linux's setpriv, which becomes the command). Where setpriv
 * is missing, and in the moment before it has asked, the command line (`looks`) itself looks after the process that
 * PENUMBRA_LAUNCHER names; no other program is told the name, as it would only hand it on.
 * @returns {Promise<number>}
 */
export function runForeground(command, args, { cwd, env = process.env, looks = false } = {}) {
  return new Promise((resolve, reject) => {
    const [program, ...rest] = [...tie(), command, ...args];
    const child = spawn(program, rest, {
      cwd,
      env: { ...env, ...(looks && { PENUMBRA_LAUNCHER: String(process.pid) }) },
      stdio: 'inherit',
    });
    const terminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
    let lastInterrupt = Number.NEGATIVE_INFINITY;
    const forward = (signal) => {
      if (signal === 'SIGINT') {
        const now = performance.now();
        if (terminal || now - lastInterrupt < 1000) return;
        lastInterrupt = now;
      }
      child.kill(signal);
    };
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
    for (const signal of signals) process.on(signal, forward);
    const end = () => {
      for (const signal of signals) process.off(signal, forward);
    };
    child.on('error', (error) => {
      end();
      reject(error);
    });
    child.on('close', (code, signal) => {
      end();
      resolve(signal === null ? code : 128 + constants.signals[signal]);
    });
  });
}

/** What ties the life of a command that follows it to this process; nothing where setpriv is missing or too old. */
function tie() {
  tied ??= spawnSync('setpriv', ['--pdeathsig', 'KILL', 'true'], { stdio: 'ignore' }).status === 0;
  return tied ? ['setpriv', '--pdeathsig', 'KILL'] : [];
}
let tied;

/** What matters of a log: the first error with what follows it, and the end. Short logs are shown whole. */
export function logTail(log, lines = 12) {
  const all = (readText(log) ?? '').trimEnd().split('\n');
  const end = all.length - lines;
  const error = all.findIndex((line) => /\berror\b/i.test(line));
  if (error < 0 || error >= end) return all.slice(-2 * lines).join('\n');
  const between = end > error + lines ? ['…'] : [];
  return [...all.slice(error, Math.min(error + lines, end)), ...between, ...all.slice(end)].join('\n');
}

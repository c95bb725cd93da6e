/**
 * Calls operators with random arguments in child processes, and says which of them crashed, hung or ate the memory.
 * From the command line it searches: `node test/torch/fuzz.ts CALLS SEED`.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeCall, fuzzedSchemas, type Job, type Outcome } from './fuzz-calls.ts';

export interface Failure {
  operator: string;
  index: number;
  schema: string;
  how: string;
  /** Whether the call also fails as the first of a process; if not, an earlier call did the damage. */
  alone: boolean;
}

export interface FuzzResult extends Outcome {
  failures: Failure[];
}

/** Operators that LibTorch itself does not survive, by name, with the reason. */
export const crashingOperators: Record<string, string> = JSON.parse(
  readFileSync(join(import.meta.dirname, 'crashing-operators.json'), 'utf8'),
);

const HANG_MILLISECONDS = 30_000;
const MOST_MEMORY = 3 * 2 ** 30;

export async function fuzz(calls: number, seed: number, children = 2): Promise<FuzzResult> {
  const folder = mkdtempSync(join(tmpdir(), 'penumbra-fuzz-'));
  try {
    const total: FuzzResult = { returned: 0, refused: {}, improper: [], failures: [] };
    await Promise.all(
      Array.from({ length: children }, (_, child) => fuzzSlice(folder, calls, seed, child, children, total)),
    );
    return total;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function fuzzSlice(
  folder: string,
  calls: number,
  seed: number,
  child: number,
  children: number,
  total: FuzzResult,
): Promise<void> {
  const excluded = Object.keys(crashingOperators);
  for (let first = child; first < calls; ) {
    const file = (name: string) => join(folder, `${name}-${child}`);
    rmSync(file('result'), { force: true });
    rmSync(file('progress'), { force: true });
    // Stops now and then: what a run says of the calls before a crash is not lost with it.
    const end = Math.min(calls, first + 10_000 * children);
    const job: Job = {
      seed,
      first,
      end,
      step: children,
      excluded,
      progress: file('progress'),
      result: file('result'),
    };
    writeFileSync(file('job'), JSON.stringify(job));
    const how = await runJob(file('job'), file('progress'), folder);
    if (how === null && existsSync(file('result'))) {
      const outcome = JSON.parse(readFileSync(file('result'), 'utf8')) as Outcome;
      total.returned += outcome.returned;
      for (const [code, count] of Object.entries(outcome.refused))
        total.refused[code] = (total.refused[code] ?? 0) + count;
      total.improper.push(...outcome.improper);
      first += Math.ceil((end - first) / children) * children;
      continue;
    }
    const index = existsSync(file('progress')) ? readProgress(file('progress')) : -1;
    if (index < 0) throw new Error(`the child did not begin: ${how}`);
    const schema = describeCall(fuzzedSchemas(excluded), seed, index);
    writeFileSync(file('job'), JSON.stringify({ ...job, first: index, end: index + 1 } satisfies Job));
    const alone = (await runJob(file('job'), file('progress'), folder)) !== null;
    const { name, schema: signature } = schema;
    total.failures.push({
      operator: name,
      index,
      schema: signature,
      how: how ?? 'left without a result',
      alone,
    });
    first = index + children;
  }
}

/** Null where the child ended well, else how it ended. */
function runJob(job: string, progress: string, folder: string): Promise<string | null> {
  return new Promise((resolve) => {
    // In a folder of its own: from_file and the like make files.
    const child = spawn(process.execPath, [join(import.meta.dirname, 'fuzz-calls.ts'), job], {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let stderr = '';
    child.stderr.on('data', (data) => {
      stderr = (stderr + String(data)).slice(-2000);
    });
    let reason: string | null = null;
    let seen = -1;
    let since = Date.now();
    const watch = setInterval(() => {
      const now = readProgress(progress);
      if (now !== seen) {
        seen = now;
        since = Date.now();
      }
      if (Date.now() - since > HANG_MILLISECONDS)
        reason = `hangs for more than ${HANG_MILLISECONDS / 1000} s`;
      else if (residentBytes(child) > MOST_MEMORY) reason = `takes more than ${MOST_MEMORY / 2 ** 30} GiB`;
      if (reason !== null) child.kill('SIGKILL');
    }, 250);
    child.on('close', (code, signal) => {
      clearInterval(watch);
      if (code === 0 && reason === null) resolve(null);
      else resolve(reason ?? `${signal ?? `exit code ${code}`} ${stderr.trim()}`);
    });
  });
}

function readProgress(file: string): number {
  try {
    const mark = readFileSync(file);
    return mark.length === 8 ? mark.readDoubleLE(0) : -1;
  } catch {
    return -1;
  }
}

function residentBytes(child: ChildProcess): number {
  try {
    return Number(readFileSync(`/proc/${child.pid}/statm`, 'utf8').split(' ')[1]) * 4096;
  } catch {
    return 0;
  }
}

if (process.argv[1]?.endsWith('fuzz.ts')) {
  const result = await fuzz(Number(process.argv[2] ?? 100_000), Number(process.argv[3] ?? 1));
  for (const failure of result.failures) console.log(JSON.stringify(failure));
  console.log(JSON.stringify({ ...result, failures: result.failures.length }, null, 1));
}

/**
 * `npm run setup`: everything between a fresh clone and the first run. Runs on Node 20 without any package.
 * A step that is done is not done again; a run that was cut short can be repeated. See lib/steps.mjs for the steps and
 * lib/libtorch.mjs for the environment variables that choose the LibTorch.
 */
import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { stopChildren } from './lib/child.mjs';
import { SetupError } from './lib/errors.mjs';
import { takeLock } from './lib/lock.mjs';
import { stampFolder } from './lib/paths.mjs';
import { startLine } from './lib/report.mjs';
import { describe, plainSteps, readLibTorch, sources, steps } from './lib/steps.mjs';

/** Titles of the steps that are not done: a few milliseconds, no network. */
export function missingSteps({ engine = true } = {}) {
  return (engine ? steps : plainSteps).filter((step) => !step.isDone()).map(({ title }) => title);
}

/** Whether every step is done. */
export function isSetUp(options) {
  return missingSteps(options).length === 0;
}

/** Whether nothing is missing but to compile changed sources, without the engine: seconds, no network. */
export function isOutOfDateOnly() {
  const left = plainSteps.filter((step) => !step.isDone());
  return left.length === 1 && left[0] === sources;
}

/**
 * Does what is not done yet. Prints a line a step to stderr, nothing when there is nothing to do.
 * When it cannot go on it says why and ends the process with 1 (130 after Ctrl-C): nothing that follows could work.
 * @param {{required?: boolean, engine?: boolean}} [options] not required: a failure is said, and the caller goes on;
 *   no engine: LibTorch and the add-on are left alone
 */
export async function setup({ required = true, engine = true } = {}) {
  if (isSetUp({ engine })) return;
  const wanted = engine ? steps : plainSteps;
  let line;
  const unlock = await takeLock(stampFolder, (owner) => {
    process.stderr.write(`another set-up (process ${owner}) is at work here; waiting for it\n`);
  });
  process.on('exit', unlock);
  let interrupted = false;
  const interrupt = async (signal) => {
    if (interrupted) return;
    interrupted = true;
    await stopChildren();
    line?.stop();
    process.stderr.write('penumbra set-up: interrupted; the same command continues it\n');
    process.exit(signal === 'SIGINT' ? 130 : 143);
  };
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  try {
    for (const [i, step] of wanted.entries()) {
      if (step.isDone()) continue;
      line = startLine(`[${i + 1}/${wanted.length}] ${step.title}`);
      line.end(await step.run((text) => line.note(text)));
    }
  } catch (error) {
    // A step that fails because its children were stopped: `interrupt` ends the process.
    if (interrupted) return await new Promise(() => {});
    line?.stop();
    if (!(error instanceof SetupError)) throw error;
    if (error.details) process.stderr.write(`${error.details}\n`);
    process.stderr.write(`penumbra set-up: ${error.message}\n`);
    if (required) process.exit(1);
  } finally {
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
    process.off('exit', unlock);
    if (!interrupted) unlock();
  }
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  await setup();
  process.stderr.write(`Penumbra is set up. LibTorch ${describe(readLibTorch())}\n`);
}

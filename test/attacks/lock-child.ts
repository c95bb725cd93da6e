/**
 * Takes a lock, works for some milliseconds, gives it back. Whether two work at once shows in `WORK.busy`, which only
 * one may make: a second one finds it there and says `two`. Arguments: lock, milliseconds, `kernel` or `link`,
 * `die` (killed while working) or `end`.
 */
import { closeSync, openSync, unlinkSync } from 'node:fs';
import { PenumbraError } from '../../src/errors.ts';
import { takeLock } from '../../src/files/index.ts';

const [path, milliseconds, kind, end] = process.argv.slice(2) as [string, string, string, string];
try {
  using _lock = takeLock(path, { withoutKernel: kind === 'link' });
  const busy = `${path}.busy`;
  try {
    closeSync(openSync(busy, 'wx'));
  } catch {
    process.stdout.write('two\n');
  }
  await new Promise((resolve) => setTimeout(resolve, Number(milliseconds)));
  unlinkSync(busy);
  if (end === 'die') process.kill(process.pid, 'SIGKILL');
  process.stdout.write('held\n');
} catch (error) {
  if (!(error instanceof PenumbraError) || error.code !== 'files/locked') throw error;
  process.stdout.write(`locked ${error.message}\n`);
}

/** One set-up at a time in one checkout: `npm test` beside `npm start` must not build twice into one folder. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readText } from './stamp.mjs';

/**
 * Waits for the lock and returns the function that gives it back. The lock of a process that has ended is taken over.
 * @param {string} folder
 * @param {(owner: number) => void} [onWait] called once, with the owner's process id
 * @returns {Promise<() => void>}
 */
export async function takeLock(folder, onWait = () => {}) {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, 'lock');
  const mine = `${process.pid} ${startTime(process.pid)}`;
  for (let waited = false; ; waited = true) {
    try {
      writeFileSync(path, mine, { flag: 'wx' });
      return () => {
        if (readText(path) === mine) rmSync(path, { force: true });
      };
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    const text = readText(path);
    if (text === undefined) continue;
    const [pid, started] = text.split(' ');
    // An empty lock is one whose owner is between creating and writing it: give it a moment before taking it over.
    if (pid !== '' && startTime(Number(pid)) !== started) rmSync(path, { force: true });
    else if (pid === '' && waited) rmSync(path, { force: true });
    else {
      if (!waited) onWait(Number(pid));
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }
}

/** When a process started, in clock ticks since boot: tells a process from a later one with the same id. */
function startTime(pid) {
  try {
    // Field 22 of proc(5)'s stat; the second field, the name in parentheses, may hold blanks.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return 'gone';
  }
}

/** What a person is told of a data set before the work: files that are left out. */
import { extname } from 'node:path';
import type { BrokenFile } from '../data/index.ts';
import { printable } from '../files/index.ts';

/** Endings that are named. */
const MOST_ENDINGS = 6;
/** Files of each that are named. */
const MOST_FILES = 3;

/** Says which files are left out because of their names: how many of each ending, with the first. */
export function tellSkipped(skipped: readonly BrokenFile[], write: (text: string) => void): void {
  if (skipped.length === 0) return;
  const byEnding = new Map<string, BrokenFile[]>();
  for (const one of skipped) {
    const ending = extname(one.file).toLowerCase() || 'no ending';
    const known = byEnding.get(ending);
    if (known === undefined) byEnding.set(ending, [one]);
    else known.push(one);
  }
  const endings = [...byEnding].sort(([, a], [, b]) => b.length - a.length);
  write(
    `note: ${skipped.length} ${skipped.length === 1 ? 'file is' : 'files are'} left out: no PNG or JPEG by ${skipped.length === 1 ? 'its name' : 'their names'}\n`,
  );
  for (const [ending, files] of endings.slice(0, MOST_ENDINGS)) {
    const named = files.slice(0, MOST_FILES).map(({ file }) => printable(file));
    const more = files.length > named.length ? ', …' : '';
    write(`  ${ending}: ${files.length} (${named.join(', ')}${more})\n`);
  }
  if (endings.length > MOST_ENDINGS) write(`  and ${endings.length - MOST_ENDINGS} endings more\n`);
}

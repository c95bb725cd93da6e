/** Whether set-up may fetch and build: people are asked, programs are told what to run. */
import { createInterface } from 'node:readline/promises';
import { isClone } from './paths.mjs';

/**
 * @param {string[]} missing  titles of the steps that are not done
 * @returns {Promise<boolean>} false where the caller should end: the reason was printed
 */
export async function mayInstall(missing) {
  const command = isClone ? 'npm run setup' : 'npx penumbra setup';
  const what = `the engine is not set up (missing: ${missing.join(', ')})`;
  if (process.stdin.isTTY && process.stderr.isTTY) {
    const asked = createInterface({ input: process.stdin, output: process.stderr });
    const answer = await asked.question(
      `Penumbra: ${what}.\nFetch LibTorch where this machine has none (200 MB) and build the add-on (a minute or two) now? [Y/n] `,
    );
    asked.close();
    if (/^\s*(y(es)?)?\s*$/i.test(answer)) return true;
  }
  process.stderr.write(`error [setup/missing] ${what}\n  hint: run \`${command}\`, once\n`);
  return false;
}

/** The development tools, run in the terminal with the project's Node. */
import { runForeground } from './child.mjs';
import { findNode, inPackage, root } from './paths.mjs';
import { projectEnv } from './steps.mjs';

const tools = {
  lint: ['@biomejs/biome', 'bin/biome', ['check', '--error-on-warnings']],
  types: ['typescript', 'bin/tsc', ['-p', 'tsconfig.test.json']],
  tests: ['vitest', 'vitest.mjs', ['run']],
};

/**
 * Runs the named tools one after the other, all of them also when one fails, and returns the exit code of the whole.
 * @param {(keyof typeof tools)[]} names
 * @param {string[]} extra more arguments for the last one
 */
export async function runTools(names, extra = []) {
  const failed = [];
  for (const name of names) {
    const [tool, script, args] = tools[name];
    process.stderr.write(`\n── ${name} ──\n`);
    const more = name === names.at(-1) ? extra : [];
    const code = await runForeground(findNode(), [inPackage(tool, script), ...args, ...more], {
      cwd: root,
      env: projectEnv(),
    });
    if (code > 128) return code; // A signal: the user, or the system, wants an end.
    if (code !== 0) failed.push(name);
  }
  if (failed.length > 0) process.stderr.write(`\nfailed: ${failed.join(', ')}\n`);
  return failed.length > 0 ? 1 : 0;
}

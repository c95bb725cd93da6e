/**
 * `npm run bench`: set-up, then the benchmarks of `bench/`, one process each. `npm run bench -- engine loader` runs
 * those two; everything from the first option on goes to each of them: `npm run bench -- engine --peer FILE`.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { runForeground } from './lib/child.mjs';
import { findNode, root } from './lib/paths.mjs';
import { projectEnv } from './lib/steps.mjs';
import { setup } from './setup.mjs';

const folder = join(root, 'bench');
const all = readBenchmarks();
const args = process.argv.slice(2);
// `reports 1000000`: a number belongs to the benchmark before it.
const firstOption = args.findIndex((arg) => /^[-\d]/.test(arg));
const named = firstOption < 0 ? args : args.slice(0, firstOption);
const options = firstOption < 0 ? [] : args.slice(firstOption);

const unknown = named.filter((name) => !all.includes(name));
if (unknown.length > 0 || all.length === 0) {
  process.stderr.write(
    `no benchmark ${unknown.join(', ')} in bench/; there are: ${all.join(', ') || 'none'}\n`,
  );
  process.exit(2);
}

await setup();
const failed = [];
for (const name of named.length > 0 ? named : all) {
  process.stderr.write(`\n── ${name} ──\n`);
  const code = await runForeground(findNode(), [join(folder, `${name}.ts`), ...options], {
    env: projectEnv(),
  });
  if (code > 128) process.exit(code);
  if (code !== 0) failed.push(name);
}
if (failed.length > 0) process.stderr.write(`\nfailed: ${failed.join(', ')}\n`);
process.exitCode = failed.length > 0 ? 1 : 0;

/** Files directly in `bench/` are benchmarks; what they share lies in folders below. */
function readBenchmarks() {
  try {
    return readdirSync(folder)
      .filter((name) => name.endsWith('.ts'))
      .map((name) => name.slice(0, -'.ts'.length))
      .sort();
  } catch {
    return [];
  }
}

/**
 * `npm run processors`: every test that reaches the engine, five times in a row under each kind of kernels that a processor may
 * lack, beside a process that keeps a core busy. What does not reach the engine does not see these settings. Takes hours:
 * `npm run processors -- --runs 1 --only avx2` does a part.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { findNode, root } from './lib/paths.mjs';
import { projectEnv } from './lib/steps.mjs';
import { setup } from './setup.mjs';

/** What LibTorch's own kernels, and oneDNN's, may use. */
const settings = [
  { name: 'default', env: { ATEN_CPU_CAPABILITY: 'default' } },
  { name: 'avx2', env: { ATEN_CPU_CAPABILITY: 'avx2' } },
  { name: 'avx512', env: { ATEN_CPU_CAPABILITY: 'avx512' } },
  { name: 'onednn-avx2', env: { ONEDNN_MAX_CPU_ISA: 'AVX2' } },
];

const { values } = parseArgs({
  options: { runs: { type: 'string', default: '5' }, only: { type: 'string' } },
});
const runs = Number(values.runs);
const chosen = settings.filter(({ name }) => values.only === undefined || name === values.only);
if (chosen.length === 0 || !(runs >= 1)) {
  process.stderr.write(
    `npm run processors: --runs is a number from 1, --only one of ${settings.map(({ name }) => name).join(', ')}\n`,
  );
  process.exit(2);
}
await setup();
const env = projectEnv();
const busy = spawn(findNode(), ['-e', 'for (;;);'], { stdio: 'ignore' });
let failed = 0;
try {
  for (const { name, env: own } of chosen) {
    for (let run = 1; run <= runs; run++) {
      const began = performance.now();
      const { code, text } = await tests({ ...env, ...own });
      const minutes = ((performance.now() - began) / 60_000).toFixed(1);
      const [summary = 'no summary'] = /Tests\s+.*/.exec(text) ?? [];
      process.stdout.write(
        `${name}, run ${run} of ${runs}: ${summary.replace(/\s+/g, ' ')}, ${minutes} min\n`,
      );
      if (code === 0) continue;
      failed++;
      for (const [line] of text.matchAll(/^ *FAIL .*$/gm)) process.stdout.write(`  ${line.trim()}\n`);
    }
  }
} finally {
  busy.kill();
}
process.exitCode = failed > 0 ? 1 : 0;

/** Runs the tests that the engine's door leads to. */
function tests(environment) {
  return new Promise((done, fail) => {
    const vitest = join(root, 'node_modules/vitest/vitest.mjs');
    const child = spawn(findNode(), [vitest, 'related', '--run', 'src/torch/native.ts', '--reporter=dot'], {
      cwd: root,
      env: { ...environment, NO_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let text = '';
    child.stdout.on('data', (part) => (text += part));
    child.stderr.on('data', (part) => (text += part));
    child.on('error', fail);
    child.on('close', (code) => done({ code, text }));
  });
}

/**
 * What `penumbra doctor` can say before anything is installed or compiled: which steps of the set-up are done, and what
 * they need. Installs nothing.
 */
import { spawnSync } from 'node:child_process';
import { isClone, root } from './paths.mjs';
import { checkTools, steps } from './steps.mjs';

/** @returns {number} the exit code: 1, since the main job cannot run yet */
export function bareDoctor({ json = false } = {}) {
  const done = steps.map((step) => ({ step: step.title, done: step.isDone() }));
  const findings = [];
  const hint = isClone ? 'npm run setup' : 'npx penumbra setup';
  try {
    checkTools();
  } catch (error) {
    findings.push({
      required: true,
      what: error.message,
      hint: 'install them; set-up builds the add-on with them',
    });
  }
  const { status } = spawnSync('python3', ['-m', 'pip', '--version'], { encoding: 'utf8' });
  if (status !== 0)
    findings.push({
      required: true,
      what: 'python3 with pip is missing',
      hint: 'apt-get install python3-pip, or name a LibTorch of yours by PENUMBRA_LIBTORCH',
    });
  findings.push({
    required: true,
    what: 'Penumbra is not set up',
    hint: `run \`${hint}\`, once; or npm start`,
  });
  if (json) {
    process.stdout.write(
      `${JSON.stringify({ ok: false, penumbra: { folder: root }, steps: done, findings }, undefined, 2)}\n`,
    );
    return 1;
  }
  const width = Math.max(...done.map(({ step }) => step.length));
  const lines = [
    `folder${' '.repeat(Math.max(0, width - 6))}  ${root}`,
    `Node${' '.repeat(Math.max(0, width - 4))}  ${process.versions.node}, ${process.execPath}`,
    ...done
      .filter(({ step }) => step !== 'Node')
      .map(({ step, done }) => `${step.padEnd(width)}  ${done ? 'done' : 'not yet'}`),
    ...findings.flatMap(({ what, hint }) => ['', `PROBLEM: ${what}`, `  hint: ${hint}`]),
    '',
    'The main job cannot run yet.',
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
  return 1;
}

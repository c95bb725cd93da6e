#!/usr/bin/env node
/**
 * The command line's launcher. Runs on Node 20; completes the set-up where that is asked for, then runs the compiled
 * program in this process, or under the project's own Node where this one is too old.
 */
import { existsSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { mayInstall } from '../scripts/lib/consent.mjs';
import { findNode, mainFile } from '../scripts/lib/paths.mjs';
import { isOutOfDateOnly, missingSteps, setup } from '../scripts/setup.mjs';

const verb = process.argv[2];
const compiled = existsSync(mainFile) && findNode() !== undefined;
// Whoever only reads the help should not wait for a download; but for what it says to be true, it is compiled.
const reads =
  ['help', '-V', '--version'].includes(verb) || process.argv.some((word) => /^(-h|--help)$/.test(word));
// These never load the engine, so that they do without LibTorch; test/setup/engine-free.test.ts holds them to it. The one
// extractor that is a network does load it.
const isNetwork = verb === 'extract' && process.argv.some((word) => /^(--extractor=)?rgn$/.test(word));
const engine =
  isNetwork ||
  !(verb === undefined || reads || ['judge', 'extract', 'dataset', 'lexicon', 'reports'].includes(verb));

const node = (await prepare()) ? findNode() : undefined;
if (node === undefined) process.exitCode ||= 1;
else if (node === process.execPath) {
  const { run } = await import(pathToFileURL(mainFile).href);
  await run(process.argv);
} else {
  const { runForeground } = await import('../scripts/lib/child.mjs');
  process.exitCode = await runForeground(node, [mainFile, ...process.argv.slice(2)], { looks: true });
}

/** Whether the program can run. The packages of a clone and its sources are set up unasked; LibTorch and the add-on are not. */
async function prepare() {
  if (verb === 'doctor') {
    if (compiled) return true;
    const { bareDoctor } = await import('../scripts/lib/bare-doctor.mjs');
    process.exitCode = bareDoctor({ json: process.argv.includes('--json') });
    return false;
  }
  if (reads && compiled) {
    if (isOutOfDateOnly()) await setup({ required: false, engine });
    return true;
  }
  const missing = missingSteps({ engine });
  if (missing.length === 0) return true;
  if (
    engine &&
    verb !== 'setup' &&
    missing.some((step) => step !== 'TypeScript' && step !== 'typed operators')
  ) {
    if (!(await mayInstall(missing))) return false;
  }
  await setup({ engine });
  return true;
}

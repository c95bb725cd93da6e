#!/usr/bin/env node
/**
 * The command line's launcher. Runs on Node 20; completes the set-up where that is needed, then runs the compiled
 * program in this process, or under the project's own Node where this one is too old.
 */
import { existsSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { findNode, mainFile } from '../scripts/lib/paths.mjs';
import { isOutOfDateOnly, setup } from '../scripts/setup.mjs';

const verb = process.argv[2];
const compiled = existsSync(mainFile) && findNode() !== undefined;
// Whoever only reads the help should not wait for a download; but for what it says to be true, it is compiled.
const reads =
  ['help', '-V', '--version'].includes(verb) || process.argv.some((word) => /^(-h|--help)$/.test(word));
// These never load the engine, so that they do without LibTorch; test/setup/engine-free.test.ts holds them to it.
const engine = !(
  verb === undefined ||
  reads ||
  ['judge', 'extract', 'dataset', 'lexicon', 'reports'].includes(verb)
);
// The doctor tells what is missing, so a set-up that fails is no reason to end; it needs the compiled program only.
if (!(reads && compiled) || isOutOfDateOnly())
  await setup({ required: !((verb === 'doctor' || reads) && compiled), engine });
const node = findNode();
if (node === process.execPath) {
  const { run } = await import(pathToFileURL(mainFile).href);
  await run(process.argv);
} else {
  const { runForeground } = await import('../scripts/lib/child.mjs');
  process.exitCode = await runForeground(node, [mainFile, ...process.argv.slice(2)], { looks: true });
}

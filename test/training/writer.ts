/**
 * Writes checkpoints without a pause until it is killed, and says after each which step it was. State s is made of s
 * alone, so that whoever loads it knows whether it is whole.
 */
import { writeSync } from 'node:fs';
import { disposeAll, tidy } from '../../src/torch/index.ts';
import { loadNewestCheckpoint, saveCheckpoint } from '../../src/training/checkpoint.ts';
import { stateOf } from './writer-state.ts';

const folder = process.argv[2]!;
const before = loadNewestCheckpoint<{ step: number }>(folder);
disposeAll(before?.tensors);
for (let step = (before?.progress.step ?? 0) + 1; ; step++) {
  tidy(() => saveCheckpoint(folder, step, stateOf(step)));
  writeSync(1, `${step}\n`);
}

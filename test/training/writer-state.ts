import { tensor } from '../../src/torch/index.ts';
import type { Checkpoint } from '../../src/training/checkpoint.ts';

/** What writer.ts saves as step `step`: 256 KiB and a little. */
export function stateOf(step: number): Checkpoint<{ step: number }> {
  // Cheap to make, so that the writer spends its time writing, on a busy machine too.
  const weights = new Float32Array(65_536).fill(Math.sin(step));
  return {
    progress: { step },
    tensors: new Map([
      ['model.weights', tensor(weights)],
      ['objective.counts', tensor([step, step + 1, step + 2])],
    ]),
  };
}

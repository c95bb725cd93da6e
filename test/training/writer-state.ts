import { tensor } from '../../src/torch/index.ts';
import type { Checkpoint } from '../../src/training/checkpoint.ts';

/** What writer.ts saves as step `step`: 256 KiB and a little. */
export function stateOf(step: number): Checkpoint<{ step: number }> {
  const weights = Float32Array.from({ length: 65_536 }, (_, i) => Math.sin(step + i));
  return {
    progress: { step },
    tensors: new Map([
      ['model.weights', tensor(weights)],
      ['objective.counts', tensor([step, step + 1, step + 2])],
    ]),
  };
}

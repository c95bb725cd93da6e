import { memoryStatistics } from '../src/torch/index.ts';

/**
 * Tensors made since the process started that nobody released: those that live, and those that the garbage collector had
 * to take. Its difference over some work is what the work leaks, whenever the collector runs; the number of live tensors
 * alone falls when what an earlier test forgot is collected.
 */
export function unreleased(): number {
  const { tensors, collected } = memoryStatistics();
  return tensors + collected;
}

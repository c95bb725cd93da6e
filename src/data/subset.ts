import { pickSamples } from './samples.ts';
import type { Subset } from './types.ts';

/** The samples of a subset at `indices`, in that order. */
export function narrowSubset(subset: Subset, indices: Uint32Array): Subset {
  const nameOf = (i: number) => subset.nameOf(indices[i]);
  return { ...subset, ...pickSamples(subset, indices), length: indices.length, nameOf };
}

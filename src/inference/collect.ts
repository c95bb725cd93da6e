import { concatenate } from '../concatenate.ts';
import { type BrokenFile, type Subset, takeTargets } from '../data/index.ts';
import type { Outputs } from '../figures/index.ts';
import type { Predictor } from './predictor.ts';

/** All that a predictor says of a subset whose truth is known. */
export interface Collected {
  /** With logits where a single network speaks and nothing was calibrated. */
  readonly outputs: Outputs & { readonly indices: Int32Array };
  /** N×K: the networks' own probabilities, where those of `outputs` were calibrated. */
  readonly own: Float32Array | undefined;
  readonly broken: readonly BrokenFile[];
}

/** @throws `training/classes` where the subset's targets are not what the runs were trained for */
export async function collect(
  predictor: Predictor,
  subset: Subset,
  options: {
    readonly signal?: AbortSignal;
    readonly onProgress?: ((done: number, total: number) => void) | undefined;
  } = {},
): Promise<Collected> {
  predictor.check(subset);
  const parts: Record<'probabilities' | 'own' | 'logits' | 'doubt', Float32Array[]> = {
    probabilities: [],
    own: [],
    logits: [],
    doubt: [],
  };
  const indices: Int32Array[] = [];
  let done = 0;
  const reading = predictor.read(subset, options.signal);
  for await (const rows of reading) {
    parts.probabilities.push(rows.probabilities);
    if (predictor.calibrated) parts.own.push(rows.own);
    else if (rows.logits !== undefined) parts.logits.push(rows.logits);
    if (rows.doubt !== undefined) parts.doubt.push(rows.doubt);
    indices.push(rows.indices);
    done += rows.indices.length;
    options.onProgress?.(done, subset.length);
  }
  const shown = concatenate(indices, Int32Array);
  const floats = (arrays: readonly Float32Array[]) => concatenate(arrays, Float32Array);
  return {
    outputs: {
      targets: takeTargets(subset.targets, shown),
      probabilities: floats(parts.probabilities),
      indices: shown,
      ...(parts.logits.length > 0 && { logits: floats(parts.logits) }),
      ...(parts.doubt.length > 0 && { doubt: floats(parts.doubt) }),
    },
    own: predictor.calibrated ? floats(parts.own) : undefined,
    broken: reading.broken,
  };
}

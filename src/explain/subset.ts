import { setImmediate } from 'node:timers/promises';
import { concatenate } from '../concatenate.ts';
import type { BatchLoader } from '../data/index.ts';
import type { Network } from '../models/index.ts';
import { gatherInputs } from '../tasks/index.ts';
import { tidy } from '../torch/index.ts';
import type { ExplainMethod } from './methods.ts';

/** Maps of the images of a subset; those that could not be read are left out. */
export interface SubsetMaps {
  /** N sample numbers in the subset. */
  readonly indices: Int32Array;
  /** Maps of each image. */
  readonly outputsEach: number;
  /** N×M: which output each map is of. */
  readonly outputs: Int32Array;
  readonly height: number;
  readonly width: number;
  /** N×M×height×width, row by row. */
  readonly maps: Float32Array;
  /** N×K. */
  readonly logits: Float32Array;
}

export interface SubsetOptions {
  /** Outputs of a sample, as many for each; absent: its greatest. */
  readonly outputsOf?: ((sample: number) => readonly number[]) | undefined;
  readonly layer?: string | undefined;
  readonly device: string;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((done: number) => void) | undefined;
}

/**
 * Explains every image that a loader gives, batch by batch.
 * @param model in evaluation mode, float32
 * @throws what the method raises
 */
export async function explainSubset(
  model: Network,
  loader: BatchLoader,
  method: ExplainMethod,
  options: SubsetOptions,
): Promise<SubsetMaps> {
  const { outputsOf, layer, device, signal, onProgress } = options;
  const parts: SubsetMaps[] = [];
  let done = 0;
  for await (const batch of loader.epoch(0)) {
    signal?.throwIfAborted();
    const { indices } = batch;
    const part = tidy((): SubsetMaps => {
      const images = gatherInputs(batch.inputs, device).images!;
      const wanted = outputsOf === undefined ? 'greatest' : Array.from(indices, outputsOf);
      const { maps, outputs, logits } = method.explain(model, images, wanted, { layer });
      const [, outputsEach = 0, height = 0, width = 0] = maps.shape;
      const floats = (tensor: typeof maps) => tensor.to({ dtype: 'float32' }).contiguous().toTypedArray();
      return {
        indices,
        outputsEach,
        outputs: outputs.to({ dtype: 'int32' }).contiguous().toTypedArray() as Int32Array,
        height,
        width,
        maps: floats(maps) as Float32Array,
        logits: floats(logits) as Float32Array,
      };
    });
    parts.push(part);
    batch.release();
    done += indices.length;
    onProgress?.(done);
    await setImmediate(); // Signals and messages of decoding threads are heard between batches.
  }
  return joinMaps(parts);
}

/** Maps of several parts as one, in their order. */
export function joinMaps(parts: readonly SubsetMaps[]): SubsetMaps {
  const [first] = parts;
  if (first !== undefined && parts.length === 1) return first;
  const { outputsEach = 0, height = 0, width = 0 } = first ?? {};
  const floats = (of: 'maps' | 'logits') =>
    concatenate(
      parts.map((part) => part[of]),
      Float32Array,
    );
  const integers = (of: 'indices' | 'outputs') =>
    concatenate(
      parts.map((part) => part[of]),
      Int32Array,
    );
  return {
    indices: integers('indices'),
    outputsEach,
    outputs: integers('outputs'),
    height,
    width,
    maps: floats('maps'),
    logits: floats('logits'),
  };
}

import { createHash } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Subset, takeTargets } from '../data/index.ts';
import type { Outputs } from '../figures/index.ts';
import { type NoiseRequest, pickRows } from '../judgement/index.ts';
import { fromTypedArray, readSafetensors, Scope, writeSafetensors } from '../torch/index.ts';
import { fingerprint, inspectRun, noisyConfidences, RunFolder } from '../training/index.ts';

/** What a finished run's network says of a subset; `features` (N×D) where they were asked for. */
export interface RunOutputs extends Outputs {
  readonly indices: Int32Array;
  readonly features?: Float32Array;
}

/**
 * A finished run's outputs for a subset, from `<name>.safetensors` in its folder where they were made before by the same
 * weights for the same samples.
 */
export async function outputsOf(
  folder: string,
  subset: Subset,
  name: string,
  options: { readonly features?: boolean } = {},
): Promise<RunOutputs> {
  const wanted = ['probabilities', 'logits', ...(options.features ? ['features'] : [])];
  const arrays = await kept(join(folder, `${name}.safetensors`), keyOf(folder, subset), wanted, async () => {
    const { output } = await inspectRun(folder, subset, options);
    const { probabilities, logits, indices, doubt, features } = output;
    return {
      probabilities: probabilities as Float32Array,
      logits,
      indices,
      ...(doubt && { doubt }),
      ...(features && { features }),
    };
  });
  const { probabilities, logits, indices, doubt, features } = arrays as Record<string, Float32Array> & Kept;
  return {
    targets: takeTargets(subset.targets, indices),
    probabilities: probabilities!,
    logits: logits!,
    indices,
    ...(subset.posterior && { posterior: pickRows(subset.posterior, indices, subset.classes.length) }),
    ...(doubt && { doubt }),
    ...(features && { features }),
  };
}

/** What a run's network says of images under noise, from its folder where it was asked before. */
export async function noisyOf(
  folder: string,
  subset: Subset,
  { images, samples, sigma, signal }: NoiseRequest,
): Promise<{ confidences: Float32Array; indices: Int32Array }> {
  const key = { ...keyOf(folder, subset), noise: JSON.stringify([images, samples, sigma]) };
  const { confidences, indices } = await kept(
    join(folder, 'noisy.safetensors'),
    key,
    ['confidences'],
    async () => {
      const noisy = await noisyConfidences(folder, subset, {
        images,
        samples,
        sigma,
        ...(signal && { signal }),
      });
      return { confidences: noisy.confidences, indices: noisy.indices, chosen: noisy.chosen };
    },
  );
  return { confidences: confidences as Float32Array, indices };
}

/** Arrays with a row for each of `indices`. */
type Kept = Readonly<Record<string, Float32Array | Int32Array>> & { readonly indices: Int32Array };

/** Arrays from a file that was written under the same key and holds what is wanted, else they are made and written. */
async function kept(
  path: string,
  key: Readonly<Record<string, string>>,
  wanted: readonly string[],
  make: () => Promise<Kept>,
): Promise<Kept> {
  if (existsSync(path)) {
    using _scope = new Scope();
    const { tensors, metadata } = readSafetensors(path);
    const same = Object.entries(key).every(([name, value]) => metadata[name] === value);
    if (same && [...wanted, 'indices'].every((name) => tensors.has(name)))
      return Object.fromEntries(
        [...tensors].map(([name, tensor]) => [name, tensor.toTypedArray()]),
      ) as unknown as Kept;
  }
  const arrays = await make();
  using _scope = new Scope();
  const rows = arrays.indices.length;
  const tensors = Object.entries(arrays).map(([name, values]) => {
    const shape = values.length === rows ? [rows] : [rows, values.length / rows];
    return [name, fromTypedArray(values, { shape })] as const;
  });
  writeSafetensors(path, new Map(tensors), { ...key });
  return arrays;
}

function keyOf(folder: string, subset: Subset): { samples: string; weights: string } {
  return { samples: samplesKey(subset), weights: weightsKey(folder) };
}

/** Identifies the samples of a subset: what is true of them, and their images. */
export function samplesKey(subset: Subset): string {
  return fingerprint(subset);
}

/** Identifies a finished run by its weights. */
export function weightsKey(folder: string): string {
  const path = new RunFolder(folder).file('model.safetensors');
  const { mtimeMs, size } = statSync(path);
  const file = `${path}\0${mtimeMs}\0${size}`;
  const known =
    weightsKeys.get(file) ?? createHash('sha256').update(readFileSync(path)).digest('hex').slice(0, 16);
  weightsKeys.set(file, known);
  return known;
}

/** Half a gigabyte is not read again for every look. */
const weightsKeys = new Map<string, string>();

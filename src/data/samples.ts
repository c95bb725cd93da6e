import { type Targets, takeTargets } from './targets.ts';

/** What is known of N samples, one entry each, whatever split they are in. */
export interface Samples {
  readonly rows: Uint32Array<SharedArrayBuffer>;
  readonly targets: Targets;
  readonly groups: Int32Array | undefined;
  readonly sites?: Int32Array | undefined;
  /** N×K. */
  readonly posterior: Float32Array | undefined;
}

/** The samples at `indices`, in that order, with all that is known of each. */
export function pickSamples(samples: Samples, indices: Uint32Array): Samples {
  const { rows, targets, groups, sites, posterior } = samples;
  const picked = new Uint32Array(new SharedArrayBuffer(indices.length * 4));
  for (let i = 0; i < indices.length; i++) picked[i] = rows[indices[i]];
  return {
    rows: picked,
    targets: takeTargets(targets, indices),
    groups: groups && pickIntegers(groups, indices),
    sites: sites && pickIntegers(sites, indices),
    posterior: posterior && pickRows(posterior, posterior.length / rows.length, indices),
  };
}

/** The samples for which `wanted` holds, by their numbers. */
export function indicesWhere(length: number, wanted: (i: number) => boolean): Uint32Array {
  const indices = new Uint32Array(length);
  let count = 0;
  for (let i = 0; i < length; i++) if (wanted(i)) indices[count++] = i;
  return indices.slice(0, count);
}

function pickIntegers(values: Int32Array, indices: Uint32Array): Int32Array {
  const picked = new Int32Array(indices.length);
  for (let i = 0; i < indices.length; i++) picked[i] = values[indices[i]];
  return picked;
}

function pickRows(values: Float32Array, k: number, indices: Uint32Array): Float32Array {
  const picked = new Float32Array(indices.length * k);
  for (let i = 0; i < indices.length; i++)
    picked.set(values.subarray(indices[i] * k, (indices[i] + 1) * k), i * k);
  return picked;
}

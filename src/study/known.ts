import type { Subset } from '../data/index.ts';
import type { SummaryOptions } from '../metrics/index.ts';

/**
 * What is known of the judged samples beside their labels: patients to resample, and a phantom's true posterior.
 * @param indices N sample numbers in the split
 */
export function knownOf(subset: Subset, indices: Int32Array): Pick<SummaryOptions, 'groups' | 'posterior'> {
  return {
    ...(subset.groups && { groups: pickRows(subset.groups, indices, 1) }),
    ...(subset.posterior && { posterior: pickRows(subset.posterior, indices, subset.classes.length) }),
  };
}

/** Rows of an array with `width` values a row. */
export function pickRows<A extends Int32Array | Float32Array | Float64Array>(
  values: A,
  rows: Int32Array,
  width: number,
): A {
  const picked = new (values.constructor as new (length: number) => A)(rows.length * width);
  for (let i = 0; i < rows.length; i++)
    picked.set(values.subarray(rows[i]! * width, (rows[i]! + 1) * width), i * width);
  return picked;
}

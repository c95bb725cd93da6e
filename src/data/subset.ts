import { PenumbraError } from '../errors.ts';
import { pickSamples } from './samples.ts';
import { needOneOfK, type Targets } from './targets.ts';
import type { Batch, Subset } from './types.ts';

/** A subset of its parts; what follows from them is added. */
export function makeSubset(parts: Omit<Subset, 'classes' | 'length' | 'labels'>): Subset {
  const { targets, rows } = parts;
  const subset = { ...parts, classes: targets.names, length: rows.length };
  return define<typeof subset, Pick<Subset, 'labels'>>(subset, {
    labels: labelsOf(targets, 'the labels of a subset'),
  });
}

/** The samples of a subset at `indices`, in that order. */
export function narrowSubset(subset: Subset, indices: Uint32Array): Subset {
  const nameOf = (i: number) => subset.nameOf(indices[i]);
  return makeSubset({ ...subset, ...pickSamples(subset, indices), nameOf });
}

/** A batch of its parts, likewise. */
export function makeBatch(
  parts: Pick<Batch, 'number' | 'inputs' | 'targets' | 'indices' | 'release'>,
): Batch {
  const { images } = parts.inputs;
  return define<typeof parts, Pick<Batch, 'images' | 'shape' | 'layout' | 'labels'>>(
    { ...parts },
    {
      images: images?.values ?? noImages,
      shape: images?.shape ?? noImages,
      layout: images?.layout ?? noImages,
      labels: labelsOf(parts.targets, 'the labels of a batch'),
    },
  );
}

type Views<V> = { readonly [K in keyof V]: V[K] | (() => never) };

/**
 * The object with views of what it holds. A view that does not exist is a function that throws: it throws when the
 * property is read, and a copy of the object (`{ ...subset }`) does without the property.
 */
function define<T extends object, V extends object>(object: T, views: Views<V>): T & V {
  for (const [key, view] of Object.entries<unknown>(views)) {
    if (typeof view === 'function')
      Object.defineProperty(object, key, { enumerable: false, get: view as () => never });
    else Object.defineProperty(object, key, { enumerable: true, value: view, writable: true });
  }
  return object as T & V;
}

function labelsOf(targets: Targets, what: string): Int32Array | (() => never) {
  return targets.kind === 'one-of-k' ? targets.values : () => needOneOfK(targets, what) as never;
}

function noImages(): never {
  throw new PenumbraError('data/no-images', 'this batch has texts and no images', {
    hint: 'read `inputs.tokens`, or give the samples images',
  });
}

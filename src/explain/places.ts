import { PenumbraError } from '../errors.ts';
import type { Network } from '../models/index.ts';
import type { Tensor } from '../torch/index.ts';

/** Features by place, of a layer's output: [N, C, h, w], or tokens [N, h·w, C] with the sides of their grid. */
export type PlacedFeatures =
  | { readonly kind: 'map'; readonly features: Tensor }
  | { readonly kind: 'tokens'; readonly features: Tensor; readonly grid: readonly [number, number] };

/**
 * The name of the layer that is looked at.
 * @throws `explain/layer` where the network does not say which, and none is named
 */
export function layerOf(model: Network, layer: string | undefined): string {
  const name = layer ?? model.places?.map;
  if (name !== undefined) {
    model.submodule(name); // Says what there is where it is not there.
    return name;
  }
  throw new PenumbraError('explain/layer', 'this network does not say where it has features by place', {
    hint: 'name a layer whose output is [N, C, h, w]; a network of your own can have `places`',
  });
}

/**
 * A layer's output by place, as views.
 * @throws `explain/layer` for an output of another form
 */
export function byPlace(output: Tensor, { places }: Network, layer: string): PlacedFeatures {
  if (output.ndim === 4) return { kind: 'map', features: output };
  const [, length = 0] = output.shape;
  const grid = places?.grid;
  if (output.ndim === 3 && grid !== undefined && length >= grid[0] * grid[1]) {
    const patches = grid[0] * grid[1];
    return { kind: 'tokens', features: output.narrow(1, length - patches, patches), grid };
  }
  throw new PenumbraError(
    'explain/layer',
    `${layer} gives ${output.shape.join('×')}, which are no features by place`,
    {
      hint: 'name a layer whose output is [N, C, h, w], or one of a vision transformer that gives all tokens',
    },
  );
}

import { native } from './native.ts';
import { Tensor } from './tensor.ts';
import type { Device, DType } from './types.ts';

/** Runs `body` without recording gradients. */
export function noGrad<T>(body: () => T): T {
  return withGrad(false, body);
}

/** Runs `body` with gradients recorded, also inside `noGrad`. */
export function enableGrad<T>(body: () => T): T {
  return withGrad(true, body);
}

function withGrad<T>(enabled: boolean, body: () => T): T {
  const before = native.gradEnabled();
  native.setGradEnabled(enabled);
  try {
    return body();
  } finally {
    native.setGradEnabled(before);
  }
}

/**
 * Gradients of the sum of `outputs` with respect to `inputs`, without touching anybody's `grad`.
 * @returns one tensor an input; null for an unused input where `allowUnused` is set
 */
export function grad(
  outputs: readonly Tensor[],
  inputs: readonly Tensor[],
  options: {
    gradOutputs?: readonly Tensor[];
    retainGraph?: boolean;
    createGraph?: boolean;
    allowUnused?: boolean;
  } = {},
): (Tensor | null)[] {
  const handles = (tensors: readonly Tensor[]) => tensors.map((tensor) => tensor.handle);
  return native
    .grad(
      handles(outputs),
      handles(inputs),
      options.gradOutputs ? handles(options.gradOutputs) : null,
      options.retainGraph ?? false,
      options.createGraph ?? false,
      options.allowUnused ?? false,
    )
    .map((handle) => (handle === null ? null : new Tensor(handle)));
}

/**
 * Runs `body` with autocast: matrix products and convolutions in `dtype`, sums and losses in float32, as LibTorch's
 * lists say. Put the forward pass and the loss inside, `backward` outside.
 */
export function autocast<T>(body: () => T, options: { device?: Device; dtype?: DType } = {}): T {
  const token = native.enterAutocast(options.device ?? 'cpu', options.dtype ?? 'bfloat16');
  try {
    return body();
  } finally {
    native.leaveAutocast(token);
  }
}

/** Batch normalization, an addition and an activation in one pass over memory, by kernels of our own. */
import { type BatchNormValues, native } from '../native.ts';
import { Tensor } from '../tensor.ts';
import type { DType } from '../types.ts';

let on = true;

/**
 * Runs `body` with the fused kernels or without them. With them, and where they fit, `BatchNorm2d` in training computes
 * its statistics, an addition and a ReLU behind it in two passes forward and two backward instead of six and seven. They
 * agree with LibTorch's operators to rounding, not to the bit. They fit images on the CPU in channels-last memory, in
 * float32 or bfloat16, on a processor with AVX-512 (and AVX512-BF16); anything else is computed by LibTorch's operators.
 * Outside of `fusing` they are on.
 */
export function fusing<T>(enabled: boolean, body: () => T): T {
  const before = on;
  on = enabled;
  try {
    return body();
  } finally {
    on = before;
  }
}

/** Whether this processor has the fused kernels for a type. */
export function canFuse(dtype: DType): boolean {
  return native.fusesBatchNorm(dtype);
}

export interface BatchNormArguments {
  /** [N, C, H, W] */
  readonly input: Tensor;
  /** [C], as all that follow. */
  readonly weight: Tensor;
  readonly bias: Tensor;
  /** Moved towards the batch's. */
  readonly runningMean: Tensor;
  readonly runningVar: Tensor;
  readonly momentum: number;
  readonly eps: number;
}

/** As the add-on takes them. */
export function batchNormValues(norm: BatchNormArguments): BatchNormValues {
  const { input, weight, bias, runningMean, runningVar, momentum, eps } = norm;
  return [input.handle, weight.handle, bias.handle, runningMean.handle, runningVar.handle, momentum, eps];
}

/** activation(norm(input) + added) by the batch's statistics; null where the kernels are off or do not fit. */
export function fusedBatchNorm(
  norm: BatchNormArguments,
  activation: 'none' | 'relu' | 'relu6',
  added: Tensor | null,
): Tensor | null {
  if (!on) return null;
  const handle = native.batchNorm(...batchNormValues(norm), activation, added?.handle ?? null);
  return handle === null ? null : new Tensor(handle);
}

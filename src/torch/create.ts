import { PenumbraError } from '../errors.ts';
import { native, type TypedArray } from './native.ts';
import { type NestedNumbers, Tensor } from './tensor.ts';
import type { DType } from './types.ts';

/** The element type that a typed array holds. */
function dtypeOf(data: TypedArray): DType {
  if (data instanceof Float32Array) return 'float32';
  if (data instanceof Float64Array) return 'float64';
  if (data instanceof Int32Array) return 'int32';
  if (data instanceof BigInt64Array) return 'int64';
  if (data instanceof Uint8Array || data instanceof Uint8ClampedArray) return 'uint8';
  if (data instanceof Int8Array) return 'int8';
  if (data instanceof Int16Array) return 'int16';
  if (data instanceof Uint16Array) return 'uint16';
  if (data instanceof Uint32Array) return 'uint32';
  return 'uint64';
}

/**
 * A tensor over the memory of `data`, without a copy: writes go both ways. The tensor keeps the array alive; do not
 * detach its buffer (by transferring it to another thread) while the tensor lives.
 * @param options.shape sizes; one dimension of all elements unless said otherwise
 * @param options.dtype how to read the bytes; the array's own type unless said otherwise (bfloat16 from a Uint16Array)
 * @throws `torch/argument-value` where the shape does not fit the array
 */
export function fromTypedArray(
  data: TypedArray,
  options: { shape?: readonly number[]; dtype?: DType } = {},
): Tensor {
  return new Tensor(native.share(data, options.shape ?? [data.length], options.dtype ?? dtypeOf(data)));
}

/**
 * A tensor with a copy of `values`: a number, nested arrays of equal lengths, or a typed array.
 * @param dtype float32 unless said otherwise; for a typed array its own
 */
export function tensor(
  values: NestedNumbers | boolean | TypedArray,
  options: { dtype?: DType } = {},
): Tensor {
  if (ArrayBuffer.isView(values))
    return convert(values.slice() as TypedArray, [values.length], options.dtype);
  if (typeof values === 'boolean') return convert(Uint8Array.of(values ? 1 : 0), [], options.dtype ?? 'bool');
  const shape: number[] = [];
  for (let level: NestedNumbers = values; Array.isArray(level); level = level[0]!) {
    shape.push(level.length);
    if (level.length === 0) break;
  }
  const flat: number[] = [];
  flatten(values, shape, 0, flat);
  const dtype = options.dtype ?? 'float32';
  if (dtype === 'int64') return convert(BigInt64Array.from(flat, BigInt), shape, dtype);
  return convert(dtype === 'float32' ? Float32Array.from(flat) : Float64Array.from(flat), shape, dtype);
}

function convert(data: TypedArray, shape: number[], dtype: DType = dtypeOf(data)): Tensor {
  const shared = fromTypedArray(data, { shape });
  if (shared.dtype === dtype) return shared;
  try {
    return shared.to({ dtype });
  } finally {
    shared.dispose();
  }
}

function flatten(values: NestedNumbers, shape: readonly number[], depth: number, into: number[]): void {
  if (!Array.isArray(values) && depth === shape.length) {
    into.push(values);
    return;
  }
  if (!Array.isArray(values) || values.length !== shape[depth]) {
    throw new PenumbraError('torch/ragged', 'tensor(): nested arrays must all have the same lengths', {
      hint: `the first elements say the shape is [${shape.join(', ')}]`,
    });
  }
  for (const value of values) flatten(value, shape, depth + 1, into);
}

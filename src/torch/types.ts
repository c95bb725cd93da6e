/** Element types by LibTorch's names. */
export type DType =
  | 'float32'
  | 'float64'
  | 'bfloat16'
  | 'float16'
  | 'int64'
  | 'int32'
  | 'int16'
  | 'int8'
  | 'uint8'
  | 'bool'
  | 'complex64'
  | 'complex128'
  | 'uint16'
  | 'uint32'
  | 'uint64'
  | 'float8_e4m3fn'
  | 'float8_e5m2';

/** `cpu`, `cuda`, `cuda:1`, … */
export type Device = 'cpu' | 'cuda' | (string & {});

export type Layout =
  | 'strided'
  | 'sparse'
  | 'sparse_csr'
  | 'sparse_csc'
  | 'sparse_bsr'
  | 'sparse_bsc'
  | 'mkldnn';

export type MemoryFormat = 'contiguous_format' | 'preserve_format' | 'channels_last' | 'channels_last_3d';

/**
 * A number that is not a tensor. Beside tensors a whole number counts as an integer, as the same literal does in
 * Python; as the fill value of a factory (`full`) it counts as a float. A bigint is always an integer.
 */
export type Scalar = number | bigint | boolean;

export interface Complex {
  readonly re: number;
  readonly im: number;
}

/** Which of several equal ways a convolution is computed: a fixed rule of shapes and types, so that a run repeats. */
import { native } from '../native.ts';
import { aten } from '../operators.ts';
import { Tensor } from '../tensor.ts';

/**
 * Convolution of [N, channels, H, W] with a weight [outputs, channels / groups, kernel, kernel], the same stride and
 * padding on both axes.
 */
export function convolve(
  input: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  stride: number,
  padding: number,
  groups: number,
): Tensor {
  if (input.dtype === 'bfloat16' && input.device === 'cpu') {
    if (groups > 1 && stride > 1 && weight.dtype === 'float32')
      return convolveInSingle(input, weight, bias, stride, padding, groups);
    if (groups === 1 && isSmall(input, weight, stride, padding))
      return new Tensor(native.convolve(input.handle, weight.handle, bias?.handle ?? null, stride, padding));
  }
  return aten.conv2d(input, weight, bias, [stride, stride], [padding, padding], [1, 1], groups);
}

/**
 * Outputs up to this wide are matrix products over gathered windows (im2col). oneDNN's bfloat16 kernels fill a tile
 * of 16 rows from one line of the output and so leave most of it empty: at 512 channels of 2x2 they take 150 ms where
 * the three products take 10.
 */
const SMALL = 8;

function isSmall(input: Tensor, weight: Tensor, stride: number, padding: number): boolean {
  const [, , height, width] = input.shape as [number, number, number, number];
  const kernel = weight.shape[2] as number;
  const out = (size: number) => Math.floor((size + 2 * padding - kernel) / stride) + 1;
  return out(Math.max(height, width)) <= SMALL && out(Math.min(height, width)) > 0;
}

/**
 * A convolution of bfloat16 images that autocast leaves alone, because it does not know this operator. The gradient of
 * depthwise convolutions with a stride takes LibTorch's CPU kernels 10 to 20 times longer in bfloat16 than in float32.
 */
function convolveInSingle(
  input: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  stride: number,
  padding: number,
  groups: number,
): Tensor {
  using single = input.to({ dtype: 'float32' });
  using output = aten.convolution(
    single,
    weight,
    bias,
    [stride, stride],
    [padding, padding],
    [1, 1],
    false,
    [0, 0],
    groups,
  );
  return output.to({ dtype: 'bfloat16' });
}

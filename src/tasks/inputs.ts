import type { Inputs } from '../data/index.ts';
import { fromTypedArray, type Tensor } from '../torch/index.ts';

/** What a network is given of N samples: images, tokens, or both. */
export interface InputBatch {
  /** [N, channels, H, W], float32. */
  readonly images?: Tensor;
  /** [N, L], int64: token numbers. */
  readonly tokens?: Tensor;
  /** [N, L], bool: true for a token of the text, false for padding. */
  readonly tokenMask?: Tensor;
}

/** A batch's inputs as tensors in a device; images over the batch's own memory on the CPU, valid until its `release`. */
export function gatherInputs({ images, tokens }: Inputs, device: string): InputBatch {
  return {
    ...(images && { images: placed(imagesOf(images), device) }),
    ...(tokens && {
      tokens: fromTypedArray(tokens.values, { shape: tokens.shape }).to({ device, dtype: 'int64' }),
      tokenMask: fromTypedArray(tokens.mask, { shape: tokens.shape }).to({ device, dtype: 'bool' }),
    }),
  };
}

function imagesOf({ values, shape, layout }: NonNullable<Inputs['images']>): Tensor {
  const images = fromTypedArray(values, { shape });
  // N×H×W×C memory seen as [N, C, H, W] is the channels-last layout, without a copy.
  return layout === 'NHWC' ? images.permute([0, 3, 1, 2]) : images;
}

/** On a GPU through memory that it can read while others compute; LibTorch keeps that memory until it was read. */
function placed(tensor: Tensor, device: string): Tensor {
  if (device === 'cpu') return tensor;
  if (!device.startsWith('cuda')) return tensor.to({ device });
  using staged = tensor.pin_memory();
  return staged.to({ device, non_blocking: true });
}

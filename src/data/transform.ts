import { Random } from '../random.ts';
import type { Pixels } from './decode.ts';
import type { IntensityWindow, Layout, LoaderOptions, Normalization } from './types.ts';

/** How decoded pixels become a network's input; plain data, so that it can be sent to a worker thread. */
export interface Transform {
  readonly size: number;
  readonly resize: number;
  readonly fit: NonNullable<LoaderOptions['fit']>;
  readonly channels: 1 | 3;
  readonly layout: Layout;
  readonly window?: IntensityWindow | undefined;
  readonly augment: { readonly pad: number; readonly flip: boolean } | undefined;
  /** Per channel: value = intensity · scale + shift, with intensity in [0, 1]. */
  readonly scale: readonly number[];
  readonly shift: readonly number[];
}

/** Where the crop starts in the resized image (negative in the padding), and whether it is mirrored. */
export interface Placement {
  readonly top: number;
  readonly left: number;
  readonly flip: boolean;
}

// Names of the random streams under a seed: the order of an epoch, one sample's augmentation, a weighted order.
const ORDER_STREAM = 1;
const AUGMENT_STREAM = 2;
const WEIGHTED_STREAM = 3;

/** The order of an epoch: sample numbers 0…length−1, shuffled by (seed, epoch) alone. */
export function epochOrder(length: number, shuffle: boolean, seed: number, epoch: number): Uint32Array {
  const order = new Uint32Array(length);
  for (let i = 0; i < length; i++) order[i] = i;
  return shuffle ? new Random(seed, ORDER_STREAM, epoch).shuffle(order) : order;
}

/** An epoch's samples in order; `draws[i]` says how often the same sample came before in the epoch. */
export interface WeightedOrder {
  readonly order: Uint32Array;
  readonly draws: Uint32Array;
}

/**
 * The order of an epoch whose samples come as often as their weights say, to within one: systematic resampling, then
 * shuffled, by (seed, epoch) alone.
 * @param weights one for each sample, 0 or more, not all 0
 */
export function weightedOrder(weights: Float64Array, seed: number, epoch: number): WeightedOrder {
  const { length } = weights;
  const random = new Random(seed, WEIGHTED_STREAM, epoch);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const order = new Uint32Array(length);
  const offset = random.uniform();
  let reached = 0;
  let index = -1;
  for (let i = 0; i < length; i++) {
    const at = ((i + offset) / length) * total;
    // Rounding must not step over the last sample that counts.
    while (reached <= at && index < length - 1) reached += weights[++index];
    order[i] = index;
  }
  random.shuffle(order);
  const seen = new Uint32Array(length);
  return { order, draws: order.map((sample) => seen[sample]++) };
}

/**
 * Crop and flip of one sample: a function of (seed, epoch, index) alone; the centre without augmentation.
 * @param draw how often the sample came before in this epoch: each time it is placed anew
 */
export function placeSample(
  transform: Transform,
  seed: number,
  epoch: number,
  index: number,
  draw = 0,
): Placement {
  const { size, resize, augment } = transform;
  if (augment === undefined) {
    const margin = Math.floor((resize - size) / 2);
    return { top: margin, left: margin, flip: false };
  }
  const random = new Random(seed, AUGMENT_STREAM, epoch, index, ...(draw > 0 ? [draw] : []));
  const room = resize + 2 * augment.pad - size + 1;
  const top = random.below(room) - augment.pad;
  const left = random.below(room) - augment.pad;
  return { top, left, flip: augment.flip && random.below(2) === 1 };
}

/** `(x − mean) / std` as `x · scale + shift`, for each of the channels. */
export function normalizationTerms(
  normalization: Normalization,
  channels: number,
): Pick<Transform, 'scale' | 'shift'> {
  const scale: number[] = [];
  const shift: number[] = [];
  for (let c = 0; c < channels; c++) {
    const mean = normalization === 'symmetric' ? 0.5 : normalization.mean[c % normalization.mean.length];
    const std = normalization === 'symmetric' ? 0.5 : normalization.std[c % normalization.std.length];
    scale.push(1 / std);
    shift.push(-mean / std);
  }
  return { scale, shift };
}

/**
 * Writes the crop of `pixels` at `placement` into `out` from `offset`: size×size×channels values in the transform's
 * layout. Outside the image is black (intensity 0). Grey from colour is Rec. 601 luma in Pillow's integer form.
 */
export function writeSample(
  pixels: Pixels,
  transform: Transform,
  placement: Placement,
  out: Float32Array,
  offset: number,
): void {
  const { size, channels, layout } = transform;
  const { data, width, height, max } = pixels;
  const stride = pixels.channels;
  const luma = channels === 1 && stride >= 3;
  // Steps in `out` from one pixel to the next, along a row (negative where mirrored) and down a column.
  const across = layout === 'NCHW' ? 1 : channels;
  const down = size * across;
  const step = placement.flip ? -across : across;
  const first = placement.flip ? (size - 1) * across : 0;
  // The part of each row that lies in the image.
  const from = Math.min(size, Math.max(0, -placement.left));
  const to = Math.max(from, Math.min(size, width - placement.left));

  for (let c = 0; c < channels; c++) {
    const scale = transform.scale[c] / max;
    const black = transform.shift[c];
    const plane = offset + (layout === 'NCHW' ? c * size * size : c);
    const component = stride >= 3 ? c : 0;
    for (let y = 0; y < size; y++) {
      const row = y + placement.top;
      const inside = row >= 0 && row < height;
      const left = inside ? from : size;
      const right = inside ? to : size;
      let target = plane + y * down + first;
      for (let x = 0; x < left; x++, target += step) out[target] = black;
      let source = (row * width + placement.left + left) * stride + component;
      if (luma) {
        for (let x = left; x < right; x++, target += step, source += stride) {
          const sum = data[source] * 19595 + data[source + 1] * 38470 + data[source + 2] * 7471 + 32768;
          out[target] = Math.floor(sum / 65536) * scale + black;
        }
      } else {
        for (let x = left; x < right; x++, target += step, source += stride) {
          out[target] = data[source] * scale + black;
        }
      }
      for (let x = right; x < size; x++, target += step) out[target] = black;
    }
  }
}

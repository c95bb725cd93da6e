import { PenumbraError } from '../errors.ts';

/** @throws {PenumbraError} `phantom/option` for a value outside its range. */
export function checked(name: string, value: number, min: number, max: number, whole: boolean): number {
  if (value >= min && value <= max && (!whole || Number.isInteger(value))) return value;
  throw new PenumbraError(
    'phantom/option',
    `${name} must be ${whole ? 'an integer' : 'a number'} from ${min} to ${max}, not ${value}`,
    { where: { argument: name } },
  );
}

/** What pictures of a patient pair are drawn by, whatever they show. */
export interface DrawingOptions {
  /** N, from 1. Two to a patient. */
  readonly images?: number;
  /** Side of the square pictures in pixels, 32 to 512. Default: 64. */
  readonly size?: number;
  /** Image i is a function of (seed, i) and the size alone. Default: 0. */
  readonly seed?: number;
  /** τ of the readers, above 0. */
  readonly readerNoise?: number;
}

/** Pictures with one label of K, and what is known of them. */
export interface Drawing {
  readonly classes: readonly string[];
  readonly size: number;
  /** N×size×size unsigned 8-bit grey. */
  readonly pixels: Uint8Array<SharedArrayBuffer>;
  /** N patient numbers: images 2p and 2p+1 are patient p's. */
  readonly patients: Int32Array;
  /** N labels: the first virtual reader's. */
  readonly labels: Int32Array;
  /** N×K, P(label | what is drawn) of one reading. */
  readonly posterior: Float32Array;
}

/** The options, each in its range, and those that have one default for all. @throws as {@link checked} */
export function drawingOptions(options: DrawingOptions, otherwise: { images: number; readerNoise: number }) {
  return {
    count: checked('images', options.images ?? otherwise.images, 1, 10_000_000, true),
    size: checked('size', options.size ?? 64, 32, 512, true),
    seed: checked('seed', options.seed ?? 0, 0, Number.MAX_SAFE_INTEGER, true),
    readerNoise: checked('readerNoise', options.readerNoise ?? otherwise.readerNoise, 1e-6, 10, false),
  };
}

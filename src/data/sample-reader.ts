import { join } from 'node:path';
import { BrokenImage, type DecodeOptions, decodeFile, type Pixels, resizePixels } from './decode.ts';
import { stringAt } from './string-table.ts';
import { placeSample, type Transform, writeSample } from './transform.ts';
import type { PixelSource } from './types.ts';
import { windowed } from './window.ts';

/** Everything that a thread needs to make samples; plain data over shared memory. */
export interface ReaderSpec {
  /** Undefined where samples have no images: then every sample is as it is. */
  readonly source: PixelSource | undefined;
  readonly rows: Uint32Array<SharedArrayBuffer>;
  readonly transform: Transform;
  readonly maxPixels: number;
  readonly seed: number;
}

/** A batch to make: the samples, and where their values go. */
export interface BatchRequest {
  readonly epoch: number;
  readonly indices: Uint32Array;
  /** How often each of them came before in the epoch; never, where it is left out. */
  readonly draws?: Uint32Array;
  readonly images: Float32Array<SharedArrayBuffer>;
}

/** What was made: the samples that could be read, in order and packed from the start, and those that could not. */
export interface BatchResult {
  readonly indices: Int32Array;
  readonly broken: readonly { readonly index: number; readonly reason: string }[];
}

/** Makes batches of samples; the same in a worker thread as in the loader's own. */
export class SampleReader {
  private readonly spec: ReaderSpec;
  private readonly decodeOptions: DecodeOptions;

  constructor(spec: ReaderSpec) {
    this.spec = spec;
    const { resize, fit } = spec.transform;
    const { source, maxPixels } = spec;
    const within = source?.kind === 'files' && source.anywhere !== true ? source.root : undefined;
    this.decodeOptions = { size: { height: resize, width: resize }, fit, maxPixels, within };
  }

  /**
   * Decodes, places and writes every sample of the request. A broken one leaves no gap: the next takes its place.
   * Memory sources at their stored size are written without ever yielding to the event loop.
   *
   * @param cancelled asked before each sample; true ends early with what there is.
   */
  async read(request: BatchRequest, cancelled: () => boolean = () => false): Promise<BatchResult> {
    const { transform, seed, source } = this.spec;
    const { indices, draws, images, epoch } = request;
    if (source === undefined) return { indices: Int32Array.from(indices), broken: [] };
    const length = transform.size * transform.size * transform.channels;
    const kept = new Int32Array(indices.length);
    const broken: { index: number; reason: string }[] = [];
    let count = 0;
    // One sample ahead, so that decoding (in a library thread) and writing (in this one) overlap.
    let next = this.pixels(source, indices[0]);
    for (let i = 0; i < indices.length && !cancelled(); i++) {
      const index = indices[i];
      const current = next;
      if (i + 1 < indices.length) next = this.pixels(source, indices[i + 1]);
      const pixels = current instanceof Promise ? await current : current;
      if (pixels instanceof BrokenImage) {
        broken.push({ index, reason: pixels.message });
        continue;
      }
      writeSample(
        transform.window === undefined ? pixels : windowed(pixels, transform.window),
        transform,
        placeSample(transform, seed, epoch, index, draws?.[i]),
        images,
        count * length,
      );
      kept[count++] = index;
    }
    await next; // A cancelled batch may leave one decode under way.
    return { indices: kept.subarray(0, count), broken };
  }

  private pixels(source: PixelSource, index: number): Pixels | Promise<Pixels | BrokenImage> {
    const { rows, transform } = this.spec;
    if (source.kind === 'files') {
      return settle(decodeFile(join(source.root, stringAt(source.paths, rows[index])), this.decodeOptions));
    }
    const { height, width, channels } = source;
    const length = height * width * channels;
    const data = source.pixels.subarray(rows[index] * length, (rows[index] + 1) * length);
    const stored: Pixels = { data, height, width, channels, max: 255 };
    if (height === transform.resize && width === transform.resize) return stored;
    return settle(resizePixels(stored, this.decodeOptions));
  }
}

/** Broken images become values, so that one decoded ahead never is an unhandled rejection. */
async function settle(decoding: Promise<Pixels>): Promise<Pixels | BrokenImage> {
  try {
    return await decoding;
  } catch (error) {
    if (error instanceof BrokenImage) return error;
    return new BrokenImage(error instanceof Error ? error.message : String(error));
  }
}

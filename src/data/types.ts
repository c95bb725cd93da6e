import type { StringTable } from './string-table.ts';
import type { Targets } from './targets.ts';

export type SplitName = 'train' | 'val' | 'test';
export const SPLIT_NAMES: readonly SplitName[] = ['train', 'val', 'test'];

/** All pixels in memory (IDX and MedMNIST files, phantoms): unsigned 8-bit, N×H×W×C, on shared memory so that workers see them. */
export interface MemoryPixels {
  readonly kind: 'memory';
  readonly pixels: Uint8Array<SharedArrayBuffer>;
  readonly height: number;
  readonly width: number;
  readonly channels: 1 | 3;
}

/** Image files (PNG or JPEG), decoded when they are asked for. */
export interface FilePixels {
  readonly kind: 'files';
  /** Folder that the paths are relative to. */
  readonly root: string;
  /** Whether files outside the root are read too, by `../` or behind links. Default: false. */
  readonly anywhere?: boolean;
  readonly paths: StringTable;
  /** Channels of the first readable file: what a loader gives unless it is asked for something else. */
  readonly channels: 1 | 3;
}

/** Where pixels come from. Plain data over shared memory, so a worker thread gets it without a copy. */
export type PixelSource = MemoryPixels | FilePixels;

/** Texts as numbers, in memory: a row of L token ids each, padded to one length. */
export interface TokenSource {
  /** M×L, row-major. */
  readonly ids: Int32Array;
  /** M×L: 1 for a token of the text, 0 for padding. */
  readonly mask: Uint8Array;
  /** L. */
  readonly length: number;
}

/** A file that could not be decoded, and why. */
export interface BrokenFile {
  readonly file: string;
  readonly reason: string;
}

/** One split of a data set: N samples, each an image, a text or both, with what is to be predicted of it. */
export interface Subset {
  readonly split: SplitName;
  /** One label of K, or K findings, for each of the N samples. */
  readonly targets: Targets;
  /** The K names of the targets: classes, or findings. */
  readonly classes: readonly string[];
  /** N. */
  readonly length: number;
  /**
   * N labels in [0, K): the values of one-of-K targets.
   *
   * @throws {PenumbraError} `data/findings` where the targets are findings.
   */
  readonly labels: Int32Array;
  /** N rows: sample i is image `rows[i]` of `source`, and text `rows[i]` of `tokens`. */
  readonly rows: Uint32Array<SharedArrayBuffer>;
  /** The images; undefined where there are only texts. */
  readonly source: PixelSource | undefined;
  /** The texts, where there are any. */
  readonly tokens?: TokenSource | undefined;
  /** N group numbers (patients), where they are known. Equal numbers mean the same group in every split. */
  readonly groups: Int32Array | undefined;
  /** N site numbers, where the sites are known: indices into the data set's `sites`. */
  readonly sites?: Int32Array | undefined;
  /** The true P(class | image), N×K row-major, where it is known (phantoms). */
  readonly posterior: Float32Array | undefined;
  /** A name for sample i: its file where it has one, otherwise `split/row`. */
  nameOf(i: number): string;
}

export interface Dataset {
  /** Short name: the folder's or file's own. */
  readonly name: string;
  /** How it was read: the name of the format's reader. */
  readonly format: string;
  /** One label of K, or K findings. */
  readonly kind: Targets['kind'];
  /** K names: of the classes, or of the findings. */
  readonly classes: readonly string[];
  /** Names of the sites (hospitals, centres) that the samples come from, where they are known. */
  readonly sites?: readonly string[] | undefined;
  /**
   * What figures can be reported by, where it follows from the class: for each division, such as `modality`, the K
   * stratum names of the classes.
   */
  readonly strata?: Readonly<Record<string, readonly string[]>> | undefined;
  /** Size of every image where it is fixed (memory sources); undefined for files. */
  readonly imageSize: { readonly height: number; readonly width: number } | undefined;
  readonly channels: 1 | 3;
  readonly splits: Readonly<Partial<Record<SplitName, Subset>>>;
  /** Files in class folders that are no images by their names. */
  readonly skipped: readonly BrokenFile[];
  /** What a person should know before training on it, a sentence each; what splits lack of findings is not among them. */
  readonly notes: readonly string[];
}

/** How intensities in [0, 1] become network inputs: `[-1, 1]` linearly, or (x − mean) / std per channel. */
export type Normalization =
  | 'symmetric'
  | { readonly mean: readonly number[]; readonly std: readonly number[] };

/**
 * Which values of an image, as its file stores them, become black and white: from `low` to `high`, or from one percentile of
 * its own pixels to another. Applied to the resized image.
 */
export type IntensityWindow =
  | { readonly low: number; readonly high: number }
  | { readonly percentile: readonly [number, number] };

/** `NCHW` is PyTorch's default order, `NHWC` its channels-last memory. */
export type Layout = 'NCHW' | 'NHWC';

export interface LoaderOptions {
  readonly batchSize: number;
  /** Side of the square network input, in pixels. Default: 224 for files, the stored size for memory sources. */
  readonly size?: number;
  /** Images are first resized to this side, then cropped to `size`. Default: `size`. */
  readonly resize?: number;
  /** `fill` stretches to the square (default), `cover` cuts what stands over, `contain` pads with black. */
  readonly fit?: 'fill' | 'cover' | 'contain';
  /** 1 (grey, Rec. 601 luma of colour images) or 3. Default: the source's. */
  readonly channels?: 1 | 3;
  /** Default: `symmetric`. */
  readonly normalization?: Normalization;
  /** Default: all that the file's depth can hold. */
  readonly window?: IntensityWindow | undefined;
  /**
   * Random crop and flip, for training. `pad`: black pixels put around the resized image before the crop to `size`
   * at a random place (default 0). `flip`: mirrored left-right with probability 1/2 (default false).
   * Without `augment` the crop is the centre one.
   */
  readonly augment?: { readonly pad?: number; readonly flip?: boolean };
  /** A new order each epoch. Default: false (stored order). */
  readonly shuffle?: boolean;
  /**
   * N weights: an epoch has N samples, each as often as its weight says, to within one, in a new order each epoch.
   * Default: each once.
   */
  readonly weights?: Float64Array;
  /**
   * Of several processes that read the same split together: a batch has `batchSize` samples for each of `count` of them,
   * and this loader gives the part of process `index`, from 0. All parts of a batch that is not full have at least two
   * samples or none, where there are two. Order and samples are those of one process with batches of all parts.
   */
  readonly share?: { readonly index: number; readonly count: number };
  /** Drop the last batch of an epoch where it is not full. Default: false. */
  readonly dropLast?: boolean;
  /** Names the streams of the order and of the augmentation. Default: 0. */
  readonly seed?: number;
  /** Default: `NCHW`. */
  readonly layout?: Layout;
  /**
   * Worker threads; 0 decodes in this thread. Default: 0 for memory sources at their stored size, otherwise half of
   * the processors, at least 1 and at most 4.
   */
  readonly workers?: number;
  /** Batches that are decoded ahead. Default: 2, and never fewer than `workers`. */
  readonly prefetch?: number;
  /** Images with more pixels than this are broken files. Default: 2^27 (11,585 × 11,585). */
  readonly maxPixels?: number;
  /** Ends the running epoch with the signal's reason and closes the loader. */
  readonly signal?: AbortSignal;
}

/** B images as network inputs. */
export interface ImageInput {
  /** B·C·H·W values in `layout` order, on shared memory. Valid until the batch's `release`. */
  readonly values: Float32Array<SharedArrayBuffer>;
  /** B×C×H×W for `NCHW`, B×H×W×C for `NHWC`. */
  readonly shape: readonly [number, number, number, number];
  readonly layout: Layout;
}

/** B texts as network inputs. */
export interface TokenInput {
  /** B×L token ids, row-major. */
  readonly values: Int32Array;
  /** B×L: 1 for a token of the text, 0 for padding. */
  readonly mask: Uint8Array;
  /** B×L. */
  readonly shape: readonly [number, number];
}

/** What a network is given of B samples: images, tokens or both. */
export interface Inputs {
  readonly images?: ImageInput;
  readonly tokens?: TokenInput;
}

/** B samples. B is smaller than the batch size at the end of an epoch and where broken files were left out. */
export interface Batch {
  /** Number of this batch in its epoch, from 0. */
  readonly number: number;
  readonly inputs: Inputs;
  /**
   * The values of `inputs.images`; `shape` and `layout` are theirs.
   *
   * @throws {PenumbraError} `data/no-images` in a batch of texts alone, like `shape` and `layout`.
   */
  readonly images: Float32Array<SharedArrayBuffer>;
  readonly shape: ImageInput['shape'];
  readonly layout: Layout;
  /** Of the B samples. */
  readonly targets: Targets;
  /**
   * B labels in [0, K): the values of one-of-K targets.
   *
   * @throws {PenumbraError} `data/findings` where the targets are findings.
   */
  readonly labels: Int32Array;
  /** B sample numbers in the subset: index `subset.posterior`, `subset.nameOf` and per-sample memories with these. */
  readonly indices: Int32Array;
  /** Gives the memory back for a later batch. Optional: an unreleased batch is left to garbage collection. */
  release(): void;
}

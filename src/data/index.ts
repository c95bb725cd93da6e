/** Images with labels: readers that detect the format, splits, decoding and batches. */

export { BatchLoader } from './loader.ts';
export type {
  Batch,
  BrokenFile,
  Dataset,
  FilePixels,
  Layout,
  LoaderOptions,
  MemoryPixels,
  Normalization,
  PixelSource,
  SplitName,
  Subset,
} from './types.ts';
export { SPLIT_NAMES } from './types.ts';

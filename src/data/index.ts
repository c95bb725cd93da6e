/** Images with labels: readers that detect the format, splits, decoding and batches. */

export {
  type CheckOptions,
  checkImages,
  checkNotEmpty,
  type DataCheck,
  type DuplicateImage,
  withoutDuplicates,
} from './check.ts';
export { type WriteClinicOptions, writeClinic } from './clinic-folder.ts';
export { csvLine, parseCsv } from './csv.ts';
export type { DatasetOptions } from './dataset.ts';
export { dicomHint, isDicom } from './dicom.ts';
export type { FindingsOptions } from './findings-options.ts';
export { type DataFormat, dataFormats, type Place, registerFormat } from './format.ts';
export { datasetIdentity, subsetIdentity } from './identity.ts';
export { judgedBy } from './judge-by.ts';
export { LACK_HINT, type Lack, lackingFindings, lackText } from './lacking.ts';
export { BatchLoader } from './loader.ts';
export { type ClassMap, mapClasses } from './map-classes.ts';
export { type Mask, Masks, readMasks } from './masks.ts';
export { type OpenOptions, openDataset } from './open.ts';
export { type ImagePart, type Images, type OpenImagesOptions, openImages } from './open-images.ts';
export type { ColumnNames, Listing, Names, Part } from './part.ts';
export {
  PHANTOM_KINDS,
  type PhantomDatasetOptions,
  type PhantomKind,
  phantomDataset,
  writePhantom,
} from './phantom-dataset.ts';
export { RADIMAGENET_CLASSES, type RadImageNetClass, radImageNetClass } from './radimagenet.ts';
export { CHEXPERT_FINDINGS } from './read-chexpert.ts';
export { CLINIC_CARD } from './read-clinic.ts';
export { CHESTXRAY8_FINDINGS, CHESTXRAY14_FINDINGS } from './read-nih.ts';
export { pickSamples, type Samples } from './samples.ts';
export { type SiteChoice, selectSites } from './select-sites.ts';
export type { Fractions, SplitParts } from './split.ts';
export { makeBatch, makeSubset, narrowSubset } from './subset.ts';
export {
  checkTargets,
  countClasses,
  countFindings,
  type FindingCounts,
  type Findings,
  type LabelErrors,
  needOneOfK,
  type OneOfK,
  type Targets,
  takeFindings,
  takeTargets,
  targetsLength,
} from './targets.ts';
export { thumbnail } from './thumbnail.ts';
export type {
  Batch,
  BrokenFile,
  Dataset,
  FilePixels,
  ImageInput,
  Inputs,
  IntensityWindow,
  Layout as ImageLayout,
  LoaderOptions,
  MemoryPixels,
  Normalization,
  PixelSource,
  SplitName,
  Subset,
  TokenInput,
  TokenSource,
} from './types.ts';
export { SPLIT_NAMES } from './types.ts';
export { resolveWindow, type WindowRequest } from './window.ts';

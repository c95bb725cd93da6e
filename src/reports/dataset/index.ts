export { type BuildOptions, buildDataset, type DatasetSummary, type FindingSummary } from './build.ts';
export type { ImageColumns } from './sources.ts';

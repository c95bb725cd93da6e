export { type BuildOptions, buildDataset } from './build.ts';
export type { ImageColumns } from './sources.ts';
export type { DatasetSummary, FindingSummary } from './summary.ts';

export { type BuildOptions, buildDataset } from './build.ts';
export { readHedging } from './hedging.ts';
export { defaultPolicies, type RowPolicies, type RowPolicy, rowPolicies } from './policy.ts';
export { type ReleaseOptions, type ReleaseSummary, releaseDataset } from './release.ts';
export type { ImageColumns } from './sources.ts';
export type { DatasetStep, DatasetSummary, FindingSummary } from './summary.ts';

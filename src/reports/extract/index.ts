export { type ExtractOptions, type ExtractProgress, extract, nameOf } from './extract.ts';
export { type ExtractAllOptions, extractAll, type ReportExtractor } from './extract-all.ts';
export { type Extractor, failedRow, type RowStamp, rulesExtractor } from './extractor.ts';
export {
  type ExtractorRequest,
  extractorNames,
  type OpenExtractor,
  type OpenedExtractor,
  openExtractor,
  registerExtractor,
} from './registry.ts';
export type { ThreadSource } from './threads.ts';

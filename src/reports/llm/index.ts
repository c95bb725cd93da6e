/**
 * Findings by a language model: any server that speaks OpenAI's chat completions, or a GGUF file.
 *
 * @example
 * const extractor = createLlmExtractor({ url: 'http://localhost:8000/v1', model: 'Qwen3-4B' });
 * for await (const rows of extractAll(reports, extractor)) write(rows);
 * await extractor.close();
 */

export { type ExtractAllOptions, extractAll, type ReportExtractor } from '../extract/extract-all.ts';
export {
  type CrossCheckOptions,
  createCrossCheckedExtractor,
  crossCheck,
  type Disagreement,
  type Opinion,
} from './cross-check.ts';
export {
  describeEstimate,
  describeStats,
  type Estimate as ExtractionEstimate,
  type EstimateOptions,
  estimateExtraction,
} from './estimate.ts';
export {
  createLlmExtractor,
  defaultModel,
  type LlmExtractor,
  type LlmOptions,
  type LlmStats,
  type Probe,
} from './extractor.ts';
export type { FailureKind } from './failure.ts';
export { type Level, levels } from './levels.ts';
export {
  estimate as estimateForFlags,
  type LlmFlags,
  openLlmExtractor,
  writeDisagreements,
} from './options.ts';

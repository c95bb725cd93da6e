/**
 * The rate generation network: report text to a smoothing rate for each finding.
 *
 * @example
 * import { loadRates, ratesExtractor } from 'penumbra/rates';
 * const { extract } = ratesExtractor(loadRates('runs/rgn'));
 * extract({ id: '1', text: 'IMPRESSION: Probable pneumonia.' }); // a row per finding
 */
import './register.ts';

export { Bert, type BertSizes } from './bert.ts';
export { type BertFiles, openBert } from './bert-files.ts';
export { type RateConfig, type RateOptions, resolveRateConfig } from './config.ts';
export {
  type RateData,
  type RateDataOptions,
  type RateExample,
  type RateSplit,
  type RateTargets,
  readRateData,
} from './data.ts';
export { type JoinedRates, joinRates } from './ensemble.ts';
export {
  type Agreement,
  type EvaluateRatesOptions,
  evaluateRates,
  type RateComparison,
  type RateDisagreement,
  readTruth,
  type Truth,
} from './evaluate.ts';
export { openRatesExtractor, type RatesExtractorOptions, ratesExtractor } from './extractor.ts';
export {
  type LoadedRates,
  loadRates,
  type RateDescription,
  type RateEpoch,
  type RateFigures,
  RateFolder,
  readSplits,
} from './folder.ts';
export {
  RateEnsemble,
  RateNetwork,
  type RateNetworkOptions,
  type RateOutput,
  RateReader,
} from './network.ts';
export { type Meaning, meaningOf } from './outputs.ts';
export { type RankedPhrase, type Rankings, readRankings } from './rankings.ts';
export { type Choice, chosenReports, readChoice, readTable } from './table.ts';
export type { TextTokenizer } from './text-tokenizer.ts';
export { Tokenizer, type TokenizerOptions, trainTokenizer } from './tokenizer.ts';
export { type RateEvent, type TrainRatesOptions, type TrainRatesResult, trainRates } from './train.ts';
export { WordPiece } from './word-piece.ts';

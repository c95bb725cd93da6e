/**
 * Judges predictions that were made anywhere: reads CSV, Parquet and `.npz`, matches samples by id, and measures. Knows
 * nothing of networks, and needs no engine.
 */
export type { ColumnFlags } from './columns.ts';
export { judgeJson, summaryJson } from './json.ts';
export {
  type JudgeInput,
  type JudgeOptions,
  type JudgeResult,
  judgeFigures,
  type Loaded,
  type LoadedMethod,
  loadPredictions,
  type StratumFigures,
} from './judge.ts';
export {
  type CellColumn,
  partOf,
  type Said,
  saidColumns,
  type WriteOptions,
  writePredictions,
} from './predictions-file.ts';
export { type PredictionFile, type ReadOptions, readPredictions } from './read.ts';
export {
  predictionsFormat,
  predictionsKind,
  type RowColumn,
  type RowPart,
  type RowsFormat,
  writeRows,
} from './rows-file.ts';
export { renderJudgement } from './terminal.ts';

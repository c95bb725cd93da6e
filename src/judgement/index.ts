/**
 * What is made from outputs alone: judgements of methods on the same samples, their tables, drawings, sentences, and one
 * presentation of them as HTML, Markdown and text. Knows no runs, no folders of runs and no training, and needs no
 * LibTorch but for features, which only a network can give.
 */
import './parts/index.ts';

export { type ScatterPlotPanel, scatterPlot } from './draw/scatter-plot.ts';
export { type Judgement, type JudgeOptions, judge } from './judge.ts';
export {
  type FeatureOutputs,
  type Judged,
  type JudgedCentre,
  type JudgedMethod,
  type JudgedRun,
  type NetworkProvider,
  type NoiseRequest,
  pickRows,
} from './judged.ts';
export {
  type Absent,
  type Block,
  type Context,
  type Part,
  partList,
  registerPart,
  type Shown,
} from './part.ts';
export { EMBEDDING_SHOWN } from './parts/embeddings.ts';
export { type Report, type ReportCell, reportFigures, reportTables, reportVerdicts } from './report.ts';
export { reportHtml } from './report-html.ts';
export { reportMarkdown, reportText } from './report-text.ts';
export { tableCsv, tableJson, tableLatex, tableMarkdown, tableText } from './tables/render.ts';
export type { Table, TableCell, TableColumn, TableRow } from './tables/table.ts';
export { decide, type Facts, type Rule, registerRule, ruleList, type Verdict } from './verdict/index.ts';
export { type Answer, figureTable, forestFigure, methodTable, type Remark, View } from './view.ts';

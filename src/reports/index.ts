/**
 * From radiology reports to findings with a probability and the words that said so.
 *
 * @example
 * import { assessReport } from 'penumbra/reports';
 * const rows = assessReport({ id: '1', text: 'IMPRESSION: Probable pneumonia. No effusion.' });
 * rows.find((row) => row.finding === 'Pneumonia')?.probability; // 0.785
 */
export {
  type BuildOptions,
  buildDataset,
  type DatasetStep,
  type DatasetSummary,
  type ReleaseOptions,
  type ReleaseSummary,
  type RowPolicies,
  type RowPolicy,
  readHedging,
  releaseDataset,
} from './dataset/index.ts';
export {
  type ExtractOptions,
  type Extractor,
  type ExtractorRequest,
  type ExtractProgress,
  extract,
  extractorNames,
  failedRow,
  type OpenExtractor,
  type OpenedExtractor,
  openExtractor,
  registerExtractor,
  rulesExtractor,
  type ThreadSource,
} from './extract/index.ts';
export {
  extendFindings,
  type FindingPhrase,
  type FindingSet,
  findingSet,
  findingSetNames,
  parseFindings,
  type Role,
} from './findings/findings.ts';
export { type ReportExample, reportsWithTargets } from './io/join.ts';
export { type InputItem, type InputOptions, readableReports, readReports } from './io/reports-in.ts';
export { type ReportTargets, readRows, reportKey, statusCodes } from './io/rows-in.ts';
export type { Language } from './lexicon/language.ts';
export {
  type CueKind,
  type Direction,
  defaultLexicon,
  type Lexicon,
  type LexiconEntry,
  parseLexicon,
  readLexicon,
  type Scope as CueScope,
} from './lexicon/lexicon.ts';
export { type Candidate, checkCoverage, checkExamples, mineLexicon } from './mine/index.ts';
export {
  correctedRate,
  probabilityToRate,
  type RatePolicy,
  wordingRates,
} from './rate.ts';
export {
  type AppliedCue,
  type Assessor,
  type AssessorOptions,
  assessMention,
  assessReport,
  createAssessor,
  type MentionAssessment,
} from './rules/assess.ts';
export { type AssessorFlags, openAssessor, openRules, type RuleFiles } from './rules/open.ts';
export {
  type Audit,
  type AuditOptions,
  audit,
  type FindingAudit,
  type Recommendation,
} from './score/audit.ts';
export { auditLabeler, type LabelerAudit, labelerText } from './score/audit-labeler.ts';
export { auditRows, auditText } from './score/audit-rows.ts';
export { type Gold, type GoldFields, readGold } from './score/gold.ts';
export {
  type LabelCase,
  type LabelErrorFigures,
  labelErrors,
  readLabelErrors,
  type Share,
} from './score/label-errors.ts';
export {
  type FindingLabelerErrors,
  type LabelerCase,
  type LabelerErrors,
  labelerErrors,
} from './score/labeler.ts';
export { type Recalibration, recalibrate } from './score/recalibration.ts';
export {
  type FindingScore,
  type GoldLabel,
  type GoldMention,
  type GoldStatus,
  type MentionScore,
  type ReportScore,
  scoreMentions,
  scoreReports,
  spearman,
} from './score/score.ts';
export { type ReportSentence, SentenceReader } from './text/sentences.ts';
export {
  type Evidence,
  type FindingRow,
  type Report,
  type Section,
  type Status,
  sectionNames,
} from './types.ts';

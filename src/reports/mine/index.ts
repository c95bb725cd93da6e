export { checkCoverage, checkExamples, type LexiconCoverage, type WrongExample } from './check.ts';
export { bradleyTerry, type Compare, type RankedPhrase, rankByComparisons } from './compare.ts';
export { type Candidate, candidatesAsLexicon, mineLexicon } from './mine.ts';

import { extendFindings, type FindingSet, findingSet } from '../findings/findings.ts';
import { defaultLexicon, type Lexicon, readLexicon } from '../lexicon/lexicon.ts';

/** Which words the rules go by, as a command line names them. */
export interface RuleFiles {
  /** A shipped set or a findings file; default `chexpert14`. */
  findings?: string;
  /** A findings file whose phrases are added. */
  extendFindings?: string;
  /** A lexicon file instead of the shipped one. */
  lexicon?: string;
  /** A lexicon file whose entries are added; they win. */
  extendLexicon?: string;
}

/** Reads the files; give the result to `createAssessor`. */
export function openRules(files: RuleFiles): { findings: FindingSet; lexicon: Lexicon } {
  const base = findingSet(files.findings);
  const findings =
    files.extendFindings === undefined ? base : extendFindings(base, findingSet(files.extendFindings));
  const lexicon = files.lexicon === undefined ? defaultLexicon() : readLexicon(files.lexicon);
  return {
    findings,
    lexicon: files.extendLexicon === undefined ? lexicon : readLexicon(files.extendLexicon, lexicon),
  };
}

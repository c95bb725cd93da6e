import { extendFindings, type FindingSet, findingSet } from '../findings/findings.ts';
import { defaultLexicon, type Lexicon, readLexicon } from '../lexicon/lexicon.ts';
import { type Assessor, createAssessor } from './assess.ts';

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

/** The rules as a command line describes them: plain data, so that a thread can open them too. */
export interface AssessorFlags extends RuleFiles {
  stable?: 'keep' | 'mask';
  /** Longest text in UTF-16 units. */
  longest?: number;
}

/** Reads the files and compiles them. */
export function openAssessor(flags: AssessorFlags): Assessor {
  const { stable, longest } = flags;
  return createAssessor({
    ...openRules(flags),
    ...(stable !== undefined && { stable }),
    ...(longest !== undefined && { longestText: longest }),
  });
}

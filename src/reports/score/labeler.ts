import { type Share, shareOf } from './label-errors.ts';

/** What a plain labeler made of one finding in one report. */
export interface LabelerCase {
  readonly finding: string;
  /** 1 present, 0 absent, −1 uncertain. */
  readonly label: 1 | 0 | -1;
  /** Whether the report hedged it. */
  readonly hedged: boolean;
  /** Whether the finding is there. */
  readonly truth: boolean;
}

/** How often labels are wrong among some mentions, by what is done with −1. */
export interface LabelerErrors {
  /** Mentions, and how many of them are −1. */
  readonly uncertain: Share;
  /** Of those labelled 1 or 0: the wrong ones (U-Ignore). */
  readonly definite: Share;
  /** Of all: the wrong ones with −1 taken for present (U-Ones), and for absent (U-Zeros). */
  readonly asOnes: Share;
  readonly asZeros: Share;
}

export interface FindingLabelerErrors {
  readonly finding: string;
  readonly hedged: LabelerErrors;
  readonly plain: LabelerErrors;
}

/**
 * How often a plain labeler (status to 1, 0, −1) is wrong on hedged and on unhedged mentions: the question that comes before
 * any training on wording. Shares have 95 % score intervals; cases are taken for independent.
 */
export function labelerErrors(cases: readonly LabelerCase[]): {
  readonly overall: FindingLabelerErrors;
  readonly findings: readonly FindingLabelerErrors[];
} {
  const names = [...new Set(cases.map(({ finding }) => finding))];
  const of = (finding: string, own: readonly LabelerCase[]): FindingLabelerErrors => ({
    finding,
    hedged: errorsOf(own.filter(({ hedged }) => hedged)),
    plain: errorsOf(own.filter(({ hedged }) => !hedged)),
  });
  return {
    overall: of('all findings', cases),
    findings: names.map((name) =>
      of(
        name,
        cases.filter(({ finding }) => finding === name),
      ),
    ),
  };
}

function errorsOf(cases: readonly LabelerCase[]): LabelerErrors {
  const n = cases.length;
  const wrongAs = (uncertain: 1 | 0) =>
    cases.filter(({ label, truth }) => ((label === -1 ? uncertain : label) === 1) !== truth).length;
  const definite = cases.filter(({ label }) => label !== -1);
  const wrong = definite.filter(({ label, truth }) => (label === 1) !== truth).length;
  return {
    uncertain: shareOf(n - definite.length, n),
    definite: shareOf(wrong, definite.length),
    asOnes: shareOf(wrongAs(1), n),
    asZeros: shareOf(wrongAs(0), n),
  };
}

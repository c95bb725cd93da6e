/**
 * What a report says about a finding.
 *
 * - `present`, `absent`, `uncertain`: said of the patient, now.
 * - `historical`: it was there and is gone (probability 0), or belongs to the past only (probability null).
 * - `conditional`: supposed, asked for or planned against ("evaluate for …", "if … develops"), not said.
 * - `other`: said of somebody else (a relative, a contact).
 * - `not_mentioned`: nothing that asserts it; a mention in the history or the indication does not assert.
 * - `failed`: the report could not be read; the row carries the reason.
 */
export type Status =
  | 'present'
  | 'absent'
  | 'uncertain'
  | 'historical'
  | 'conditional'
  | 'other'
  | 'not_mentioned'
  | 'failed';

/** The parts of a report that rules treat differently. `body` is text that stands under no known heading. */
export type Section =
  | 'findings'
  | 'impression'
  | 'history'
  | 'comparison'
  | 'technique'
  | 'recommendation'
  | 'body';

/** All sections, in the order of the numbers that stand for them. */
export const sectionNames: readonly Section[] = [
  'body',
  'findings',
  'impression',
  'history',
  'comparison',
  'technique',
  'recommendation',
];

/**
 * A few words of the report that carry a judgement, and where they stand.
 * `start` and `end` are UTF-16 offsets (JavaScript's string indices) into the report's text, or into the text of that
 * section where the report came in fields; `sentence` is the sentence around them.
 */
export interface Evidence {
  readonly phrase: string;
  readonly start: number;
  readonly end: number;
  readonly section: Section;
  readonly sentence: string;
}

/** One row per report and finding. */
export interface FindingRow {
  readonly id: string;
  readonly finding: string;
  readonly status: Status;
  /** P(finding) in [0, 1] that the wording expresses; null where it expresses none. */
  readonly probability: number | null;
  /**
   * Standard deviation of `probability`, as far as the hedge's place in the published ranking is uncertain; 0 for a
   * definite statement, null where it is not known or there is no probability.
   */
  readonly deviation: number | null;
  /** 1 where `probability` ≥ 0.5, else 0; null where it is null (methods.md, B.2). */
  readonly label: 0 | 1 | null;
  /** The smoothing rate 2·min(p, 1−p) in [0, 1] that makes (1−r)·y + r/2 equal p (`rate.ts`); null where p is. */
  readonly rate: number | null;
  /** The deciding mention first: its words, then the cues that judged it; then the other mentions. */
  readonly evidence: readonly Evidence[];
  /** `rules`, `llm` or `llm+rules`. */
  readonly extractor: string;
  /** Fingerprint of everything that can change the row: code version, lexicon, findings, prompt, model. */
  readonly version: string;
  /** Why a `failed` row failed, or what makes a row doubtful (`unverified evidence`, `extractors disagree`). */
  readonly reason?: string;
}

/** A report as one text, or as fields (Open-i, tables with one column per section). */
export interface Report {
  readonly id: string;
  readonly text?: string;
  readonly sections?: readonly { readonly section: Section; readonly text: string }[];
}

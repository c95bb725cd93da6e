import { probabilityToRate } from '../rate.ts';
import type { Status } from '../types.ts';

/**
 * What the model may say about a finding, and what each word of its vocabulary is worth.
 *
 * The model chooses a word instead of a number: small models choose well among named degrees and badly among
 * decimals, and no answer can contradict itself ("present, 0.2"). The hedges' values are those of the published
 * ranking (Lunguage++, arXiv 2511.04506) through p = σ(0.0890·(μ − 24.888)), at the phrase named beside each, and so are
 * their deviations.
 */
export const levels = {
  present: { status: 'present', probability: 1, deviation: 0 },
  /** "most likely" */
  most_likely: { status: 'uncertain', probability: 0.839, deviation: 0.0151 },
  /** "probable" */
  probable: { status: 'uncertain', probability: 0.785, deviation: 0.0167 },
  /** "suggestive of" */
  suggested: { status: 'uncertain', probability: 0.673, deviation: 0.0195 },
  /** "may represent" */
  may_represent: { status: 'uncertain', probability: 0.523, deviation: 0.0203 },
  /** "possible" */
  possible: { status: 'uncertain', probability: 0.456, deviation: 0.0198 },
  /** "cannot be excluded" */
  not_excluded: { status: 'uncertain', probability: 0.35, deviation: 0.0189 },
  /** "less likely" */
  unlikely: { status: 'uncertain', probability: 0.17, deviation: 0.0164 },
  absent: { status: 'absent', probability: 0, deviation: 0 },
  /** It was there and is gone. */
  resolved: { status: 'historical', probability: 0, deviation: 0 },
  /** It belongs to the past; whether it is there now is not said. */
  past: { status: 'historical', probability: null, deviation: null },
  /** Asked for, supposed or planned against. */
  conditional: { status: 'conditional', probability: null, deviation: null },
  /** Said of a relative, a donor, a contact. */
  someone_else: { status: 'other', probability: null, deviation: null },
} as const satisfies Record<string, { status: Status; probability: number | null; deviation: number | null }>;

export type Level = keyof typeof levels;

export const levelNames = Object.keys(levels) as [Level, ...Level[]];

/** Status, probability, label and rate of a level; of `null`, those of a finding that is not mentioned. */
export function meaningOf(level: Level | null): {
  status: Status;
  probability: number | null;
  deviation: number | null;
  label: 0 | 1 | null;
  rate: number | null;
} {
  const { status, probability, deviation } =
    level === null
      ? ({ status: 'not_mentioned', probability: null, deviation: null } as const)
      : levels[level];
  return { status, probability, deviation, ...probabilityToRate(probability) };
}

import { PenumbraError } from '../errors.ts';
import { round } from './round.ts';

/** The extractor's measured error rates: how often a label of such wording is wrong, each in [0, 0.5). */
export interface LabelErrors {
  /** Of findings called present without doubt (p = 1). */
  readonly present: number;
  /** Of findings called absent without doubt (p = 0). */
  readonly absent: number;
  /** Of hedged findings (0 < p < 1). */
  readonly uncertain: number;
}

/**
 * How a probability becomes a smoothing rate. Its name and version are stored with the data.
 *
 * - `wording` (methods.md, B.2): r = 2·min(p, 1 − p), so (1 − r)·y + r/2 is p; definite statements have r = 0.
 * - `corrected` (methods.md, B.1a): r = (r* − 2e)/(1 − 2e) with r* of `wording` and e the error of the extractor for that
 *   kind of wording: the unbiased correction of a noisy label, negative for sure wording. |r| ≤ 0.999.
 */
export interface RatePolicy {
  readonly name: 'wording' | 'corrected';
  readonly version: number;
  /** `corrected` only. */
  readonly errors?: LabelErrors;
}

/** No correction: the default, and what rows carry. */
export const wordingRates: RatePolicy = { name: 'wording', version: 1 };

/** The largest |r|: at p = 0.5 a correction would give 1 or more. */
const largestRate = 0.999;

/**
 * The policy that corrects for the extractor's errors.
 * @throws PenumbraError `usage/rates` for an error outside [0, 0.5).
 */
export function correctedRates(errors: LabelErrors): RatePolicy {
  for (const [kind, e] of Object.entries(errors)) {
    if (e >= 0 && e < 0.5) continue;
    throw new PenumbraError('usage/rates', `The error rate of ${kind} labels is ${e}.`, {
      hint: 'Give a measured share in [0, 0.5); rather the lower end of its interval than too high a one.',
    });
  }
  return { name: 'corrected', version: 1, errors };
}

/**
 * Label and smoothing rate of a probability: y = 1 where p ≥ 0.5, else 0, and r by the policy.
 * @param probability P(finding) in [0, 1]; null where the wording expresses none, and then both are null.
 */
export function probabilityToRate(
  probability: number | null,
  policy: RatePolicy = wordingRates,
): { label: 0 | 1 | null; rate: number | null } {
  if (probability === null) return { label: null, rate: null };
  const label = probability >= 0.5 ? 1 : 0;
  const wording = 2 * Math.min(probability, 1 - probability);
  if (policy.errors === undefined) return { label, rate: round(wording) };
  const { present, absent, uncertain } = policy.errors;
  const e = probability === 1 ? present : probability === 0 ? absent : uncertain;
  const rate = (wording - 2 * e) / (1 - 2 * e);
  return { label, rate: round(Math.max(-largestRate, Math.min(largestRate, rate))) };
}

/** The same as an SQL expression over a column of probabilities, for tables that are too large for a loop. */
export function rateSql(column: string, policy: RatePolicy): string {
  const wording = `2 * least(${column}, 1 - ${column})`;
  if (policy.errors === undefined) return `round(${wording}, 6)`;
  const { present, absent, uncertain } = policy.errors;
  const e = `CASE ${column} WHEN 1 THEN ${present} WHEN 0 THEN ${absent} ELSE ${uncertain} END`;
  return `round(greatest(-${largestRate}, least(${largestRate}, (${wording} - 2 * (${e})) / (1 - 2 * (${e})))), 6)`;
}

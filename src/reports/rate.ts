import type { LabelErrors } from '../data/targets.ts';
import { round } from './round.ts';

/**
 * How a probability becomes a smoothing rate; its name and version are stored with the data. `wording` (methods.md, B.2):
 * r = 2·min(p, 1 − p), so (1 − r)·y + r/2 is p; definite statements have r = 0. What labels get wrong is no part of it: that
 * is stored beside the rates, for the objectives that correct for it.
 */
export interface RatePolicy {
  readonly name: 'wording';
  readonly version: number;
}

export const wordingRates: RatePolicy = { name: 'wording', version: 1 };

/**
 * Label and smoothing rate of a probability: y = 1 where p ≥ 0.5, else 0, and r = 2·min(p, 1 − p).
 * @param probability P(finding) in [0, 1]; null where the wording expresses none, and then both are null.
 */
export function probabilityToRate(probability: number | null): { label: 0 | 1 | null; rate: number | null } {
  if (probability === null) return { label: null, rate: null };
  return { label: probability >= 0.5 ? 1 : 0, rate: round(2 * Math.min(probability, 1 - probability)) };
}

/** The largest |r|: at p = 0.5 a correction would give 1. */
const LARGEST = 0.999;

/**
 * The rate that corrects for the errors of the label (methods.md, B.1a, and for two kinds of error Natarajan et al., NeurIPS
 * 2013): r = r₀ + (1 − r₀)·s with the wording's rate r₀ and s = −2e₁₀/(1 − e₀₁ − e₁₀) for a label of 1, −2e₀₁/(1 − e₀₁ − e₁₀)
 * for 0; a hedge (r₀ > 0) has one error of its own for both. |r| ≤ 0.999. Where both errors are e it is
 * (r₀ − 2e)/(1 − 2e), below 0 for a definite statement. This is what `gls:rates=data` does by tensors.
 * @param rate r₀ in [0, 1]
 */
export function correctedRate(label: 0 | 1, rate: number, errors: LabelErrors): number {
  const hedge = rate > 0;
  const falsePositive = hedge ? errors.hedged : errors.falsePositive;
  const miss = hedge ? errors.hedged : errors.miss;
  const sharpening = (-2 * (label === 1 ? miss : falsePositive)) / (1 - falsePositive - miss);
  return Math.max(-LARGEST, Math.min(LARGEST, rate + (1 - rate) * sharpening)) + 0;
}

/** The rate as an SQL expression over a column of probabilities, for tables that are too large for a loop. */
export function rateSql(column: string): string {
  return `round(2 * least(${column}, 1 - ${column}), 6)`;
}

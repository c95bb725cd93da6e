/** What the network's numbers mean. */
import { probabilityToRate, type Status } from '../reports/index.ts';

/** Largest |r| of a row, as of the rules' (`rate.ts`): p = 0.5 would give exactly 1. */
const LARGEST_RATE = 0.999;
/** So near to 0 or 1 wording is definite, and says it: a network's last thousandths would be doubt that nobody voiced. */
const DEFINITE = 0.02;
/** Up to here from 0 or 1 the finding counts as absent or present, as "no definite effusion" (p = 0.05) does in the rules. */
const STATED = 0.05;
/** The largest standard deviation that a number in [0, 1] can have, squared. */
export const LARGEST_VARIANCE = 0.25;
/** So far off everything may be. */
export const LEAST_VARIANCE = 1e-4;

/** A finding of a report. */
export interface Meaning {
  readonly status: Extract<Status, 'present' | 'absent' | 'uncertain' | 'not_mentioned'>;
  readonly probability: number | null;
  readonly deviation: number | null;
  readonly label: 0 | 1 | null;
  readonly rate: number | null;
}

const nothing: Meaning = {
  status: 'not_mentioned',
  probability: null,
  deviation: null,
  label: null,
  rate: null,
};

/**
 * The head's `certainty` c is read through tanh: s = tanh(c/2) ∈ (−1, 1), the signed certainty of the wording. Its sign is
 * the label, y = 1[s ≥ 0]; its size is what is left of the label, r = 1 − |s|; and p = (1 + s)/2 = σ(c), so that
 * (1 − r)·y + r/2 = p and r = 2·min(p, 1 − p) hold whatever the network says (methods.md, B.2). Within 0.02 of certainty, r is 0.
 *
 * @param mentioned logit; below 0 the report says nothing of the finding
 * @param certainty logit of P(finding)
 * @param doubt logit of σ² as a share of the largest possible, 1/4
 * @param scale of σ, fitted on held-out rows
 */
export function meaningOf(mentioned: number, certainty: number, doubt: number, scale: number): Meaning {
  if (!(mentioned >= 0)) return nothing;
  const probability = rounded(settled(sigmoid(certainty)));
  const deviation = Math.min(0.5, scale * Math.sqrt(varianceOf(doubt)));
  return {
    status: probability >= 1 - STATED ? 'present' : probability <= STATED ? 'absent' : 'uncertain',
    probability,
    deviation: rounded(deviation),
    ...probabilityToRate(probability),
  };
}

/** σ² of the probability by the head's third number. */
export function varianceOf(doubt: number): number {
  return LEAST_VARIANCE + (LARGEST_VARIANCE - LEAST_VARIANCE) * sigmoid(doubt);
}

export function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

/** Four decimals: what a batch's composition does to the last bits is not seen. */
function rounded(x: number): number {
  return Math.round(x * 1e4) / 1e4;
}

/** Definite wording is exactly that, and |r| stays below 1. */
function settled(p: number): number {
  if (p < DEFINITE) return 0;
  if (p > 1 - DEFINITE) return 1;
  const least = (1 - LARGEST_RATE) / 2;
  return Math.abs(p - 0.5) < least ? 0.5 + (p < 0.5 ? -least : least) : p;
}

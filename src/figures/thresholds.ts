import { PenumbraError } from '../errors.ts';
import type { Outputs } from './outputs.ts';
import { Seen } from './seen.ts';

/**
 * How an operating point is chosen. `youden`: the greatest sensitivity + specificity − 1 (Youden, Cancer 1950). `f1`:
 * the greatest F1. `{ sensitivity }`: the highest threshold that still reaches that sensitivity. `{ specificity }`: the
 * lowest that still reaches that specificity.
 */
export type ThresholdRule =
  | 'youden'
  | 'f1'
  | { readonly sensitivity: number }
  | { readonly specificity: number };

/**
 * The operating point of each finding on validation outputs: a finding is called from that probability up. Thresholds
 * stand half-way between two neighbouring probabilities; of equally good ones the one nearest to 0.5 is taken.
 *
 * @returns K thresholds; NaN where the finding has no known positives or no known negatives.
 *
 * @example
 * const targets = { kind: 'findings', names: ['edema'], values: Float32Array.of(0, 0, 1, 1) } as const;
 * chooseThresholds({ targets, probabilities: Float64Array.of(0.1, 0.3, 0.5, 0.9) }); // [0.4]
 *
 * @throws PenumbraError `figures/kind` for one label of K; `figures/rule` for a share outside (0, 1].
 */
export function chooseThresholds(validation: Outputs, rule: ThresholdRule = 'youden'): Float64Array {
  if (validation.targets.kind !== 'findings') {
    throw new PenumbraError(
      'figures/kind',
      'Operating points are chosen for findings, not for one label of K.',
      {
        hint: 'One label of K is called by the greatest probability.',
      },
    );
  }
  if (typeof rule === 'object') {
    const share = 'sensitivity' in rule ? rule.sensitivity : rule.specificity;
    if (!(share > 0 && share <= 1)) {
      throw new PenumbraError('figures/rule', `A share must be above 0 and at most 1, got ${share}.`);
    }
  }
  const seen = new Seen(validation);
  return Float64Array.from({ length: seen.classes }, (_, k) => thresholdOf(seen, k, rule));
}

function thresholdOf(seen: Seen, k: number, rule: ThresholdRule): number {
  const ranked = seen.ranked(k);
  if (ranked === undefined) return Number.NaN;
  const { order, positive, ends } = ranked;
  const { probability, positives, negatives } = seen.column(k);
  let best = Number.NEGATIVE_INFINITY;
  let threshold = Number.NaN;
  let missed = 0; // Positives below the threshold.
  let quiet = 0; // Negatives below the threshold.
  for (let t = -1; t < order.length; t++) {
    if (t >= 0) {
      if (positive[t] === 1) missed++;
      else quiet++;
      if (ends[t] === 0) continue;
    }
    const below = t < 0 ? 0 : probability[order[t]!]!;
    const above = t + 1 < order.length ? probability[order[t + 1]!]! : 1;
    const at = t < 0 ? above / 2 : t + 1 < order.length ? (below + above) / 2 : (below + 1) / 2;
    // Nothing lies between the highest probability and 1 where that is 1: then 1 itself would still be called.
    if (t + 1 === order.length && below === 1) continue;
    const score = scoreOf(rule, { missed, quiet, positives, negatives });
    const nearer = Math.abs(at - 0.5) < Math.abs(threshold - 0.5);
    if (score > best || (score === best && nearer)) {
      best = score;
      threshold = at;
    }
  }
  return threshold;
}

function scoreOf(
  rule: ThresholdRule,
  { missed, quiet, positives, negatives }: Record<'missed' | 'quiet' | 'positives' | 'negatives', number>,
): number {
  const sensitivity = (positives - missed) / positives;
  const specificity = quiet / negatives;
  if (rule === 'youden') return sensitivity + specificity - 1;
  if (rule === 'f1') {
    const hits = positives - missed;
    return (2 * hits) / (hits + negatives - quiet + positives);
  }
  if ('sensitivity' in rule) return sensitivity >= rule.sensitivity ? specificity : sensitivity - 2;
  return specificity >= rule.specificity ? sensitivity : specificity - 2;
}

/** What the data say of each value beside its label: whether it was hedged, and what probability was expressed. */
import { PenumbraError } from '../errors.ts';
import { type FindingsBatch, needFindings, type TargetBatch } from '../tasks/index.ts';
import type { Tensor } from '../torch/index.ts';

/** p = (1 − r)·y + r/2, [N, K]: the probability of the wording. A rate below 0 sharpens, and expresses no doubt: as 0. */
export function expressed({ values, rates }: Pick<FindingsBatch, 'values' | 'rates'>): Tensor {
  if (rates === undefined) return values;
  // y + r·(1/2 − y)
  return values.add(rates.clamp_min(0).mul(values.neg().add(0.5)));
}

/**
 * 1 where the wording was hedged, r > 0, and 0 elsewhere: [N, K], float32.
 * @throws `objectives/rates` where the data do not say
 */
export function hedged(batch: TargetBatch, name: string): Tensor {
  return needRates(batch, name).gt(0).to({ dtype: 'float32' });
}

/** @throws `objectives/rates` where the data have none */
export function needRates(batch: TargetBatch, name: string): Tensor {
  const { rates } = needFindings(batch);
  if (rates !== undefined) return rates;
  throw new PenumbraError(
    'objectives/rates',
    `${name} needs to know what was hedged, and the data have no rates`,
    {
      hint: 'rates come from reports (penumbra dataset build); in a table with −1 for uncertain, --uncertain rate=0.5 keeps them',
    },
  );
}

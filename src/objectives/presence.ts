import { countFindings, type Findings } from '../data/index.ts';
import { needFindings, type TargetBatch } from '../tasks/index.ts';
import type { Tensor } from '../torch/index.ts';

/** The share of each finding's known cases that are present, K numbers in (0, 1); 1/2 where there is one kind only. */
export function presentShares(targets: Findings): Float32Array {
  return Float32Array.from(countFindings(targets), ({ positive, negative }) =>
    positive === 0 || negative === 0 ? 0.5 : positive / (positive + negative),
  );
}

/** A batch of which only what `kept` holds counts: [N, K] of 1 and 0. */
export function narrowed(batch: TargetBatch, kept: Tensor): TargetBatch {
  const findings = needFindings(batch);
  return { ...findings, mask: findings.mask === undefined ? kept : kept.mul(findings.mask) };
}

/** 1 where a finding is present, y > 1/2, and 1 where it is absent, y < 1/2; 0 where it is not known. [N, K] each. */
export function sides(batch: TargetBatch): { present: Tensor; absent: Tensor } {
  const { values, mask } = needFindings(batch);
  const known = (side: Tensor) => {
    const numbers = side.to({ dtype: 'float32' });
    return mask === undefined ? numbers : numbers.mul(mask);
  };
  return { present: known(values.gt(0.5)), absent: known(values.lt(0.5)) };
}

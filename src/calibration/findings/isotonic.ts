import { isNumbers } from '../calibrator.ts';
import type { FindingMethod, FindingSamples } from './calibrator.ts';

export interface FindingCurve {
  /** Logits, strictly ascending. */
  readonly x: readonly number[];
  /** Probabilities, not descending. */
  readonly y: readonly number[];
}

/**
 * Isotonic regression of one finding (Zadrozny and Elkan, KDD 2002): the non-decreasing function of the logit that is
 * nearest in squares to y, by pooling adjacent violators. Linear between the points, constant beyond them. Equal logits are
 * pooled first. Exact zeros and ones are usual: judge it by calibration error and Brier too.
 */
export const findingIsotonic: FindingMethod<FindingCurve, Record<never, never>> = {
  label: 'Isotonic regression',
  options: [],
  fit: pool,
  valid: (parameters): parameters is FindingCurve => {
    const { x, y } = (parameters ?? {}) as Partial<FindingCurve>;
    return (
      isNumbers(x) &&
      x.length > 0 &&
      isNumbers(y, x.length) &&
      x.every((v, j) => j === 0 || v > x[j - 1]!) &&
      y.every((v, j) => v >= (y[j - 1] ?? 0) && v <= 1)
    );
  },
  curve({ x, y }) {
    const end = x.length - 1;
    return (z) => {
      if (z <= x[0]!) return y[0]!;
      if (z >= x[end]!) return y[end]!;
      let [low, high] = [0, end];
      while (high - low > 1) {
        const middle = (low + high) >>> 1;
        if (x[middle]! <= z) low = middle;
        else high = middle;
      }
      return y[low]! + ((z - x[low]!) / (x[high]! - x[low]!)) * (y[high]! - y[low]!);
    };
  },
};

function pool({ logits, values }: FindingSamples): FindingCurve {
  const order = Uint32Array.from(logits.keys()).sort((a, b) => logits[a]! - logits[b]!);
  const blocks: { first: number; last: number; sum: number; count: number }[] = [];
  for (let start = 0; start < order.length; ) {
    const z = logits[order[start]!]!;
    const block = { first: z, last: z, sum: 0, count: 0 };
    for (; start < order.length && logits[order[start]!] === z; start++) {
      block.sum += values[order[start]!]!;
      block.count++;
    }
    for (
      let top = blocks.at(-1);
      top !== undefined && top.sum * block.count >= block.sum * top.count;
      top = blocks.at(-1)
    ) {
      block.first = top.first;
      block.sum += top.sum;
      block.count += top.count;
      blocks.pop();
    }
    blocks.push(block);
  }
  const x: number[] = [];
  const y: number[] = [];
  for (const { first, last, sum, count } of blocks) {
    for (const z of first === last ? [first] : [first, last]) {
      x.push(z);
      y.push(Math.min(1, sum / count));
    }
  }
  return { x, y };
}

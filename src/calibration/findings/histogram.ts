import { PenumbraError } from '../../errors.ts';
import { isNumbers } from '../calibrator.ts';
import type { FindingMethod } from './calibrator.ts';

export interface FindingHistogramOptions {
  /** How many bins of equally many samples, from 1 to 1,000. Default 15. */
  readonly bins?: number;
}

export interface FindingBins {
  /** B − 1 logits between the bins, strictly ascending; a logit equal to one belongs above it. */
  readonly edges: readonly number[];
  /** B calibrated probabilities. */
  readonly values: readonly number[];
}

/**
 * Histogram binning of one finding (Zadrozny and Elkan, ICML 2001): the mean y of the fit set's samples in the same bin.
 * Bins hold equally many samples, equal logits together: a rare finding's probabilities are small, and bins of equal width
 * would leave all but the first of them empty.
 */
export const findingHistogram: FindingMethod<FindingBins, FindingHistogramOptions> = {
  label: 'Histogram binning',
  options: ['bins'],
  fit({ logits, values }, { bins = 15 }) {
    if (!Number.isInteger(bins) || bins < 1 || bins > 1000) {
      throw new PenumbraError(
        'calibration/option',
        `bins must be a whole number from 1 to 1,000, got ${bins}.`,
        {
          where: { option: 'bins' },
        },
      );
    }
    const n = logits.length;
    const order = Uint32Array.from(logits.keys()).sort((a, b) => logits[a]! - logits[b]!);
    const edges: number[] = [];
    const means: number[] = [];
    for (let start = 0, bin = 1; start < n; bin++) {
      let end = Math.round((bin * n) / bins);
      if (end <= start) continue; // Ties took its samples.
      while (end < n && logits[order[end]!] === logits[order[end - 1]!]) end++;
      let sum = 0;
      for (let i = start; i < end; i++) sum += values[order[i]!]!;
      if (start > 0) edges.push(logits[order[start]!]!);
      means.push(sum / (end - start));
      start = end;
    }
    return { edges, values: means };
  },
  valid: (parameters): parameters is FindingBins => {
    const { edges, values } = (parameters ?? {}) as Partial<FindingBins>;
    return (
      isNumbers(edges) &&
      isNumbers(values, edges.length + 1) &&
      edges.every((v, j) => j === 0 || v > edges[j - 1]!) &&
      values.every((v) => v >= 0 && v <= 1)
    );
  },
  curve({ edges, values }) {
    return (z) => {
      let [low, high] = [0, edges.length];
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (edges[middle]! <= z) low = middle + 1;
        else high = middle;
      }
      return values[low]!;
    };
  },
};

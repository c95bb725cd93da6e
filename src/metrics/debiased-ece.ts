import { normalCdf } from '../normal.ts';
import { type BinOptions, reliability, reliabilityEqualMass } from './calibration.ts';
import type { Floats } from './predictions.ts';

export interface DebiasedEceOptions extends BinOptions {
  /** `l1` (default): the expected calibration error; `l2`: its root mean square. */
  readonly norm?: 'l1' | 'l2';
  /** `width` (default): the bins of the published figure; `mass`: bins of equal mass, where `edges` means nothing. */
  readonly binning?: 'width' | 'mass';
}

/**
 * Debiased calibration error over bins (Kumar, Liang and Ma, "Verified Uncertainty Calibration", NeurIPS 2019, §4 and
 * appendix; Ferro and Fricker, QJRMS 2012): the plug-in error without what label noise adds to it, at least 0.
 *
 * With gap_b = freq_b − conf_b and variance v_b = freq_b(1 − freq_b)/(n_b − 1):
 * - `l1`: max(0, 2T − Σ_b w_b·E|gap_b + √v_b·Z|) with T = Σ_b w_b|gap_b| and Z standard normal: the authors' Monte-Carlo
 *   correction in closed form, the mean of a folded normal number;
 * - `l2`: √max(0, Σ_b w_b(gap_b² − v_b)), whose square is unbiased for the binned error but for the truncation.
 *
 * A bin of one sample has no variance of its own; it is given ¼, the most that an outcome can have. It remains biased
 * upwards near 0, and knows nothing of patients: {@link calibrationInterval} says what is known of the true error.
 *
 * @param confidence N numbers in [0, 1].
 * @param outcome N numbers in [0, 1].
 * @returns a number in [0, 1].
 *
 * @example
 * debiasedEce(Float64Array.of(0.9, 0.9, 0.9, 0.9), [1, 1, 0, 0]).toFixed(4); // '0.3782'
 *
 * @throws PenumbraError `metrics/shape`, `metrics/option`.
 */
export function debiasedEce(
  confidence: Floats,
  outcome: ArrayLike<number>,
  options: DebiasedEceOptions = {},
): number {
  const bins =
    options.binning === 'mass'
      ? reliabilityEqualMass(confidence, outcome, options)
      : reliability(confidence, outcome, options);
  let sum = 0;
  for (const { count, accuracy, gap } of bins) {
    if (gap === null || accuracy === null) continue;
    const weight = count / confidence.length;
    const variance = count > 1 ? (accuracy * (1 - accuracy)) / (count - 1) : 1 / 4;
    sum +=
      options.norm === 'l2'
        ? weight * (gap * gap - variance)
        : weight * (2 * Math.abs(gap) - foldedMean(gap, Math.sqrt(Math.max(0, variance))));
  }
  return options.norm === 'l2' ? Math.sqrt(Math.max(0, sum)) : Math.max(0, sum);
}

/** E|N(mean, deviation²)| = σ√(2/π)·exp(−μ²/2σ²) + μ(2Φ(μ/σ) − 1). */
export function foldedMean(mean: number, deviation: number): number {
  if (!(deviation > 0)) return Math.abs(mean);
  const z = mean / deviation;
  return deviation * Math.sqrt(2 / Math.PI) * Math.exp((-z * z) / 2) + mean * (2 * normalCdf(z) - 1);
}

import { PenumbraError } from '../errors.ts';
import type { Floats } from '../metrics/index.ts';
import { expNegative } from './exp.ts';
import { minimize } from './lbfgs.ts';

export interface ShiftOptions {
  /** The weight of ½·|w|² against the sum of losses, above 0. Default 1, as scikit-learn's C = 1. */
  readonly ridge?: number;
}

/** How the images of one centre differ from another's, as a classifier of their features sees it. Plain data, and a function. */
export interface Shift {
  /** D coefficients of the standardised features, and the offset. */
  readonly coefficients: readonly number[];
  readonly offset: number;
  readonly converged: boolean;
  /** Means and standard deviations that features are standardised with. */
  readonly mean: readonly number[];
  readonly deviation: readonly number[];
  /**
   * The ratio of densities target/source at each sample: what {@link fitWeightedConformal} weighs with.
   * @param features M×D, row-major
   */
  weights(features: Floats): Float64Array;
}

/**
 * Estimates how likely each image is at a target centre against the source centre: a logistic regression tells the two
 * apart by their features, and w(x) = (n_source/n_target)·p/(1 − p) (Tibshirani et al., NeurIPS 2019, §2.3). No labels are
 * looked at. Few features do it better than many: with more features than samples the two are told apart by chance, and
 * the weights are noise (give principal components).
 *
 * @param source n×D features of the centre that was calibrated on
 * @param target m×D features of the centre to judge; they should not be the very samples that are judged
 * @param dimensions D
 * @throws PenumbraError `calibration/shape`, `calibration/empty`, `calibration/option`
 */
export function fitShift(
  source: Floats,
  target: Floats,
  dimensions: number,
  options: ShiftOptions = {},
): Shift {
  const { ridge = 1 } = options;
  if (!(ridge > 0 && ridge < Number.POSITIVE_INFINITY)) {
    throw new PenumbraError('calibration/option', `ridge must be a number above 0, got ${ridge}.`, {
      where: { option: 'ridge' },
    });
  }
  const d = dimensions;
  const [n, m] = [rowsOf(source, d), rowsOf(target, d)];
  if (n === 0 || m === 0) {
    throw new PenumbraError('calibration/empty', 'A shift needs samples of both centres.');
  }
  const { mean, deviation } = moments([source, target], d);
  const x = new Float64Array((n + m) * d);
  [source, target].forEach((part, second) => {
    const from = second * n * d;
    for (let i = 0; i < part.length; i++) x[from + i] = (part[i]! - mean[i % d]!) / deviation[i % d]!;
  });
  const evaluate = (w: Float64Array, gradient: Float64Array) => {
    gradient.fill(0);
    let value = 0;
    for (let i = 0, at = 0; i < n + m; i++, at += d) {
      let z = w[d]!;
      for (let j = 0; j < d; j++) z += w[j]! * x[at + j]!;
      const y = i < n ? 0 : 1;
      const e = expNegative(-Math.abs(z));
      value += Math.max(z, 0) - y * z + Math.log1p(e);
      const g = (z >= 0 ? 1 / (1 + e) : e / (1 + e)) - y;
      for (let j = 0; j < d; j++) gradient[j] = gradient[j]! + g * x[at + j]!;
      gradient[d] = gradient[d]! + g;
    }
    for (let j = 0; j < d; j++) {
      value += (ridge / 2) * w[j]! ** 2;
      gradient[j] = gradient[j]! + ridge * w[j]!;
    }
    return value;
  };
  const start = new Float64Array(d + 1);
  start[d] = Math.log(m / n);
  const spread = (n * m) / (n + m);
  const diagonal = new Float64Array(d + 1).fill(spread + ridge);
  const found = minimize(start, evaluate, { tolerance: 1e-6 * (n + m), maxIterations: 1000, diagonal });
  const coefficients = Array.from(found.x.subarray(0, d));
  const offset = found.x[d]!;
  return {
    coefficients,
    offset,
    converged: found.converged,
    mean: Array.from(mean),
    deviation: Array.from(deviation),
    weights(features) {
      const result = new Float64Array(rowsOf(features, d));
      for (let i = 0, at = 0; i < result.length; i++, at += d) {
        let z = offset;
        for (let j = 0; j < d; j++) z += (coefficients[j]! * (features[at + j]! - mean[j]!)) / deviation[j]!;
        result[i] = (n / m) * Math.exp(Math.min(z, 700));
      }
      return result;
    },
  };
}

function rowsOf(features: Floats, d: number): number {
  if (!Number.isInteger(d) || d < 1 || features.length % d !== 0) {
    throw new PenumbraError('calibration/shape', `${features.length} features are not rows of ${d}.`, {
      hint: 'Features are N×D, row-major.',
    });
  }
  let zeros = 0;
  for (let i = 0; i < features.length; i++) zeros += 0 * features[i]!;
  if (zeros !== 0) throw new PenumbraError('calibration/features', 'Features must be finite numbers.');
  return features.length / d;
}

/** Of all samples together; a deviation of 1 where a feature never changes. */
function moments(parts: readonly Floats[], d: number): { mean: Float64Array; deviation: Float64Array } {
  const mean = new Float64Array(d);
  const deviation = new Float64Array(d);
  const n = parts.reduce((sum, part) => sum + part.length / d, 0);
  for (const part of parts) for (let i = 0; i < part.length; i++) mean[i % d] = mean[i % d]! + part[i]! / n;
  for (const part of parts) {
    for (let i = 0; i < part.length; i++)
      deviation[i % d] = deviation[i % d]! + (part[i]! - mean[i % d]!) ** 2 / n;
  }
  return { mean, deviation: deviation.map((v) => (v > 0 ? Math.sqrt(v) : 1)) };
}

import { PenumbraError } from '../errors.ts';
import type { Floats } from './predictions.ts';

/**
 * Confidence for ranking from p-norm normalised logits, MaxLogit-pNorm: with z′ = z − mean(z), max_k z′_k/‖z′‖_p
 * (Cattelan and Silva, "How to Fix a Broken Confidence Estimator", UAI 2024, arXiv 2305.15508, §4; for networks trained
 * with label smoothing Xia et al., arXiv 2403.14715). Label smoothing shrinks the greatest logit most where the network
 * is right by a wide margin, which degrades selective classification; the norm takes that out.
 *
 * It is a score and no probability: use it to rank ({@link byConfidence}), never for calibration. The answer (the
 * greatest logit) stays the same. With two classes it is the same number for every sample, so that K must be at least 3.
 *
 * @param logits N×K, row-major.
 * @param classes K, at least 3.
 * @param p the norm, at least 1, or Infinity. Default 5. The authors choose it on validation data, from small whole numbers.
 * @returns N numbers in [0, 1]; 0 where all logits of a row are equal.
 *
 * @example
 * const z = Float64Array.of(2, 0, 1, 4, 0, 2);
 * Array.from(normalizedLogitConfidence(z, 3, 2), (c) => c.toFixed(4)); // ['0.7071', '0.7071']
 *
 * @throws PenumbraError `metrics/shape`, `metrics/option`.
 */
export function normalizedLogitConfidence(logits: Floats, classes: number, p = 5): Float64Array {
  if (!Number.isInteger(classes) || classes < 3 || logits.length % classes !== 0) {
    throw new PenumbraError(
      'metrics/shape',
      `Got ${logits.length} logits for ${classes} classes; expected rows of at least 3.`,
      { hint: 'With two classes the normalised logit is the same for every sample: rank by probability.' },
    );
  }
  if (!(p >= 1)) {
    throw new PenumbraError('metrics/option', `The norm p must be at least 1, got ${p}.`, {
      where: { option: 'p' },
    });
  }
  const n = logits.length / classes;
  const result = new Float64Array(n);
  for (let i = 0, at = 0; i < n; i++, at += classes) {
    let sum = 0;
    let most = logits[at]!;
    let least = most;
    for (let k = 0; k < classes; k++) {
      const z = logits[at + k]!;
      sum += z;
      if (z > most) most = z;
      if (z < least) least = z;
    }
    const mean = sum / classes;
    // Scaled by the largest magnitude, so that no power overflows.
    const scale = Math.max(most - mean, mean - least);
    if (!(scale > 0)) continue;
    if (p === Number.POSITIVE_INFINITY) {
      result[i] = (most - mean) / scale;
      continue;
    }
    let powers = 0;
    for (let k = 0; k < classes; k++) powers += (Math.abs(logits[at + k]! - mean) / scale) ** p;
    result[i] = (most - mean) / scale / powers ** (1 / p);
  }
  return result;
}

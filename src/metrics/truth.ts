import { type BinOptions, calibrationError, type ReliabilityBin, reliability } from './calibration.ts';
import {
  checkDistributions,
  checkShape,
  type Floats,
  floatsLike,
  mean,
  type Predictions,
  topLabels,
} from './predictions.ts';
import { NLL_FLOOR } from './scoring.ts';

/** How far predictions p_i are from the true posteriors q_i, which a phantom knows. */
export interface TruthDistance {
  /** Mean total variation, (1/N) Σ ½ Σ_k |p_ik − q_ik|, in [0, 1]. */
  readonly totalVariation: number;
  /** Mean KL(q‖p) in nats, (1/N) Σ_i Σ_k q_ik ln(q_ik / max(p_ik, 2⁻¹²⁶)), ≥ 0: the NLL that is avoidable. */
  readonly kl: number;
  /** Mean squared error, (1/N) Σ_i Σ_k (p_ik − q_ik)², in [0, 2]: the Brier score that is avoidable. */
  readonly squaredError: number;
  /** Σ_b (n_b/N)·|mean max_k p − mean q_{i,ŷ_i}|: ECE against the true probability of being right, without label noise. */
  readonly ece: number;
  readonly bins: readonly ReliabilityBin[];
}

/**
 * Distance to the true posterior.
 *
 * With labels drawn from q, E[NLL] = H(q) + KL(q‖p) and E[Brier] = Σ q(1 − q) + Σ (p − q)²: `kl` and `squaredError` are
 * exactly the parts that a better classifier can remove (Bröcker, QJRMS 2009).
 *
 * @param posterior N×K true probabilities, row-major.
 *
 * @example
 * const p = predictions([[0.8, 0.2]], [0]);
 * const d = truthDistance(p, Float64Array.of(0.6, 0.4));
 * d.totalVariation.toFixed(2); // '0.20'
 * d.squaredError.toFixed(2); // '0.08'
 *
 * @throws PenumbraError `metrics/shape`, `metrics/probability` or `metrics/row-sum` where `posterior` is not N×K distributions.
 */
export function truthDistance(p: Predictions, posterior: Floats, options: BinOptions = {}): TruthDistance {
  const top = topLabels(p);
  const samples = sampleTruthDistance(p, posterior);
  const bins = reliability(top.confidence, probabilityOf(posterior, top.predicted, p.classes), options);
  return {
    totalVariation: mean(samples.totalVariation),
    kl: mean(samples.kl),
    squaredError: mean(samples.squaredError),
    ece: calibrationError(bins),
    bins,
  };
}

/** The three distances of each sample. See {@link TruthDistance}. */
export function sampleTruthDistance(
  p: Predictions,
  posterior: Floats,
): { totalVariation: Float64Array; kl: Float64Array; squaredError: Float64Array } {
  checkShape(p);
  const { probabilities, classes } = p;
  const n = p.labels.length;
  checkDistributions(posterior, n, classes);
  const totalVariation = new Float64Array(n);
  const kl = new Float64Array(n);
  const squaredError = new Float64Array(n);
  for (let i = 0, at = 0; i < n; i++) {
    let absolute = 0;
    let square = 0;
    let divergence = 0;
    for (let k = 0; k < classes; k++, at++) {
      const v = probabilities[at]!;
      const q = posterior[at]!;
      absolute += Math.abs(v - q);
      square += (v - q) * (v - q);
      if (q > 0) divergence += q * Math.log(q / Math.max(v, NLL_FLOOR));
    }
    totalVariation[i] = absolute / 2;
    kl[i] = divergence;
    squaredError[i] = square;
  }
  return { totalVariation, kl, squaredError };
}

/** q_{i,ŷ_i}: the true probability of what was predicted. */
export function probabilityOf(posterior: Floats, predicted: Int32Array, classes: number): Floats {
  const result = floatsLike(posterior, predicted.length);
  for (let i = 0; i < result.length; i++) result[i] = posterior[i * classes + predicted[i]!]!;
  return result;
}

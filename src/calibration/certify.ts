import { PenumbraError } from '../errors.ts';
import type { Floats } from '../metrics/index.ts';
import { normalCdf, normalQuantile } from '../normal.ts';

/**
 * Which lower bound of the smoothed confidence. Choose it before looking: each holds with probability 1 − δ by itself,
 * the best of them only with 1 − 3δ.
 *
 * - `hoeffding`: from the mean alone, p̲ = mean − √(ln(1/δ)/2m) (the paper's baseline). Never above `cdf`.
 * - `bernstein`: from mean and variance V, p̲ = mean − √(2V·ln(2/δ)/m) − 7·ln(2/δ)/(3(m − 1)) (Maurer and Pontil,
 *   "Empirical Bernstein Bounds", COLT 2009, theorem 4). The sharpest near radius 0 where all draws agree.
 * - `cdf`: from the whole distribution, with the Dvoretzky–Kiefer–Wolfowitz inequality (the paper's method).
 */
export type CertificateMethod = 'hoeffding' | 'bernstein' | 'cdf';

export const certificateMethods: readonly CertificateMethod[] = ['hoeffding', 'bernstein', 'cdf'];

export interface CertifyOptions {
  /** σ > 0 of the Gaussian noise, in the units of what the network is given (the scaled image). */
  readonly sigma: number;
  /** δ in (0, 0.5]: the probability, over the draws, with which an image's certificate may be false. Default 0.001. */
  readonly delta?: number;
  /** The least and greatest score there can be. Default 0 and 1; −1 and 1 for margins between two classes. */
  readonly range?: readonly [number, number];
}

export interface Certificates {
  readonly images: number;
  /** m. */
  readonly draws: number;
  readonly sigma: number;
  readonly delta: number;
  /** √(ln(1/δ)/2m): by how much Hoeffding's mean and every point of the distribution function are lowered. */
  readonly samplingError: number;
  readonly radii: readonly number[];
  /** Of each method N×R, row-major: the smoothed score is at least this everywhere within radius r of image i. */
  readonly bounds: Readonly<Record<CertificateMethod, Float64Array>>;
  /** N×R: the `cdf` bound if the draws were the whole distribution (no sampling error). An estimate, no certificate. */
  readonly estimate: Float64Array;
}

/**
 * Certified confidence by randomized smoothing (Kumar, Levine, Feizi and Goldstein, "Certifying Confidence via
 * Randomized Smoothing", NeurIPS 2020, arXiv 2009.08061).
 *
 * The smoothed score of image x is s(x) = E[h(x + ε)], ε ~ N(0, σ²I), where h is the probability that the network gives
 * to one class. For every x' with ‖x' − x‖₂ ≤ r it is at least
 *
 *     mean:  a + (b − a)·Φ(Φ⁻¹((p̲ − a)/(b − a)) − r/σ),   p̲ ≤ s(x)
 *     cdf:   a + ∫_a^b Φ(Φ⁻¹(G̲(t)) − r/σ) dt,             G̲(t) ≤ P(h(x + ε) ≥ t) for all t
 *
 * for scores in [a, b]. The second: s(x') = a + ∫ P(h(x' + ε) ≥ t) dt, and by the lemma of Neyman and Pearson no event of
 * probability p at x is rarer at x' than a half-space across the shift, Φ(Φ⁻¹(p) − r/σ). The first follows with only the
 * mean known. From m draws h_(1) ≤ … ≤ h_(m), with probability 1 − δ for all t at once, G̲ is the empirical share of draws
 * ≥ t less √(ln(1/δ)/2m) (Massart 1990, one-sided), so that the integral is the sum over i of
 * (h_(i) − h_(i−1))·Φ(Φ⁻¹((m − i + 1)/m − √(ln(1/δ)/2m)) − r/σ), with h_(0) = a. One event carries all radii: they hold
 * together. Since p ↦ Φ(Φ⁻¹(p) − c) is convex, `cdf` is at least `hoeffding`, by Jensen's inequality.
 *
 * The class must not be chosen by the draws that certify it: {@link splitDraws}. Above ½, a certified confidence also
 * certifies that the class stays the first. What holds in real numbers can be broken by rounding in fp32 noise and
 * networks (Jin et al. 2022; Voráček and Hein 2023): against natural shifts this is of no moment, against an attacker of
 * the arithmetic it is no proof.
 *
 * @param samples N×m, row-major: the score of the chosen class under m draws of noise.
 * @param draws m, at least 2.
 * @param options with `radii`, each at least 0, in the units of σ.
 *
 * @throws PenumbraError `calibration/option`, `calibration/shape`, `calibration/empty`, `calibration/score`
 */
export function certify(
  samples: Floats,
  draws: number,
  options: CertifyOptions & { readonly radii: readonly number[] },
): Certificates {
  const { radii } = options;
  for (const radius of radii) {
    if (radius >= 0 && radius < Number.POSITIVE_INFINITY) continue;
    throw new PenumbraError('calibration/option', `A radius must be a number of at least 0, got ${radius}.`, {
      where: { option: 'radii' },
    });
  }
  const { sigma, delta, low, width, images, epsilon } = check(samples, draws, options);
  const shifts = radii.map((radius) => radius / sigma);
  const levels = quantiles(draws, epsilon);
  const safe = shifts.map((shift) => levels.map((z) => normalCdf(z - shift)));
  const known = quantiles(draws, 0);
  const plain = shifts.map((shift) => known.map((z) => normalCdf(z - shift)));
  const make = () => new Float64Array(images * radii.length);
  const bounds = { hoeffding: make(), bernstein: make(), cdf: make() };
  const estimate = make();
  for (let i = 0; i < images; i++) {
    const unit = unitDraws(samples, i, draws, low, width);
    const { hoeffding, bernstein } = meanBounds(unit, delta);
    const zHoeffding = boundedQuantile(hoeffding);
    const zBernstein = boundedQuantile(bernstein);
    shifts.forEach((shift, r) => {
      const at = i * shifts.length + r;
      bounds.hoeffding[at] = low + width * normalCdf(zHoeffding - shift);
      bounds.bernstein[at] = low + width * normalCdf(zBernstein - shift);
      bounds.cdf[at] = low + width * integral(unit, safe[r]!);
      estimate[at] = low + width * integral(unit, plain[r]!);
    });
  }
  return { images, draws, sigma, delta, samplingError: epsilon, radii: [...radii], bounds, estimate };
}

/**
 * The greatest radius within which the smoothed score is certified to stay at or above a threshold; −1 where it is not
 * even at radius 0. `certify` explains the bounds; the radii of one image hold for all thresholds together.
 *
 * @param threshold inside the range of the scores.
 * @returns N radii, in the units of σ, rounded down by at most 1e-6·σ. Infinite where the threshold is the least score.
 */
export function certifiedRadius(
  samples: Floats,
  draws: number,
  options: CertifyOptions & { readonly threshold: number; readonly method?: CertificateMethod },
): Float64Array {
  const { threshold, method = 'cdf' } = options;
  if (!certificateMethods.includes(method)) {
    throw new PenumbraError('calibration/option', `There is no certificate "${String(method)}".`, {
      hint: `One of: ${certificateMethods.join(', ')}.`,
      where: { option: 'method' },
    });
  }
  const { sigma, delta, low, width, images, epsilon } = check(samples, draws, options);
  const level = (threshold - low) / width;
  if (!(level >= 0 && level < 1)) {
    throw new PenumbraError(
      'calibration/option',
      `The threshold must be in [${low}, ${low + width}), got ${threshold}.`,
      { where: { option: 'threshold' } },
    );
  }
  const levels = quantiles(draws, epsilon);
  return Float64Array.from({ length: images }, (_, i) => {
    if (level === 0) return Number.POSITIVE_INFINITY;
    const unit = unitDraws(samples, i, draws, low, width);
    const z = method === 'cdf' ? 0 : boundedQuantile(meanBounds(unit, delta)[method]);
    const holds = (shift: number) =>
      (method === 'cdf' ? shiftedIntegral(unit, levels, shift) : normalCdf(z - shift)) >= level;
    if (!holds(0)) return -1;
    let inside = 0;
    let outside = 1;
    for (; holds(outside); outside *= 2) inside = outside;
    while (outside - inside > 1e-6) {
      const middle = (inside + outside) / 2;
      if (holds(middle)) inside = middle;
      else outside = middle;
    }
    return sigma * inside;
  });
}

/** The class that was chosen, and its scores under draws that had no part in the choice. */
export interface SplitDraws {
  readonly predicted: number;
  /** m scores of that class, for {@link certify}. */
  readonly confidences: Float32Array;
}

/**
 * Chooses a class by the greatest mean probability over the first `selection` draws of noise (n₀), and gives its
 * probabilities under all the others. A certificate from the draws that chose would hold less often than it says: the
 * class would be there because its draws came out high.
 *
 * @param probabilities (n₀ + m)×K, row-major: the network's answers to independent noisy copies of one image.
 * @param selection n₀, from 1 to the number of rows less 2.
 *
 * @throws PenumbraError `calibration/shape`, `calibration/option`
 */
export function splitDraws(probabilities: Floats, classes: number, selection: number): SplitDraws {
  const rows = probabilities.length / classes;
  if (!Number.isInteger(rows) || classes < 2) {
    throw new PenumbraError(
      'calibration/shape',
      `${probabilities.length} probabilities are not rows of ${classes} classes.`,
    );
  }
  if (!Number.isInteger(selection) || selection < 1 || selection > rows - 2) {
    throw new PenumbraError(
      'calibration/option',
      `selection must be from 1 to ${rows - 2}, so that 2 of ${rows} draws are left to certify with; got ${selection}.`,
      { where: { option: 'selection' } },
    );
  }
  const sums = new Float64Array(classes);
  for (let at = 0; at < selection * classes; at += classes)
    for (let k = 0; k < classes; k++) sums[k] = sums[k]! + probabilities[at + k]!;
  const predicted = sums.indexOf(Math.max(...sums));
  const confidences = Float32Array.from(
    { length: rows - selection },
    (_, j) => probabilities[(selection + j) * classes + predicted]!,
  );
  return { predicted, confidences };
}

/** Mean over images of each bound, from the first m draws of each. */
export interface DrawsPoint {
  readonly draws: number;
  readonly samplingError: number;
  /** R means each, in the order of the radii. */
  readonly bounds: Readonly<Record<CertificateMethod, readonly number[]>>;
}

/**
 * How the certificates move with the number of draws: {@link certify} from the first m draws of each image, for several m,
 * averaged over images. What the sampling error costs at m = 1,000 is seen against m = 10,000.
 *
 * @param counts the m, each from 2 to `draws`.
 */
export function certifyByDraws(
  samples: Floats,
  draws: number,
  counts: readonly number[],
  options: CertifyOptions & { readonly radii: readonly number[] },
): DrawsPoint[] {
  const { images } = check(samples, draws, options);
  return counts.map((count) => {
    if (!Number.isInteger(count) || count < 2 || count > draws) {
      throw new PenumbraError('calibration/option', `counts must be from 2 to ${draws}, got ${count}.`, {
        where: { option: 'counts' },
      });
    }
    const part = new Float64Array(images * count);
    for (let i = 0; i < images; i++) part.set(samples.subarray(i * draws, i * draws + count), i * count);
    const { bounds, samplingError, radii } = certify(part, count, options);
    const mean = (values: Float64Array) =>
      radii.map((_, r) => {
        let sum = 0;
        for (let i = 0; i < images; i++) sum += values[i * radii.length + r]!;
        return sum / images;
      });
    return {
      draws: count,
      samplingError,
      bounds: {
        hoeffding: mean(bounds.hoeffding),
        bernstein: mean(bounds.bernstein),
        cdf: mean(bounds.cdf),
      },
    };
  });
}

function check(samples: Floats, draws: number, { sigma, delta = 0.001, range = [0, 1] }: CertifyOptions) {
  const fail = (option: string, message: string): never => {
    throw new PenumbraError('calibration/option', message, { where: { option } });
  };
  if (!(sigma > 0 && sigma < Number.POSITIVE_INFINITY)) fail('sigma', `sigma must be above 0, got ${sigma}.`);
  // The one-sided inequality has its constant 1 only up to ½.
  if (!(delta > 0 && delta <= 0.5)) fail('delta', `delta must be above 0 and at most 0.5, got ${delta}.`);
  const [low, high] = range;
  if (!(low < high && Number.isFinite(high - low)))
    fail('range', `range must ascend, got ${low} to ${high}.`);
  if (samples.length === 0)
    throw new PenumbraError('calibration/empty', 'There are no draws to certify with.');
  if (!Number.isInteger(draws) || draws < 2 || samples.length % draws !== 0) {
    throw new PenumbraError(
      'calibration/shape',
      `${samples.length} scores are not rows of ${draws} draws (at least 2).`,
      { hint: 'Scores are N×m row-major: m draws of noise for each image.' },
    );
  }
  const images = samples.length / draws;
  for (let i = 0; i < samples.length; i++) {
    const score = samples[i]!;
    if (score >= low && score <= high) continue; // False for NaN.
    throw new PenumbraError(
      'calibration/score',
      `Image ${Math.floor(i / draws)}, draw ${i % draws}: score ${score} is not in [${low}, ${high}].`,
      {
        hint: 'Give probabilities, or the range of the scores; a NaN here means that the network failed.',
        where: { image: Math.floor(i / draws), draw: i % draws },
      },
    );
  }
  const epsilon = Math.sqrt(Math.log(1 / delta) / (2 * draws));
  return { sigma, delta, low, width: high - low, images, epsilon };
}

/** Φ⁻¹((m − i)/m − ε) for i = 0 … m − 1; −∞ where that share is not above 0, +∞ where it is 1. */
function quantiles(draws: number, epsilon: number): Float64Array {
  return Float64Array.from({ length: draws }, (_, i) => boundedQuantile((draws - i) / draws - epsilon));
}

function boundedQuantile(p: number): number {
  if (p <= 0) return Number.NEGATIVE_INFINITY;
  return p >= 1 ? Number.POSITIVE_INFINITY : normalQuantile(p);
}

/** One image's draws as shares of the range, ascending. */
function unitDraws(samples: Floats, image: number, draws: number, low: number, width: number): Float64Array {
  const unit = new Float64Array(draws);
  for (let j = 0; j < draws; j++) unit[j] = (samples[image * draws + j]! - low) / width;
  return unit.sort();
}

/** ∫₀¹ of the weights of the shares of draws at or above t. */
function integral(sorted: Float64Array, weights: Float64Array): number {
  let sum = 0;
  let last = 0;
  for (let i = 0; i < sorted.length; i++) {
    sum += (sorted[i]! - last) * weights[i]!;
    last = sorted[i]!;
  }
  return sum;
}

function shiftedIntegral(sorted: Float64Array, levels: Float64Array, shift: number): number {
  let sum = 0;
  let last = 0;
  for (let i = 0; i < sorted.length && levels[i]! > Number.NEGATIVE_INFINITY; i++) {
    // Ties add nothing, and the normal function is what costs.
    if (sorted[i]! === last) continue;
    sum += (sorted[i]! - last) * normalCdf(levels[i]! - shift);
    last = sorted[i]!;
  }
  return sum;
}

/** Lower bounds of the mean of m draws in [0, 1]; can be below 0. */
function meanBounds(unit: Float64Array, delta: number): { hoeffding: number; bernstein: number } {
  const m = unit.length;
  let sum = 0;
  for (let j = 0; j < m; j++) sum += unit[j]!;
  const mean = sum / m;
  let squares = 0;
  for (let j = 0; j < m; j++) squares += (unit[j]! - mean) ** 2;
  const log = Math.log(2 / delta);
  return {
    hoeffding: mean - Math.sqrt(Math.log(1 / delta) / (2 * m)),
    bernstein: mean - Math.sqrt((2 * (squares / (m - 1)) * log) / m) - (7 * log) / (3 * (m - 1)),
  };
}

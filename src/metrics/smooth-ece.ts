import { checkPair } from './calibration.ts';
import type { Floats } from './predictions.ts';

/** Residuals are put on this many intervals of [0, 1], each split between its two ends: a hundredth of the least width. */
const CELLS = 8192;
/** cos(πj/CELLS) for j in [0, 2·CELLS), after which it repeats. */
const COSINES = Float64Array.from({ length: 2 * CELLS }, (_, j) => Math.cos((Math.PI * j) / CELLS));
const TURN = 2 * CELLS - 1;
/** Widths below this are not looked for (the authors' `eps`). */
const LEAST_WIDTH = 1e-3;

/**
 * SmoothECE (Błasiok and Nakkiran, "Smooth ECE: Principled Reliability Diagrams via Kernel Smoothing", ICLR 2024,
 * arXiv 2309.12236): a calibration error without bins. With residuals r_i = outcome_i − confidence_i and the Gaussian
 * kernel K_σ reflected at 0 and 1,
 *
 *     smECE_σ = ∫₀¹ |(1/N) Σ_i r_i K_σ(t, confidence_i)| dt,
 *
 * which falls with σ; the figure is its fixed point, the σ with smECE_σ = σ (at σ ≥ 0.001). Within constant factors of
 * the distance to the nearest calibrated predictor, which no binned figure is. For a true 0 it is about N^(−½)·const,
 * hence biased upwards as every plug-in figure.
 *
 * @param confidence N numbers in [0, 1].
 * @param outcome N numbers in [0, 1].
 * @returns a number in [0, 1].
 *
 * @example
 * smoothEce(new Float64Array(1000).fill(0.8), new Uint8Array(1000).fill(1)).toFixed(3); // '0.200'
 *
 * @throws PenumbraError `metrics/shape`, `metrics/empty`, `metrics/probability`.
 */
export function smoothEce(confidence: Floats, outcome: ArrayLike<number>): number {
  checkPair(confidence, outcome);
  const waves = new Waves(residuals(confidence, outcome));
  // From wide to narrow: a narrow kernel takes more waves, and smECE grows as σ falls.
  let high = 1;
  let low = 0.5;
  for (; low > LEAST_WIDTH && waves.smoothed(low) < low; low /= 2) high = low;
  if (low <= LEAST_WIDTH) {
    low = LEAST_WIDTH;
    const least = waves.smoothed(low);
    if (least <= low) return least;
  }
  for (const wanted = 1e-6 * high; high - low > wanted; ) {
    const middle = (low + high) / 2;
    if (waves.smoothed(middle) < middle) high = middle;
    else low = middle;
  }
  return (low + high) / 2;
}

function residuals(confidence: Floats, outcome: ArrayLike<number>): Float64Array {
  const n = confidence.length;
  const cells = new Float64Array(CELLS + 1);
  for (let i = 0; i < n; i++) {
    const c = confidence[i]!;
    const place = Math.min(1, c) * CELLS;
    const cell = Math.min(CELLS - 1, Math.floor(place));
    const share = place - cell;
    const r = (outcome[i]! - c) / n;
    cells[cell] = cells[cell]! + (1 - share) * r;
    cells[cell + 1] = cells[cell + 1]! + share * r;
  }
  return cells;
}

/**
 * The cosine series of the residuals: a reflected Gaussian multiplies the k-th wave cos(πkt) by exp(−(πkσ)²/2), all its
 * reflections included.
 */
class Waves {
  /** The cells that hold something, and what. */
  private readonly filled: Int32Array;
  private readonly values: Float64Array;
  /** Coefficients, worked out when first needed, and how many are. */
  private coefficients: Float64Array = new Float64Array(256);
  private known = 0;

  constructor(cells: Float64Array) {
    this.filled = Int32Array.from(cells.keys()).filter((j) => cells[j] !== 0);
    this.values = Float64Array.from(this.filled, (j) => cells[j]!);
  }

  /** The first of them, at least so many. */
  private coefficientsTo(many: number): Float64Array {
    const { filled, values } = this;
    // Four waves at a time, so that no sum waits for its last addition.
    while (this.known < many) {
      if (this.known + 4 > this.coefficients.length) {
        const longer = new Float64Array(2 * this.coefficients.length);
        longer.set(this.coefficients);
        this.coefficients = longer;
      }
      const next = this.known;
      let sum0 = 0;
      let sum1 = 0;
      let sum2 = 0;
      let sum3 = 0;
      for (let f = 0; f < filled.length; f++) {
        const value = values[f]!;
        const turn = filled[f]!;
        const at = turn * next;
        sum0 += value * COSINES[at & TURN]!;
        sum1 += value * COSINES[(at + turn) & TURN]!;
        sum2 += value * COSINES[(at + 2 * turn) & TURN]!;
        sum3 += value * COSINES[(at + 3 * turn) & TURN]!;
      }
      this.coefficients.set([next === 0 ? sum0 : 2 * sum0, 2 * sum1, 2 * sum2, 2 * sum3], next);
      this.known += 4;
    }
    return this.coefficients;
  }

  /** smECE_σ by the trapezoid rule on steps of at most σ/4. */
  smoothed(sigma: number): number {
    // exp(−(πkσ)²/2) < 1e-9 beyond.
    const many = Math.min(CELLS, Math.ceil(6.45 / (Math.PI * sigma)) + 1);
    const coefficients = this.coefficientsTo(many);
    const damped = new Float64Array(many);
    for (let k = 0; k < many; k++) damped[k] = coefficients[k]! * Math.exp(-((Math.PI * k * sigma) ** 2) / 2);
    // A step that divides the table, so that every cosine is in it.
    let stride = CELLS;
    while (stride > 1 && (stride / CELLS > sigma / 4 || CELLS / stride < 256)) stride /= 2;
    const points = CELLS / stride;
    let sum = 0;
    // Four points at a time; there are a multiple of four and one.
    for (let j = 0; j < points; j += 4) {
      let value0 = 0;
      let value1 = 0;
      let value2 = 0;
      let value3 = 0;
      for (let k = 0; k < many; k++) {
        const wave = damped[k]!;
        const step = k * stride;
        const at = j * step;
        value0 += wave * COSINES[at & TURN]!;
        value1 += wave * COSINES[(at + step) & TURN]!;
        value2 += wave * COSINES[(at + 2 * step) & TURN]!;
        value3 += wave * COSINES[(at + 3 * step) & TURN]!;
      }
      sum += j === 0 ? Math.abs(value0) / 2 : Math.abs(value0);
      sum += Math.abs(value1);
      sum += Math.abs(value2);
      sum += Math.abs(value3);
    }
    let last = 0;
    for (let k = 0; k < many; k++) last += damped[k]! * COSINES[(k * CELLS) & TURN]!;
    sum += Math.abs(last) / 2;
    return sum / points;
  }
}

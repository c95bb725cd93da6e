import { PenumbraError } from '../errors.ts';
import type { Floats } from '../metrics/index.ts';
import { absentWarning, type CalibrationMethod, type FitSet, type Fitted, isNumbers } from './calibrator.ts';
import { expNegative } from './exp.ts';
import { minimize } from './lbfgs.ts';
import { softmax } from './softmax.ts';
import { fitTemperature } from './temperature.ts';

export interface VectorOptions {
  /** λ ≥ 0. Default 1e-6. */
  readonly ridge?: number;
  /** The greatest |derivative| of the mean loss at which to stop. Default 1e-7. */
  readonly tolerance?: number;
  /** Default 1,000. */
  readonly maxIterations?: number;
}

export interface VectorParameters {
  /** K factors a_k and K offsets b_k. */
  readonly scale: readonly number[];
  readonly bias: readonly number[];
}

/**
 * Vector scaling, softmax(a∘z + b) (Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, §4.2: matrix
 * scaling with a diagonal matrix). The 2K numbers minimise the convex
 *
 *     mean_i (logsumexp(a∘z_i + b) − a_y·z_iy − b_y) + (λ/2)·Σ_k ((a_k − 1/T)² + b_k²)
 *
 * by L-BFGS from temperature scaling (a = 1/T, b = 0). The ridge is not part of the published method: it makes the
 * minimum unique (a constant added to all b changes nothing) and finite where the classes can be separated, and is too
 * small to be seen elsewhere. A class without samples in the fit set is left out of the fit, where its offset would go to
 * −∞, and keeps a = 1/T, b = 0. Accuracy can change.
 */
export const vector: CalibrationMethod<VectorParameters, VectorOptions> = {
  label: 'Vector scaling',
  options: ['ridge', 'tolerance', 'maxIterations'],
  fit: fitVector,
  valid: (parameters, classes): parameters is VectorParameters => {
    const { scale, bias } = (parameters ?? {}) as Partial<VectorParameters>;
    return isNumbers(scale, classes) && isNumbers(bias, classes);
  },
  apply: ({ scale, bias }, logits, classes, out) => {
    const a = Float64Array.from(scale);
    const b = Float64Array.from(bias);
    const row = new Float64Array(classes);
    const probabilities = new Float32Array(classes);
    for (let at = 0; at < logits.length; at += classes) {
      for (let k = 0; k < classes; k++) row[k] = a[k]! * logits[at + k]! + b[k]!;
      softmax(row, classes, 1, probabilities);
      out.set(probabilities, at);
    }
  },
};

function fitVector(set: FitSet, options: VectorOptions): Fitted<VectorParameters> {
  const { ridge = 1e-6, tolerance = 1e-7, maxIterations = 1000 } = options;
  for (const [option, value] of Object.entries({ ridge, tolerance, maxIterations })) {
    if (value >= 0 && value < Number.POSITIVE_INFINITY) continue;
    throw new PenumbraError('calibration/option', `${option} must be a number of at least 0, got ${value}.`, {
      where: { option },
    });
  }
  const base = fitTemperature(set);
  const beta = 1 / base.parameters.temperature;
  const seen = withSamples(set);
  const start = new Float64Array(2 * seen.classes).fill(beta, 0, seen.classes);
  const diagonal = curvature(seen, beta).map((v) => Math.max(v, 1e-8) + ridge);
  const evaluate = (x: Float64Array, gradient: Float64Array) => {
    let value = meanLoss(seen, x, gradient);
    for (let j = 0; j < x.length; j++) {
      const away = x[j]! - start[j]!;
      value += (ridge / 2) * away * away;
      gradient[j] = gradient[j]! + ridge * away;
    }
    return value;
  };
  const { x, iterations, converged } = minimize(start, evaluate, { tolerance, maxIterations, diagonal });
  const scale = new Array<number>(set.classes).fill(beta);
  const bias = new Array<number>(set.classes).fill(0);
  seen.of.forEach((k, j) => {
    scale[k] = x[j]!;
    bias[k] = x[seen.classes + j]!;
  });
  const warnings = absentWarning(set.support, 'they keep the factor of temperature scaling and no offset');
  if (base.report.atBound !== null) warnings.push(...base.report.warnings);
  if (!converged) {
    warnings.push(`Vector scaling stopped after ${iterations} steps with a derivative above ${tolerance}.`);
  }
  return {
    parameters: { scale, bias },
    report: { warnings, iterations, converged },
  };
}

/** The fit set without the classes that have no sample; `of` are the classes that stay. */
export function withSamples(set: FitSet): FitSet & { readonly of: readonly number[] } {
  const { logits, labels, classes, support } = set;
  const of = Array.from(support.keys()).filter((k) => support[k]! > 0);
  if (of.length === classes) return { ...set, of };
  const part = new Float32Array(labels.length * of.length);
  for (let i = 0, to = 0; i < labels.length; i++) for (const k of of) part[to++] = logits[i * classes + k]!;
  return {
    logits: part,
    labels: Int32Array.from(labels, (y) => of.indexOf(y)),
    classes: of.length,
    support: support.filter((count) => count > 0),
    of,
  };
}

/** The mean loss at x = (a, b), and its derivatives, Σ (p_k − 1[y = k])·z_k / N and Σ (p_k − 1[y = k]) / N. */
function meanLoss({ logits, labels, classes }: FitSet, x: Float64Array, gradient: Float64Array): number {
  gradient.fill(0);
  const row = new Float64Array(classes);
  let loss = 0;
  for (let i = 0, at = 0; i < labels.length; i++, at += classes) {
    const y = labels[i]!;
    let most = Number.NEGATIVE_INFINITY;
    for (let k = 0; k < classes; k++) {
      const v = x[k]! * logits[at + k]! + x[classes + k]!;
      row[k] = v;
      if (v > most) most = v;
    }
    const own = row[y]!;
    let sum = 0;
    for (let k = 0; k < classes; k++) sum += row[k] = expNegative(row[k]! - most);
    loss += most + Math.log(sum) - own;
    row[y] = row[y]! - sum;
    const share = 1 / sum;
    for (let k = 0; k < classes; k++) {
      const g = row[k]! * share;
      gradient[k] = gradient[k]! + g * logits[at + k]!;
      gradient[classes + k] = gradient[classes + k]! + g;
    }
  }
  for (let j = 0; j < gradient.length; j++) gradient[j] = gradient[j]! / labels.length;
  return loss / labels.length;
}

/** The diagonal of the loss's Hessian at a = β, b = 0: mean p(1 − p)·z² and mean p(1 − p). */
function curvature({ logits, labels, classes }: FitSet, beta: number): Float64Array {
  const result = new Float64Array(2 * classes);
  const p = new Float32Array(classes);
  for (let at = 0; at < logits.length; at += classes) {
    const z: Floats = logits.subarray(at, at + classes);
    softmax(z, classes, beta, p);
    for (let k = 0; k < classes; k++) {
      const w = (p[k]! * (1 - p[k]!)) / labels.length;
      result[k] = result[k]! + w * z[k]! * z[k]!;
      result[classes + k] = result[classes + k]! + w;
    }
  }
  return result;
}

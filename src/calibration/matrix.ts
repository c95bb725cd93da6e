import { PenumbraError } from '../errors.ts';
import { absentWarning, type CalibrationMethod, type FitSet, type Fitted, isNumbers } from './calibrator.ts';
import { expNegative } from './exp.ts';
import { minimize } from './lbfgs.ts';
import { softmax } from './softmax.ts';
import { fitTemperature } from './temperature.ts';
import { withSamples } from './vector.ts';

export interface MatrixOptions {
  /** λ ≥ 0, on off-diagonal weights. Default: of 10⁷, 10⁵, 10⁴, … 10⁻⁴ the best by three-fold cross-validation. */
  readonly lambda?: number;
  /** μ ≥ 0, on offsets. Default: λ. */
  readonly mu?: number;
  /**
   * ν ≥ 0, on how far the diagonal is from temperature scaling. Default: 0, as published, where `lambda` is given; else λ, so
   * that much of it leaves temperature scaling.
   */
  readonly nu?: number;
  /** The greatest |derivative| of the objective at which to stop. Default 1e-6, or where nothing is left to win. */
  readonly tolerance?: number;
  /** Default 500. */
  readonly maxIterations?: number;
}

export interface MatrixParameters {
  /** K×K, row-major: row k gives class k. */
  readonly weights: readonly number[];
  /** K offsets. */
  readonly bias: readonly number[];
  /** What the fit was held back with. */
  readonly lambda: number;
  readonly mu: number;
}

/**
 * Matrix scaling, softmax(Wz + b) (Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, §4.2), with
 * off-diagonal and intercept regularisation (ODIR; Kull et al., "Beyond temperature scaling", NeurIPS 2019, §3):
 *
 *     mean_i −log p_iy + λ/(K(K − 1))·Σ_{j≠k} W_jk² + μ/K·Σ_k b_k² + ν/K·Σ_k (W_kk − β)²
 *
 * with β of temperature scaling; ν is ours. Convex; by L-BFGS from temperature scaling. Without penalties K² + K numbers are
 * learnt by heart, and of a hundred classes even the diagonal and the offsets are. So cross-validation starts at temperature
 * scaling itself (λ = 10⁷) and lets go by factors of ten, each fit from the last one's end, for as long as held-out samples gain
 * (an attempt more where they do not). A class without samples in the fit set is left out and keeps its own logit. A ridge of 1e-6
 * towards the start keeps the diagonal finite where classes can be separated. Folds follow the samples' contents, so that
 * their order does not matter.
 */
export const matrix: CalibrationMethod<MatrixParameters, MatrixOptions> = method(
  'Matrix scaling (ODIR)',
  (set) => Float64Array.from(set.logits),
);

/**
 * Dirichlet calibration, softmax(W·ln softmax(z) + b) (Kull et al., NeurIPS 2019): the same map, and the same ODIR, of
 * log-probabilities. It is what calibration looks like where each class's probabilities follow a Dirichlet distribution.
 */
export const dirichlet: CalibrationMethod<MatrixParameters, MatrixOptions> = method(
  'Dirichlet calibration (ODIR)',
  ({ logits, classes }) => logSoftmax(logits, classes),
);

/** From temperature scaling to hardly held. */
const GRID = [1e7, 1e5, 1e4, 1e3, 100, 10, 1, 0.1, 1e-2, 1e-3, 1e-4];
/** So many λ in a row may bring nothing before the search ends. */
const PATIENCE = 2;
const FOLDS = 3;
const RIDGE = 1e-6;

type Inputs = (set: Pick<FitSet, 'logits' | 'classes'>) => Float64Array;

function method(label: string, inputs: Inputs): CalibrationMethod<MatrixParameters, MatrixOptions> {
  return {
    label,
    options: ['lambda', 'mu', 'nu', 'tolerance', 'maxIterations'],
    fit: (set, options) => fitMatrix(set, inputs, options),
    valid: (parameters, classes): parameters is MatrixParameters => {
      const { weights, bias, lambda, mu } = (parameters ?? {}) as Partial<MatrixParameters>;
      return isNumbers(weights, classes ** 2) && isNumbers(bias, classes) && isNumbers([lambda, mu]);
    },
    apply: ({ weights, bias }, logits, classes, out) => {
      const x = inputs({ logits, classes });
      const w = Float64Array.from(weights);
      const row = new Float64Array(classes);
      for (let at = 0; at < x.length; at += classes) {
        for (let k = 0; k < classes; k++) {
          let sum = bias[k]!;
          for (let j = 0; j < classes; j++) sum += w[k * classes + j]! * x[at + j]!;
          row[k] = sum;
        }
        softmax(row, classes, 1, out.subarray(at, at + classes));
      }
    },
  };
}

function fitMatrix(set: FitSet, inputs: Inputs, options: MatrixOptions): Fitted<MatrixParameters> {
  const { lambda, mu, nu, tolerance = 1e-6, maxIterations = 500 } = options;
  for (const [option, value] of Object.entries({ lambda, mu, nu, tolerance, maxIterations })) {
    if (value === undefined || (value >= 0 && value < Number.POSITIVE_INFINITY)) continue;
    throw new PenumbraError('calibration/option', `${option} must be a number of at least 0, got ${value}.`, {
      where: { option },
    });
  }
  const { classes } = set;
  const seen = withSamples(set);
  const samples: Samples = { x: inputs(seen), labels: seen.labels, classes: seen.classes };
  // Temperature scaling of what goes in: of log-probabilities it is the same as of logits.
  const { temperature } = fitTemperature(seen).parameters;
  const holding = (own: number): Held => ({
    lambda: own,
    mu: mu ?? own,
    nu: nu ?? (lambda === undefined ? own : 0),
  });
  const held = holding(lambda ?? crossValidated(samples, 1 / temperature, holding));
  const found = descend(samples, 1 / temperature, held, {
    tolerance,
    maxIterations,
    ...(options.tolerance === undefined && { decrease: 1e-7 }),
  });
  const weights = new Float64Array(classes * classes);
  for (let k = 0; k < classes; k++) weights[k * classes + k] = 1 / temperature;
  const bias = new Float64Array(classes);
  const m = seen.classes;
  seen.of.forEach((k, row) => {
    bias[k] = found.x[m * m + row]!;
    seen.of.forEach((j, column) => {
      weights[k * classes + j] = found.x[row * m + column]!;
    });
  });
  const warnings = absentWarning(
    set.support,
    'they keep their own logit, with the factor of temperature scaling',
  );
  if (!found.converged) {
    warnings.push(`The fit stopped after ${found.iterations} steps with a derivative above ${tolerance}.`);
  }
  return {
    parameters: { weights: Array.from(weights), bias: Array.from(bias), lambda: held.lambda, mu: held.mu },
    report: { warnings, iterations: found.iterations, converged: found.converged },
  };
}

interface Samples {
  /** N×K. */
  readonly x: Float64Array;
  readonly labels: ArrayLike<number>;
  readonly classes: number;
}

interface Held {
  readonly lambda: number;
  readonly mu: number;
  readonly nu: number;
}

/** The λ of {@link GRID} with the least likelihood loss on held-out thirds; the largest that is not worse. */
function crossValidated(samples: Samples, beta: number, holding: (lambda: number) => Held): number {
  const fold = folds(samples);
  const parts = Array.from({ length: FOLDS }, (_, f) => ({
    rest: pick(samples, fold, (own) => own !== f),
    own: pick(samples, fold, (own) => own === f),
    from: undefined as Float64Array | undefined,
  })).filter(({ rest, own }) => rest.labels.length > 0 && own.labels.length > 0);
  let best = GRID[0]!;
  let least = Number.POSITIVE_INFINITY;
  let without = 0;
  for (const lambda of GRID) {
    let loss = 0;
    for (const part of parts) {
      const limits = { tolerance: 1e-4, maxIterations: 60, decrease: 1e-4 };
      part.from = descend(part.rest, beta, holding(lambda), limits, part.from).x;
      loss += meanLoss(part.own, part.from) * part.own.labels.length;
    }
    if (loss < least) {
      least = loss;
      best = lambda;
      without = 0;
    } else if (++without === PATIENCE) break;
  }
  return best;
}

/** A fold for each sample, by the bits of its numbers. */
function folds({ x, labels, classes }: Samples): Uint8Array {
  const bits = new Uint32Array(Float32Array.from(x).buffer);
  return Uint8Array.from({ length: labels.length }, (_, i) => {
    let hash = labels[i]!;
    for (let k = i * classes; k < (i + 1) * classes; k++) {
      hash = Math.imul(hash ^ bits[k]!, 0x85ebca6b);
      hash ^= hash >>> 15;
    }
    return (hash >>> 0) % FOLDS;
  });
}

function pick({ x, labels, classes }: Samples, fold: Uint8Array, wanted: (fold: number) => boolean): Samples {
  const rows: number[] = [];
  fold.forEach((own, i) => {
    if (wanted(own)) rows.push(i);
  });
  const part = new Float64Array(rows.length * classes);
  rows.forEach((row, i) => {
    part.set(x.subarray(row * classes, (row + 1) * classes), i * classes);
  });
  return { x: part, labels: rows.map((row) => labels[row]!), classes };
}

function descend(
  samples: Samples,
  beta: number,
  held: Held,
  limits: { readonly tolerance: number; readonly maxIterations: number; readonly decrease?: number },
  from?: Float64Array,
) {
  const { classes: m } = samples;
  const start = new Float64Array(m * m + m);
  for (let k = 0; k < m; k++) start[k * m + k] = beta;
  const penalties = new Float64Array(start.length).fill(
    (2 * held.lambda) / Math.max(1, m * (m - 1)),
    0,
    m * m,
  );
  const towards = new Float64Array(start.length).fill(RIDGE);
  for (let k = 0; k < m; k++) {
    penalties[k * m + k] = 0;
    towards[k * m + k] = RIDGE + (2 * held.nu) / m;
  }
  penalties.fill((2 * held.mu) / m, m * m);
  const evaluate = (parameters: Float64Array, gradient: Float64Array) => {
    let value = meanLoss(samples, parameters, gradient);
    for (let j = 0; j < parameters.length; j++) {
      const away = parameters[j]! - start[j]!;
      value += (penalties[j]! / 2) * parameters[j]! ** 2 + (towards[j]! / 2) * away * away;
      gradient[j] = gradient[j]! + penalties[j]! * parameters[j]! + towards[j]! * away;
    }
    return value;
  };
  const diagonal = curvature(samples, beta);
  for (let j = 0; j < diagonal.length; j++)
    diagonal[j] = Math.max(diagonal[j]!, 1e-8) + penalties[j]! + towards[j]!;
  return minimize(from ?? start, evaluate, { ...limits, diagonal });
}

/** The mean of −log p_y, and its derivatives by W (row-major) and b. */
function meanLoss(
  { x, labels, classes: m }: Samples,
  parameters: Float64Array,
  gradient?: Float64Array,
): number {
  gradient?.fill(0);
  const n = labels.length;
  const row = new Float64Array(m);
  let loss = 0;
  for (let i = 0, at = 0; i < n; i++, at += m) {
    let most = Number.NEGATIVE_INFINITY;
    for (let k = 0; k < m; k++) {
      let v = parameters[m * m + k]!;
      for (let j = 0; j < m; j++) v += parameters[k * m + j]! * x[at + j]!;
      row[k] = v;
      if (v > most) most = v;
    }
    const y = labels[i]!;
    const own = row[y]!;
    let sum = 0;
    for (let k = 0; k < m; k++) sum += row[k] = expNegative(row[k]! - most);
    loss += most + Math.log(sum) - own;
    if (gradient === undefined) continue;
    for (let k = 0; k < m; k++) {
      const g = (row[k]! / sum - (k === y ? 1 : 0)) / n;
      gradient[m * m + k] = gradient[m * m + k]! + g;
      for (let j = 0; j < m; j++) gradient[k * m + j] = gradient[k * m + j]! + g * x[at + j]!;
    }
  }
  return loss / n;
}

/** The diagonal of the loss's Hessian at W = β·I, b = 0: means of p_k(1 − p_k)·x_j² and of p_k(1 − p_k). */
function curvature({ x, classes: m }: Samples, beta: number): Float64Array {
  const n = x.length / m;
  const result = new Float64Array(m * m + m);
  const p = new Float32Array(m);
  for (let at = 0; at < x.length; at += m) {
    softmax(x.subarray(at, at + m), m, beta, p);
    for (let k = 0; k < m; k++) {
      const w = (p[k]! * (1 - p[k]!)) / n;
      result[m * m + k] = result[m * m + k]! + w;
      for (let j = 0; j < m; j++) result[k * m + j] = result[k * m + j]! + w * x[at + j]! ** 2;
    }
  }
  return result;
}

function logSoftmax(logits: ArrayLike<number>, classes: number): Float64Array {
  const result = new Float64Array(logits.length);
  for (let at = 0; at < logits.length; at += classes) {
    let most = Number.NEGATIVE_INFINITY;
    for (let k = 0; k < classes; k++) most = Math.max(most, logits[at + k]!);
    let sum = 0;
    for (let k = 0; k < classes; k++) sum += Math.exp(logits[at + k]! - most);
    const rest = most + Math.log(sum);
    for (let k = 0; k < classes; k++) result[at + k] = logits[at + k]! - rest;
  }
  return result;
}

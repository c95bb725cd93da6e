import { PenumbraError } from '../errors.ts';
import type { CalibrationMethod, FitSet, Fitted } from './calibrator.ts';
import { expNegative } from './exp.ts';
import { softmax } from './softmax.ts';

export interface TemperatureOptions {
  /** Bounds of T, 0 < min < max. Defaults 0.05 and 20. */
  readonly min?: number;
  readonly max?: number;
}

export interface TemperatureParameters {
  /** T: above 1 the network was over-confident, below 1 under-confident. */
  readonly temperature: number;
}

/**
 * Temperature scaling, softmax(z/T) (Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, §4.2): T
 * minimises the negative log-likelihood of the fit set. The order of classes stays, so accuracy does too.
 *
 * In β = 1/T the loss mean_i (logsumexp(β·z_i) − β·z_iy) is convex, with derivatives mean(E_p[z] − z_y) and
 * mean(Var_p[z]): a Newton search for the root of the first, kept in a bracket by bisection of log β. Above 100,000
 * samples it starts from the T of about 50,000 of them, spread evenly, so that all are passed over two or three times.
 */
export const temperature: CalibrationMethod<TemperatureParameters, TemperatureOptions> = {
  label: 'Temperature scaling',
  options: ['min', 'max'],
  fit: fitTemperature,
  valid: (parameters, _): parameters is TemperatureParameters => {
    const t = (parameters as Partial<TemperatureParameters> | null)?.temperature;
    return typeof t === 'number' && t > 0 && Number.isFinite(t);
  },
  apply: ({ temperature: t }, logits, classes, out) => void softmax(logits, classes, 1 / t, out),
};

export function fitTemperature(
  set: FitSet,
  options: TemperatureOptions = {},
): Fitted<TemperatureParameters> & { readonly report: { readonly atBound: 'min' | 'max' | null } } {
  const { min = 0.05, max = 20 } = options;
  if (!(min > 0 && min < max && max < Number.POSITIVE_INFINITY)) {
    throw new PenumbraError(
      'calibration/option',
      `The bounds of the temperature must be 0 < min < max, got ${min} and ${max}.`,
    );
  }
  const n = set.labels.length;
  const stride = n > 100_000 ? Math.floor(n / 50_000) : 1;
  const start = stride === 1 ? 1 : 1 / search(set, stride, 1, min, max).temperature;
  const found = search(set, 1, start, min, max);
  const warnings: string[] = [];
  if (found.atBound !== null) {
    const why =
      found.atBound === 'min'
        ? 'the sharper, the likelier (usually because every sample of the fit set is classified correctly)'
        : 'the flatter, the likelier (usually because the logits say little about the labels)';
    warnings.push(`The temperature stopped at its bound ${found.temperature}: ${why}.`);
  }
  if (found.flat) {
    warnings.push('All logits of each sample are equal: every temperature gives the same, and 1 was taken.');
  }
  if (!found.converged) warnings.push(`The temperature did not converge in ${found.iterations} steps.`);
  const { temperature, iterations, converged, atBound } = found;
  return { parameters: { temperature }, report: { warnings, iterations, converged, atBound } };
}

interface Found {
  readonly temperature: number;
  readonly iterations: number;
  readonly converged: boolean;
  readonly atBound: 'min' | 'max' | null;
  /** Whether the loss does not depend on the temperature. */
  readonly flat: boolean;
}

/** The root of the loss's derivative in β over every `stride`-th sample. */
function search(set: FitSet, stride: number, start: number, min: number, max: number): Found {
  const bounds = { low: 1 / max, high: 1 / min };
  let { low, high } = bounds;
  let beta = Math.min(high, Math.max(low, start));
  const done = (temperature: number, iterations: number, more: Partial<Found> = {}): Found => ({
    temperature,
    iterations,
    converged: true,
    atBound: null,
    flat: false,
    ...more,
  });
  let last = Number.POSITIVE_INFINITY;
  for (let iteration = 1; iteration <= 100; iteration++) {
    const { slope, curvature } = derivatives(set, stride, beta);
    if (slope === 0 && curvature === 0) {
      if (allEqual(set)) return done(Math.min(max, Math.max(min, 1)), iteration, { flat: true });
      // Every sample is right, and so surely that the loss is 0 to the last digit: the sharper, the likelier.
      return done(min, iteration, { atBound: 'min' });
    }
    if (slope === 0) return done(1 / beta, iteration);
    if (beta === bounds.low && slope > 0) return done(max, iteration, { atBound: 'max' });
    if (beta === bounds.high && slope < 0) return done(min, iteration, { atBound: 'min' });
    if (slope > 0) high = beta;
    else low = beta;
    let next = beta - slope / curvature;
    // The step squares the error: what is left is far below 1e-10.
    if (Math.abs(next - beta) <= 1e-7 * beta) return done(1 / next, iteration);
    // Newton where it gets on, and not for ever where the loss falls off exponentially; then bisection.
    if (!(next > low && next < high)) {
      if (slope > 0 && low === bounds.low && next <= low) next = low;
      else if (slope < 0 && high === bounds.high && next >= high) next = high;
      else next = Math.sqrt(low * high);
    } else if (Math.abs(slope) > last / 2 || iteration > 12) next = Math.sqrt(low * high);
    last = Math.abs(slope);
    if (high - low <= 1e-10 * beta) return done(1 / beta, iteration);
    beta = next;
  }
  return done(1 / beta, 100, { converged: false });
}

function allEqual({ logits, classes }: FitSet): boolean {
  for (let i = 0; i < logits.length; i++) if (logits[i] !== logits[i - (i % classes)]) return false;
  return true;
}

/** Mean derivative and second derivative of the loss in β. */
function derivatives({ logits, labels, classes }: FitSet, stride: number, beta: number) {
  let slope = 0;
  let curvature = 0;
  let count = 0;
  for (let i = 0; i < labels.length; i += stride) {
    const at = i * classes;
    let most = logits[at]!;
    for (let k = 1; k < classes; k++) if (logits[at + k]! > most) most = logits[at + k]!;
    let sum = 0;
    let first = 0;
    let second = 0;
    for (let k = at; k < at + classes; k++) {
      const d = logits[k]! - most;
      const e = expNegative(beta * d);
      sum += e;
      first += e * d;
      second += e * d * d;
    }
    const mean = first / sum;
    slope += mean - (logits[at + labels[i]!]! - most);
    curvature += second / sum - mean * mean;
    count++;
  }
  return { slope: slope / count, curvature: curvature / count };
}

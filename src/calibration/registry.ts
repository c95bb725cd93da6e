import { PenumbraError } from '../errors.ts';
import { type Floats, sampleNll } from '../metrics/index.ts';
import {
  type CalibrationMethod,
  type CalibratorReport,
  checkLogits,
  type FitSet,
  fitSet,
} from './calibrator.ts';
import { type HistogramOptions, type HistogramParameters, histogram } from './histogram.ts';
import { type IsotonicOptions, type IsotonicParameters, isotonic } from './isotonic.ts';
import { dirichlet, type MatrixOptions, type MatrixParameters, matrix } from './matrix.ts';
import { checkNames, Registered } from './registered.ts';
import { softmax } from './softmax.ts';
import { type TemperatureOptions, type TemperatureParameters, temperature } from './temperature.ts';
import { type VectorOptions, type VectorParameters, vector } from './vector.ts';

/** The options of each calibrator that comes with the package. */
export interface CalibratorOptions {
  readonly temperature: TemperatureOptions;
  readonly vector: VectorOptions;
  readonly isotonic: IsotonicOptions;
  readonly histogram: HistogramOptions;
  readonly matrix: MatrixOptions;
  readonly dirichlet: MatrixOptions;
}

/** The fitted parameters of each: plain data. */
export interface CalibratorParameters {
  readonly temperature: TemperatureParameters;
  readonly vector: VectorParameters;
  readonly isotonic: IsotonicParameters;
  readonly histogram: HistogramParameters;
  readonly matrix: MatrixParameters;
  readonly dirichlet: MatrixParameters;
}

export type CalibratorName = keyof CalibratorParameters;

type OptionsOf<N extends string> = N extends CalibratorName ? CalibratorOptions[N] : object;
type ParametersOf<N extends string> = N extends CalibratorName ? CalibratorParameters[N] : unknown;

const methods = new Registered<CalibrationMethod<unknown, object>>('calibrator');

/** Every calibrator there is, those registered from outside included. */
export const calibratorNames: readonly string[] = methods.names;

/** Those that a comparison fits unless it is told which, in the order in which they are shown. */
export const defaultCalibrators: readonly CalibratorName[] = [
  'temperature',
  'vector',
  'isotonic',
  'histogram',
];

/**
 * Adds a calibrator under a name of its own; from then on it is fitted, saved and loaded like the others.
 *
 * @example
 * registerCalibrator('platt-of-my-own', { label: 'Mine', options: [], fit, valid, apply });
 * fitCalibrator('platt-of-my-own', logits, labels, 5);
 *
 * @throws PenumbraError `calibration/registered` where the name is taken
 */
export function registerCalibrator<P, O extends object>(name: string, method: CalibrationMethod<P, O>): void {
  methods.add(name, method as unknown as CalibrationMethod<unknown, object>);
}

registerCalibrator('temperature', temperature);
registerCalibrator('vector', vector);
registerCalibrator('isotonic', isotonic);
registerCalibrator('histogram', histogram);
registerCalibrator('matrix', matrix);
registerCalibrator('dirichlet', dirichlet);

/** A fitted map from logits to calibrated probabilities. `JSON.stringify` writes it, {@link loadCalibrator} reads it. */
export interface Calibrator<N extends string = string> {
  readonly name: N;
  /** K. */
  readonly classes: number;
  readonly parameters: ParametersOf<N>;
  readonly report: CalibratorReport;
  /**
   * Calibrated probabilities.
   *
   * @param logits N×K, row-major, finite.
   * @param out N×K, written to and returned; may be `logits` itself. Default: a new array.
   * @throws PenumbraError `calibration/shape`, `calibration/logits`
   */
  apply(logits: Floats, out?: Float32Array): Float32Array;
  toJSON(): SavedCalibrator<N>;
}

/** What a calibrator's file holds. */
export interface SavedCalibrator<N extends string = string> {
  readonly version: 1;
  readonly name: N;
  readonly classes: number;
  readonly parameters: ParametersOf<N>;
  readonly report: CalibratorReport;
}

/** `temperature` → Temperature scaling. */
export function calibratorLabel(name: string): string {
  return methods.get(name).label;
}

/**
 * Fits a calibrator on the logits and labels of samples that are not the ones to be judged: the validation split.
 *
 * @param logits N×K, row-major, finite. From probabilities: {@link logitsOf}.
 * @param labels N classes in [0, K).
 *
 * @example
 * const logits = Float32Array.of(4, 0, 0, 4, 4, 0, 0, 4);
 * const calibrator = fitCalibrator('temperature', logits, [0, 1, 1, 1], 2);
 * calibrator.apply(Float32Array.of(4, 0))[0].toFixed(4); // '0.7500'
 *
 * @throws PenumbraError `calibration/unknown`, `calibration/option`, `calibration/empty`, `calibration/shape`,
 *   `calibration/logits`, `calibration/label`
 */
export function fitCalibrator<N extends string>(
  name: N,
  logits: Floats,
  labels: ArrayLike<number>,
  classes: number,
  options: OptionsOf<N> = {} as OptionsOf<N>,
): Calibrator<N> {
  const method = methods.get(name);
  checkNames(name, options, method.options);
  const set = fitSet(logits, labels, classes);
  const { parameters, report } = method.fit(set, options);
  return calibrator(name, classes, parameters as ParametersOf<N>, {
    samples: labels.length,
    nllBefore: meanNll(set, (part, out) => softmax(part, classes, 1, out)),
    nllAfter: meanNll(set, (part, out) => method.apply(parameters, part, classes, out)),
    ...report,
  });
}

/**
 * A calibrator from its parsed JSON.
 * @throws PenumbraError `calibration/file` where it is not one.
 */
export function loadCalibrator(json: unknown): Calibrator {
  const saved = json as Partial<SavedCalibrator> | null;
  const fail = (what: string): never => {
    throw new PenumbraError('calibration/file', `This is not a fitted calibrator: ${what}.`, {
      hint: 'Give what JSON.stringify made of a calibrator.',
    });
  };
  if (typeof saved !== 'object' || saved === null) return fail('it is not an object');
  const { version, name, classes, parameters, report } = saved;
  if (version !== 1) return fail(`its version is ${JSON.stringify(version)}, not 1`);
  const method = methods.find(name);
  if (method === undefined) {
    return fail(`its name is ${JSON.stringify(name)}, not one of ${calibratorNames.join(', ')}`);
  }
  if (!Number.isInteger(classes) || classes! < 2) return fail(`classes is ${JSON.stringify(classes)}`);
  if (!method.valid(parameters, classes!)) return fail(`wrong parameters for ${name}`);
  if (typeof report !== 'object' || report === null) return fail('its report is missing');
  return calibrator(name!, classes!, parameters, report);
}

function calibrator<N extends string>(
  name: N,
  classes: number,
  parameters: ParametersOf<N>,
  report: CalibratorReport,
): Calibrator<N> {
  const saved = { version: 1, name, classes, parameters, report } as const;
  return {
    name,
    classes,
    parameters,
    report,
    apply(logits, out = new Float32Array(logits.length)) {
      checkLogits(logits, classes);
      if (out.length !== logits.length) {
        throw new PenumbraError('calibration/shape', `out has ${out.length} numbers, not ${logits.length}.`);
      }
      methods.get(name).apply(parameters, logits, classes, out);
      return out;
    },
    toJSON: () => saved,
  };
}

/** Mean of −ln max(p_y, 2⁻¹²⁶) in parts, so that the whole set's probabilities are never in memory. */
function meanNll(set: FitSet, apply: (part: Floats, out: Float32Array) => void): number {
  const { logits, labels, classes } = set;
  const rows = 4096;
  const out = new Float32Array(rows * classes);
  let sum = 0;
  for (let from = 0; from < labels.length; from += rows) {
    const to = Math.min(from + rows, labels.length);
    const probabilities = out.subarray(0, (to - from) * classes);
    apply(logits.subarray(from * classes, to * classes), probabilities);
    const part = Int32Array.from({ length: to - from }, (_, i) => labels[from + i]!);
    for (const loss of sampleNll({ probabilities, labels: part, classes })) sum += loss;
  }
  return sum / labels.length;
}

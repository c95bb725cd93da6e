import { PenumbraError } from '../errors.ts';
import type { Floats } from '../metrics/index.ts';

/** What a calibrator is fitted on: the validation split, never the one that is judged. */
export interface FitSet {
  /** N×K, row-major, finite. */
  readonly logits: Floats;
  /** N true classes in [0, K). */
  readonly labels: ArrayLike<number>;
  /** K, at least 2. */
  readonly classes: number;
  /** How many samples each class has. */
  readonly support: Int32Array;
}

/** How the fit went. Plain data. */
export interface CalibratorReport {
  /** How many samples it was fitted on. */
  readonly samples: number;
  /** Negative log-likelihood of the fit set in nats, of softmax(logits) and of the calibrated probabilities. */
  readonly nllBefore: number;
  readonly nllAfter: number;
  /** What a reader of the figures must know: a bound that was hit, classes that could not be fitted … */
  readonly warnings: readonly string[];
  /** Of iterative fits only. */
  readonly iterations?: number;
  readonly converged?: boolean;
  /** `temperature` only: the bound at which T stopped. */
  readonly atBound?: 'min' | 'max' | null;
}

/** What a method's fit gives back; the likelihoods are worked out for all methods alike. */
export interface Fitted<P> {
  readonly parameters: P;
  readonly report: Omit<CalibratorReport, 'samples' | 'nllBefore' | 'nllAfter'>;
}

/** One method, as the registry holds it. */
export interface CalibrationMethod<P, O> {
  /** For people. */
  readonly label: string;
  /** Names of the options of `fit`. */
  readonly options: readonly (keyof O & string)[];
  fit(set: FitSet, options: O): Fitted<P>;
  /** Whether parsed JSON is parameters for `classes` classes. */
  valid(parameters: unknown, classes: number): parameters is P;
  /** Writes N×K probabilities to `out`, which may be `logits` itself. */
  apply(parameters: P, logits: Floats, classes: number, out: Float32Array): void;
}

/**
 * Checks a fit set.
 * @throws PenumbraError `calibration/empty`, `calibration/shape`, `calibration/logits`, `calibration/label`
 */
export function fitSet(logits: Floats, labels: ArrayLike<number>, classes: number): FitSet {
  if (labels.length === 0) {
    throw new PenumbraError('calibration/empty', 'There are no samples to fit a calibrator on.', {
      hint: 'Give the validation split; a calibrator must not be fitted on the samples that are judged.',
    });
  }
  checkLogits(logits, classes);
  if (logits.length !== labels.length * classes) {
    throw new PenumbraError(
      'calibration/shape',
      `Got ${logits.length} logits, expected ${labels.length * classes} for ${labels.length} samples and ${classes} classes.`,
      { hint: 'Logits are N×K row-major, labels N.' },
    );
  }
  const support = new Int32Array(classes);
  for (let i = 0; i < labels.length; i++) {
    const y = labels[i]!;
    if (!Number.isInteger(y) || y < 0 || y >= classes) {
      throw new PenumbraError(
        'calibration/label',
        `Row ${i}: label ${y} is not a class in [0, ${classes}).`,
        {
          hint: 'Labels are class indices from 0.',
          where: { row: i },
        },
      );
    }
    support[y]!++;
  }
  return { logits, labels, classes, support };
}

/**
 * Checks that logits are finite rows of K.
 * @throws PenumbraError `calibration/shape`, `calibration/logits`
 */
export function checkLogits(logits: Floats, classes: number): void {
  if (!Number.isInteger(classes) || classes < 2 || logits.length % classes !== 0) {
    throw new PenumbraError(
      'calibration/shape',
      `${logits.length} logits are not rows of ${classes} classes.`,
      { hint: 'Logits are N×K row-major with K of at least 2, the K that the calibrator was fitted for.' },
    );
  }
  // 0·x is NaN for NaN and ±∞, and so is every sum with it.
  let zeros = 0;
  for (let i = 0; i < logits.length; i++) zeros += 0 * logits[i]!;
  if (zeros === 0) return;
  const first = logits.findIndex((v: number) => !Number.isFinite(v));
  const [row, k] = [Math.floor(first / classes), first % classes];
  throw new PenumbraError(
    'calibration/logits',
    `Row ${row}, class ${k}: logit ${logits[first]} is not finite.`,
    {
      hint: 'Training diverged, or these are logarithms of zero probabilities: logitsOf() clamps them.',
      where: { row, class: k },
    },
  );
}

/** A warning about the classes without samples in the fit set, if there are any. */
export function absentWarning(support: Int32Array, instead: string): string[] {
  const absent: number[] = [];
  support.forEach((count, k) => {
    if (count === 0) absent.push(k);
  });
  if (absent.length === 0) return [];
  const named = `${absent.slice(0, 10).join(', ')}${absent.length > 10 ? ', …' : ''}`;
  return [
    `${absent.length} of ${support.length} classes have no sample in the fit set (${named}): ${instead}.`,
  ];
}

export function isNumbers(values: unknown, length?: number): values is number[] {
  return (
    Array.isArray(values) &&
    (length === undefined || values.length === length) &&
    values.every((v) => typeof v === 'number' && Number.isFinite(v))
  );
}

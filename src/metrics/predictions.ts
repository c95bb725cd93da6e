import { PenumbraError } from '../errors.ts';

/** Numbers of either precision. The precision matters: a bin edge is rounded to the precision of what it sorts. */
export type Floats = Float32Array | Float64Array;

/**
 * What a classifier said of N samples, and what they are.
 *
 * Build it with {@link predictions}, which checks everything. The metrics themselves check shapes only.
 */
export interface Predictions {
  /** N×K, row-major: `probabilities[i * classes + k]` = p(class k | sample i). In [0, 1], rows sum to 1. */
  readonly probabilities: Floats;
  /** N true classes in [0, K). */
  readonly labels: Int32Array;
  /** K, at least 2. */
  readonly classes: number;
}

export interface PredictionsOptions {
  /** K. Default: the row length, or for a flat array its length over the number of labels. */
  readonly classes?: number;
  /**
   * How far a row's sum may be from 1, at most 0.01. Default 1e-3, which lets rounded CSV and fp32 softmax pass but not
   * logits.
   */
  readonly tolerance?: number;
}

/** The greatest tolerance that can be asked for: what may lie above 1 and still count as a rounded probability. */
export const MAX_TOLERANCE = 0.01;

/**
 * Checked predictions from a flat N×K array or from rows. A typed array is used as it is, not copied, and never
 * renormalised.
 *
 * @example
 * const p = predictions([[0.7, 0.2, 0.1], [0.3, 0.4, 0.3]], [0, 2]);
 * p.classes; // 3
 *
 * @throws PenumbraError `metrics/shape`, `metrics/empty`, `metrics/probability`, `metrics/row-sum`, `metrics/label`,
 *   each with the row (and class) where the first fault is.
 */
export function predictions(
  probabilities: Floats | readonly ArrayLike<number>[],
  labels: ArrayLike<number>,
  options: PredictionsOptions = {},
): Predictions {
  const n = labels.length;
  if (n === 0) {
    throw new PenumbraError('metrics/empty', 'There are no samples to measure.', {
      hint: 'Check that the split is not empty.',
    });
  }
  const classes =
    options.classes ?? (isFloats(probabilities) ? probabilities.length / n : (probabilities[0]?.length ?? 0));
  const flat = isFloats(probabilities) ? probabilities : flatten(probabilities, n, classes);
  const checkedLabels = labels instanceof Int32Array ? labels : toLabels(labels);
  const result: Predictions = { probabilities: flat, labels: checkedLabels, classes };
  checkShape(result);
  checkLabels(checkedLabels, classes);
  checkDistributions(flat, n, classes, options.tolerance ?? 1e-3);
  return result;
}

/**
 * Checks that the arrays of `p` fit together and that there is at least one sample: O(1).
 * @throws PenumbraError `metrics/shape` or `metrics/empty`.
 */
export function checkShape(p: Predictions): void {
  if (!Number.isInteger(p.classes) || p.classes < 2) {
    throw new PenumbraError(
      'metrics/shape',
      `The number of classes must be a whole number of at least 2, got ${p.classes}.`,
      { hint: 'Give one probability for each class; for one finding give 1 − p and p.' },
    );
  }
  if (p.labels.length === 0) {
    throw new PenumbraError('metrics/empty', 'There are no samples to measure.', {
      hint: 'Check that the split is not empty.',
    });
  }
  checkLength(
    'probabilities',
    p.probabilities.length,
    p.labels.length * p.classes,
    p.labels.length,
    p.classes,
  );
}

/**
 * Checks N×K distributions: every entry finite and in [0, 1] (up to `tolerance`), every row summing to 1 ± `tolerance`.
 * @throws PenumbraError `metrics/shape`, `metrics/probability` or `metrics/row-sum`.
 */
export function checkDistributions(values: Floats, n: number, classes: number, tolerance = 1e-3): void {
  checkLength('probabilities', values.length, n * classes, n, classes);
  if (!(tolerance >= 0 && tolerance <= MAX_TOLERANCE)) {
    throw new PenumbraError(
      'metrics/option',
      `tolerance must be from 0 to ${MAX_TOLERANCE}, got ${tolerance}.`,
      {
        where: { option: 'tolerance' },
      },
    );
  }
  for (let i = 0, at = 0; i < n; i++) {
    let sum = 0;
    for (let k = 0; k < classes; k++, at++) {
      const v = values[at]!;
      // Written so that NaN fails too.
      if (!(v >= 0 && v <= 1 + tolerance)) {
        throw new PenumbraError(
          'metrics/probability',
          `Row ${i}, class ${k}: ${v} is not a probability in [0, 1].`,
          {
            hint: 'Give softmax outputs, not logits; a NaN here means that training diverged.',
            where: { row: i, class: k },
          },
        );
      }
      sum += v;
    }
    if (Math.abs(sum - 1) > tolerance) {
      throw new PenumbraError(
        'metrics/row-sum',
        `Row ${i} sums to ${sum}; it must sum to 1 within ${tolerance}.`,
        {
          hint: 'Give one full distribution for each sample.',
          where: { row: i },
        },
      );
    }
  }
}

/** The first class with the greatest probability (as `torch.argmax` on the CPU) and that probability, for each sample. */
export interface TopLabels {
  readonly predicted: Int32Array;
  /** In the precision of the input. */
  readonly confidence: Floats;
  /** 1 where predicted = label. */
  readonly correct: Uint8Array;
}

/** ŷ_i = argmax_k p_ik (the lowest class wins a tie), its probability, and whether it is the label. */
export function topLabels(p: Predictions): TopLabels {
  checkShape(p);
  const { probabilities, labels, classes } = p;
  const n = labels.length;
  const predicted = new Int32Array(n);
  const confidence = floatsLike(probabilities, n);
  const correct = new Uint8Array(n);
  for (let i = 0, at = 0; i < n; i++) {
    let best = 0;
    let most = probabilities[at]!;
    for (let k = 1; k < classes; k++) {
      const v = probabilities[at + k]!;
      if (v > most) {
        most = v;
        best = k;
      }
    }
    predicted[i] = best;
    confidence[i] = most;
    correct[i] = best === labels[i] ? 1 : 0;
    at += classes;
  }
  return { predicted, confidence, correct };
}

/** A new array of n zeros in the precision of `example`. */
export function floatsLike(example: Floats, n: number): Floats {
  return example instanceof Float32Array ? new Float32Array(n) : new Float64Array(n);
}

/** The arithmetic mean, summed in order. NaN for none. */
export function mean(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]!;
  return sum / values.length;
}

function isFloats(x: Floats | readonly ArrayLike<number>[]): x is Floats {
  return x instanceof Float32Array || x instanceof Float64Array;
}

function flatten(rows: readonly ArrayLike<number>[], n: number, classes: number): Float64Array {
  if (rows.length !== n) checkLength('rows of probabilities', rows.length, n, n, classes);
  const flat = new Float64Array(n * classes);
  for (let i = 0; i < n; i++) {
    if (rows[i]!.length !== classes) {
      throw new PenumbraError(
        'metrics/shape',
        `Row ${i} has ${rows[i]!.length} probabilities; there are ${classes} classes.`,
        { hint: 'Give one probability for each class in every row.', where: { row: i } },
      );
    }
    flat.set(rows[i]!, i * classes);
  }
  return flat;
}

function toLabels(labels: ArrayLike<number>): Int32Array {
  const result = new Int32Array(labels.length);
  for (let i = 0; i < result.length; i++) {
    // Converting first would hide 1.5 and NaN.
    result[i] = Number.isInteger(labels[i]) ? labels[i]! : badLabel(i, labels[i]!, undefined);
  }
  return result;
}

function checkLabels(labels: Int32Array, classes: number): void {
  for (let i = 0; i < labels.length; i++) {
    const y = labels[i]!;
    if (y < 0 || y >= classes) badLabel(i, y, classes);
  }
}

function badLabel(row: number, label: number, classes: number | undefined): never {
  const range = classes === undefined ? 'a whole number' : `in [0, ${classes})`;
  throw new PenumbraError('metrics/label', `Row ${row}: label ${label} is not ${range}.`, {
    hint: 'Labels are class indices from 0.',
    where: { row },
  });
}

function checkLength(what: string, got: number, expected: number, n: number, classes: number): void {
  if (got !== expected) {
    throw new PenumbraError(
      'metrics/shape',
      `Got ${got} ${what}, expected ${expected} for ${n} samples and ${classes} classes.`,
      { hint: 'Probabilities are N×K row-major, labels N.' },
    );
  }
}

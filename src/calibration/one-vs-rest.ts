import type { Floats } from '../metrics/index.ts';
import type { FitSet } from './calibrator.ts';
import { softmax } from './softmax.ts';

/**
 * A map of one class's probability to a calibrated one: between points (`isotonic`) or in bins (`histogram`). `null`
 * leaves it as it is.
 */
export type Curves<C> = readonly (C | null)[];

/** A curve to be evaluated at the fp32 number p in [0, 1] with these bits. */
export type Evaluate = (p: number, bits: number) => number;

/**
 * Fits one curve for each class that has samples, from the softmax probability p_ik (N fp32 numbers) and whether the
 * label is k (N of 0 and 1). The arrays are used again for the next class.
 */
export function fitCurves<C>(
  { logits, labels, classes, support }: FitSet,
  curve: (probability: Float32Array, outcome: Uint8Array) => C,
): Curves<C> {
  const probabilities = softmax(logits, classes);
  const n = labels.length;
  const column = new Float32Array(n);
  const outcome = new Uint8Array(n);
  return Array.from(support, (count, k) => {
    if (count === 0) return null;
    for (let i = 0; i < n; i++) {
      column[i] = probabilities[i * classes + k]!;
      outcome[i] = labels[i] === k ? 1 : 0;
    }
    return curve(column, outcome);
  });
}

/**
 * Maps every softmax probability by its class's curve and divides each row by its sum (Zadrozny and Elkan, "Transforming
 * Classifier Scores into Accurate Multiclass Probability Estimates", KDD 2002, §5). A row in which every class comes
 * out at 0 keeps its softmax: it has no sum to divide by, and this keeps at least the order of its classes.
 */
export function applyCurves(
  curves: readonly (Evaluate | null)[],
  logits: Floats,
  classes: number,
  out: Float32Array,
): void {
  softmax(logits, classes, 1, out);
  const bits = new Uint32Array(out.buffer, out.byteOffset, out.length);
  const row = new Float64Array(classes);
  for (let at = 0; at < out.length; at += classes) {
    let sum = 0;
    for (let k = 0; k < classes; k++) {
      const curve = curves[k]!;
      const p = out[at + k]!;
      const q = curve === null ? p : curve(p, bits[at + k]!);
      row[k] = q;
      sum += q;
    }
    if (sum === 0) continue;
    for (let k = 0; k < classes; k++) out[at + k] = row[k]! / sum;
  }
}

/** Finds a place among sorted numbers, by way of a table over the leading bits of fp32 numbers in [0, 1]. */
export class Places {
  private readonly sorted: Float64Array;
  /** For each upper 12 bits, how many are below the least number with these. */
  private readonly starts: Int32Array;

  constructor(sorted: readonly number[]) {
    this.sorted = Float64Array.from(sorted);
    const keys = Uint32Array.from({ length: (ONE >>> SHIFT) + 2 }, (_, key) => key << SHIFT);
    this.starts = Int32Array.from(new Float32Array(keys.buffer), (v) => this.search(v, 0, sorted.length));
  }

  /**
   * How many of the sorted numbers are below p.
   * @param bits the bits of the fp32 number p, which is in [0, 1].
   */
  below(p: number, bits: number): number {
    const key = bits >>> SHIFT;
    return this.search(p, this.starts[key]!, this.starts[key + 1]!);
  }

  private search(p: number, low: number, high: number): number {
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.sorted[middle]! < p) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** The bits of 1, and how many of the lower bits the table leaves out. */
const ONE = 0x3f800000;
const SHIFT = 20;

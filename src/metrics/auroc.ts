import { PenumbraError } from '../errors.ts';
import { checkShape, type Floats, type Predictions } from './predictions.ts';
import { argsort, radixSort } from './sort.ts';

export interface Auroc {
  /** Mean over the classes where it is defined; `null` where there is none. */
  readonly macro: number | null;
  /** One against the rest for each class; `null` where the class has no sample, or every sample. */
  readonly perClass: readonly (number | null)[];
}

/**
 * Area under the ROC curve, one class against the rest, by ranks with ties (Hanley and McNeil, Radiology 1982): the
 * probability that a sample of the class has a higher p_ik than one of another class, plus half that of a tie,
 * AUROC_k = (1/(n₁n₀)) Σ_{i: y=k} Σ_{j: y≠k} (1[p_ik > p_jk] + ½·1[p_ik = p_jk]).
 *
 * Undefined, never 0.5, where a class is absent. fp32 input takes O(N·K) time and at most 88 bytes of scratch for each sample.
 *
 * @example
 * const { macro, perClass } = auroc(predictions([[0.9, 0.1], [0.6, 0.4], [0.4, 0.6]], [0, 1, 0]));
 * perClass; // [0.5, 0.5]
 * macro; // 0.5
 */
export function auroc(p: Predictions): Auroc {
  checkShape(p);
  const perClass = p.probabilities instanceof Float32Array ? singles(p.probabilities, p) : doubles(p);
  const defined = perClass.filter((a) => a !== null);
  return {
    macro: defined.length === 0 ? null : defined.reduce((a, b) => a + b, 0) / defined.length,
    perClass,
  };
}

/**
 * Area under the ROC curve of one score for one yes/no question (one finding). See {@link auroc}.
 *
 * @param scores N non-negative numbers; only their order counts.
 * @param positive N of 0 and 1.
 * @returns `null` where all samples are of one kind.
 *
 * @example
 * binaryAuroc(Float64Array.of(0.1, 0.4, 0.35, 0.8), [0, 0, 1, 1]); // 0.75
 *
 * @throws PenumbraError `metrics/shape` where the lengths differ, `metrics/probability` for a negative score or NaN.
 */
export function binaryAuroc(scores: Floats, positive: ArrayLike<number>): number | null {
  if (scores.length !== positive.length) {
    throw new PenumbraError('metrics/shape', `Got ${scores.length} scores and ${positive.length} labels.`, {
      hint: 'Give one label for each score.',
    });
  }
  const row = scores.findIndex((s) => !(s >= 0));
  if (row >= 0) {
    throw new PenumbraError(
      'metrics/probability',
      `Row ${row}: ${scores[row]} is not a score of 0 or more.`,
      {
        hint: 'Give probabilities, not logits.',
        where: { row },
      },
    );
  }
  const order = argsort(scores);
  const area = new Area();
  for (let start = 0, end = 0; start < order.length; start = end) {
    const value = scores[order[start]!]!;
    let hits = 0;
    for (; end < order.length && scores[order[end]!]! === value; end++) hits += positive[order[end]!] ? 1 : 0;
    area.add(hits, end - start - hits);
  }
  return area.value();
}

/** The area, built up from groups of equal score in ascending order. */
export class Area {
  private sum = 0;
  private positives = 0;
  private negatives = 0;

  add(positives: number, negatives: number): void {
    this.sum += positives * (this.negatives + negatives / 2);
    this.positives += positives;
    this.negatives += negatives;
  }

  value(): number | null {
    return this.positives === 0 || this.negatives === 0 ? null : this.sum / (this.positives * this.negatives);
  }
}

/** Classes read at a time: 16 fp32 columns are one cache line of each row. */
const COLUMNS = 16;

/** A column's scores, as bits that sort like them, all of them below 2³⁰. */
function singles(probabilities: Float32Array, p: Predictions): (number | null)[] {
  const { labels, classes } = p;
  const n = labels.length;
  const bits = new Uint32Array(probabilities.buffer, probabilities.byteOffset, probabilities.length);
  const width = Math.min(COLUMNS, classes);
  const block = new Uint32Array(width * n);
  const { rows, starts } = rowsOfClasses(labels, classes);
  const most = starts.reduce((max, start, k) => Math.max(max, start - (k === 0 ? 0 : starts[k - 1]!)), 0);
  const positives = new Positives(most);
  const result: (number | null)[] = [];
  for (let first = 0; first < classes; first += width) {
    const last = Math.min(first + width, classes);
    for (let i = 0; i < n; i++) {
      const row = i * classes + first;
      // Without the sign of −0.
      for (let c = 0; c < last - first; c++) block[c * n + i] = bits[row + c]! & 0x7fffffff;
    }
    for (let c = 0; c < last - first; c++) {
      const k = first + c;
      const column = block.subarray(c * n, c * n + n);
      result.push(areaAmong(column, rows.subarray(starts[k]!, starts[k + 1]!), positives));
    }
  }
  return result;
}

/** Row numbers, those of each class in a row: of class k from `starts[k]` to `starts[k + 1]`. */
function rowsOfClasses(labels: ArrayLike<number>, classes: number): { rows: Int32Array; starts: Int32Array } {
  const starts = new Int32Array(classes + 1);
  for (let i = 0; i < labels.length; i++) starts[labels[i]! + 1]!++;
  for (let k = 0; k < classes; k++) starts[k + 1]! += starts[k]!;
  const rows = new Int32Array(labels.length);
  const next = starts.slice();
  for (let i = 0; i < labels.length; i++) rows[next[labels[i]!]!++] = i;
  return { rows, starts };
}

/**
 * Σ over all samples j of the number of positives below s_j, plus half of those equal to it, is found without sorting
 * the negatives, who are nearly all. Positives among themselves make n₁²/2 of it; the rest are the pairs that the area
 * does not count, so that it is 1 − (Σ − n₁²/2)/(n₁n₀).
 */
function areaAmong(column: Uint32Array, rows: Int32Array, positives: Positives): number | null {
  const ones = rows.length;
  const zeros = column.length - ones;
  if (ones === 0 || zeros === 0) return null;
  positives.set(column, rows);
  const twiceBelow = positives.twiceBelow(column) - ones * ones;
  return (2 * ones * zeros - twiceBelow) / 2 / (ones * zeros);
}

/** Bits below those that choose the part of the table: 65,536 parts stay in the second cache. */
const SHIFT = 14;

/** The scores of one class's samples, sorted, with a table of where each range of scores begins. */
class Positives {
  private readonly keys: Uint32Array;
  private readonly spare: Uint32Array;
  /** Each score once, ascending. */
  private readonly values: Uint32Array;
  /** How many are below the u-th score; behind the last one, how many there are. */
  private readonly below: Float64Array;
  /** The first score of each range of bits, or of a later one. */
  private readonly first = new Int32Array((1 << (30 - SHIFT)) + 1);

  constructor(most: number) {
    this.keys = new Uint32Array(most);
    this.spare = new Uint32Array(most);
    this.values = new Uint32Array(most);
    this.below = new Float64Array(most + 1);
  }

  set(column: Uint32Array, rows: Int32Array): void {
    const { values, below, first } = this;
    const count = rows.length;
    const keys = this.keys.subarray(0, count);
    for (let i = 0; i < count; i++) keys[i] = column[rows[i]!]!;
    const sorted = radixSort(keys, this.spare.subarray(0, count));
    let distinct = 0;
    let range = 0;
    for (let i = 0; i < count; i++) {
      const key = sorted[i]!;
      if (i > 0 && key === sorted[i - 1]) continue;
      for (; range <= key >>> SHIFT; range++) first[range] = distinct;
      values[distinct] = key;
      below[distinct++] = i;
    }
    first.fill(distinct, range);
    below[distinct] = count;
  }

  /** Σ_j 2·(number below s_j) + (number equal to it): whole numbers, and exact below 2⁵³. */
  twiceBelow(column: Uint32Array): number {
    const { values, below, first } = this;
    let sum = 0;
    for (let j = 0; j < column.length; j++) {
      const key = column[j]!;
      const range = key >>> SHIFT;
      let at = first[range]!;
      const end = first[range + 1]!;
      // Keys are below 2³⁰: the sign of a difference is a comparison without a branch, which would be guessed wrong.
      for (let length = end - at; length > 1; ) {
        const half = length >>> 1;
        at += half & -((values[at + half - 1]! - key) >>> 31);
        length -= half;
      }
      if (at < end) at += (values[at]! - key) >>> 31;
      sum += below[at]! + below[at < end && values[at] === key ? at + 1 : at]!;
    }
    return sum;
  }
}

function doubles(p: Predictions): (number | null)[] {
  const { probabilities, labels, classes } = p;
  const n = labels.length;
  const column = new Float64Array(n);
  const positive = new Uint8Array(n);
  return Array.from({ length: classes }, (_, k) => {
    for (let i = 0; i < n; i++) {
      column[i] = probabilities[i * classes + k]!;
      positive[i] = labels[i] === k ? 1 : 0;
    }
    return binaryAuroc(column, positive);
  });
}

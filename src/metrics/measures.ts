import {
  assignBins,
  type BinOptions,
  type Cut,
  classwiseFromGaps,
  equalWidth,
  middleBin,
} from './calibration.ts';
import { checkShape, type Floats, type Predictions, topLabels } from './predictions.ts';
import { argsort } from './sort.ts';

/**
 * A figure as a function of how often each of the N samples counts: what the bootstrap resamples. All that does not
 * depend on the counts is worked out once, when the measure is made. With all counts 1 it is the plain figure; with
 * other counts it is the figure of the samples repeated that often. NaN where it is undefined.
 */
export type Measure = (counts: Int32Array) => number;

/** The mean of a number that each sample has: accuracy from hits, NLL, Brier, confidence gap … */
export function meanMeasure(values: ArrayLike<number>): Measure {
  const own = Float64Array.from(values);
  return (counts) => {
    let sum = 0;
    let total = 0;
    for (let i = 0; i < own.length; i++) {
      sum += counts[i]! * own[i]!;
      total += counts[i]!;
    }
    return sum / total;
  };
}

/** {@link balancedAccuracy}: the mean recall over the classes that were drawn. */
export function balancedAccuracyMeasure(p: Predictions): Measure {
  const { correct } = topLabels(p);
  const { labels, classes } = p;
  const hits = new Float64Array(classes);
  const support = new Float64Array(classes);
  return (counts) => {
    hits.fill(0);
    support.fill(0);
    for (let i = 0; i < labels.length; i++) {
      const y = labels[i]!;
      support[y] = support[y]! + counts[i]!;
      hits[y] = hits[y]! + counts[i]! * correct[i]!;
    }
    let sum = 0;
    let present = 0;
    for (let k = 0; k < classes; k++) {
      if (support[k] === 0) continue;
      sum += hits[k]! / support[k]!;
      present++;
    }
    return sum / present;
  };
}

/** {@link calibrationError} (`l1` or `max`) over equal-width bins of any confidence against any outcome. */
export function calibrationMeasure(
  confidence: Floats,
  outcome: ArrayLike<number>,
  options: BinOptions = {},
  norm: 'l1' | 'max' = 'l1',
): Measure {
  const cut = equalWidth(options, confidence);
  const bin = assignBins(confidence, cut);
  const gap = gapsOf(confidence, outcome);
  const gaps = new Float64Array(cut.size);
  const weights = new Float64Array(cut.size);
  return (counts) => {
    gaps.fill(0);
    weights.fill(0);
    for (let i = 0; i < bin.length; i++) {
      const b = bin[i]!;
      gaps[b] = gaps[b]! + counts[i]! * gap[i]!;
      weights[b] = weights[b]! + counts[i]!;
    }
    return errorOfGaps(gaps, weights, norm);
  };
}

/** Calibration error over equal-mass bins; the bins are made anew from what was drawn. */
export function equalMassMeasure(
  confidence: Floats,
  outcome: ArrayLike<number>,
  options: Pick<BinOptions, 'bins'> = {},
): Measure {
  const { bins: size } = equalWidth(options, confidence); // Checks the number.
  const n = confidence.length;
  const order = argsort(confidence);
  const gap = gapsOf(confidence, outcome);
  const sortedGap = Float64Array.from(order, (i) => gap[i]!);
  const tied = new Uint8Array(n); // 1 where the next in order has the same confidence.
  for (let t = 0; t + 1 < n; t++) tied[t] = confidence[order[t]!] === confidence[order[t + 1]!] ? 1 : 0;
  const gaps = new Float64Array(size);
  const weights = new Float64Array(size);
  return (counts) => {
    gaps.fill(0);
    weights.fill(0);
    let total = 0;
    for (let i = 0; i < n; i++) total += counts[i]!;
    let before = 0;
    let sum = 0;
    let count = 0;
    for (let t = 0; t < n; t++) {
      const c = counts[order[t]!]!;
      sum += c * sortedGap[t]!;
      count += c;
      if (tied[t] === 1 || count === 0) continue;
      const b = middleBin(before, count, total, size);
      gaps[b] = gaps[b]! + sum;
      weights[b] = weights[b]! + count;
      before += count;
      sum = count = 0;
    }
    return errorOfGaps(gaps, weights, 'l1');
  };
}

/** {@link classwiseEce}. N·K work for each call. */
export function classwiseMeasure(p: Predictions, options: BinOptions = {}): Measure {
  checkShape(p);
  const { probabilities, labels, classes } = p;
  const cut: Cut = equalWidth(options, probabilities);
  const bin = assignBins(probabilities, cut);
  const gaps = new Float64Array(classes * cut.size);
  return (counts) => {
    gaps.fill(0);
    let total = 0;
    for (let i = 0, at = 0; i < labels.length; i++) {
      const c = counts[i]!;
      if (c === 0) {
        at += classes;
        continue;
      }
      total += c;
      for (let base = 0; base < gaps.length; base += cut.size, at++) {
        const b = base + bin[at]!;
        gaps[b] = gaps[b]! + c * probabilities[at]!;
      }
      const own = labels[i]! * cut.size + bin[i * classes + labels[i]!]!;
      gaps[own] = gaps[own]! - c;
    }
    return classwiseFromGaps(gaps, classes, total).ece;
  };
}

/** Macro {@link auroc} over the classes that were drawn. N·K memory (4 bytes each) and N·K work for each call. */
export function aurocMeasure(p: Predictions): Measure {
  checkShape(p);
  const { probabilities, labels, classes } = p;
  const n = labels.length;
  const support = new Int32Array(classes);
  for (let i = 0; i < n; i++) support[labels[i]!]!++;
  const columns: Int32Array[] = [];
  const column = probabilities instanceof Float32Array ? new Float32Array(n) : new Float64Array(n);
  for (let k = 0; k < classes; k++) {
    if (support[k] === 0 || support[k] === n) continue; // No resample defines it either.
    for (let i = 0; i < n; i++) column[i] = probabilities[i * classes + k]!;
    // Ascending; each entry is index·4 + (is it of the class?)·2 + (does its group of ties end here?).
    const codes = argsort(column);
    for (let t = 0; t < n; t++) {
      const i = codes[t]!;
      const ends = t + 1 === n || column[codes[t + 1]!] !== column[i] ? 1 : 0;
      codes[t] = i * 4 + (labels[i] === k ? 2 : 0) + ends;
    }
    columns.push(codes);
  }
  return (counts) => {
    let sum = 0;
    let defined = 0;
    for (const codes of columns) {
      const area = weightedArea(codes, counts);
      if (Number.isNaN(area)) continue;
      sum += area;
      defined++;
    }
    return sum / defined;
  };
}

function weightedArea(codes: Int32Array, counts: Int32Array): number {
  let area = 0;
  let positives = 0;
  let negatives = 0;
  let tiedPositives = 0;
  let tiedNegatives = 0;
  for (let t = 0; t < codes.length; t++) {
    const code = codes[t]!;
    const c = counts[code >> 2]!;
    if ((code & 2) !== 0) tiedPositives += c;
    else tiedNegatives += c;
    if ((code & 1) !== 0) {
      area += tiedPositives * (negatives + tiedNegatives / 2);
      positives += tiedPositives;
      negatives += tiedNegatives;
      tiedPositives = tiedNegatives = 0;
    }
  }
  return area / (positives * negatives); // 0/0 = NaN where one kind was not drawn.
}

function gapsOf(confidence: Floats, outcome: ArrayLike<number>): Float64Array {
  const gap = new Float64Array(confidence.length);
  for (let i = 0; i < gap.length; i++) gap[i] = confidence[i]! - outcome[i]!;
  return gap;
}

function errorOfGaps(gaps: Float64Array, weights: Float64Array, norm: 'l1' | 'max'): number {
  let sum = 0;
  let total = 0;
  let most = 0;
  for (let b = 0; b < gaps.length; b++) {
    if (weights[b] === 0) continue;
    const size = Math.abs(gaps[b]!);
    sum += size;
    total += weights[b]!;
    most = Math.max(most, size / weights[b]!);
  }
  return norm === 'max' ? most : sum / total;
}

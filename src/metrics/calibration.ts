import { PenumbraError } from '../errors.ts';
import {
  checkShape,
  type Floats,
  floatsLike,
  MAX_TOLERANCE,
  type Predictions,
  topLabels,
} from './predictions.ts';
import { argsort } from './sort.ts';

/**
 * How [0, 1] is cut into B bins of equal width.
 *
 * - `right-closed`: the published definition, B_1 = [0, 1/B], B_b = ((b−1)/B, b/B] (Guo et al., ICML 2017, §2). A
 *   confidence of exactly 1 is in the last bin.
 * - `torchmetrics`: what torchmetrics 1.9 does: [(b−1)/B, b/B), confidences and edges in fp32, and a bin of its own,
 *   number B+1, for exactly 1. The two differ only for confidences that are exactly on an edge, which in practice
 *   means 1 (common in saturated networks). Use it to reproduce torchmetrics to the last digit.
 */
export type Edges = 'right-closed' | 'torchmetrics';

export interface BinOptions {
  /** B, from 1 to 65,535. Default 15. */
  readonly bins?: number;
  /** Default `right-closed`. */
  readonly edges?: Edges;
}

/** One bin of a reliability diagram. The three figures of an empty bin are `null`. */
export interface ReliabilityBin {
  /** Lower and upper edge, in [0, 1]. */
  readonly lower: number;
  readonly upper: number;
  /** How many samples it holds. */
  readonly count: number;
  /** Mean confidence. */
  readonly confidence: number | null;
  /** Mean outcome: the share that was right (or, against a known truth, the mean true probability). */
  readonly accuracy: number | null;
  /** confidence − accuracy: above 0 is over-confident. */
  readonly gap: number | null;
}

/**
 * Bins of equal width of any confidences against any outcomes: the ground under every calibration figure here. For
 * one finding give its probability and 0/1.
 *
 * @param confidence N numbers in [0, 1].
 * @param outcome N numbers in [0, 1]: whether it happened, or how probable it truly was.
 * @returns B bins in order (B+1 under `torchmetrics`), the empty ones too.
 *
 * @example
 * const bins = reliability(Float64Array.of(0.9, 0.8, 0.3), [1, 0, 0], { bins: 2 });
 * bins[1].count; // 2
 * bins[1].accuracy; // 0.5
 */
export function reliability(
  confidence: Floats,
  outcome: ArrayLike<number>,
  options: BinOptions = {},
): ReliabilityBin[] {
  checkPair(confidence, outcome);
  const cut = equalWidth(options, confidence);
  const sums = new BinSums(cut.size);
  sums.add(assignBins(confidence, cut), confidence, outcome);
  return sums.bins(cut.edges);
}

/**
 * Bins of equal mass: sorted by confidence, sample i of N is in bin ⌊B·i/N⌋ (Nguyen and O'Connor, EMNLP 2015; the
 * adaptive bins of Nixon et al., CVPR-W 2019). Equal confidences stay together, in the bin of their middle rank, so
 * that the result does not depend on the order of samples; heavy ties can leave bins empty. An edge is half-way
 * between its neighbours.
 *
 * @example
 * reliabilityEqualMass(Float64Array.of(0.9, 0.8, 0.3, 0.95), [1, 0, 0, 1], { bins: 2 }).map((b) => b.count); // [2, 2]
 */
export function reliabilityEqualMass(
  confidence: Floats,
  outcome: ArrayLike<number>,
  options: Pick<BinOptions, 'bins'> = {},
): ReliabilityBin[] {
  checkPair(confidence, outcome);
  const size = binCount(options.bins);
  const n = confidence.length;
  const order = argsort(confidence);
  const bin = new Uint16Array(n);
  const edges = new Float64Array(size + 1).fill(1);
  edges[0] = 0;
  let last = -1; // The latest bin with a sample.
  for (let start = 0, end = 0; start < n; start = end) {
    const value = confidence[order[start]!]!;
    while (end < n && confidence[order[end]!]! === value) end++;
    const b = middleBin(start, end - start, n, size);
    if (b > last) {
      // The empty bins between have no width.
      const edge = last < 0 ? 0 : (confidence[order[start - 1]!]! + value) / 2;
      edges.fill(edge, last + 1, b + 1);
      last = b;
    }
    for (let i = start; i < end; i++) bin[order[i]!] = b;
  }
  const sums = new BinSums(size);
  sums.add(bin, confidence, outcome);
  return sums.bins(edges);
}

/** The bin of tied samples that stand at [start, start + count) of `total` in sorted order. */
export function middleBin(start: number, count: number, total: number, size: number): number {
  return Math.floor((size * (start + (count - 1) / 2)) / total);
}

/**
 * The calibration error of bins. `l1`: expected calibration error, Σ_b (n_b/N)·|acc(b) − conf(b)|; `l2`: its root mean
 * square, √Σ_b (n_b/N)·(acc(b) − conf(b))²; `max`: maximum calibration error, max_b |acc(b) − conf(b)| over the bins
 * that hold a sample. (Naeini et al., AAAI 2015; Guo et al., ICML 2017.)
 *
 * @returns a number in [0, 1].
 */
export function calibrationError(bins: readonly ReliabilityBin[], norm: 'l1' | 'l2' | 'max' = 'l1'): number {
  let total = 0;
  let sum = 0;
  let most = 0;
  for (const { count, gap } of bins) {
    if (gap === null) continue;
    total += count;
    sum += count * (norm === 'l2' ? gap * gap : Math.abs(gap));
    most = Math.max(most, Math.abs(gap));
  }
  return norm === 'max' ? most : norm === 'l2' ? Math.sqrt(sum / total) : sum / total;
}

/** Equal-width reliability bins of the top-1 confidence max_k p_ik against being right. */
export function reliabilityBins(p: Predictions, options: BinOptions = {}): ReliabilityBin[] {
  const { confidence, correct } = topLabels(p);
  return reliability(confidence, correct, options);
}

/** Equal-mass reliability bins of the top-1 confidence max_k p_ik against being right. */
export function equalMassBins(p: Predictions, options: Pick<BinOptions, 'bins'> = {}): ReliabilityBin[] {
  const { confidence, correct } = topLabels(p);
  return reliabilityEqualMass(confidence, correct, options);
}

/**
 * Expected calibration error of the top-1 confidence over bins of equal width, in [0, 1]. See {@link calibrationError}
 * for the formula and {@link Edges} for the bins.
 *
 * @example
 * ece(predictions([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]], [0, 1, 0]), { bins: 2 }).toFixed(6); // '0.133333'
 */
export function ece(p: Predictions, options: BinOptions = {}): number {
  return calibrationError(reliabilityBins(p, options));
}

/** Expected calibration error over bins of equal mass, in [0, 1]. See {@link reliabilityEqualMass}. */
export function eceEqualMass(p: Predictions, options: Pick<BinOptions, 'bins'> = {}): number {
  return calibrationError(equalMassBins(p, options));
}

/** Maximum calibration error: the greatest |gap| of a bin that holds a sample. Noisy where a bin holds few. */
export function mce(p: Predictions, options: BinOptions = {}): number {
  return calibrationError(reliabilityBins(p, options), 'max');
}

/**
 * Signed confidence gap, (1/N) Σ (max_k p_ik − 1[right]), in [−1, 1]: above 0 the classifier is over-confident, below 0
 * under-confident.
 *
 * @example
 * confidenceGap(predictions([[0.9, 0.1], [0.2, 0.8]], [0, 0])).toFixed(2); // '0.35'
 */
export function confidenceGap(p: Predictions): number {
  const { confidence, correct } = topLabels(p);
  let sum = 0;
  for (let i = 0; i < confidence.length; i++) sum += confidence[i]! - correct[i]!;
  return sum / confidence.length;
}

export interface ClasswiseCalibration {
  /** Mean over all K classes, in [0, 1]. */
  readonly ece: number;
  /** For each class, absent ones too: whatever probability they get is error. */
  readonly perClass: readonly number[];
}

/**
 * Class-wise (static) calibration error: for each class k, the expected calibration error of p_ik against 1[y_i = k]
 * over bins of equal width, and its mean over classes, (1/K) Σ_k Σ_b (n_bk/N)·|freq(b,k) − conf(b,k)| (Kull et al.,
 * NeurIPS 2019, §2; Nixon et al., CVPR-W 2019, §3).
 *
 * @example
 * classwiseEce(predictions([[0.9, 0.1], [0.2, 0.8]], [0, 1]), { bins: 2 }).perClass.map((x) => x.toFixed(2)); // ['0.15', '0.15']
 */
export function classwiseEce(p: Predictions, options: BinOptions = {}): ClasswiseCalibration {
  const sums = new ClasswiseSums(p.classes, options);
  sums.add(p);
  return sums.result();
}

/** The bins of one class: p_ik against 1[y_i = k]. */
export function classBins(p: Predictions, k: number, options: BinOptions = {}): ReliabilityBin[] {
  checkShape(p);
  if (!Number.isInteger(k) || k < 0 || k >= p.classes) {
    throw new PenumbraError('metrics/option', `There is no class ${k}; there are ${p.classes}.`, {
      where: { option: 'k' },
    });
  }
  const n = p.labels.length;
  const column = floatsLike(p.probabilities, n);
  const outcome = new Uint8Array(n);
  for (let i = 0; i < n; i++) {
    column[i] = p.probabilities[i * p.classes + k]!;
    outcome[i] = p.labels[i] === k ? 1 : 0;
  }
  return reliability(column, outcome, options);
}

/** Σ (confidence − outcome) of each class and bin: what {@link classwiseEce} needs, and all that it needs. */
export class ClasswiseSums {
  readonly classes: number;
  private readonly options: BinOptions;
  private gaps = new Float64Array(0);
  private cut: Cut | undefined;
  private n = 0;

  constructor(classes: number, options: BinOptions = {}) {
    this.classes = classes;
    this.options = options;
    binCount(options.bins);
  }

  add(p: Predictions): void {
    checkShape(p);
    this.cut ??= equalWidth(this.options, p.probabilities);
    const { size } = this.cut;
    if (this.gaps.length === 0) this.gaps = new Float64Array(size * this.classes);
    addClasswise(this.gaps, this.cut, p.probabilities, p.labels, p.classes);
    this.n += p.labels.length;
  }

  result(): ClasswiseCalibration {
    return classwiseFromGaps(this.gaps, this.classes, this.n);
  }
}

/** Class-wise error from K×bins sums of (confidence − outcome), weighing `total` samples. */
export function classwiseFromGaps(gaps: Float64Array, classes: number, total: number): ClasswiseCalibration {
  const size = gaps.length / classes;
  const perClass: number[] = [];
  let all = 0;
  for (let k = 0; k < classes; k++) {
    let sum = 0;
    // (n_bk/N)·|freq − conf| = |Σ (p − 1[y = k])| / N: the counts cancel.
    for (let b = 0; b < size; b++) sum += Math.abs(gaps[k * size + b]!);
    perClass.push(sum / total);
    all += sum / total;
  }
  return { ece: all / classes, perClass };
}

/** Counts and sums of each bin. `add` takes samples, `bins` gives means. */
export class BinSums {
  private readonly counts: Float64Array;
  private readonly confidences: Float64Array;
  private readonly outcomes: Float64Array;

  constructor(size: number) {
    this.counts = new Float64Array(size);
    this.confidences = new Float64Array(size);
    this.outcomes = new Float64Array(size);
  }

  add(bin: Uint16Array, confidence: Floats, outcome: ArrayLike<number>): void {
    const { counts, confidences, outcomes } = this;
    for (let i = 0; i < bin.length; i++) {
      const b = bin[i]!;
      counts[b] = counts[b]! + 1;
      confidences[b] = confidences[b]! + confidence[i]!;
      outcomes[b] = outcomes[b]! + outcome[i]!;
    }
  }

  bins(edges: Float64Array): ReliabilityBin[] {
    return Array.from(this.counts, (count, b) => {
      const empty = count === 0;
      const confidence = empty ? null : this.confidences[b]! / count;
      const accuracy = empty ? null : this.outcomes[b]! / count;
      const gap = confidence === null || accuracy === null ? null : confidence - accuracy;
      return { lower: edges[b]!, upper: edges[b + 1]!, count, confidence, accuracy, gap };
    });
  }
}

/** A cut of [0, 1]: `size` bins between `size + 1` edges. */
export interface Cut {
  readonly size: number;
  readonly edges: Float64Array;
  /** The nominal number of bins, without the one that torchmetrics adds. */
  readonly bins: number;
  readonly torchmetrics: boolean;
}

/**
 * The cut that `options` asks for, with edges in the precision of `example`: the fp32 number 0.1 is on the edge 1/10 of
 * fp32 confidences, although it is above the fp64 one.
 */
export function equalWidth(options: BinOptions, example: Floats): Cut {
  const bins = binCount(options.bins);
  if (options.edges === 'torchmetrics') {
    // torch.linspace(0, 1, bins + 1) in fp32: from both ends, with a fused multiply-add.
    const step = Math.fround(1 / bins);
    const half = Math.floor((bins + 1) / 2);
    const edges = new Float64Array(bins + 2).fill(1);
    for (let i = 0; i < bins; i++) edges[i] = Math.fround(i < half ? step * i : 1 - step * (bins - i));
    return { size: bins + 1, edges, bins, torchmetrics: true };
  }
  if (options.edges !== undefined && options.edges !== 'right-closed') {
    throw new PenumbraError('metrics/option', `Unknown edges "${String(options.edges)}".`, {
      hint: 'Use "right-closed" or "torchmetrics".',
      where: { option: 'edges' },
    });
  }
  const round = example instanceof Float32Array ? Math.fround : Number;
  const edges = Float64Array.from({ length: bins + 1 }, (_, i) => round(i / bins));
  return { size: bins, edges, bins, torchmetrics: false };
}

/** The bin of every confidence. */
export function assignBins(confidence: Floats, cut: Cut): Uint16Array {
  const result = new Uint16Array(confidence.length);
  const { edges, bins, torchmetrics } = cut;
  if (torchmetrics) {
    for (let i = 0; i < result.length; i++)
      result[i] = binLeftClosed(Math.fround(confidence[i]!), edges, bins);
  } else {
    for (let i = 0; i < result.length; i++) result[i] = binRightClosed(confidence[i]!, edges, bins);
  }
  return result;
}

/** Adds (p − 1[y = k]) of every sample to `gaps[k * size + bin]`. */
function addClasswise(
  gaps: Float64Array,
  cut: Cut,
  probabilities: Floats,
  labels: Int32Array,
  classes: number,
): void {
  const { edges, bins, size, torchmetrics } = cut;
  // Of many classes nearly all are in the first bin.
  const first = torchmetrics ? 0 : edges[1]!;
  for (let i = 0, at = 0; i < labels.length; i++) {
    const y = labels[i]!;
    for (let k = 0, base = 0; k < classes; k++, at++, base += size) {
      const v = probabilities[at]!;
      let b = base;
      if (v > first)
        b += torchmetrics ? binLeftClosed(Math.fround(v), edges, bins) : binRightClosed(v, edges, bins);
      gaps[b] = gaps[b]! + (k === y ? v - 1 : v);
    }
  }
}

/** The b with edges[b] < x ≤ edges[b+1]; 0 for 0. */
function binRightClosed(x: number, edges: Float64Array, bins: number): number {
  // The product can be one off beside an edge; the edges decide.
  let b = (x * bins) | 0;
  if (b >= bins) b = bins - 1;
  while (b > 0 && x <= edges[b]!) b--;
  while (b < bins - 1 && x > edges[b + 1]!) b++;
  return b;
}

/** The b with edges[b] ≤ x < edges[b+1]; `bins` for 1. */
function binLeftClosed(x: number, edges: Float64Array, bins: number): number {
  let b = (x * bins) | 0;
  if (b > bins) b = bins;
  while (b > 0 && x < edges[b]!) b--;
  while (b < bins && x >= edges[b + 1]!) b++;
  return b;
}

function binCount(bins = 15): number {
  // Bin numbers are stored in 16 bits, and torchmetrics adds one.
  if (Number.isInteger(bins) && bins >= 1 && bins <= 65_535) return bins;
  throw new PenumbraError(
    'metrics/option',
    `The number of bins must be a whole number from 1 to 65,535, got ${bins}.`,
    {
      where: { option: 'bins' },
    },
  );
}

/** Checks that both have N > 0 entries in [0, 1]. */
export function checkPair(confidence: Floats, outcome: ArrayLike<number>): void {
  if (confidence.length === 0 || confidence.length !== outcome.length) {
    throw new PenumbraError(
      confidence.length === 0 ? 'metrics/empty' : 'metrics/shape',
      `Got ${confidence.length} confidences and ${outcome.length} outcomes.`,
      { hint: 'Give one outcome for each confidence, and at least one.' },
    );
  }
  for (let i = 0; i < confidence.length; i++) {
    if (isFraction(confidence[i]!) && isFraction(outcome[i]!)) continue;
    throw new PenumbraError(
      'metrics/probability',
      `Row ${i}: confidence ${confidence[i]} and outcome ${outcome[i]} must both be in [0, 1].`,
      { hint: 'Give probabilities, not logits, and 0 or 1 for what happened.', where: { row: i } },
    );
  }
}

export function isFraction(x: number): boolean {
  return x >= 0 && x <= 1 + MAX_TOLERANCE; // False for NaN.
}

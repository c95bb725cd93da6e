import {
  augrcMeasure,
  aurcMeasure,
  type ByConfidence,
  balancedAccuracy,
  balancedAccuracyMeasure,
  excessAurcMeasure,
  type Floats,
  type Measure,
  mean,
  meanMeasure,
  type Predictions,
  selectiveMeasure,
} from '../metrics/index.ts';

/**
 * Which numbers a figure can be, and so what its interval is made on: `share` from 0 to 1 (a share, an area), `positive`
 * (a loss), `correlation` from −1 to 1, `real`.
 */
export type Scale = 'share' | 'positive' | 'correlation' | 'real';

/** The kinds of samples of which a figure needs some: it is no surer than the fewest allow. */
export interface Kinds {
  /** N: which kind a sample is, from 0; −1 is none. Absent: all are of kind 0. */
  readonly of?: Int32Array;
  /** By kind: how far one unseen sample, unlike those of the kind, would move the value, times one more than they are. */
  readonly pulls: ArrayLike<number>;
}

/**
 * A number made from N samples whose sampling error can be had.
 *
 * `measure` is the number as a function of how often each sample counts. `influence` is its empirical influence function
 * (Hampel, JASA 1974), the derivative of `measure`: ψ_i with value(1 + δ at sample i) ≈ value + δ·ψ_i/N, from which the
 * variance of the value is Σ_g (Σ_{i in g} ψ_i)²/N² over independent units g; for an AUROC that is DeLong's (Biometrics
 * 1988), with patients Obuchowski's (Biometrics 1997). It costs one pass where the bootstrap costs a thousand.
 */
export interface Statistic {
  /** NaN where it is undefined. */
  value(): number;
  measure(): Measure;
  influence(): Float64Array;
  readonly scale: Scale;
  kinds(): Kinds;
}

/** What an unseen error would do to a share: found with `bench/figure-coverage.ts`. */
const PULL = Math.SQRT1_2;

/**
 * The mean of a number that each sample has.
 * @param mask N: only samples with 1 count; absent: all.
 * @param scale `share` where every number is from 0 to 1, `positive` where none is negative. Default `real`.
 */
export function meanStatistic(
  values: ArrayLike<number>,
  mask?: Uint8Array,
  scale: Scale = 'real',
): Statistic {
  if (mask !== undefined) return { ...ratioStatistic(values, mask, mask), scale };
  const centre = kept(() => mean(values));
  return {
    value: centre,
    measure: () => meanMeasure(values),
    influence: () => {
      const result = new Float64Array(values.length);
      for (let i = 0; i < result.length; i++) result[i] = values[i]! - centre();
      return result;
    },
    scale,
    kinds: () => ({ pulls: [PULL * Math.abs(centre() - 0.5)] }),
  };
}

/**
 * Σ_i top_i·mask_i / Σ_i bottom_i, from 0 to 1: a mean over some samples, a sensitivity, a precision. NaN where the bottom
 * is 0.
 * @param top N. @param bottom N, not negative. @param mask N: 1 where `top` counts.
 */
export function ratioStatistic(
  top: ArrayLike<number>,
  bottom: ArrayLike<number>,
  mask: ArrayLike<number>,
): Statistic {
  const n = top.length;
  const measure: Measure = (counts) => {
    let above = 0;
    let below = 0;
    for (let i = 0; i < n; i++) {
      const c = counts[i]!;
      if (mask[i]) above += c * top[i]!;
      below += c * bottom[i]!;
    }
    return above / below;
  };
  const value = kept(() => measure(ones(n)));
  return {
    value,
    measure: () => measure,
    influence: () => {
      const result = new Float64Array(n);
      let below = 0;
      for (let i = 0; i < n; i++) below += bottom[i]!;
      for (let i = 0; i < n; i++) {
        result[i] = ((mask[i] ? top[i]! : 0) - value() * bottom[i]!) * (n / below);
      }
      return result;
    },
    scale: 'share',
    kinds: () => {
      const of = new Int32Array(n);
      for (let i = 0; i < n; i++) of[i] = bottom[i]! > 0 ? 0 : -1;
      return { of, pulls: [PULL * Math.abs(value() - 0.5)] };
    },
  };
}

/** Samples in ascending order of a score, with ties marked, and what each one is. */
export interface Ranked {
  /** N: how many samples there are, ranked or not. */
  readonly samples: number;
  /** Indices of the M ranked samples. */
  readonly order: Int32Array;
  /** M, in that order: 1 where the sample is positive, 0 where it is negative; of a soft label the share that is positive. */
  readonly positive: Uint8Array | Float32Array;
  /** M, in that order: 1 where the next has a higher score. */
  readonly ends: Uint8Array;
}

/**
 * {@link binaryAuroc} of ranked samples: NaN where all are of one kind. A sample whose label is soft, y in (0, 1), counts as
 * y of a positive and 1 − y of a negative:
 *
 *     Σ_ij y_i·(1 − y_j)·([s_i > s_j] + ½[s_i = s_j]) / (Σ_i y_i · Σ_j (1 − y_j)),
 *
 * the weighted Mann–Whitney statistic: scikit-learn's `roc_auc_score` with every sample twice, as a positive of weight y and a
 * negative of weight 1 − y. Numerator and denominator are, but for the pair of a sample with itself, what they are on average
 * where labels are drawn by y.
 */
export function aurocStatistic(ranked: Ranked): Statistic {
  const { samples, order, positive, ends } = ranked;
  const measure: Measure = (counts) => {
    let area = 0;
    let positives = 0;
    let negatives = 0;
    let tiedPositives = 0;
    let tied = 0;
    for (let t = 0; t < order.length; t++) {
      const c = counts[order[t]!]!;
      tiedPositives += c * positive[t]!;
      tied += c;
      if (ends[t] === 0) continue;
      const tiedNegatives = tied - tiedPositives;
      area += tiedPositives * (negatives + tiedNegatives / 2);
      positives += tiedPositives;
      negatives += tiedNegatives;
      tiedPositives = tied = 0;
    }
    return area / (positives * negatives); // 0/0 = NaN where one kind is missing.
  };
  const value = kept(() => measure(ones(samples)));
  return {
    value,
    measure: () => measure,
    influence: () => {
      const result = new Float64Array(samples);
      let positives = 0;
      for (let t = 0; t < order.length; t++) positives += positive[t]!;
      const negatives = order.length - positives;
      const area = value();
      let positivesBelow = 0;
      let negativesBelow = 0;
      for (let start = 0, end = 0; start < order.length; start = end) {
        let tiedPositives = 0;
        do tiedPositives += positive[end]!;
        while (ends[end++] === 0);
        const tiedNegatives = end - start - tiedPositives;
        // DeLong's placements: the share of the other kind that is ranked on the right side, half of those tied.
        const ofPositive = (negativesBelow + tiedNegatives / 2) / negatives;
        const ofNegative = (positives - positivesBelow - tiedPositives / 2) / positives;
        for (let t = start; t < end; t++) {
          const y = positive[t]!;
          result[order[t]!] =
            (samples / positives) * y * (ofPositive - area) +
            (samples / negatives) * (1 - y) * (ofNegative - area);
        }
        positivesBelow += tiedPositives;
        negativesBelow += tiedNegatives;
      }
      return result;
    },
    scale: 'share',
    kinds: () => {
      const pull = Math.abs(value() - 0.5) / 2;
      return { of: kindsOf(ranked, 1), pulls: [pull, pull] };
    },
  };
}

/**
 * Average precision, the area under the precision–recall curve as a step function: AP = Σ_t (R_t − R_{t−1})·P_t over the
 * distinct scores from the highest down (scikit-learn's `average_precision_score`; Davis and Goadrich, ICML 2006, on why
 * not to interpolate). NaN where no sample is positive or, as the AUROC, where none is negative.
 */
export function auprcStatistic(ranked: Ranked): Statistic {
  const { samples, order, positive, ends } = ranked;
  const measure: Measure = (counts) => {
    let area = 0;
    let positives = 0;
    let called = 0;
    let tied = 0;
    let tiedPositives = 0;
    for (let t = order.length - 1; t >= 0; t--) {
      const c = counts[order[t]!]!;
      tied += c;
      if (positive[t] === 1) tiedPositives += c;
      if (t > 0 && ends[t - 1] === 0) continue;
      called += tied;
      positives += tiedPositives;
      if (tiedPositives > 0) area += (tiedPositives * positives) / called;
      tied = tiedPositives = 0;
    }
    return positives === called ? Number.NaN : area / positives;
  };
  const value = kept(() => measure(ones(samples)));
  return {
    value,
    measure: () => measure,
    influence: () => {
      // AP = Σ_i y_i·T_i/C_i / Σ_i y_i with T_i and C_i the positives and all samples from i's score up.
      const m = order.length;
      const precision = new Float64Array(m);
      const called = new Float64Array(m);
      let positives = 0;
      for (let end = m; end > 0; ) {
        let start = end - 1;
        while (start > 0 && ends[start - 1] === 0) start--;
        for (let t = start; t < end; t++) positives += positive[t]!;
        for (let t = start; t < end; t++) {
          called[t] = m - start;
          precision[t] = positives / (m - start);
        }
        end = start;
      }
      const area = value();
      const result = new Float64Array(samples);
      let one = 0; // Σ over positives up to this score of 1/C.
      let two = 0; // … of T/C².
      for (let start = 0, end = 0; start < m; start = end) {
        do {
          if (positive[end] === 1) {
            one += 1 / called[end]!;
            two += precision[end]! / called[end]!;
          }
        } while (ends[end++] === 0);
        for (let t = start; t < end; t++) {
          const own = positive[t]!;
          result[order[t]!] = (samples / positives) * (own * (precision[t]! - area + one) - two);
        }
      }
      return result;
    },
    scale: 'share',
    // Negatives are many wherever this figure is of use.
    kinds: () => ({ of: kindsOf(ranked, -1), pulls: [PULL * Math.abs(value() - 0.5)] }),
  };
}

/** {@link balancedAccuracy}. @param hits N: 1 where the answer is right */
export function balancedStatistic(p: Predictions, hits: Uint8Array): Statistic {
  const { labels, classes } = p;
  const recalls = kept(() => {
    const support = new Float64Array(classes);
    const right = new Float64Array(classes);
    labels.forEach((y, i) => {
      support[y] = support[y]! + 1;
      right[y] = right[y]! + hits[i]!;
    });
    const present = support.reduce((many, count) => many + (count > 0 ? 1 : 0), 0);
    return { support, present, recall: right.map((count, k) => count / support[k]!) };
  });
  return {
    value: () => balancedAccuracy(p),
    measure: () => balancedAccuracyMeasure(p),
    influence: () => {
      const { support, present, recall } = recalls();
      return Float64Array.from(
        labels,
        (y, i) => ((labels.length / support[y]!) * (hits[i]! - recall[y]!)) / present,
      );
    },
    scale: 'share',
    kinds: () => {
      const { present, recall } = recalls();
      return { of: labels, pulls: recall.map((r) => (PULL * Math.abs(r - 0.5)) / present) };
    },
  };
}

/** {@link aurc}: the mean error rate of the most confident samples over all shares that could be answered. */
export function aurcStatistic(samples: ByConfidence): Statistic {
  const { order, wrong, ends } = samples;
  const n = order.length;
  const measure = aurcMeasure(samples);
  const value = kept(() => measure(ones(n)));
  return {
    value,
    measure: () => measure,
    influence: () => {
      const area = value();
      const risk = new Float64Array(n);
      let errors = 0;
      for (let start = 0, end = 0; start < n; start = end) {
        let tied = 0;
        do tied += wrong[end]!;
        while (ends[end++] === 0);
        // Each place among tied samples carries their mean error.
        for (let t = start; t < end; t++)
          risk[t] = (errors + ((t - start + 1) * tied) / (end - start)) / (t + 1);
        errors += tied;
      }
      const result = new Float64Array(n);
      let one = 0; // Σ over the places from here on of 1/answered …
      let two = 0; // … and of risk/answered.
      for (let t = n - 1; t >= 0; t--) {
        one += 1 / (t + 1);
        two += risk[t]! / (t + 1);
        result[order[t]!] = risk[t]! - area + wrong[t]! * one - two;
      }
      return result;
    },
    scale: 'share',
    kinds: () => errorsOf(samples, value()),
  };
}

/** {@link augrc}: the same of errors over all samples. */
export function augrcStatistic(samples: ByConfidence): Statistic {
  const { order, wrong, ends } = samples;
  const n = order.length;
  const measure = augrcMeasure(samples);
  const value = kept(() => measure(ones(n)));
  return {
    value,
    measure: () => measure,
    influence: () => {
      const area = value();
      const result = new Float64Array(n);
      let errors = 0;
      for (let start = 0, end = 0; start < n; start = end) {
        let tied = 0;
        do tied += wrong[end]!;
        while (ends[end++] === 0);
        const less = n - end + (end - start) / 2; // Samples that are answered after these, half of those tied.
        for (let t = start; t < end; t++) {
          result[order[t]!] = (errors + tied / 2 + wrong[t]! * less) / n - 2 * area;
        }
        errors += tied;
      }
      return result;
    },
    scale: 'share',
    kinds: () => errorsOf(samples, value()),
  };
}

/** {@link excessAurc}: {@link aurc} above that of the best order of the same answers. */
export function excessAurcStatistic(samples: ByConfidence): Statistic {
  const measure = excessAurcMeasure(samples);
  const n = samples.order.length;
  const value = kept(() => measure(ones(n)));
  return {
    value,
    measure: () => measure,
    influence: () => {
      const result = aurcStatistic(samples).influence();
      const rate = samples.wrong.reduce((sum, w) => sum + w, 0) / n;
      // The best area is about r + (1 − r)·ln(1 − r), whose derivative by the error rate is −ln(1 − r).
      const slope = rate < 1 ? -Math.log1p(-rate) : 0;
      for (let t = 0; t < n; t++) {
        const i = samples.order[t]!;
        result[i] = result[i]! - slope * (samples.wrong[t]! - rate);
      }
      return result;
    },
    scale: 'share',
    kinds: () => errorsOf(samples, value()),
  };
}

/** {@link selectiveAccuracy}: accuracy of the most confident share of the samples. */
export function selectiveStatistic(samples: ByConfidence, coverage: number): Statistic {
  const { order, wrong, ends } = samples;
  const measure = selectiveMeasure(samples, coverage);
  const n = order.length;
  const value = kept(() => measure(ones(n)));
  const answered = Math.max(1, Math.ceil(coverage * n - 1e-9 * n));
  return {
    value,
    measure: () => measure,
    influence: () => {
      const result = new Float64Array(n);
      // Which are the last to be answered is chance, too: they are right as often as their neighbours are.
      const reach = Math.max(10, Math.round(0.025 * n));
      const [from, to] = [Math.max(0, answered - reach), Math.min(n, answered + reach)];
      let errors = 0;
      for (let t = from; t < to; t++) errors += wrong[t]!;
      const atEdge = 1 - errors / (to - from);
      const share = answered / n;
      for (let start = 0, end = 0; start < n; start = end) {
        do end++;
        while (ends[end - 1] === 0);
        const chosen = Math.max(0, Math.min(1, (answered - start) / (end - start)));
        for (let t = start; t < end; t++) {
          const hit = chosen * (1 - wrong[t]!);
          result[order[t]!] = (hit - share * value() - atEdge * (chosen - share)) / share;
        }
      }
      return result;
    },
    scale: 'share',
    kinds: () => {
      const of = new Int32Array(n).fill(-1);
      for (let t = 0; t < answered; t++) of[order[t]!] = 0;
      return { of, pulls: [PULL * Math.abs(value() - 0.5)] };
    },
  };
}

/**
 * Spearman's rank correlation of two numbers that each sample has, with mid-ranks for ties: Pearson's correlation of
 * F(x) and G(y), which count half of what is equal. NaN where either number is the same for all.
 * @param mask N: only samples with 1 count; absent: all.
 */
export function rankCorrelationStatistic(
  x: ArrayLike<number>,
  y: ArrayLike<number>,
  mask?: Uint8Array,
): Statistic {
  const n = x.length;
  const counted = mask === undefined ? ones(n) : Float64Array.from(mask);
  const orders = [x, y].map((values) => ascending(values, mask));
  const [byX, byY] = orders as [Ascending, Ascending];
  const moments = (counts: ArrayLike<number>) => {
    const weights = Float64Array.from({ length: n }, (_, i) => counts[i]! * counted[i]!);
    const total = weights.reduce((sum, w) => sum + w, 0);
    const [u, v] = [midRanks(byX, weights, total), midRanks(byY, weights, total)];
    let [uu, vv, uv] = [0, 0, 0];
    for (let i = 0; i < n; i++) {
      const [a, b] = [u[i]! - 0.5, v[i]! - 0.5];
      uu += (weights[i]! / total) * a * a;
      vv += (weights[i]! / total) * b * b;
      uv += (weights[i]! / total) * a * b;
    }
    return { u, v, uu, vv, uv, total };
  };
  const measure: Measure = (counts) => {
    const { uu, vv, uv } = moments(counts);
    return uv / Math.sqrt(uu * vv);
  };
  const value = kept(() => measure(ones(n)));
  return {
    value,
    measure: () => measure,
    influence: () => {
      const { u, v, uu, vv, uv, total } = moments(ones(n));
      const centred = (ranks: Float64Array) => ranks.map((rank) => rank - 0.5);
      const [a, b] = [centred(u), centred(v)];
      // By how much one more sample there moves the ranks of others, weighed by what they are multiplied with.
      const [bOverX, aOverY] = [above(byX, b, total), above(byY, a, total)];
      const [aOverX, bOverY] = [above(byX, a, total), above(byY, b, total)];
      const root = Math.sqrt(uu * vv);
      const result = new Float64Array(n);
      for (let i = 0; i < n; i++) {
        if (counted[i] === 0) continue;
        const duv = a[i]! * b[i]! + bOverX[i]! + aOverY[i]! - 3 * uv;
        const duu = a[i]! ** 2 + 2 * aOverX[i]! - 3 * uu;
        const dvv = b[i]! ** 2 + 2 * bOverY[i]! - 3 * vv;
        result[i] = (n / total) * (duv / root - (value() / 2) * (duu / uu + dvv / vv));
      }
      return result;
    },
    scale: 'correlation',
    kinds: () => ({ of: Int32Array.from(counted, (c) => c - 1), pulls: [PULL * (1 - Math.abs(value()))] }),
  };
}

/** Samples that count, in ascending order of a number. */
interface Ascending {
  readonly order: Int32Array;
  /** In that order: 1 where the next is greater. */
  readonly ends: Uint8Array;
}

function ascending(values: ArrayLike<number>, mask: Uint8Array | undefined): Ascending {
  const order = Int32Array.from({ length: values.length }, (_, i) => i)
    .filter((i) => mask === undefined || mask[i] === 1)
    .sort((i, j) => values[i]! - values[j]!);
  const ends = Uint8Array.from(order, (i, t) =>
    t + 1 === order.length || values[order[t + 1]!] !== values[i] ? 1 : 0,
  );
  return { order, ends };
}

/** N: the share of weight below a sample, and half of that beside it; 0 for samples that do not count. */
function midRanks({ order, ends }: Ascending, weights: Float64Array, total: number): Float64Array {
  const ranks = new Float64Array(weights.length);
  let below = 0;
  for (let start = 0, end = 0; start < order.length; start = end) {
    let tied = 0;
    do tied += weights[order[end]!]!;
    while (ends[end++] === 0);
    for (let t = start; t < end; t++) ranks[order[t]!] = (below + tied / 2) / total;
    below += tied;
  }
  return ranks;
}

/** N: Σ of the values above a sample, and half of those beside it, over the total. */
function above({ order, ends }: Ascending, values: Float64Array, total: number): Float64Array {
  const sums = new Float64Array(values.length);
  let over = 0;
  for (let t = 0; t < order.length; t++) over += values[order[t]!]!;
  for (let start = 0, end = 0; start < order.length; start = end) {
    let tied = 0;
    do tied += values[order[end]!]!;
    while (ends[end++] === 0);
    for (let t = start; t < end; t++) sums[order[t]!] = (over - tied / 2) / total;
    over -= tied;
  }
  return sums;
}

/** Positives (of soft labels those above one half) 0, negatives as told, others none. */
function kindsOf({ samples, order, positive }: Ranked, negative: number): Int32Array {
  const of = new Int32Array(samples).fill(-1);
  for (let t = 0; t < order.length; t++) of[order[t]!] = positive[t]! > 0.5 ? 0 : negative;
  return of;
}

/** Errors decide, and one more would add its like; where there is none, all samples say so. */
function errorsOf({ order, wrong }: ByConfidence, value: number): Kinds {
  const of = new Int32Array(order.length).fill(-1);
  let errors = 0;
  for (let t = 0; t < order.length; t++) {
    if (wrong[t] === 0) continue;
    of[order[t]!] = 0;
    errors++;
  }
  return errors === 0 ? { pulls: [0] } : { of, pulls: [value] };
}

function kept<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

/** A column of an N×K matrix, in its precision. */
export function columnOf<A extends Floats | Uint8Array>(values: A, k: number, classes: number): A {
  const n = values.length / classes;
  const column = new (values.constructor as new (n: number) => A)(n);
  for (let i = 0, at = k; i < n; i++, at += classes) column[i] = values[at]!;
  return column;
}

function ones(n: number): Int32Array {
  return new Int32Array(n).fill(1);
}

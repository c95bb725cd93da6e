import { PenumbraError } from '../errors.ts';
import {
  type BootstrapOptions,
  type Estimate,
  estimate,
  type Measure,
  meanMeasure,
  replicate,
} from '../metrics/index.ts';
import { aten, fromTypedArray, Scope } from '../torch/index.ts';
import { type DistanceBlock, forEachDistances, type Metric, type Rows } from './distances.ts';
import { checkFeatures, checkLabels } from './features.ts';
import { NeighbourLists } from './neighbours.ts';

export const EMBEDDING_FIGURES = ['distanceRatio', 'silhouette', 'neighbourAccuracy'] as const;
export type EmbeddingFigure = (typeof EMBEDDING_FIGURES)[number];

export interface EmbeddingOptions {
  /** Neighbours that vote. Default 20. */
  readonly k?: number;
  /** Which samples are near, for the vote only; the other figures are of Euclidean distances. Default `euclidean`. */
  readonly metric?: Metric;
  /**
   * Labelled samples that vote, usually of the training split, as M×D features. Without it each sample is judged by all
   * the others (leave-one-out).
   */
  readonly gallery?: { readonly features: Float32Array; readonly labels: Int32Array };
}

/** What is measured of N features, one number a sample, so that methods can be compared on the same samples. */
export interface EmbeddingMeasures {
  readonly samples: number;
  /** D. */
  readonly dimensions: number;
  /** K. */
  readonly classes: number;
  readonly labels: Int32Array;
  /** Mean Euclidean distance of the pairs of different samples that have the same class; `null` without such pairs. */
  readonly withinDistance: number | null;
  /** Mean Euclidean distance of the pairs of samples of different classes; `null` without such pairs. */
  readonly betweenDistance: number | null;
  /** K: {@link withinDistance} of each class alone; `null` below two samples. */
  readonly classWithinDistances: readonly (number | null)[];
  /** N silhouettes in [−1, 1]; `null` where fewer than two classes have samples or none has two. */
  readonly silhouettes: Float64Array | null;
  readonly neighbours: { readonly k: number; readonly metric: Metric; readonly gallery: number | null };
  /** N classes that the neighbours vote for. */
  readonly votes: Int32Array;
  /**
   * The figures as functions of how often each sample counts, for the (paired) bootstrap of the metrics room. See
   * {@link measureEmbeddings} for what resampling means for each.
   */
  readonly measures: Readonly<Record<EmbeddingFigure, Measure>>;
}

/**
 * How well classes are separated in feature space.
 *
 * - `distanceRatio`: the mean Euclidean distance over all pairs of different samples of the same class, divided by the
 *   mean over all pairs of samples of different classes,
 *
 *       [Σ_{i≠j, y_i=y_j} |x_i − x_j| / Σ_c n_c(n_c − 1)] / [Σ_{y_i≠y_j} |x_i − x_j| / (N² − Σ_c n_c²)].
 *
 *   At least 0: 0 where classes are points, about 1 where they say nothing of the place. It counts pairs, so large classes count
 *   more. Kornblith et al. (NeurIPS 2021, "Why do better loss functions lead to less transferable features?") compare the
 *   same two means, of cosine distances.
 * - `silhouette` (Rousseeuw 1987, as in scikit-learn): the mean of s_i = (b_i − a_i)/max(a_i, b_i), where a_i is the mean
 *   Euclidean distance to the other samples of the own class and b_i the least mean distance to another class. s_i = 0
 *   for the only sample of a class and where both distances are 0.
 * - `neighbourAccuracy`: the share of samples for which the majority of their k nearest neighbours has the right class.
 *   A tie goes to the class with the lowest number, equally near neighbours come in the order of their rows.
 *
 * Resampling. The bootstrap of `neighbourAccuracy` and `silhouette` takes each sample's own number and repeats it; the
 * other samples that it was measured against stay as they are. With a gallery that is exact for the vote; otherwise the
 * interval is one given the clusters. `distanceRatio` is a quotient of U-statistics, in which a sample stands on both
 * sides of a pair: its logarithm is resampled by its first-order (Hájek) expansion, log R + Σ_i w_i·l_i with
 * l_i = 2(p_i − p̄·(n_{y_i} − 1))/Σp − 2(q_i − q̄·(N − n_{y_i}))/Σq, where p_i and q_i are sample i's sums of distances
 * within and between, p̄ and q̄ the mean distances. So copies of a sample make no pairs of distance 0.
 *
 * All distances are computed once, in blocks: N²·D work, memory for N·(K + k) numbers.
 *
 * @param features N×D, row-major
 * @param labels N classes in [0, classes)
 * @throws `embeddings/empty`, `embeddings/shape`, `embeddings/value`, `embeddings/label`, `embeddings/neighbours` (not
 *   more than k samples), `embeddings/option`
 */
export function measureEmbeddings(
  features: Float32Array,
  labels: Int32Array,
  classes: number,
  options: EmbeddingOptions = {},
): EmbeddingMeasures {
  const { k = 20, metric = 'euclidean', gallery } = options;
  const n = labels.length;
  const d = features.length / n;
  checkFeatures(features, n, d);
  checkLabels(labels, n, classes);
  if (metric !== 'euclidean' && metric !== 'cosine') {
    throw new PenumbraError(
      'embeddings/option',
      `metric must be "euclidean" or "cosine", got ${JSON.stringify(metric)}`,
      { where: { option: 'metric' } },
    );
  }
  const own: Rows = { values: features, width: d };
  if (gallery !== undefined) {
    checkFeatures(gallery.features, gallery.labels.length, d);
    checkLabels(gallery.labels, gallery.labels.length, classes);
  }
  const lists =
    gallery === undefined
      ? new NeighbourLists(n, n - 1, k, true)
      : new NeighbourLists(n, gallery.labels.length, k, false);
  const sums = new ClassSums(labels, classes);
  const together = gallery === undefined && metric === 'euclidean';
  forEachDistances(own, own, 'euclidean', (block) => {
    sums.add(block);
    if (together) lists.add(block);
  });
  if (!together) {
    const references = gallery === undefined ? own : { values: gallery.features, width: d };
    forEachDistances(own, references, metric, (block) => lists.add(block));
  }
  const votes = majority(lists, n, gallery?.labels ?? labels, classes);
  const distances = sums.distances();
  const silhouettes = sums.silhouettes();
  return {
    samples: n,
    dimensions: d,
    classes,
    labels,
    withinDistance: distances.within,
    betweenDistance: distances.between,
    classWithinDistances: distances.classes,
    silhouettes,
    neighbours: { k, metric, gallery: gallery === undefined ? null : gallery.labels.length },
    votes,
    measures: {
      distanceRatio: distances.ratio,
      silhouette: silhouettes === null ? undefinedMeasure : meanMeasure(silhouettes),
      neighbourAccuracy: meanMeasure(Uint8Array.from(votes, (y, i) => (y === labels[i] ? 1 : 0))),
    },
  };
}

export interface ClassEmbedding {
  /** Samples of the class. */
  readonly support: number;
  readonly withinDistance: number | null;
  /** Mean silhouette of the class's samples. */
  readonly silhouette: number | null;
  /** Share of the class's samples that their neighbours put into it. */
  readonly neighbourAccuracy: number | null;
}

/** JSON-serialisable; `null` where a figure is undefined. */
export interface EmbeddingSummary extends Readonly<Record<EmbeddingFigure, Estimate>> {
  readonly samples: number;
  readonly dimensions: number;
  readonly classes: number;
  readonly withinDistance: number | null;
  readonly betweenDistance: number | null;
  readonly neighbours: EmbeddingMeasures['neighbours'];
  readonly perClass: readonly ClassEmbedding[];
  readonly settings: {
    readonly replicates: number;
    readonly level: number;
    readonly seed: number;
    readonly resampled: 'samples' | 'groups';
  };
}

/** The figures with their bootstrap intervals over samples, or over groups (patients) where these are given. */
export function summarizeEmbeddings(
  embedding: EmbeddingMeasures,
  options: BootstrapOptions = {},
): EmbeddingSummary {
  const { samples, labels, classes, silhouettes, votes } = embedding;
  const measures = EMBEDDING_FIGURES.map((name) => embedding.measures[name]);
  const replicates = replicate([[measures]], samples, options)[0]!;
  const once = new Int32Array(samples).fill(1);
  const estimates = measures.map((measure, f) => estimate(measure(once), replicates[f]!, options));
  const support = new Int32Array(classes);
  const hits = new Int32Array(classes);
  const widths = new Float64Array(classes);
  for (let i = 0; i < samples; i++) {
    const y = labels[i]!;
    support[y]!++;
    if (votes[i] === y) hits[y]!++;
    if (silhouettes !== null) widths[y] = widths[y]! + silhouettes[i]!;
  }
  return {
    samples,
    dimensions: embedding.dimensions,
    classes,
    distanceRatio: estimates[0]!,
    silhouette: estimates[1]!,
    neighbourAccuracy: estimates[2]!,
    withinDistance: embedding.withinDistance,
    betweenDistance: embedding.betweenDistance,
    neighbours: embedding.neighbours,
    perClass: embedding.classWithinDistances.map((withinDistance, c) => ({
      support: support[c]!,
      withinDistance,
      silhouette: support[c] === 0 || silhouettes === null ? null : widths[c]! / support[c]!,
      neighbourAccuracy: support[c] === 0 ? null : hits[c]! / support[c]!,
    })),
    settings: {
      replicates: options.replicates ?? 1000,
      level: options.level ?? 0.95,
      seed: options.seed ?? 0,
      resampled: options.groups === undefined ? 'samples' : 'groups',
    },
  };
}

const undefinedMeasure: Measure = () => Number.NaN;

/** The sum of each sample's distances to each class: N×K numbers, of which ratio and silhouette are made. */
class ClassSums {
  private readonly labels: Int32Array;
  private readonly classes: number;
  private readonly counts: Int32Array;
  private readonly sums: Float64Array;

  constructor(labels: Int32Array, classes: number) {
    this.labels = labels;
    this.classes = classes;
    this.sums = new Float64Array(labels.length * classes);
    this.counts = new Int32Array(classes);
    for (const y of labels) this.counts[y]!++;
  }

  add({ query, reference, distances }: DistanceBlock): void {
    const { classes, labels, sums } = this;
    const [rows, columns] = distances.shape as [number, number];
    using _scope = new Scope();
    const index = fromTypedArray(labels.subarray(reference, reference + columns)).to({ dtype: 'int64' });
    const member = aten.one_hot(index, classes).to({ dtype: 'float64' });
    fromTypedArray(sums.subarray(query * classes, (query + rows) * classes), {
      shape: [rows, classes],
    }).add_(distances.matmul(member));
  }

  distances(): {
    within: number | null;
    between: number | null;
    classes: (number | null)[];
    ratio: Measure;
  } {
    const { labels, classes, counts, sums } = this;
    const n = labels.length;
    const own = new Float64Array(n);
    const other = new Float64Array(n);
    const ownOfClass = new Float64Array(classes);
    let p = 0;
    let q = 0;
    for (let i = 0; i < n; i++) {
      const y = labels[i]!;
      for (let c = 0; c < classes; c++) {
        const sum = sums[i * classes + c]!;
        if (c === y) own[i] = sum;
        else other[i] = other[i]! + sum;
      }
      ownOfClass[y] = ownOfClass[y]! + own[i]!;
      p += own[i]!;
      q += other[i]!;
    }
    let pairs = 0;
    for (const count of counts) pairs += count * (count - 1);
    const within = pairs === 0 ? null : p / pairs;
    const between = n * (n - 1) === pairs ? null : q / (n * (n - 1) - pairs);
    let ratio = undefinedMeasure;
    if (within !== null && between !== null && between > 0) {
      const terms = new Float64Array(n);
      if (within > 0) {
        for (let i = 0; i < n; i++) {
          const count = counts[labels[i]!]!;
          terms[i] =
            (2 * (own[i]! - within * (count - 1))) / p - (2 * (other[i]! - between * (n - count))) / q;
        }
      }
      ratio = (weights) => {
        let sum = 0;
        for (let i = 0; i < n; i++) sum += (weights[i]! - 1) * terms[i]!;
        return (within / between) * Math.exp(sum);
      };
    }
    return {
      within,
      between,
      classes: Array.from(counts, (m, c) => (m < 2 ? null : ownOfClass[c]! / (m * (m - 1)))),
      ratio,
    };
  }

  silhouettes(): Float64Array | null {
    const { labels, classes, counts, sums } = this;
    const present = counts.reduce((sum, count) => sum + (count > 0 ? 1 : 0), 0);
    if (present < 2 || present === labels.length) return null;
    return Float64Array.from(labels, (y, i) => {
      if (counts[y] === 1) return 0;
      const a = sums[i * classes + y]! / (counts[y]! - 1);
      let b = Number.POSITIVE_INFINITY;
      for (let c = 0; c < classes; c++)
        if (c !== y && counts[c]! > 0) b = Math.min(b, sums[i * classes + c]! / counts[c]!);
      const larger = Math.max(a, b);
      return larger === 0 ? 0 : (b - a) / larger;
    });
  }
}

/** The class that most of each sample's neighbours have; of several the lowest. */
function majority(lists: NeighbourLists, n: number, labels: Int32Array, classes: number): Int32Array {
  const { k, indices } = lists;
  const counts = new Int32Array(classes);
  const votes = new Int32Array(n);
  for (let i = 0; i < n; i++) {
    counts.fill(0);
    for (let j = i * k; j < (i + 1) * k; j++) counts[labels[indices[j]!]!]!++;
    let best = 0;
    for (let c = 1; c < classes; c++) if (counts[c]! > counts[best]!) best = c;
    votes[i] = best;
  }
  return votes;
}

import { PenumbraError } from '../errors.ts';
import { checkDistributions, type Floats, type Predictions, predictions } from '../metrics/index.ts';
import { Random } from '../random.ts';
import { type PredictionSets, type SetOptions, type SetSummary, summarizeSets } from './prediction-sets.ts';
import { Contiguous, Ranking } from './ranking.ts';
import { Registered } from './registered.ts';

/**
 * What a class's score is; the set holds the classes whose score is at most the quantile.
 *
 * - `lac`, least ambiguous sets (Sadinle, Lei and Wasserman, JASA 2019): 1 − p_k. The smallest sets on average, empty
 *   ones among them.
 * - `aps`, adaptive prediction sets (Romano, Sesia and Candès, NeurIPS 2020): the mass of all classes before k plus u·p_k,
 *   with one u ~ U[0, 1) for each sample. Larger sets for harder samples.
 * - `raps`, regularized (Angelopoulos, Bates, Malik and Jordan, ICLR 2021): `aps` + λ·max(0, rank of k − k_reg), which
 *   keeps the noise of the many unlikely classes out of the sets.
 * - `ordinal`, for classes that are grades of one scale (Lu, Angelopoulos and Pomerantz, MICCAI 2022; Xu, Guo and Wei, UAI
 *   2023): `aps` over classes in the order in which an interval of grades grows from the likeliest, each time by the likelier
 *   of its two neighbours. Every set is an interval: never grades 0 and 3 without 1 and 2.
 */
export type ConformalMethod = 'lac' | 'aps' | 'raps' | 'ordinal' | (string & {});

/** The score of the class at `rank` (from 1) with probability `own`, behind classes with the mass `before`. */
export type ConformalScore = (before: number, own: number, u: number, rank: number) => number;

/** Puts the classes of one row in an order. */
export interface ClassOrder {
  /** Starts with the row of `probabilities` that begins at `at`. */
  start(probabilities: Floats, at: number): void;
  /** The next class, or −1 after the last. */
  next(): number;
}

/** One kind of conformal sets, as the registry holds it. */
export interface ConformalKind {
  /** For people. */
  readonly label: string;
  /** In which order classes join a set. Default: the likeliest first. */
  readonly order?: (classes: number) => ClassOrder;
  /** No score may fall from one rank to the next, not even by rounding: a set is the first so many ranks. */
  score(options: ConformalOptions): ConformalScore;
}

const kinds = new Registered<ConformalKind>('conformal method');

/** Every kind of conformal sets there is, those registered from outside included. */
export const conformalMethods: readonly string[] = kinds.names;

/** Those that a comparison makes unless it is told which. */
export const defaultConformalMethods: readonly ConformalMethod[] = ['lac', 'aps', 'raps'];

/** @throws PenumbraError `calibration/registered` where the name is taken */
export function registerConformalMethod(name: string, kind: ConformalKind): void {
  kinds.add(name, kind);
}

const adaptive = ({ randomized = true }: ConformalOptions): ConformalScore =>
  randomized ? (before, own, u) => before + u * own : (before, own) => before + own;

registerConformalMethod('lac', { label: 'Least ambiguous sets', score: () => (_, own) => 1 - own });
registerConformalMethod('aps', { label: 'Adaptive sets', score: adaptive });
registerConformalMethod('raps', { label: 'Regularized adaptive sets', score: regularized });
registerConformalMethod('ordinal', {
  label: 'Intervals of grades',
  order: (classes) => new Contiguous(classes),
  score: adaptive,
});

export interface ConformalOptions {
  /** The share of sets that may miss, in (0, 1). Default 0.1. */
  readonly alpha?: number;
  /** Names the stream of u. Default 0. */
  readonly seed?: number;
  /**
   * All but `lac`: `false` takes u = 1 for calibration and prediction: no chance in the sets, but larger ones, which
   * cover more than was asked for. Default `true`.
   */
  readonly randomized?: boolean;
  /** `raps`: λ ≥ 0. Default 0.01, and k_reg a whole number ≥ 0, default 5: the paper's for 1,000 classes. */
  readonly lambda?: number;
  readonly kReg?: number;
  /** Whether an empty set gets the likeliest class, which can only add coverage. Default `false`. */
  readonly nonEmpty?: boolean;
}

/** Split conformal prediction, calibrated. */
export interface ConformalPredictor {
  readonly method: ConformalMethod;
  readonly classes: number;
  readonly alpha: number;
  /** How many samples it was calibrated on. */
  readonly samples: number;
  /** q̂: the ⌈(n + 1)(1 − α)⌉-th least score of n; infinite where n is too small for α, and then every set is full. */
  readonly quantile: number;
  readonly warnings: readonly string[];
  /** @param probabilities N×K, row-major. @throws PenumbraError as {@link checkDistributions} */
  predict(probabilities: Floats): PredictionSets;
}

/** {@link conformalSets}: what was calibrated and what was measured. Plain data. */
export interface ConformalResult extends SetSummary {
  readonly method: ConformalMethod;
  readonly alpha: number;
  readonly calibrationSamples: number;
  /** `null` where it is infinite. */
  readonly quantile: number | null;
  readonly warnings: readonly string[];
}

/**
 * Calibrates prediction sets that hold the true class with a probability of at least 1 − α, on average over samples
 * exchangeable with the calibration samples and whatever the classifier is (split conformal prediction: Papadopoulos et
 * al., ECML 2002; Vovk, Gammerman and Shafer, 2005).
 *
 * Exchangeable leaves out: other centres; several images of a patient, which count as less than they are many; and
 * probabilities that were fitted to these very samples. Fit a temperature on one part of the validation split and
 * calibrate here on another.
 *
 * @param p the calibration samples.
 *
 * @throws PenumbraError `calibration/option`, or as {@link predictions}.
 */
export function fitConformal(
  method: ConformalMethod,
  p: Predictions,
  options: ConformalOptions = {},
): ConformalPredictor {
  const rule = ruleOf(method, p.classes, options);
  const scores = calibrationScores(p, rule);
  const { alpha, classes } = rule;
  const n = scores.length;
  const quantile = quantileOf(scores.sort(), alpha);
  return {
    method,
    classes,
    alpha,
    samples: n,
    quantile,
    warnings: Number.isFinite(quantile) ? [] : [tooFew(n, alpha, 'every set holds all classes')],
    predict: (probabilities) => predictSets(probabilities, rule, () => quantile),
  };
}

/** Sets that are calibrated for each class by itself. */
export interface ClassConformalPredictor extends Omit<ConformalPredictor, 'quantile'> {
  /** K: each class's own quantile; infinite where it has too few samples for α, and then every set holds it. */
  readonly quantiles: readonly number[];
  /** K: calibration samples of each class. */
  readonly support: readonly number[];
}

/**
 * Calibrates prediction sets that hold the true class with a probability of at least 1 − α **for every class by itself**
 * (Mondrian or label-conditional: Vovk, Gammerman and Shafer 2005, §4.5; Sadinle, Lei and Wasserman 2019): a class is in the
 * set where its score is at most the quantile of its own calibration samples. {@link fitConformal} promises the mean over
 * classes only, and keeps it at the cost of the rare ones. A class needs 1/α − 1 samples; `ordinal` sets may have gaps here.
 *
 * @throws PenumbraError `calibration/option`, `calibration/unknown`, or as {@link predictions}.
 */
export function fitClassConformal(
  method: ConformalMethod,
  p: Predictions,
  options: ConformalOptions = {},
): ClassConformalPredictor {
  const rule = ruleOf(method, p.classes, options);
  const scores = calibrationScores(p, rule);
  const { alpha, classes } = rule;
  const own: number[][] = Array.from({ length: classes }, () => []);
  scores.forEach((score, i) => {
    own[p.labels[i]!]!.push(score);
  });
  const quantiles = own.map((values) => quantileOf(Float64Array.from(values).sort(), alpha));
  const few = quantiles.flatMap((q, k) => (Number.isFinite(q) ? [] : [k]));
  return {
    method,
    classes,
    alpha,
    samples: scores.length,
    quantiles,
    support: own.map((values) => values.length),
    warnings:
      few.length === 0
        ? []
        : [
            `${few.length} of ${classes} classes (${few.slice(0, 10).join(', ')}${few.length > 10 ? ', …' : ''}) have fewer than the ${leastSamples(alpha)} calibration samples that alpha ${alpha} takes: every set holds them.`,
          ],
    predict: (probabilities) => predictSets(probabilities, rule, quantiles),
  };
}

/** Sets for samples of another centre. */
export interface WeightedConformalPredictor extends Omit<ConformalPredictor, 'quantile' | 'predict'> {
  /** (Σw)²/Σw²: how many unweighted samples the calibration set is worth under these weights. */
  readonly effectiveSamples: number;
  /**
   * @param probabilities N×K, row-major
   * @param weights N, in the units of the calibration samples' weights
   * @throws PenumbraError `calibration/shape`, `calibration/option`, or as {@link checkDistributions}
   */
  predict(probabilities: Floats, weights: ArrayLike<number>): PredictionSets;
}

/**
 * Calibrates prediction sets for samples whose images come from another distribution, such as another centre's, while
 * P(label | image) is the same (weighted conformal prediction: Tibshirani, Foygel Barber, Candès and Ramdas, NeurIPS 2019,
 * corollary 1). Each calibration sample counts with w(x), the density of its image there over that here; a sample to judge
 * puts its own weight on an infinite score. Coverage is 1 − α where the weights are right; {@link fitShift} estimates them
 * from features. Where labels themselves are shifted (another prevalence, other graders) no weights of images mend it.
 *
 * @param weights w of each calibration sample, 0 or more, in any unit
 * @throws PenumbraError `calibration/option`, `calibration/unknown`, `calibration/shape`, or as {@link predictions}.
 */
export function fitWeightedConformal(
  method: ConformalMethod,
  p: Predictions,
  weights: ArrayLike<number>,
  options: ConformalOptions = {},
): WeightedConformalPredictor {
  const rule = ruleOf(method, p.classes, options);
  const scores = calibrationScores(p, rule);
  const { alpha, classes } = rule;
  const n = scores.length;
  checkWeights(weights, n);
  const order = Uint32Array.from(scores.keys()).sort((a, b) => scores[a]! - scores[b]!);
  const sorted = Float64Array.from(order, (i) => scores[i]!);
  const cumulative = new Float64Array(n);
  let total = 0;
  let squares = 0;
  order.forEach((i, at) => {
    total += weights[i]!;
    squares += weights[i]! ** 2;
    cumulative[at] = total;
  });
  const effectiveSamples = squares > 0 ? (total * total) / squares : 0;
  /** The least score with a share of at least 1 − α of all weight, the judged sample's included, at or below it. */
  const quantileAt = (weight: number): number => {
    const wanted = (1 - alpha) * (total + weight) * (1 - 1e-12);
    let [low, high] = [0, n];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (cumulative[middle]! < wanted) low = middle + 1;
      else high = middle;
    }
    return low === n ? Number.POSITIVE_INFINITY : sorted[low]!;
  };
  return {
    method,
    classes,
    alpha,
    samples: n,
    effectiveSamples,
    warnings:
      effectiveSamples >= leastSamples(alpha)
        ? []
        : [
            `Under these weights ${n} calibration samples are worth ${effectiveSamples.toFixed(1)}, and alpha ${alpha} takes ${leastSamples(alpha)}: most sets hold all classes.`,
          ],
    predict(probabilities, own) {
      checkWeights(own, Math.floor(probabilities.length / classes));
      return predictSets(probabilities, rule, (i) => quantileAt(own[i]!));
    },
  };
}

/**
 * Calibrates on some samples, predicts the sets of others, and measures them.
 *
 * @param calibration samples that neither trained the network nor fitted a calibrator.
 * @param test the samples to judge.
 *
 * @throws PenumbraError `calibration/option`, `calibration/shape`, or as {@link predictions}.
 */
export function conformalSets(
  method: ConformalMethod,
  calibration: Predictions,
  test: Predictions,
  options: ConformalOptions & SetOptions = {},
): ConformalResult {
  const predictor = fitConformal(method, calibration, options);
  if (test.classes !== calibration.classes) {
    throw new PenumbraError(
      'calibration/shape',
      `The sets are calibrated for ${calibration.classes} classes; the samples to judge have ${test.classes}.`,
    );
  }
  const sets = predictor.predict(test.probabilities);
  const { alpha, samples, quantile, warnings } = predictor;
  return {
    method,
    alpha,
    calibrationSamples: samples,
    quantile: Number.isFinite(quantile) ? quantile : null,
    warnings,
    ...summarizeSets(sets, test.labels, test.classes, alpha, options),
  };
}

/** Everything that calibration and prediction share. */
interface Rule {
  readonly classes: number;
  readonly alpha: number;
  readonly seed: number;
  readonly nonEmpty: boolean;
  readonly score: ConformalScore;
  readonly order: ClassOrder;
}

function ruleOf(method: ConformalMethod, classes: number, options: ConformalOptions): Rule {
  const kind = kinds.find(method);
  if (kind === undefined) {
    return fail('method', `There is no conformal method "${String(method)}".`, kinds.names.join(', '));
  }
  const { alpha = 0.1, seed = 0, nonEmpty = false } = options;
  if (!(alpha > 0 && alpha < 1)) fail('alpha', `alpha must be between 0 and 1, got ${alpha}.`);
  checkRegularization(options);
  const order = kind.order?.(classes) ?? new Ranking(classes);
  return { classes, alpha, seed, nonEmpty, score: kind.score(options), order };
}

/** N scores of the true classes. */
function calibrationScores(p: Predictions, { score, order, seed, classes }: Rule): Float64Array {
  const { probabilities, labels } = predictions(p.probabilities, p.labels, { classes });
  const scores = new Float64Array(labels.length);
  const random = new Random(seed, 0);
  for (let i = 0, at = 0; i < labels.length; i++, at += classes) {
    const u = random.uniform();
    order.start(probabilities, at);
    let before = 0;
    for (let rank = 1, k = order.next(); ; rank++, k = order.next()) {
      const own = probabilities[at + k]!;
      if (k === labels[i]) {
        scores[i] = score(before, own, u, rank);
        break;
      }
      before += own;
    }
  }
  return scores;
}

/** The ⌈(n + 1)(1 − α)⌉-th of n sorted scores, infinite where there are not so many. */
function quantileOf(sorted: Float64Array, alpha: number): number {
  const n = sorted.length;
  // ⌈(n + 1)(1 − α)⌉ = n + 1 − ⌊(n + 1)α⌋, forgiving the rounding of 0.1·20.
  const rank = n + 1 - Math.floor((n + 1) * alpha + 1e-9);
  return rank > n ? Number.POSITIVE_INFINITY : sorted[rank - 1]!;
}

function leastSamples(alpha: number): number {
  return Math.ceil(1 / alpha - 1e-9) - 1;
}

function tooFew(n: number, alpha: number, so: string): string {
  return `${n} calibration samples are too few for alpha ${alpha}, which takes ${leastSamples(alpha)}: ${so}.`;
}

/** @param limit what a score may be at most: in row i for all classes, or for each class in every row */
function predictSets(
  probabilities: Floats,
  { classes, score, order, seed, nonEmpty }: Rule,
  limit: ((i: number) => number) | readonly number[],
): PredictionSets {
  checkDistributions(probabilities, Math.floor(probabilities.length / classes), classes);
  const random = new Random(seed, 1);
  const n = probabilities.length / classes;
  const offsets = new Uint32Array(n + 1);
  let members = new Int32Array(Math.max(2 * n, classes));
  let size = 0;
  for (let i = 0, at = 0; i < n; i++, at += classes) {
    if (size + classes > members.length) {
      const grown = new Int32Array(2 * members.length);
      grown.set(members);
      members = grown;
    }
    const u = random.uniform();
    order.start(probabilities, at);
    const first = size;
    const shared = typeof limit === 'function' ? limit(i) : undefined;
    let likeliest = -1;
    let before = 0;
    for (let rank = 1; rank <= classes; rank++) {
      const k = order.next();
      if (rank === 1) likeliest = k;
      const own = probabilities[at + k]!;
      if (score(before, own, u, rank) <= (shared ?? (limit as readonly number[])[k]!)) members[size++] = k;
      else if (shared !== undefined) break; // Later scores are no smaller.
      before += own;
    }
    if (nonEmpty && size === first) members[size++] = likeliest;
    offsets[i + 1] = size;
  }
  return { offsets, members: members.slice(0, size) };
}

function regularized(options: ConformalOptions): ConformalScore {
  const { lambda = 0.01, kReg = 5 } = options;
  const plain = adaptive(options);
  return (before, own, u, rank) => plain(before, own, u, rank) + lambda * Math.max(0, rank - kReg);
}

function checkRegularization({ lambda = 0.01, kReg = 5 }: ConformalOptions): void {
  if (!(lambda >= 0 && lambda < Number.POSITIVE_INFINITY)) {
    fail('lambda', `lambda must be a number of at least 0, got ${lambda}.`);
  }
  if (!Number.isInteger(kReg) || kReg < 0) {
    fail('kReg', `kReg must be a whole number of at least 0, got ${kReg}.`);
  }
}

function checkWeights(weights: ArrayLike<number>, n: number): void {
  if (weights.length !== n) {
    throw new PenumbraError('calibration/shape', `Got ${weights.length} weights for ${n} samples.`);
  }
  for (let i = 0; i < n; i++) {
    if (weights[i]! >= 0 && weights[i]! < Number.POSITIVE_INFINITY) continue;
    throw new PenumbraError(
      'calibration/option',
      `Weight ${i} is ${weights[i]}, not a number of at least 0.`,
      {
        where: { row: i },
      },
    );
  }
}

function fail(option: string, message: string, known?: string): never {
  throw new PenumbraError('calibration/option', message, {
    where: { option },
    ...(known === undefined ? {} : { hint: `One of: ${known}.` }),
  });
}

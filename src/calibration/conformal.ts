import { PenumbraError } from '../errors.ts';
import { checkDistributions, type Floats, type Predictions, predictions } from '../metrics/index.ts';
import { Random } from '../random.ts';
import { type PredictionSets, type SetOptions, type SetSummary, summarizeSets } from './prediction-sets.ts';
import { Ranking } from './ranking.ts';

export const conformalMethods = ['lac', 'aps', 'raps'] as const;

/**
 * What a class's score is; the set holds the classes whose score is at most the quantile.
 *
 * - `lac`, least ambiguous sets (Sadinle, Lei and Wasserman, JASA 2019): 1 − p_k. The smallest sets on average, empty
 *   ones among them.
 * - `aps`, adaptive prediction sets (Romano, Sesia and Candès, NeurIPS 2020): the mass of all classes before k plus u·p_k,
 *   with one u ~ U[0, 1) for each sample. Larger sets for harder samples.
 * - `raps`, regularized (Angelopoulos, Bates, Malik and Jordan, ICLR 2021): `aps` + λ·max(0, rank of k − k_reg), which
 *   keeps the noise of the many unlikely classes out of the sets.
 */
export type ConformalMethod = (typeof conformalMethods)[number];

export interface ConformalOptions {
  /** The share of sets that may miss, in (0, 1). Default 0.1. */
  readonly alpha?: number;
  /** Names the stream of u. Default 0. */
  readonly seed?: number;
  /**
   * `aps` and `raps`: `false` takes u = 1 for calibration and prediction: no chance in the sets, but larger ones, which
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
  const score = scorer(method, options);
  const { alpha = 0.1, seed = 0, nonEmpty = false } = options;
  if (!(alpha > 0 && alpha < 1)) fail('alpha', `alpha must be between 0 and 1, got ${alpha}.`);
  const { probabilities, labels, classes } = predictions(p.probabilities, p.labels, { classes: p.classes });
  const n = labels.length;
  const scores = new Float64Array(n);
  const random = new Random(seed, 0);
  const ranking = new Ranking(classes);
  for (let i = 0, at = 0; i < n; i++, at += classes) {
    const u = random.uniform();
    ranking.start(probabilities, at);
    let before = 0;
    for (let rank = 1, k = ranking.next(); ; rank++, k = ranking.next()) {
      const own = probabilities[at + k]!;
      if (k === labels[i]) {
        scores[i] = score(before, own, u, rank);
        break;
      }
      before += own;
    }
  }
  // ⌈(n + 1)(1 − α)⌉ = n + 1 − ⌊(n + 1)α⌋, forgiving the rounding of 0.1·20.
  const rank = n + 1 - Math.floor((n + 1) * alpha + 1e-9);
  const quantile = rank > n ? Number.POSITIVE_INFINITY : scores.sort()[rank - 1]!;
  const needed = Math.ceil(1 / alpha - 1e-9) - 1;
  const warnings =
    rank > n
      ? [
          `${n} calibration samples are too few for alpha ${alpha}, which takes ${needed}: every set holds all classes.`,
        ]
      : [];
  return {
    method,
    classes,
    alpha,
    samples: n,
    quantile,
    warnings,
    predict(probabilities) {
      const rows = probabilities.length / classes;
      checkDistributions(probabilities, Math.floor(rows), classes);
      return predictSets(probabilities, classes, score, quantile, new Random(seed, 1), nonEmpty);
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

/** The score of the class at `rank` (from 1) with probability `own`, behind classes with the mass `before`. */
type Score = (before: number, own: number, u: number, rank: number) => number;

/** No score falls from one rank to the next, not even by rounding: a set is the first so many ranks. */
function scorer(method: ConformalMethod, options: ConformalOptions): Score {
  const { randomized = true, lambda = 0.01, kReg = 5 } = options;
  if (!(lambda >= 0 && lambda < Number.POSITIVE_INFINITY)) {
    fail('lambda', `lambda must be a number of at least 0, got ${lambda}.`);
  }
  if (!Number.isInteger(kReg) || kReg < 0) {
    fail('kReg', `kReg must be a whole number of at least 0, got ${kReg}.`);
  }
  switch (method) {
    case 'lac':
      return (_, own) => 1 - own;
    case 'aps':
      return (before, own, u) => before + (randomized ? u : 1) * own;
    case 'raps':
      return (before, own, u, rank) =>
        before + (randomized ? u : 1) * own + lambda * Math.max(0, rank - kReg);
    default:
      return fail('method', `There is no conformal method "${String(method)}".`, conformalMethods.join(', '));
  }
}

function predictSets(
  probabilities: Floats,
  classes: number,
  score: Score,
  quantile: number,
  random: Random,
  nonEmpty: boolean,
): PredictionSets {
  const n = probabilities.length / classes;
  const offsets = new Uint32Array(n + 1);
  let members = new Int32Array(Math.max(2 * n, classes));
  let size = 0;
  const ranking = new Ranking(classes);
  for (let i = 0, at = 0; i < n; i++, at += classes) {
    if (size + classes > members.length) {
      const grown = new Int32Array(2 * members.length);
      grown.set(members);
      members = grown;
    }
    const u = random.uniform();
    ranking.start(probabilities, at);
    let before = 0;
    for (let rank = 1; rank <= classes; rank++) {
      const k = ranking.next();
      const own = probabilities[at + k]!;
      if (score(before, own, u, rank) > quantile && !(nonEmpty && rank === 1)) break;
      members[size++] = k;
      before += own;
    }
    offsets[i + 1] = size;
  }
  return { offsets, members: members.slice(0, size) };
}

function fail(option: string, message: string, known?: string): never {
  throw new PenumbraError('calibration/option', message, {
    where: { option },
    ...(known === undefined ? {} : { hint: `One of: ${known}.` }),
  });
}

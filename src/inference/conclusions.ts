/** What is concluded from probabilities with the help of validation outputs: prediction sets, and "I do not know". */
import {
  type ConformalMethod,
  type ConformalPredictor,
  conformalMethods,
  ensembleProbabilities,
  fitConformal,
  wilson,
} from '../calibration/index.ts';
import type { Targets } from '../data/index.ts';
import { PenumbraError } from '../errors.ts';
import type { Outputs } from '../figures/index.ts';
import type { Estimate, Floats } from '../metrics/index.ts';
import type { Predictor } from './predictor.ts';

export interface SetRequest {
  /** The share of sets that hold the truth, in (0, 1). */
  readonly coverage: number;
  /** Default: `lac`. For findings there is no other. */
  readonly method?: ConformalMethod;
}

/** What prediction sets need, fitted. */
export interface SetRule {
  /**
   * One label of K: the classes of each row's set, the likeliest first. Findings: of row i and finding k at i·K + k, from
   * 0 (absent) and 1 (present).
   */
  setsOf(own: Floats): (readonly number[])[];
  readonly warnings: readonly string[];
}

export interface AbstentionRule {
  /** The greatest share of wrong answers among those given, on the validation split. */
  readonly risk: number;
  /** One label of K: one threshold of the confidence. Findings: K, of max(p, 1 − p). Infinity where nothing is answered. */
  readonly thresholds: readonly number[];
  /** What the rule does on the validation samples that it was chosen on, one for each threshold. */
  readonly onValidation: readonly Abstention[];
}

/** Answering only where the confidence reaches a threshold. */
export interface Abstention {
  readonly threshold: number;
  readonly samples: number;
  readonly answered: number;
  /** The share of wrong answers among those given, with its Wilson interval at 95 %. */
  readonly wrong: Estimate;
}

/**
 * The members' mean probabilities on their validation samples, and what is true of these.
 * @throws `inference/validation` where a member kept none, or others than the first
 */
export function validationOf(predictor: Predictor): Outputs {
  const parts = predictor.kept.map((kept, m) => {
    if (kept !== undefined) return kept.validation();
    const folder = predictor.folders[m]!;
    throw new PenumbraError('inference/validation', `${folder} keeps no outputs of its validation split`, {
      hint: `first: penumbra calibrate ${folder} DATA (with --method none to keep the outputs alone)`,
    });
  });
  const [first] = parts;
  const prints = predictor.kept.map((kept) => kept!.data.fingerprint);
  const other = parts.findIndex(
    ({ indices }, m) =>
      prints[m] !== prints[0] ||
      indices.length !== first!.indices.length ||
      indices.some((index, i) => index !== first!.indices[i]),
  );
  if (other > 0) {
    throw new PenumbraError(
      'inference/validation',
      `${predictor.folders[other]} was calibrated on other images than ${predictor.folders[0]}`,
      { hint: 'calibrate every member on the same split of the same data' },
    );
  }
  const probabilities =
    parts.length === 1
      ? first!.probabilities
      : ensembleProbabilities(parts.map((part) => part.probabilities));
  return { targets: first!.targets, probabilities };
}

/**
 * Conformal prediction sets for new samples of the same kind: split conformal, without chance in the sets, never empty. Of
 * findings, each is a question of its own whose set may hold absent, present or both.
 * @throws `inference/conformal`, `calibration/option`
 */
export function fitSets(validation: Outputs, { coverage, method = 'lac' }: SetRequest): SetRule {
  const { targets, probabilities } = validation;
  if (!conformalMethods.includes(method)) {
    throw new PenumbraError('inference/conformal', `there are no conformal sets '${method}'`, {
      hint: `one of: ${conformalMethods.join(', ')}`,
    });
  }
  const options = { alpha: 1 - coverage, nonEmpty: true, ...(method !== 'lac' && { randomized: false }) };
  if (targets.kind === 'one-of-k') {
    const rule = fitConformal(
      method,
      { probabilities, labels: targets.values, classes: targets.names.length },
      options,
    );
    return { setsOf: (own) => setsBy(rule, own), warnings: rule.warnings };
  }
  if (method !== 'lac') {
    throw new PenumbraError(
      'inference/conformal',
      'for findings, sets are lac: each holds absent, present or both',
    );
  }
  const { names } = targets;
  const rules = questionsOf(targets, probabilities).map(({ confidenceOf, labels }, k) => {
    if (labels.length > 0)
      return fitConformal('lac', { probabilities: confidenceOf, labels, classes: 2 }, options);
    throw new PenumbraError(
      'inference/conformal',
      `no validation image is known to have, or to lack, ${names[k]}`,
      {
        hint: 'leave that finding out with --classes when training, or give validation images where it is known',
      },
    );
  });
  return {
    setsOf(own) {
      const k = names.length;
      const sets: (readonly number[])[] = new Array(own.length);
      rules.forEach((rule, c) => {
        setsBy(rule, binary(own, k, c)).forEach((set, i) => {
          sets[i * k + c] = set;
        });
      });
      return sets;
    },
    warnings: rules.flatMap(({ warnings }, k) => warnings.map((warning) => `${names[k]}: ${warning}`)),
  };
}

/**
 * The least confidence from which answers are given, such that on the validation samples the share of wrong ones among them
 * is at most `risk` (selective classification by the softmax response: Geifman and El-Yaniv, NeurIPS 2017): of all thresholds
 * that keep it, the one that answers most. Chosen on these very samples, so new ones may be wrong a little more often; the
 * interval says by how much. Samples of equal confidence stay together.
 * @throws `inference/abstain` for a risk outside (0, 1)
 */
export function fitAbstention(validation: Outputs, risk: number): AbstentionRule {
  if (!(risk > 0 && risk < 1)) {
    throw new PenumbraError('inference/abstain', `a risk is a share between 0 and 1, not ${risk}`, {
      hint: 'risk=0.1 accepts one wrong answer in ten',
    });
  }
  const { targets, probabilities } = validation;
  const k = targets.names.length;
  const questions =
    targets.kind === 'findings'
      ? questionsOf(targets, probabilities)
      : [{ confidenceOf: probabilities, labels: targets.values }];
  const width = targets.kind === 'findings' ? 2 : k;
  const onValidation = questions.map(({ confidenceOf, labels }) => {
    const confidence = new Float64Array(labels.length);
    const right = new Uint8Array(labels.length);
    for (let i = 0; i < labels.length; i++) {
      let best = 0;
      for (let c = 1; c < width; c++)
        if (confidenceOf[i * width + c]! > confidenceOf[i * width + best]!) best = c;
      confidence[i] = confidenceOf[i * width + best]!;
      right[i] = best === labels[i] ? 1 : 0;
    }
    return chooseThreshold(confidence, right, risk);
  });
  return { risk, thresholds: onValidation.map(({ threshold }) => threshold), onValidation };
}

/** The threshold that answers most at a share of wrong answers of at most `risk`. */
export function chooseThreshold(
  confidence: Float64Array,
  right: ArrayLike<number>,
  risk: number,
): Abstention {
  const n = confidence.length;
  const order = Uint32Array.from(confidence.keys()).sort((a, b) => confidence[b]! - confidence[a]!);
  let wrong = 0;
  let best = { threshold: Number.POSITIVE_INFINITY, answered: 0, wrong: 0 };
  for (let i = 0; i < n; i++) {
    if (right[order[i]!] === 0) wrong++;
    const isLast = i + 1 === n || confidence[order[i + 1]!]! < confidence[order[i]!]!;
    if (isLast && wrong <= risk * (i + 1) + 1e-12)
      best = { threshold: confidence[order[i]!]!, answered: i + 1, wrong };
  }
  const { threshold, answered } = best;
  return { threshold, samples: n, answered, wrong: wilson(best.wrong, answered, 0.95) };
}

/** Each finding as a question with the answers absent (0) and present (1), over the samples where it is known. */
function questionsOf(
  targets: Extract<Targets, { kind: 'findings' }>,
  probabilities: Floats,
): { confidenceOf: Float32Array; labels: Int32Array }[] {
  const { values, mask, names } = targets;
  const k = names.length;
  return names.map((_, c) => {
    const rows: number[] = [];
    for (let at = c; at < values.length; at += k)
      if ((mask?.[at] ?? 1) === 1 && values[at] !== 0.5) rows.push(at);
    const known = Float32Array.from(rows, (at) => probabilities[at]!);
    return {
      confidenceOf: binary(known, 1, 0),
      labels: Int32Array.from(rows, (at) => Number(values[at]! > 0.5)),
    };
  });
}

/** Column c of N×K probabilities as N×2: absent, present. */
function binary(probabilities: Floats, k: number, c: number): Float32Array {
  const n = probabilities.length / k;
  const pairs = new Float32Array(2 * n);
  for (let i = 0; i < n; i++) {
    const p = probabilities[i * k + c]!;
    pairs[2 * i] = 1 - p;
    pairs[2 * i + 1] = p;
  }
  return pairs;
}

function setsBy(rule: ConformalPredictor, own: Floats): number[][] {
  const { offsets, members } = rule.predict(own);
  return Array.from({ length: offsets.length - 1 }, (_, i) =>
    Array.from(members.subarray(offsets[i]!, offsets[i + 1]!)),
  );
}

import type { Findings, Targets } from '../data/targets.ts';
import { PenumbraError } from '../errors.ts';
import { checkDistributions, type Floats, type Predictions } from '../metrics/index.ts';

/** What a classifier said of N samples, and what they are: all that any figure is made from. */
export interface Outputs {
  /** N labels of K, or N×K findings. */
  readonly targets: Targets;
  /** N×K in [0, 1], row-major. One of K: rows sum to 1. Findings: p(finding k | sample i), each for itself. */
  readonly probabilities: Floats;
  /** N×K: what the probabilities were made of by softmax or by the sigmoid. Leave out where they were calibrated since. */
  readonly logits?: Floats;
  /** Findings: N×K in [0, 1], the doubt that the classifier expects a report to express. */
  readonly doubt?: Floats;
  /** N×K true probabilities, where a phantom knows them. */
  readonly posterior?: Floats;
  /** K: the probability from which a finding is called, chosen on other samples; NaN where none could be chosen. */
  readonly thresholds?: Float64Array;
  /** N: where each sample stands in its split. */
  readonly indices?: Int32Array;
}

/** N. */
export function samplesOf({ targets }: Pick<Outputs, 'targets'>): number {
  const { kind, names, values } = targets;
  return kind === 'one-of-k' ? values.length : values.length / names.length;
}

/**
 * The doubt that was expressed of N×K findings, in [0, 1]: max(0, r), and of values that are probabilities, without rates,
 * 2·min(y, 1 − y); `undefined` where the targets express none.
 */
export function expressedDoubt(targets: Targets): Float32Array | undefined {
  if (targets.kind !== 'findings') return undefined;
  const { values, rates } = targets;
  if (rates !== undefined) return rates.map((r) => Math.max(0, r));
  return values.some((y) => y > 0 && y < 1) ? values.map((y) => 2 * Math.min(y, 1 - y)) : undefined;
}

/**
 * What the wording of N×K findings means, ỹ in [0, 1]: (1 − r)·y + r/2 with r of at least 0, and values themselves where there
 * are no rates.
 */
export function wordedTargets({ values, rates }: Findings): Float32Array {
  if (rates === undefined) return values;
  return values.map((y, i) => {
    const r = Math.max(0, rates[i]!);
    return (1 - r) * y + r / 2;
  });
}

/** Outputs of one label of K as the metrics take them; nothing is copied. */
export function predictionsOf({ targets, probabilities }: Outputs): Predictions {
  if (targets.kind !== 'one-of-k') {
    throw new PenumbraError('figures/kind', 'These are findings, not one label of K.', {
      hint: 'Findings are measured one at a time; see the figures for findings.',
    });
  }
  return { probabilities, labels: targets.values, classes: targets.names.length };
}

/** Metrics' predictions as outputs. @param names K class names; default their numbers. */
export function outputsOf(p: Predictions, names?: readonly string[]): Outputs {
  return {
    targets: {
      kind: 'one-of-k',
      names: names ?? Array.from({ length: p.classes }, (_, k) => String(k)),
      values: p.labels,
    },
    probabilities: p.probabilities,
  };
}

/**
 * Checks that the arrays fit together, and every probability.
 * @throws PenumbraError `metrics/empty`, `metrics/shape`, `metrics/probability`, `metrics/row-sum`
 */
export function checkOutputs(outputs: Outputs): void {
  const { targets, probabilities } = outputs;
  const n = samplesOf(outputs);
  const k = targets.names.length;
  if (n === 0) {
    throw new PenumbraError('metrics/empty', 'There are no samples to measure.', {
      hint: 'Check that the split is not empty.',
    });
  }
  if (targets.kind === 'one-of-k') {
    checkDistributions(probabilities, n, k);
    return;
  }
  if (probabilities.length !== n * k) {
    throw new PenumbraError(
      'metrics/shape',
      `Got ${probabilities.length} probabilities, expected ${n * k} for ${n} samples and ${k} findings.`,
      { hint: 'Probabilities are N×K row-major.' },
    );
  }
  for (let at = 0; at < probabilities.length; at++) {
    // Written so that NaN fails too.
    if (probabilities[at]! >= 0 && probabilities[at]! <= 1) continue;
    const row = Math.floor(at / k);
    throw new PenumbraError(
      'metrics/probability',
      `Row ${row}, finding ${targets.names[at % k]}: ${probabilities[at]} is not a probability in [0, 1].`,
      { hint: 'Give sigmoid outputs, not logits.', where: { row, finding: targets.names[at % k]! } },
    );
  }
}

/**
 * One run or several as several, all of the same samples.
 * @throws PenumbraError `metrics/empty` for none, `metrics/runs` where the targets differ
 */
export function asRuns(input: Outputs | readonly Outputs[]): readonly Outputs[] {
  const runs = 'targets' in input ? [input] : input;
  const first = runs[0];
  if (first === undefined) {
    throw new PenumbraError('metrics/empty', 'There are no runs to measure.', { hint: 'Give at least one.' });
  }
  runs.forEach((run, s) => {
    if (s > 0) checkSame(first, run, s);
  });
  return runs;
}

/** @throws PenumbraError `metrics/runs` where the two are not of the same samples. */
export function checkSame(first: Outputs, other: Outputs, run: number): void {
  const [a, b] = [first.targets, other.targets];
  const same =
    a === b ||
    (a.kind === b.kind &&
      a.names.length === b.names.length &&
      equal(a.values, b.values) &&
      equal(maskOf(a), maskOf(b)));
  if (same) return;
  throw new PenumbraError(
    'metrics/runs',
    `Run ${run} is not of the same samples as run 0: its labels differ.`,
    { hint: 'Give predictions for the same samples in the same order.', where: { run } },
  );
}

function maskOf(targets: Targets): Uint8Array | undefined {
  return targets.kind === 'findings' ? targets.mask : undefined;
}

function equal(a: ArrayLike<number> | undefined, b: ArrayLike<number> | undefined): boolean {
  if (a === b) return true;
  if (a === undefined || b === undefined || a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

import { argsort } from '../metrics/index.ts';
import { absentWarning, type CalibrationMethod, isNumbers } from './calibrator.ts';
import { applyCurves, type Curves, type Evaluate, fitCurves, Places } from './one-vs-rest.ts';

/** There is nothing to choose. */
export type IsotonicOptions = Record<never, never>;

/** Points of a non-decreasing curve: x strictly ascending, and y, both in [0, 1]. */
interface Points {
  readonly x: readonly number[];
  readonly y: readonly number[];
}

export interface IsotonicParameters {
  /** K; `null` for a class without samples in the fit set. */
  readonly curves: Curves<Points>;
}

/**
 * Isotonic regression, one class against the rest (Zadrozny and Elkan, "Transforming Classifier Scores into Accurate
 * Multiclass Probability Estimates", KDD 2002): for each class the non-decreasing function of its softmax probability
 * that is nearest in squares to 1[y = k], by pooling adjacent violators; then each row is divided by its sum.
 *
 * Equal probabilities are pooled first, so the order of samples does not matter. Between the fitted points the curve is
 * linear and beyond them constant, as in scikit-learn. A class without samples in the fit set keeps its softmax
 * probability. Exact zeros are usual: wherever no sample of a class had so low a probability, and then one sample that
 * has it after all costs the floor of {@link nll}, 87 nats. Judge it by calibration error and Brier too. Accuracy can
 * change.
 */
export const isotonic: CalibrationMethod<IsotonicParameters, IsotonicOptions> = {
  label: 'Isotonic regression',
  options: [],
  fit: (set) => ({
    parameters: { curves: fitCurves(set, pool) },
    report: { warnings: absentWarning(set.support, 'they keep their softmax probability') },
  }),
  valid: (parameters, classes): parameters is IsotonicParameters => {
    const { curves } = (parameters ?? {}) as Partial<IsotonicParameters>;
    return (
      Array.isArray(curves) && curves.length === classes && curves.every((c) => c === null || isPoints(c))
    );
  },
  apply: ({ curves }, logits, classes, out) => applyCurves(curves.map(evaluate), logits, classes, out),
};

/** Pool adjacent violators (Ayer et al. 1955; Barlow et al. 1972) over a stack of blocks. */
function pool(probability: Float32Array, outcome: Uint8Array): Points {
  const n = probability.length;
  const order = argsort(probability);
  const first = new Float64Array(n); // Of each block: its least and greatest probability, its positives, its samples.
  const last = new Float64Array(n);
  const positives = new Float64Array(n);
  const count = new Float64Array(n);
  let top = -1;
  for (let start = 0, end = 0; start < n; start = end) {
    const x = probability[order[start]!]!;
    top++;
    first[top] = last[top] = x;
    positives[top] = count[top] = 0;
    for (; end < n && probability[order[end]!] === x; end++) positives[top]! += outcome[order[end]!]!;
    count[top] = end - start;
    // Means are compared crosswise, exactly.
    while (top > 0 && positives[top - 1]! * count[top]! >= positives[top]! * count[top - 1]!) {
      last[top - 1] = last[top]!;
      positives[top - 1]! += positives[top]!;
      count[top - 1]! += count[top]!;
      top--;
    }
  }
  const x: number[] = [];
  const y: number[] = [];
  for (let b = 0; b <= top; b++) {
    x.push(first[b]!);
    y.push(positives[b]! / count[b]!);
    if (last[b]! === first[b]!) continue;
    x.push(last[b]!);
    y.push(positives[b]! / count[b]!);
  }
  return { x, y };
}

function evaluate(points: Points | null): Evaluate | null {
  if (points === null) return null;
  const x = Float64Array.from(points.x);
  const y = Float64Array.from(points.y);
  const places = new Places(points.x);
  const end = x.length - 1;
  return (p, bits) => {
    // Most probabilities of most classes are below the first point that matters.
    if (p <= x[0]!) return y[0]!;
    if (p >= x[end]!) return y[end]!;
    const j = places.below(p, bits);
    const share = (p - x[j - 1]!) / (x[j]! - x[j - 1]!);
    return y[j - 1]! + share * (y[j]! - y[j - 1]!);
  };
}

function isPoints(points: Partial<Points>): points is Points {
  const { x, y } = points;
  return (
    isNumbers(x) &&
    x.length > 0 &&
    isNumbers(y, x.length) &&
    x.every((v, j) => j === 0 || v > x[j - 1]!) &&
    y.every((v, j) => v >= (y[j - 1] ?? 0) && v <= 1)
  );
}

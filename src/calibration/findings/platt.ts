import type { FindingMethod, FindingSamples } from './calibrator.ts';
import { sigmoid } from './sigmoid.ts';

export interface PlattParameters {
  /** p = sigmoid(slope·z + offset). */
  readonly slope: number;
  readonly offset: number;
}

/** There is nothing to choose. */
export type PlattOptions = Record<never, never>;

/**
 * Platt scaling, sigmoid(a·z + b) (Platt, "Probabilistic outputs for support vector machines", 1999), by the Newton
 * method of Lin, Lin and Weng ("A note on Platt's probabilistic outputs", Machine Learning 2007). As there, the targets
 * are (n₊ + 1)/(n₊ + 2) and 1/(n₋ + 2) instead of 1 and 0, which keeps a finding that can be separated finite.
 */
export const platt: FindingMethod<PlattParameters, PlattOptions> = {
  label: 'Platt scaling',
  options: [],
  fit: fitPlatt,
  valid: (parameters): parameters is PlattParameters => {
    const { slope, offset } = (parameters ?? {}) as Partial<PlattParameters>;
    return Number.isFinite(slope) && Number.isFinite(offset);
  },
  curve:
    ({ slope, offset }) =>
    (z) =>
      sigmoid(slope * z + offset),
};

function fitPlatt({ logits, values }: FindingSamples): PlattParameters {
  const n = values.length;
  let positive = 0;
  for (const y of values) positive += y;
  const negative = n - positive;
  const [high, low] = [(positive + 1) / (positive + 2), 1 / (negative + 2)];
  const targets = values.map((y) => y * high + (1 - y) * low);
  let slope = 0;
  let offset = Math.log((positive + 1) / (negative + 1));
  let loss = lossAt(logits, targets, slope, offset);
  for (let iteration = 0; iteration < 200; iteration++) {
    let [ga, gb, haa, hab, hbb] = [0, 0, 1e-12, 0, 1e-12];
    for (let i = 0; i < n; i++) {
      const p = sigmoid(slope * logits[i]! + offset);
      const [d, w, z] = [p - targets[i]!, p * (1 - p), logits[i]!];
      ga += d * z;
      gb += d;
      haa += w * z * z;
      hab += w * z;
      hbb += w;
    }
    if (Math.abs(ga) < 1e-10 * n && Math.abs(gb) < 1e-10 * n) break;
    const determinant = haa * hbb - hab * hab;
    const da = -(hbb * ga - hab * gb) / determinant;
    const db = -(haa * gb - hab * ga) / determinant;
    const fall = ga * da + gb * db;
    let step = 1;
    let next = lossAt(logits, targets, slope + da, offset + db);
    while (!(next <= loss + 1e-4 * step * fall + 1e-14 * Math.abs(loss)) && step > 1e-10) {
      step /= 2;
      next = lossAt(logits, targets, slope + step * da, offset + step * db);
    }
    if (step <= 1e-10) break;
    slope += step * da;
    offset += step * db;
    loss = next;
  }
  return { slope, offset };
}

/** Σ −t·ln p − (1 − t)·ln(1 − p). */
function lossAt(logits: Float64Array, targets: Float64Array, slope: number, offset: number): number {
  let sum = 0;
  for (let i = 0; i < logits.length; i++) {
    const v = slope * logits[i]! + offset;
    sum += Math.max(v, 0) - v * targets[i]! + Math.log1p(Math.exp(-Math.abs(v)));
  }
  return sum;
}

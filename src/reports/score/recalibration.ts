/** How truth follows a stated probability: a logistic model with one slope, for few cases. */
import type { Estimate } from '../../metrics/index.ts';

/** logit P(truth) = intercept + slope·logit(p). 1 and 0 where the probabilities are right, slope 0 where they say nothing. */
export interface Recalibration {
  readonly n: number;
  readonly intercept: number;
  readonly slope: number;
  /** 95 % interval of the slope by the profile of the penalised likelihood. */
  readonly low: number;
  readonly high: number;
}

/** Half the 95 % quantile of χ² with one degree of freedom. */
const DROP = 3.841458820694124 / 2;
/** Slopes beyond this are as good as infinite. */
const FAR = 50;

/**
 * Fits the recalibration with Firth's penalty (Biometrika 1993; Heinze & Schemper, Statistics in Medicine 2002), by which
 * there is an answer of few cases too, and of hedges that happen to have been right every time. Its intervals are those
 * of the profile likelihood, which are not symmetric.
 *
 * @param probabilities in (0, 1)
 * @param truths 1 or true where it is there
 * @returns undefined where a slope means nothing: fewer than two different probabilities, or one kind of truth alone
 */
export function recalibrate(
  probabilities: readonly number[],
  truths: readonly (boolean | number)[],
): Recalibration | undefined {
  // Hedges have few different probabilities, as a table gives them: cases count by probability.
  const groups = new Map<number, { x: number; n: number; ones: number }>();
  probabilities.forEach((p, i) => {
    const group = groups.get(p) ?? { x: Math.log(p / (1 - p)), n: 0, ones: 0 };
    groups.set(p, group);
    group.n++;
    group.ones += Number(truths[i]);
  });
  const n = probabilities.length;
  const ones = [...groups.values()].reduce((sum, group) => sum + group.ones, 0);
  if (groups.size < 2 || ones === 0 || ones === n) return undefined;
  const model = new Model([...groups.values()]);
  const best = model.maximise();
  const least = best.value - DROP;
  const end = (direction: -1 | 1) => {
    let inside = best.slope;
    let outside = best.slope + direction;
    while (model.profile(outside) > least) {
      inside = outside;
      outside = best.slope + 2 * (outside - best.slope);
      if (Math.abs(outside) > FAR) return direction * Number.POSITIVE_INFINITY;
    }
    for (let step = 0; step < 50; step++) {
      const middle = (inside + outside) / 2;
      if (model.profile(middle) > least) inside = middle;
      else outside = middle;
    }
    return (inside + outside) / 2;
  };
  return { n, intercept: best.intercept, slope: best.slope, low: end(-1), high: end(1) };
}

/** The slope as a figure with its interval. */
export function slopeOf(fit: Recalibration | undefined): Estimate {
  if (fit === undefined) return { value: null, low: null, high: null };
  return { value: fit.slope, low: fit.low, high: fit.high };
}

class Model {
  private readonly groups: readonly { x: number; n: number; ones: number }[];
  private readonly farthest: number;

  constructor(groups: Model['groups']) {
    this.groups = groups;
    this.farthest = Math.max(...groups.map(({ x }) => Math.abs(x)));
  }

  /** Log likelihood + ½·log|information|. */
  private value(a: number, b: number): number {
    let likelihood = 0;
    let [s0, s1, s2] = [0, 0, 0];
    for (const { x, n, ones } of this.groups) {
      const z = a + b * x;
      likelihood += ones * z - n * softplus(z);
      const p = 1 / (1 + Math.exp(-z));
      const w = n * p * (1 - p);
      s0 += w;
      s1 += w * x;
      s2 += w * x * x;
    }
    return likelihood + 0.5 * Math.log(Math.max(s0 * s2 - s1 * s1, 1e-300));
  }

  maximise(): { intercept: number; slope: number; value: number } {
    const slope = golden((b) => this.profile(b), -FAR, FAR);
    const intercept = this.interceptAt(slope);
    return { intercept, slope, value: this.value(intercept, slope) };
  }

  /** The largest penalised likelihood of a slope. */
  profile(slope: number): number {
    return this.value(this.interceptAt(slope), slope);
  }

  private interceptAt(slope: number): number {
    const reach = FAR + Math.abs(slope) * this.farthest;
    return golden((a) => this.value(a, slope), -reach, reach);
  }
}

function softplus(z: number): number {
  return z > 0 ? z + Math.log1p(Math.exp(-z)) : Math.log1p(Math.exp(z));
}

/** Where a function with one maximum has it, to about 1e-9 of the range: golden section. */
function golden(of: (x: number) => number, from: number, to: number): number {
  const ratio = (Math.sqrt(5) - 1) / 2;
  let [low, high] = [from, to];
  let [left, right] = [high - ratio * (high - low), low + ratio * (high - low)];
  let [atLeft, atRight] = [of(left), of(right)];
  while (high - low > 1e-7) {
    if (atLeft > atRight) {
      [high, right, atRight] = [right, left, atLeft];
      left = high - ratio * (high - low);
      atLeft = of(left);
    } else {
      [low, left, atLeft] = [left, right, atRight];
      right = low + ratio * (high - low);
      atRight = of(right);
    }
  }
  return (low + high) / 2;
}

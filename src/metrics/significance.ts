import { PenumbraError } from '../errors.ts';

export interface McNemar {
  /** How many samples only the first, and only the second, got right. */
  readonly onlyFirst: number;
  readonly onlySecond: number;
  /** Two-sided exact p-value. */
  readonly p: number;
}

/**
 * McNemar's exact test of two classifiers' accuracy on the same samples (McNemar, Psychometrika 1947): where exactly one
 * is right, b times the first and c times the second, under equal accuracy b ~ Binomial(b + c, ½), and
 * p = min(1, 2·Σ_{j ≤ min(b,c)} C(b+c, j)/2^{b+c}). It takes samples as independent: for several images of one patient
 * use the paired bootstrap with groups.
 *
 * @param first, second N of 0 and 1: was the sample right?
 *
 * @example
 * mcnemar([1, 1, 1, 1, 0], [0, 0, 1, 1, 0]); // { onlyFirst: 2, onlySecond: 0, p: 0.5 }
 *
 * @throws PenumbraError `metrics/shape` where the lengths differ.
 */
export function mcnemar(first: ArrayLike<number>, second: ArrayLike<number>): McNemar {
  if (first.length !== second.length) {
    throw new PenumbraError(
      'metrics/shape',
      `Got ${first.length} and ${second.length} samples; they must be the same.`,
      {
        hint: 'Compare both methods on the same samples in the same order.',
      },
    );
  }
  let onlyFirst = 0;
  let onlySecond = 0;
  for (let i = 0; i < first.length; i++) {
    if (first[i] && !second[i]) onlyFirst++;
    else if (!first[i] && second[i]) onlySecond++;
  }
  return { onlyFirst, onlySecond, p: signTest(onlyFirst, onlySecond) };
}

function signTest(b: number, c: number): number {
  const n = b + c;
  const m = Math.min(b, c);
  // The greatest term by its logarithm, which cannot underflow as 2⁻ⁿ does; the others by their ratio.
  let log = -n * Math.LN2;
  for (let j = 1; j <= m; j++) log += Math.log((n - m + j) / j);
  let term = 1;
  let sum = 0;
  for (let j = m; j >= 0 && term > 0; j--) {
    sum += term;
    term *= j / (n - j + 1);
  }
  return Math.min(1, 2 * Math.exp(log) * sum);
}

/**
 * Holm's step-down correction of p-values for several tests (Holm, Scandinavian Journal of Statistics 1979): in ascending
 * order p̃_(i) = max_{j ≤ i} min(1, (m − j + 1)·p_(j)). Controls the family-wise error under any dependence. `null`s
 * (tests that could not be made) stay `null` and do not count.
 *
 * @example
 * holm([0.01, 0.04, 0.03]); // [0.03, 0.06, 0.06]
 */
export function holm(ps: readonly (number | null)[]): (number | null)[] {
  const order = ps.flatMap((p, i) => (p === null ? [] : [{ p, i }])).sort((a, b) => a.p - b.p);
  const result: (number | null)[] = ps.map(() => null);
  let most = 0;
  order.forEach(({ p, i }, rank) => {
    most = Math.max(most, Math.min(1, (order.length - rank) * p));
    result[i] = most;
  });
  return result;
}

import type { Estimate } from '../metrics/index.ts';
import { normalQuantile } from '../normal.ts';

/**
 * A share of independent samples with its score interval (Wilson, Journal of the American Statistical Association
 * 1927): the p with |p̂ − p| ≤ z·√(p(1 − p)/n). `null`s where n is 0.
 *
 * @param level coverage of the interval, in (0, 1).
 */
export function wilson(successes: number, n: number, level: number): Estimate {
  if (n === 0) return { value: null, low: null, high: null };
  const share = successes / n;
  const z = normalQuantile((1 + level) / 2);
  const spread = z * Math.sqrt((share * (1 - share)) / n + (z * z) / (4 * n * n));
  const middle = share + (z * z) / (2 * n);
  const scale = 1 + (z * z) / n;
  // The ends at 0 and 1 are exact but for rounding.
  const low = successes === 0 ? 0 : (middle - spread) / scale;
  const high = successes === n ? 1 : (middle + spread) / scale;
  return { value: share, low, high };
}

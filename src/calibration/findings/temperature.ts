import { PenumbraError } from '../../errors.ts';
import type { FindingMethod, FindingSamples } from './calibrator.ts';
import { sigmoid } from './sigmoid.ts';

export interface FindingTemperatureOptions {
  /** Bounds of T, 0 < min < max. Defaults 0.05 and 20. */
  readonly min?: number;
  readonly max?: number;
}

/**
 * Temperature scaling of one finding, sigmoid(z/T) (Guo et al., ICML 2017, for two classes): T minimises the negative
 * log-likelihood, which is convex in 1/T. It cannot mend a prevalence that is off: 0 stays 0.5. {@link platt} can.
 */
export const findingTemperature: FindingMethod<{ readonly temperature: number }, FindingTemperatureOptions> =
  {
    label: 'Temperature scaling',
    options: ['min', 'max'],
    fit(set, { min = 0.05, max = 20 }) {
      if (!(min > 0 && min < max && max < Number.POSITIVE_INFINITY)) {
        throw new PenumbraError(
          'calibration/option',
          `The bounds of the temperature must be 0 < min < max, got ${min} and ${max}.`,
        );
      }
      return { temperature: 1 / root(set, 1 / max, 1 / min) };
    },
    valid: (parameters): parameters is { temperature: number } => {
      const t = (parameters as { temperature?: unknown } | null)?.temperature;
      return typeof t === 'number' && t > 0 && Number.isFinite(t);
    },
    curve:
      ({ temperature }) =>
      (z) =>
        sigmoid(z / temperature),
  };

/** Where Σ (sigmoid(βz) − y)·z, which rises with β, is 0; or the bound that is nearer. */
function root({ logits, values }: FindingSamples, low: number, high: number): number {
  const slope = (beta: number) => {
    let sum = 0;
    for (let i = 0; i < values.length; i++) sum += (sigmoid(beta * logits[i]!) - values[i]!) * logits[i]!;
    return sum;
  };
  if (slope(low) >= 0) return low;
  if (slope(high) <= 0) return high;
  let [a, b] = [low, high];
  while (b / a - 1 > 1e-12) {
    const middle = Math.sqrt(a * b);
    if (middle <= a || middle >= b) break;
    if (slope(middle) > 0) b = middle;
    else a = middle;
  }
  return Math.sqrt(a * b);
}

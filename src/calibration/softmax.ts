import { PenumbraError } from '../errors.ts';
import { type Floats, NLL_FLOOR } from '../metrics/index.ts';
import { expNegative } from './exp.ts';

/**
 * softmax(β·z) of each row.
 *
 * @param logits N×K, row-major, finite.
 * @param beta 1/T, above 0.
 * @param out N×K; may be `logits` itself.
 * @returns `out`: N×K probabilities, each row summing to 1 within fp32 rounding.
 */
export function softmax(
  logits: Floats,
  classes: number,
  beta = 1,
  out: Float32Array = new Float32Array(logits.length),
): Float32Array {
  const row = new Float64Array(classes); // Rounded once, at the end.
  for (let at = 0; at < logits.length; at += classes) {
    let most = logits[at]!;
    for (let k = 1; k < classes; k++) if (logits[at + k]! > most) most = logits[at + k]!;
    let sum = 0;
    for (let k = 0; k < classes; k++) sum += row[k] = expNegative((logits[at + k]! - most) * beta);
    const scale = 1 / sum;
    for (let k = 0; k < classes; k++) out[at + k] = row[k]! * scale;
  }
  return out;
}

/**
 * ln max(p, 2⁻¹²⁶): logits for those who have only probabilities. softmax gives the probabilities back; a constant that
 * the network added to all logits of a row is lost, which no calibrator but `vector` can see.
 *
 * @param probabilities any number of them, in [0, 1].
 * @throws PenumbraError `calibration/probability` with the index of the first that is not.
 */
export function logitsOf(probabilities: Floats): Float32Array {
  const result = new Float32Array(probabilities.length);
  for (let i = 0; i < result.length; i++) {
    const p = probabilities[i]!;
    if (!(p >= 0 && p <= 1.01)) {
      throw new PenumbraError(
        'calibration/probability',
        `Number ${i}: ${p} is not a probability in [0, 1].`,
        {
          hint: 'Give softmax outputs; logits can be used as they are.',
          where: { index: i },
        },
      );
    }
    result[i] = Math.log(Math.max(p, NLL_FLOOR));
  }
  return result;
}

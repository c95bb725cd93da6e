import { PenumbraError } from '../errors.ts';

/** Distances of longer rows would leave float32. */
const LARGEST = 1e30;

/**
 * Checks N features of D numbers each.
 * @throws `embeddings/empty`, `embeddings/shape`, `embeddings/value` (the row of the first number that is not finite,
 *   or so large that distances would overflow)
 */
export function checkFeatures(features: Float32Array, n: number, d: number): void {
  if (!Number.isInteger(n) || n < 1) {
    throw new PenumbraError('embeddings/empty', `there are no features to look at (${n} samples)`, {
      hint: 'check that the split is not empty',
    });
  }
  if (!Number.isInteger(d) || d < 1 || features.length !== n * d) {
    throw new PenumbraError('embeddings/shape', `got ${features.length} numbers for ${n} samples × ${d}`, {
      hint: 'features are N×D, row-major: D numbers for every sample',
    });
  }
  for (let i = 0; i < features.length; i++) {
    if (Math.abs(features[i]!) <= LARGEST) continue;
    const row = Math.floor(i / d);
    throw new PenumbraError('embeddings/value', `feature ${i % d} of row ${row} is ${features[i]}`, {
      hint: 'a diverged network gives such features; look at its training loss',
      where: { row, column: i % d },
    });
  }
}

/**
 * Checks labels of N samples: one for each, whole numbers in [0, classes).
 * @throws `embeddings/shape`, `embeddings/label`
 */
export function checkLabels(labels: Int32Array, n: number, classes: number): void {
  if (labels.length !== n) {
    throw new PenumbraError('embeddings/shape', `got ${labels.length} labels for ${n} samples`);
  }
  const row = labels.findIndex((y) => y < 0 || y >= classes);
  if (row >= 0) {
    throw new PenumbraError(
      'embeddings/label',
      `row ${row} has label ${labels[row]}, expected 0 to ${classes - 1}`,
      { where: { row } },
    );
  }
}

/** A whole number of at least `least`, or `embeddings/option`. */
export function checkWhole(option: string, value: number, least: number): void {
  if (Number.isInteger(value) && value >= least) return;
  throw new PenumbraError(
    'embeddings/option',
    `${option} must be a whole number of at least ${least}, got ${value}`,
    { where: { option } },
  );
}

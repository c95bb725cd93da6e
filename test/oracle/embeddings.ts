import { uniform } from './fill.ts';

/** Features that need no file: class centres and noise, the same here and in embeddings.py. */
export interface MadeUp {
  /** Samples of each class. */
  readonly counts: readonly number[];
  /** Dimensions. */
  readonly d: number;
  /** Half the width of the noise around a centre; centres lie in [−1, 1). */
  readonly noise: number;
  /** Added to everything. */
  readonly offset: number;
}

export function madeUp(
  name: string,
  { counts, d, noise, offset }: MadeUp,
): { features: Float32Array; labels: Int32Array; n: number } {
  const labels = Int32Array.from(counts.flatMap((count, c) => new Array<number>(count).fill(c)));
  const n = labels.length;
  const centres = uniform(`centres of ${name}`, counts.length * d);
  const features = uniform(`noise of ${name}`, n * d);
  for (let i = 0; i < n; i++)
    for (let j = 0; j < d; j++)
      features[i * d + j] = Math.fround(noise * features[i * d + j]! + centres[labels[i]! * d + j]!) + offset;
  return { features, labels, n };
}

import { PenumbraError } from '../errors.ts';
import type { MemoryPixels } from './types.ts';

/** Images in memory with their labels, as a file holds them. */
export interface MemoryPair {
  /** The file of the images, and what they are called there. */
  readonly file: string;
  readonly name: string;
  readonly source: MemoryPixels;
  readonly labels: Int32Array;
}

/** The classes `0`, `1` … up to the largest label, for files that name none; at least two, and of labels at most 65,536. */
export function numberedClasses(pairs: readonly MemoryPair[]): string[] {
  const largest = pairs.reduce((most, { labels }) => labels.reduce((a, b) => Math.max(a, b), most), 0);
  return Array.from({ length: Math.min(Math.max(2, largest + 1), 1 << 16) }, (_, k) => String(k));
}

/**
 * @throws {PenumbraError} `data/image-size` where the pairs differ in the size of their images, `data/label-range` where
 * a label is none of the classes.
 */
export function checkPairs(pairs: readonly MemoryPair[], classes: readonly string[]): void {
  const [first] = pairs;
  for (const { file, name, source, labels } of pairs) {
    for (const side of ['height', 'width', 'channels'] as const) {
      if (source[side] === first.source[side]) continue;
      throw new PenumbraError(
        'data/image-size',
        `${name} has images of ${side} ${source[side]}, and ${first.name} of ${first.source[side]}`,
        { where: { file }, hint: 'the splits of one data set must have images of one size' },
      );
    }
    const stray = labels.findIndex((label) => label < 0 || label >= classes.length);
    if (stray < 0) continue;
    throw new PenumbraError(
      'data/label-range',
      `${name}: the label of image ${stray} is ${labels[stray]}, outside 0 to ${classes.length - 1}`,
      { where: { file, row: stray, label: labels[stray] }, hint: 'correct it, or name more classes' },
    );
  }
}

import { Random } from '../random.ts';
import { checkWhole } from './features.ts';

/**
 * A sample of `size` rows in which every class has its share, and at least one row where there is room for all classes
 * that occur. The same labels, size and seed give the same rows, so pictures of several methods
 * show the same images.
 * @param labels N class numbers
 * @returns row numbers, ascending; all rows where there are no more than `size`
 */
export function sampleFor(labels: Int32Array, size: number, seed = 0): Int32Array {
  checkWhole('sample', size, 1);
  const n = labels.length;
  if (n <= size) return Int32Array.from({ length: n }, (_, i) => i);
  const rows = new Map<number, number[]>();
  for (let i = 0; i < n; i++) {
    const own = rows.get(labels[i]!);
    if (own === undefined) rows.set(labels[i]!, [i]);
    else own.push(i);
  }
  const classes = [...rows.keys()].sort((a, b) => a - b);
  const counts = classes.map((y) => rows.get(y)!.length);
  const quotas = apportion(counts, size, size >= classes.length ? 1 : 0);
  const chosen: number[] = [];
  classes.forEach((y, c) => {
    const own = new Random(seed, 0x5a3, y).shuffle(rows.get(y)!);
    for (let i = 0; i < quotas[c]!; i++) chosen.push(own[i]!);
  });
  return Int32Array.from(chosen).sort();
}

/**
 * Divides `size` in proportion to `counts`, whole and with the sum `size`: `least` to each, then one after the other to
 * whom most is due, count/(2·part + 1) (Sainte-Laguë). No part exceeds its count, as long as `size` is not above their
 * sum.
 */
function apportion(counts: readonly number[], size: number, least: number): number[] {
  const parts = counts.map(() => least);
  for (let rest = size - least * counts.length; rest > 0; rest--) {
    let best = -1;
    let due = 0;
    for (let c = 0; c < counts.length; c++) {
      const own = parts[c]! < counts[c]! ? counts[c]! / (2 * parts[c]! + 1) : 0;
      if (own > due) [best, due] = [c, own];
    }
    parts[best]!++;
  }
  return parts;
}

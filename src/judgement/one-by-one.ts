import type { Findings, Targets } from '../data/index.ts';
import type { Outputs } from '../figures/index.ts';

/** More classes than this are not looked at one by one. */
export const MOST_CLASSES = 30;

/**
 * Which classes or findings are looked at one by one: of two classes the second, which is the positive one; of more than
 * {@link MOST_CLASSES} classes none.
 */
export function shownColumns(kind: Targets['kind'], names: readonly string[]): number[] {
  if (kind === 'one-of-k' && names.length === 2) return [1];
  return names.length > MOST_CLASSES ? [] : names.map((_, k) => k);
}

/** One label of K as K findings, each against all others; findings as they are. */
export function asFindings(outputs: Outputs): Outputs & { readonly targets: Findings } {
  const { targets, probabilities } = outputs;
  if (targets.kind === 'findings') return outputs as Outputs & { readonly targets: Findings };
  const k = targets.names.length;
  const values = new Float32Array(targets.values.length * k);
  targets.values.forEach((label, i) => {
    values[i * k + label] = 1;
  });
  return { targets: { kind: 'findings', names: targets.names, values }, probabilities };
}

/** One class or finding of all samples: its probability, whether it is there, and whether that is known. */
export interface OneColumn {
  readonly probability: Float64Array;
  readonly present: Uint8Array;
  readonly known: Uint8Array;
}

export function columnAt(
  { targets, probabilities }: Outputs & { readonly targets: Findings },
  k: number,
): OneColumn {
  const width = targets.names.length;
  const n = targets.values.length / width;
  const column = { probability: new Float64Array(n), present: new Uint8Array(n), known: new Uint8Array(n) };
  for (let i = 0, at = k; i < n; i++, at += width) {
    column.probability[i] = probabilities[at]!;
    column.present[i] = targets.values[at]! > 0.5 ? 1 : 0;
    column.known[i] = targets.mask?.[at] ?? 1;
  }
  return column;
}

/** Known samples of a column from the highest probability down, with how many positives and negatives there are. */
export function rankedColumn({ probability, present, known }: OneColumn) {
  const order = Array.from(known, (one, i) => (one === 1 ? i : -1))
    .filter((i) => i >= 0)
    .sort((a, b) => probability[b]! - probability[a]!);
  const positives = order.reduce((sum, i) => sum + present[i]!, 0);
  return { order, positives, negatives: order.length - positives };
}

/** Enough digits for a picture. */
export function rounded(value: number): number {
  // JSON knows no −0.
  return Number(value.toFixed(4)) + 0;
}

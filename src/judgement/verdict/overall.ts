import { capital, list } from '../format.ts';
import { append } from '../measure.ts';
import type { Verdict } from './rules.ts';

/** A verdict over several data sets or networks. */
export interface OverallVerdict {
  readonly sentence: string;
  readonly because: string;
  readonly advice: string;
}

/**
 * One verdict of several: the verdict itself where there is one, else who is to be believed where, the commonest first.
 * @param cells each cell's name and verdict, at least one
 */
export function overall(
  cells: readonly { readonly name: string; readonly verdict: Verdict }[],
): OverallVerdict {
  if (cells.length === 1) return cells[0]!.verdict;
  const groups = new Map<string, (typeof cells)[number][]>();
  for (const cell of cells) append(groups, cell.verdict.short, cell);
  const sorted = [...groups].sort(([, a], [, b]) => b.length - a.length);
  if (sorted.length === 1)
    return {
      sentence: `${capital(sorted[0]![0])}, on all of ${list(cells.map(({ name }) => name))}.`,
      because: 'Each of them was judged by itself, and came to the same.',
      advice: 'What it rests on in each stands in the table.',
    };
  return {
    sentence: `${capital(sorted.map(([short, some]) => `on ${list(some.map(({ name }) => name))} ${short}`).join('; '))}.`,
    because: 'Each of them was judged by itself.',
    advice: 'What helps on one set need not help on another: choose by the one that is like yours.',
  };
}

import {
  betterArrow,
  type Figure,
  type FigureDifference,
  type FigureEstimate,
  figureHead,
  formatFigure,
  formatInterval,
  verdictOf,
} from '../figures/index.ts';
import type { Estimate } from '../metrics/index.ts';
import { pText } from './format.ts';

/** How one figure is shown to people: a registered one, or one that only a part has. */
export type ShownFigure = Pick<Figure, 'name' | 'label' | 'unit' | 'digits' | 'better' | 'meaning'> & {
  /** What the outputs must hold for it. */
  readonly needs?: Figure['needs'];
  /** What its interval is made from; a `calibration` error has an axis that starts at 0, which is perfect. */
  readonly sort?: Figure['sort'];
};

/** A figure that only a part has. */
export function shownAs(
  name: string,
  label: string,
  [unit, digits, better]: readonly [unit: ShownFigure['unit'], digits: number, better: ShownFigure['better']],
  meaning: string,
): ShownFigure {
  return { name, label, unit, digits, better, meaning };
}

/** Some figures of one method, and their differences from the baseline's. */
export interface Measured {
  readonly method: string;
  /** Means over runs. `low` and `high` are null for figures that have no interval. */
  readonly figures: Readonly<Record<string, FigureEstimate>>;
  /** `method − baseline` on the same samples; null for the baseline itself. */
  readonly versus: Readonly<Record<string, Tested>> | null;
}

/** A difference with its p-value adjusted by Holm over one family: the comparisons of one figure of one table. */
export type Tested = FigureDifference;
export type Sign = '✓' | '✗' | '≠' | '';

/** `✓` or `✗` where a method is significantly better or worse than the baseline, `≠` where neither side is better. */
export function signOf(
  figure: Pick<ShownFigure, 'better'>,
  difference: Tested | null | undefined,
  alpha: number,
): Sign {
  const verdict = verdictOf(figure, difference ?? undefined, alpha);
  return verdict === 'better' ? '✓' : verdict === 'worse' ? '✗' : verdict === 'differs' ? '≠' : '';
}

/**
 * Places of the best values: none where there is nothing to compare. Values that are shown as equal are equally good:
 * nobody shall look for a difference that is not on the page.
 */
export function bestAmong(
  { better, unit, digits }: Pick<ShownFigure, 'better' | 'digits' | 'unit'>,
  values: readonly (number | null)[],
): ReadonlySet<number> {
  const scores = values.map((value) => {
    if (value === null) return null;
    const seen = Number(((unit === '%' ? 100 : 1) * value).toFixed(digits));
    return better === 'higher' ? seen : better === 'lower' ? -seen : -Math.abs(seen);
  });
  const known = scores.filter((score) => score !== null);
  const most = Math.max(...known);
  const best = scores.flatMap((score, i) => (score === most ? [i] : []));
  return new Set(known.length < 2 || best.length === known.length ? [] : best);
}

/** What a figure is multiplied by to be shown. */
export function scaleOf({ unit }: Pick<ShownFigure, 'unit'>): number {
  return unit === '%' ? 100 : 1;
}

/** `ECE (%) ↓`. */
export function headOf(figure: ShownFigure): string {
  return `${figureHead(figure)}\u00a0${betterArrow(figure)}`;
}

/** `4.1 %`, `0.512 nats`. */
export function valueText(figure: ShownFigure, value: number | null): string {
  if (value === null) return 'not defined';
  return `${formatFigure(figure, value)}${figure.unit === '' ? '' : ` ${figure.unit}`}`;
}

/** `ECE (%) 4.1 (95 % 3.0, 5.2)`; says so where it is not defined. */
export function estimateText(figure: ShownFigure, estimate: Estimate, level: string): string {
  if (estimate.value === null) return `${figure.label} is not defined`;
  const interval = formatInterval(figure, estimate);
  return `${figureHead(figure)} ${formatFigure(figure, estimate.value)}${interval === undefined ? '' : ` (${level} ${interval})`}`;
}

/** `−2.1 [−3.0, −1.1], p = 0.012`: a difference from the baseline; undefined where nothing was compared. */
export function versusText(
  figure: Pick<ShownFigure, 'unit' | 'digits'>,
  difference: Tested | null | undefined,
  alpha: number,
): string | undefined {
  if (!difference || difference.value === null) return undefined;
  const interval = formatInterval(figure, difference, true);
  const p = difference.adjusted === null ? 'not tested' : pText(difference.adjusted, alpha);
  return `${formatFigure(figure, difference.value, true)}${interval === undefined ? '' : ` [${interval}]`}, ${p}`;
}

/** `ECE 4.1 % [3.0, 5.2] ✓`. */
export function valueLine(figure: ShownFigure, estimate: Estimate, sign: Sign = ''): string {
  const interval = formatInterval(figure, estimate);
  return [
    `${figure.label} ${valueText(figure, estimate.value)}`,
    ...(interval === undefined ? [] : [`[${interval}]`]),
    ...(sign === '' ? [] : [sign]),
  ].join(' ');
}

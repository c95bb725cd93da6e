import type { Estimate } from '../metrics/index.ts';
import type { Figure } from './figure.ts';

/** Stands where a figure is undefined. */
export const UNDEFINED = '–';

/** `Top-1 (%)`, `NLL (nats)`: a figure's name with its unit, for the head of a row. */
export function figureHead({ label, unit }: Pick<Figure, 'label' | 'unit'>): string {
  return unit === '' ? label : `${label} (${unit})`;
}

/** ↑ where more is better, ↓ where less is, `→ 0` where 0 is. */
export function betterArrow({ better }: Pick<Figure, 'better'>): string {
  return better === 'higher' ? '↑' : better === 'lower' ? '↓' : '→ 0';
}

/** A value in the figure's unit without the unit's name; `–` where it is undefined. */
export function formatFigure(
  { unit, digits }: Pick<Figure, 'unit' | 'digits'>,
  value: number | null,
  signed = false,
): string {
  if (value === null) return UNDEFINED;
  return formatNumber(unit === '%' ? 100 * value : value, digits, signed);
}

/** `55.1, 59.6`; `undefined` where there is no interval. */
export function formatInterval(
  figure: Pick<Figure, 'unit' | 'digits'>,
  { low, high }: Estimate,
  signed = false,
): string | undefined {
  if (low === null || high === null) return undefined;
  return `${formatFigure(figure, low, signed)}, ${formatFigure(figure, high, signed)}`;
}

/** Fixed digits, a real minus sign, and no minus zero. */
export function formatNumber(value: number, digits: number, signed = false): string {
  const text = Math.abs(value).toFixed(digits);
  if (Number(text) === 0) return text;
  return value < 0 ? `−${text}` : signed ? `+${text}` : text;
}

/** `0.006`; never so rounded that it crosses `alpha`. */
export function formatP(p: number, alpha = 0.05): string {
  if (p < 0.001) return '< 0.001';
  for (let digits = 3; digits < 8; digits++) {
    const text = p.toFixed(digits);
    if (Number(text) < alpha === p < alpha) return text;
  }
  return String(p);
}

/** What a difference `first − second` says of the first method. `differs`: significant, of a figure without a better side. */
export type Verdict = 'better' | 'worse' | 'differs' | 'undecided' | 'untested';

/** Only an adjusted p below `alpha` is called a difference. */
export function verdictOf(
  { better }: Pick<Figure, 'better'>,
  difference: { readonly value: number | null; readonly adjusted: number | null } | undefined,
  alpha = 0.05,
): Verdict {
  if (difference === undefined || difference.value === null || difference.adjusted === null)
    return 'untested';
  if (!(difference.adjusted < alpha) || difference.value === 0) return 'undecided';
  if (better === 'zero') return 'differs';
  return difference.value > 0 === (better === 'higher') ? 'better' : 'worse';
}

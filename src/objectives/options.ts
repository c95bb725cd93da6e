import { PenumbraError } from '../errors.ts';

/** @throws `objectives/option` for a number outside [low, high] */
export function checkRange(
  objective: string,
  option: string,
  value: number,
  low: number,
  high: number,
): void {
  if (value >= low && value <= high) return;
  const range = Number.isFinite(low)
    ? Number.isFinite(high)
      ? `in [${low}, ${high}]`
      : `${low} or more`
    : `${high} or less`;
  throw new PenumbraError('objectives/option', `${objective}: ${option} must be ${range}, got ${value}`);
}

/** @throws `objectives/option` for a number that is not above 0 */
export function checkPositive(objective: string, option: string, value: number): void {
  if (value > 0 && Number.isFinite(value)) return;
  throw new PenumbraError('objectives/option', `${objective}: ${option} must be above 0, got ${value}`);
}

/** @throws `objectives/option` for a word that is not among those there are */
export function checkChoice(
  objective: string,
  option: string,
  value: string,
  choices: readonly string[],
): void {
  if (choices.includes(value)) return;
  throw new PenumbraError('objectives/option', `${objective}: there is no ${option} '${value}'`, {
    hint: `one of: ${choices.join(', ')}`,
  });
}

/** Values of flags, and what of the terminal verbs look at. Loads nothing, so that verbs without the engine can use it. */
import { InvalidArgumentError } from 'commander';
import type { ThresholdRule } from '../figures/index.ts';

export function whole(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isInteger(value) || value < 0)
    throw new InvalidArgumentError('expected a whole number.');
  return value;
}

export function positive(text: string): number {
  const value = whole(text);
  if (value === 0) throw new InvalidArgumentError('expected a whole number of at least 1.');
  return value;
}

export function wholeOrAuto(text: string): number | 'auto' {
  if (text === 'auto') return text;
  const value = Number(text);
  if (text.trim() === '' || !Number.isInteger(value) || value < 1)
    throw new InvalidArgumentError('expected auto, or a whole number of at least 1.');
  return value;
}

export function number(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('expected a number.');
  return value;
}

/** `a, b`: names between commas. */
export function list(text: string): string[] {
  return text.split(',').map((name) => name.trim());
}

/** How operating points of findings are chosen. */
export function thresholdRule(text: string): ThresholdRule {
  if (text === 'youden' || text === 'f1') return text;
  const [, name, share] = /^(sensitivity|specificity)=(.+)$/.exec(text) ?? [];
  const value = Number(share);
  if (name === undefined || !(value > 0 && value <= 1)) {
    throw new InvalidArgumentError('expected youden, f1, sensitivity=SHARE or specificity=SHARE.');
  }
  return name === 'sensitivity' ? { sensitivity: value } : { specificity: value };
}

/** How wide the terminal is, and whether it shows colours. */
export function terminalOptions(): { width: number; color: boolean } {
  return {
    width: process.stdout.columns || 80,
    color: process.stdout.isTTY === true && process.env.NO_COLOR === undefined,
  };
}

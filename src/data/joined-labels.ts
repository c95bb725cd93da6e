import { PenumbraError } from '../errors.ts';
import { nearest } from '../nearest.ts';
import { sortClasses } from './part.ts';
import type { Findings } from './targets.ts';

/** What a label says that speaks of no finding. */
const NOTHING = /^(no finding|none|normal|)$/i;

/** Whether a label names several findings: `Edema|Mass`. */
export function isJoined(text: string): boolean {
  return text.includes('|');
}

/** `Edema| Mass` → `Edema`, `Mass`; what says that there is nothing stays. */
export function partsOfLabel(text: string): string[] {
  return text.split('|').map((part) => part.trim());
}

/** The findings that labels speak of, in order; `No Finding` is none. */
export function joinedNames(texts: readonly string[]): string[] {
  return sortClasses(new Set(texts.flatMap(partsOfLabel).filter((part) => !NOTHING.test(part))));
}

/**
 * N×K findings of N labels such as `Edema|Mass`: a finding is present where the label names it, and otherwise absent.
 * What a label names beside the K is left aside.
 *
 * @param texts different labels.
 * @param of N indices into `texts`.
 */
export function joinedFindings(names: readonly string[], texts: readonly string[], of: Int32Array): Findings {
  const k = names.length;
  const numbers = new Map(names.map((name, column) => [name.toLowerCase(), column]));
  const rows = texts.map((text) => {
    const row = new Float32Array(k);
    for (const part of partsOfLabel(text)) {
      const column = numbers.get(part.toLowerCase());
      if (column !== undefined) row[column] = 1;
    }
    return row;
  });
  const values = new Float32Array(of.length * k);
  for (let i = 0; i < of.length; i++) values.set(rows[of[i]], i * k);
  return { kind: 'findings', names, values };
}

/** @throws {PenumbraError} `data/unknown-finding` for a finding that is asked for and that the data do not have. */
export function checkAsked(asked: readonly string[], there: readonly string[], file: string): void {
  const low = new Set(there.map((name) => name.toLowerCase()));
  const absent = asked.find((name) => !low.has(name.toLowerCase()));
  if (absent === undefined) return;
  throw new PenumbraError('data/unknown-finding', `${file} has no finding '${absent}'`, {
    where: { file, finding: absent },
    hint: `did you mean '${nearest(absent, there)}'? it has ${there.slice(0, 16).join(', ')}${there.length > 16 ? ', …' : ''}`,
  });
}

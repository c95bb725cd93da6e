import { readFileSync } from 'node:fs';
import { PenumbraError } from '../../errors.ts';
import type { Status } from '../types.ts';
import { expandPattern } from './pattern.ts';
import { parseTable, readAsset } from './table.ts';

/**
 * What a phrase of the lexicon does.
 *
 * Judging cues: `negation`, `hedge`, `degree` (a matter of measure, not of doubt: "borderline"), `change` (denies a
 * change of what is there: "no change in"), `resolution` (was there, is gone), `historical`, `hypothetical`,
 * `experiencer` (somebody else). State words for a structure such as the heart: `normal`, `abnormal`. Phrases that judge nothing
 * but keep their words from being read otherwise: `neutral` ("not only", "previously seen"). Where scopes end:
 * `terminator`. Word classes that scope rules ask for: `verb`, `starter` (words that begin a new statement after a
 * comma or "and", unless a later "or" shows a list), `subject` (words that always do), `preposition`, `adjective` (words whose "or" joins describing words, not findings), `extent`
 * (words that make the denial of what they stand before a partial one, also within a list: "no A, large B, or C").
 */
export const cueKinds = [
  'negation',
  'hedge',
  'degree',
  'change',
  'resolution',
  'historical',
  'hypothetical',
  'experiencer',
  'normal',
  'abnormal',
  'neutral',
  'terminator',
  'verb',
  'starter',
  'preposition',
  'adjective',
  'subject',
  'extent',
] as const;
export type CueKind = (typeof cueKinds)[number];

/**
 * Which way a cue looks: at the words after it, before it, `either` (after it, but before it where it closes its
 * clause: "pneumonia is likely"), at both neighbours of a choice (`pair`: "A versus B"), or both ways with a
 * probability each (`split`: "A is favored over B").
 */
export const directions = ['forward', 'backward', 'either', 'pair', 'split', '-'] as const;
export type Direction = (typeof directions)[number];

/**
 * How far: `list` to the end of the clause and through lists ("A, B, or C"); `phrase` the same, but not past a comma;
 * `near` at most six words; `direct` at most two; `final` like `list`, and only where the cue ends its clause.
 */
export const scopes = ['list', 'phrase', 'near', 'direct', 'final', '-'] as const;
export type Scope = (typeof scopes)[number];

export interface LexiconEntry {
  /** The pattern as written (`expandPattern` gives the phrases). */
  readonly pattern: string;
  readonly phrases: readonly string[];
  readonly kind: CueKind;
  readonly direction: Direction;
  readonly scope: Scope;
  /** P(finding) in [0, 1]; for `split` that of the words before the cue. Null where the kind needs none. */
  readonly probability: number | null;
  /** `split` only: P(finding) of the words after the cue. */
  readonly probabilityAfter: number | null;
  /** Where the probability comes from: `ranking`, `near: …` (a neighbour in the ranking), `definite`, `own`. */
  readonly source: string;
  /** A sentence that needs the entry, its mention in [brackets], and the status it must get. */
  readonly example: string;
  readonly expected: Status;
  readonly line: number;
}

export interface Lexicon {
  readonly name: string;
  /** The file's text, for fingerprints. */
  readonly text: string;
  readonly entries: readonly LexiconEntry[];
}

const columns = [
  'phrase',
  'kind',
  'direction',
  'scope',
  'probability',
  'source',
  'example',
  'expected',
] as const;
const wordClasses: readonly CueKind[] = ['verb', 'starter', 'preposition', 'adjective', 'subject', 'extent'];
const statuses: readonly Status[] = ['present', 'absent', 'uncertain', 'historical', 'conditional', 'other'];

/** The lexicon that ships with the package: `src/reports/lexicon/lexicon.tsv`. */
export function defaultLexicon(): Lexicon {
  return (standard ??= parseLexicon(readAsset('lexicon/lexicon.tsv'), 'lexicon.tsv'));
}
let standard: Lexicon | undefined;

/**
 * Reads a lexicon file. With `extend`, its entries come before those of `extend`, so that they win where both have a
 * phrase; otherwise the file replaces the shipped lexicon.
 */
export function readLexicon(path: string, extend?: Lexicon): Lexicon {
  const own = parseLexicon(readFileSync(path, 'utf8'), path);
  if (extend === undefined) return own;
  return {
    name: `${own.name}+${extend.name}`,
    text: own.text + '\n' + extend.text,
    entries: [...own.entries, ...extend.entries],
  };
}

/**
 * Reads the tab-separated text of a lexicon.
 * @throws PenumbraError `reports/lexicon` naming file and line for a wrong cell.
 */
export function parseLexicon(text: string, name: string): Lexicon {
  const entries = parseTable(text, columns, name).map(({ line, cells }): LexiconEntry => {
    const fail = (what: string, hint: string): never => {
      throw new PenumbraError('reports/lexicon', `${name}, line ${line}: ${what}.`, {
        hint,
        where: { file: name, line },
      });
    };
    const oneOf = <T extends string>(column: string, allowed: readonly T[]): T => {
      const value = cells[column]!;
      if (!(allowed as readonly string[]).includes(value)) {
        fail(`the ${column} is "${value}"`, `Expected one of: ${allowed.join(', ')}.`);
      }
      return value as T;
    };
    const kind = oneOf('kind', cueKinds);
    const direction = oneOf('direction', directions);
    const scope = oneOf('scope', scopes);
    const [probability, probabilityAfter] = readProbability(cells.probability!, direction, fail);
    if (
      (kind === 'hedge' || kind === 'degree' || kind === 'abnormal' || kind === 'extent') &&
      probability === null
    ) {
      fail(`a ${kind} needs a probability`, 'Write a number in [0, 1], such as 0.456.');
    }
    if (cells.source === '' && probability !== null)
      fail('the source is empty', 'Say where the number is from.');
    if (!wordClasses.includes(kind) && !/\[[^\]]+\]/.test(cells.example!)) {
      fail('the example has no [mention]', 'Put the mention that the example is about in square brackets.');
    }
    return {
      pattern: cells.phrase!,
      phrases: expandPattern(cells.phrase!),
      kind,
      direction,
      scope,
      probability,
      probabilityAfter,
      source: cells.source!,
      example: cells.example!,
      expected: oneOf('expected', statuses),
      line,
    };
  });
  return { name, text, entries };
}

function readProbability(
  cell: string,
  direction: Direction,
  fail: (what: string, hint: string) => never,
): [number | null, number | null] {
  if (cell === '' || cell === '-') return [null, null];
  const parts = cell.split('/').map(Number);
  const wanted = direction === 'split' ? 2 : 1;
  if (parts.length !== wanted || parts.some((p) => !(p >= 0 && p <= 1))) {
    fail(
      `the probability is "${cell}"`,
      wanted === 2
        ? 'A split cue needs two numbers in [0, 1]: before/after, such as 0.775/0.170.'
        : 'Expected a number in [0, 1].',
    );
  }
  return [parts[0]!, parts[1] ?? null];
}

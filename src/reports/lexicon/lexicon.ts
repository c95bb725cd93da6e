import { statSync } from 'node:fs';
import { join } from 'node:path';
import { PenumbraError } from '../../errors.ts';
import { readRegular } from '../../files/index.ts';
import type { Status } from '../types.ts';
import { type Language, parseLanguage } from './language.ts';
import { expandPattern } from './pattern.ts';
import { parseTable, readAsset } from './table.ts';

/**
 * What a phrase of the lexicon does.
 *
 * Judging cues: `negation`, `hedge`, `degree` (a matter of measure, not of doubt: "borderline"), `change` (denies a
 * change of what is there: "no change in"), `resolution` (was there, is gone), `historical`, `procedure` (historical,
 * except for what a procedure leaves in place: "status post"), `current` (says that what was is still there: "is now
 * small"), `hypothetical`, `experiencer` (somebody else). State words for a structure such as the heart: `normal`,
 * `abnormal`. Phrases that judge nothing but keep their words from being read otherwise: `neutral` ("not only",
 * "previously seen"). Where scopes end: `terminator`. Behind a hedge, which way it looks: `ahead` ("due to", "to
 * represent"; with the direction `either` only where the hedge may look both ways), `behind` ("present"). Word classes
 * that scope rules ask for: `verb`, `starter` (words that begin a new statement after a comma or "and", unless a later
 * "or" shows a list), `subject` (words that always do), `preposition`, `adjective` (words whose "or" joins describing
 * words, not findings), `extent` (words that make the denial of what they stand before a partial one, also within a
 * list: "no A, large B, or C"), `or`, `with`, `and`, `than` (between the two sides of a comparison), `stable` (words
 * for a finding that has not changed much).
 */
export const cueKinds = [
  'negation',
  'hedge',
  'degree',
  'change',
  'resolution',
  'historical',
  'procedure',
  'current',
  'hypothetical',
  'experiencer',
  'normal',
  'abnormal',
  'neutral',
  'terminator',
  'ahead',
  'behind',
  'verb',
  'starter',
  'preposition',
  'adjective',
  'subject',
  'extent',
  'or',
  'with',
  'and',
  'than',
  'stable',
] as const;
export type CueKind = (typeof cueKinds)[number];

/** Kinds that are classes of single words. */
export const wordClasses: readonly CueKind[] = cueKinds.slice(cueKinds.indexOf('verb'));

/**
 * Which way a cue looks: at the words after it, before it, `either` (by the words that follow: `rules/reach.ts`), at
 * both neighbours of a choice (`pair`: "A versus B"), or both ways with a probability each (`split`: "A is favored over
 * B"). A hedge that looks forward may have two probabilities as well: the second holds behind a `than` ("more likely A
 * than B").
 */
export const directions = ['forward', 'backward', 'either', 'pair', 'split', '-'] as const;
export type Direction = (typeof directions)[number];

/**
 * How far: `list` to the end of the clause and through lists ("A, B, or C"); `phrase` the same, but not past a comma;
 * `near` at most six words; `direct` at most two; `final` like `list`, and only where the cue ends its clause; `value`
 * like `final`, and back to the beginning of the sentence ("A, B, C: none").
 */
export const scopes = ['list', 'phrase', 'near', 'direct', 'final', 'value', '-'] as const;
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
  /** P(finding) of the words after a `split` cue, or behind the "than" of a comparison; null for one probability. */
  readonly probabilityAfter: number | null;
  /** Standard deviation of `probability`, from the published ranking's deviation (`deviationOf`); null where unknown. */
  readonly deviation: number | null;
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
  /** What else the rules know of the language. */
  readonly language: Language;
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
const statuses: readonly Status[] = ['present', 'absent', 'uncertain', 'historical', 'conditional', 'other'];

/** The lexicon that ships with the package, in `src/reports/lexicon/en/`. */
export function defaultLexicon(): Lexicon {
  return (standard ??= parseLexicon(readAsset('lexicon/en/cues.tsv'), 'cues.tsv', english()));
}
let standard: Lexicon | undefined;

function english(): Language {
  return (standardLanguage ??= parseLanguage(
    readAsset('lexicon/en/headings.tsv'),
    readAsset('lexicon/en/words.tsv'),
    'en',
  ));
}
let standardLanguage: Language | undefined;

/**
 * Reads a lexicon: a file of cues (its language is English then), or the folder of a language with `cues.tsv`,
 * `headings.tsv` and `words.tsv`. With `extend`, its entries come before those of `extend`, so that they win where both
 * have a phrase; otherwise it replaces the shipped lexicon.
 * @throws PenumbraError `reports/lexicon` where it cannot be read or a cell is wrong.
 */
export function readLexicon(path: string, extend?: Lexicon): Lexicon {
  const folder = isFolder(path);
  const own = folder
    ? parseLexicon(
        readText(join(path, 'cues.tsv')),
        join(path, 'cues.tsv'),
        parseLanguage(readText(join(path, 'headings.tsv')), readText(join(path, 'words.tsv')), path),
      )
    : parseLexicon(readText(path), path, extend?.language);
  if (extend === undefined) return own;
  return {
    name: `${own.name}+${extend.name}`,
    text: own.text + '\n' + extend.text,
    entries: [...own.entries, ...extend.entries],
    language: extend.language,
  };
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false; // readText says what is wrong
  }
}

function readText(path: string): string {
  try {
    return readRegular(path).toString('utf8');
  } catch (cause) {
    throw new PenumbraError('reports/lexicon', `The lexicon ${path} cannot be read.`, {
      hint: 'Give a tab-separated file of cues, or a folder with cues.tsv, headings.tsv and words.tsv.',
      where: { file: path },
      cause,
    });
  }
}

/**
 * Reads the tab-separated text of a lexicon.
 * @throws PenumbraError `reports/lexicon` naming file and line for a wrong cell.
 */
export function parseLexicon(text: string, name: string, language: Language = english()): Lexicon {
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
    if (!wordClasses.includes(kind) && kind !== 'behind' && !/\[[^\]]+\]/.test(cells.example!)) {
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
      deviation: readDeviation(cells.deviation, probability, fail),
      source: cells.source!,
      example: cells.example!,
      expected: oneOf('expected', statuses),
      line,
    };
  });
  return { name, text, entries, language };
}

function readProbability(
  cell: string,
  direction: Direction,
  fail: (what: string, hint: string) => never,
): [number | null, number | null] {
  if (cell === '' || cell === '-') return [null, null];
  const parts = cell.split('/').map(Number);
  const split = direction === 'split';
  const comparable = split || direction === 'forward' || direction === 'either';
  if (
    parts.length < (split ? 2 : 1) ||
    parts.length > (comparable ? 2 : 1) ||
    parts.some((p) => !(p >= 0 && p <= 1))
  ) {
    fail(
      `the probability is "${cell}"`,
      split
        ? 'A split cue needs two numbers in [0, 1]: before/after, such as 0.775/0.170.'
        : 'Expected a number in [0, 1].',
    );
  }
  return [parts[0]!, parts[1] ?? null];
}

/** The optional column `deviation`: empty or `-` for unknown; a definite statement has none. */
function readDeviation(
  cell: string | undefined,
  probability: number | null,
  fail: (what: string, hint: string) => never,
): number | null {
  if (probability === 0 || probability === 1) return 0;
  if (cell === undefined || cell === '' || cell === '-') return null;
  const deviation = Number(cell);
  if (!(deviation >= 0 && deviation <= 0.5)) {
    fail(`the deviation is "${cell}"`, 'Expected a number in [0, 0.5], or nothing.');
  }
  return deviation;
}

/** Slope of logit p on the published ranking's scale (methods.md, B.2: p = σ(0.0890·(μ − 24.888))). */
export const rankingSlope = 0.089;

/**
 * Standard deviation of p from the deviation σ of its rank μ, by the delta method: dp/dμ = 0.0890·p·(1 − p).
 * `copies` is 2 for a phrase that was placed beside another one: its own place adds as much again.
 */
export function deviationOf(probability: number, rankDeviation: number, copies = 1): number {
  return rankingSlope * probability * (1 - probability) * rankDeviation * Math.sqrt(copies);
}

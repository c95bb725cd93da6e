import { createHash } from 'node:crypto';
import { PenumbraError } from '../../errors.ts';
import type { FindingSet, Role } from '../findings/findings.ts';
import { cueKinds, directions, type Lexicon, scopes } from '../lexicon/lexicon.ts';
import { sourcesHash } from '../lexicon/table.ts';
import { Segmenter, VocabularyFiller } from '../text/segment.ts';
import { type Trie, TrieBuilder } from '../text/trie.ts';
import { Vocabulary } from '../text/vocabulary.ts';

// Numbers of the kinds, directions and scopes, in the order of their lists: compiled rules compare numbers.
export const NEGATION = cueKinds.indexOf('negation');
export const HEDGE = cueKinds.indexOf('hedge');
export const DEGREE = cueKinds.indexOf('degree');
export const CHANGE = cueKinds.indexOf('change');
export const RESOLUTION = cueKinds.indexOf('resolution');
export const HISTORICAL = cueKinds.indexOf('historical');
export const PROCEDURE = cueKinds.indexOf('procedure');
export const CURRENT = cueKinds.indexOf('current');
export const HYPOTHETICAL = cueKinds.indexOf('hypothetical');
export const EXPERIENCER = cueKinds.indexOf('experiencer');
export const NORMAL = cueKinds.indexOf('normal');
export const ABNORMAL = cueKinds.indexOf('abnormal');
export const NEUTRAL = cueKinds.indexOf('neutral');
export const TERMINATOR = cueKinds.indexOf('terminator');
const firstLink = cueKinds.indexOf('ahead');
/** Kinds from here on are word classes. */
export const firstClass = cueKinds.indexOf('verb');

export const FORWARD = directions.indexOf('forward');
export const BACKWARD = directions.indexOf('backward');
export const EITHER = directions.indexOf('either');
export const PAIR = directions.indexOf('pair');
export const SPLIT = directions.indexOf('split');

export const LIST = scopes.indexOf('list');
export const PHRASE = scopes.indexOf('phrase');
export const NEAR = scopes.indexOf('near');
export const DIRECT = scopes.indexOf('direct');
export const FINAL = scopes.indexOf('final');
export const VALUE = scopes.indexOf('value');

// Word classes as bits: the lexicon's, in the order of its kinds from `firstClass` on, then punctuation.
export const IS_VERB = 1;
export const IS_STARTER = 2;
export const IS_PREPOSITION = 4;
export const IS_ADJECTIVE = 8;
export const IS_SUBJECT = 16;
export const IS_EXTENT = 32;
export const IS_OR = 64;
export const IS_WITH = 128;
export const IS_AND = 256;
export const IS_THAN = 512;
export const IS_STABLE = 1024;
export const IS_COMMA = 2048;
export const IS_OPEN = 4096;
export const IS_CLOSE = 8192;
/** No class of words: set where a terminator stands. */
export const IS_END = 16384;

/** Slots of the trie. */
export const CUE = 0;
export const MENTION = 1;
export const LINK = 2;

/** Values of the trie's LINK slot: words behind a hedge. */
export const AHEAD = 1;
/** Only where the hedge may look both ways. */
export const AHEAD_IF_EITHER = 2;
export const BEHIND = 3;

/** What a phrase of the findings file stands for: one finding (by number) in one role. */
export interface MentionMeaning {
  readonly finding: number;
  readonly role: Role;
}

/** A lexicon and a set of findings, compiled: everything that assessing needs, and nothing that changes. */
export interface CompiledRules {
  readonly lexicon: Lexicon;
  readonly findings: FindingSet;
  /** 16 hexadecimal digits that stand for lexicon, findings and code. */
  readonly version: string;
  readonly vocabulary: Vocabulary;
  readonly segmenter: Segmenter;
  readonly trie: Trie;
  /** By word id: can a mention begin with it? */
  readonly beginsMention: Uint8Array;
  /** By word id: class bits. */
  readonly wordClass: Uint16Array;
  /** By word id: for words of class `extent`, P(finding) of a denial that they make partial. */
  readonly extent: Float64Array;
  /** By lexicon entry. */
  readonly kind: Uint8Array;
  readonly direction: Uint8Array;
  readonly scope: Uint8Array;
  readonly probability: Float64Array;
  /** NaN where there is none. */
  readonly probabilityAfter: Float64Array;
  /** NaN where it is not known. */
  readonly deviation: Float64Array;
  /** By value of the trie's MENTION slot. */
  readonly meanings: readonly (readonly MentionMeaning[])[];
  /** By the same: 1 where it names something (a finding, a structure, or what must not be taken for one). */
  readonly names: Uint8Array;
}

/** Compiles once; assess many texts with the result. Takes some ten milliseconds. */
export function compileRules(lexicon: Lexicon, findings: FindingSet): CompiledRules {
  const vocabulary = new Vocabulary();
  const filler = new VocabularyFiller(vocabulary);
  const trie = new TrieBuilder(3);
  const meanings: MentionMeaning[][] = [];
  const firstWords = new Set<number>();
  const fuzzy = new Set<string>();
  const fuzzyCues = new Set<string>();

  for (const { role, finding, phrases } of findings.phrases) {
    for (const phrase of phrases) {
      const ids = filler.ids(phrase);
      if (role === 'spelling') continue;
      if (ids.length === 0) continue;
      const place = trie.add(ids, MENTION, meanings.length);
      const meaning = { finding: finding === '' ? -1 : findings.findings.indexOf(finding), role };
      if (place < 0) meanings.push([meaning]);
      else if (!meanings[place]!.some((m) => m.finding === meaning.finding)) meanings[place]!.push(meaning);
      firstWords.add(ids[0]!);
      for (const id of ids) fuzzy.add(vocabulary.words[id]!);
    }
  }

  const classBits = new Map<number, number>();
  const extents = new Map<number, number>();
  const setClass = (id: number, bit: number): void => {
    classBits.set(id, (classBits.get(id) ?? 0) | bit);
  };
  lexicon.entries.forEach((entry, index) => {
    const kind = cueKinds.indexOf(entry.kind);
    for (const phrase of entry.phrases) {
      const ids = filler.ids(phrase);
      if (ids.length === 0) {
        throw new PenumbraError(
          'reports/lexicon',
          `${lexicon.name}, line ${entry.line}: a phrase has no words.`,
          {
            where: { file: lexicon.name, line: entry.line },
          },
        );
      }
      if (kind >= firstClass) {
        if (ids.length > 1) {
          throw new PenumbraError(
            'reports/lexicon',
            `${lexicon.name}, line ${entry.line}: a ${entry.kind} is one word, "${phrase}" is several.`,
            { where: { file: lexicon.name, line: entry.line } },
          );
        }
        setClass(ids[0]!, 1 << (kind - firstClass));
        if (entry.kind === 'extent') extents.set(ids[0]!, entry.probability!);
      } else if (kind >= firstLink) {
        const value =
          entry.kind === 'behind' ? BEHIND : entry.direction === 'either' ? AHEAD_IF_EITHER : AHEAD;
        trie.add(ids, LINK, value);
      } else trie.add(ids, CUE, index);
      if (misspelt.has(entry.kind)) for (const id of ids) fuzzyCues.add(vocabulary.words[id]!);
    }
  });
  setClass(vocabulary.add(','), IS_COMMA);
  for (const word of ['(', '[']) setClass(vocabulary.add(word), IS_OPEN);
  for (const word of [')', ']']) setClass(vocabulary.add(word), IS_CLOSE);
  const segmenter = new Segmenter(vocabulary, lexicon.language);
  // Last, so that no misspelling takes the place of a word that the lexicon knows.
  for (const word of fuzzy) addMisspellings(vocabulary, word);
  for (const word of fuzzyCues) addSlips(vocabulary, word);
  // "cant exclude", "isnt seen": dictation leaves the apostrophe out.
  for (const word of fuzzyCues) {
    if (word.includes("'")) vocabulary.alias(word.replaceAll("'", ''), vocabulary.add(word));
  }

  const size = vocabulary.words.length;
  const beginsMention = new Uint8Array(size);
  for (const id of firstWords) beginsMention[id] = 1;
  const wordClass = new Uint16Array(size);
  for (const [id, bits] of classBits) wordClass[id] = bits;
  const extent = new Float64Array(size);
  for (const [id, p] of extents) extent[id] = p;
  const { entries } = lexicon;
  return {
    lexicon,
    findings,
    version: fingerprint(lexicon.text, lexicon.language.text, findings.text),
    vocabulary,
    segmenter,
    trie: trie.build(),
    beginsMention,
    wordClass,
    extent,
    kind: Uint8Array.from(entries, (e) => cueKinds.indexOf(e.kind)),
    direction: Uint8Array.from(entries, (e) => directions.indexOf(e.direction)),
    scope: Uint8Array.from(entries, (e) => scopes.indexOf(e.scope)),
    probability: Float64Array.from(entries, (e) => e.probability ?? 0),
    probabilityAfter: Float64Array.from(entries, (e) => e.probabilityAfter ?? Number.NaN),
    deviation: Float64Array.from(entries, (e) => e.deviation ?? Number.NaN),
    meanings,
    names: Uint8Array.from(meanings, (m) =>
      m.some((x) => x.role !== 'normality' && x.role !== 'abnormality') ? 1 : 0,
    ),
  };
}

function fingerprint(...parts: string[]): string {
  const hash = createHash('sha256').update(`rules ${sourcesHash(sources)}`);
  for (const part of parts) hash.update('\0').update(part);
  return hash.digest('hex').slice(0, 16);
}

/** The sources whose change can change a judgement. */
const sources = [
  ...['assess', 'compile', 'judge', 'match', 'reach'].map((name) => `rules/${name}.ts`),
  ...['segment', 'tokenize', 'trie', 'vocabulary'].map((name) => `text/${name}.ts`),
  ...['language', 'lexicon', 'pattern', 'table'].map((name) => `lexicon/${name}.ts`),
  'findings/findings.ts',
  'rate.ts',
];

/** Kinds of cues whose words are also read with the usual slips of the keyboard. */
const misspelt: ReadonlySet<string> = new Set(['negation', 'hedge', 'degree', 'resolution', 'ahead']);

const letters = 'abcdefghijklmnopqrstuvwxyz';
/** Shorter words have too many neighbours that are words of their own. */
const shortestFuzzy = 8;

/**
 * Lets the usual slips of the keyboard mean `word`: one letter left out, changed or doubled, two neighbours swapped,
 * a vowel too many. The first letter must be right.
 */
function addMisspellings(vocabulary: Vocabulary, word: string): void {
  if (word.length < shortestFuzzy || !/^[a-z]+$/.test(word)) return;
  const id = vocabulary.add(word);
  for (let i = 1; i < word.length; i++) {
    const head = word.slice(0, i);
    const tail = word.slice(i + 1);
    vocabulary.alias(head + tail, id);
    if (i + 1 < word.length) vocabulary.alias(head + word[i + 1] + word[i] + word.slice(i + 2), id);
    for (const letter of letters) vocabulary.alias(head + letter + tail, id);
    for (const letter of 'aeiou' + word[i - 1]) vocabulary.alias(head + letter + word[i] + tail, id);
  }
  vocabulary.alias(word + word.at(-1), id);
}

/** Shorter cues have too many neighbours that are words of their own. */
const shortestCue = 6;

/**
 * The same for a word of a cue, with fewer slips, since these words are common ones: a letter left out or doubled, two
 * neighbours swapped; in words of eight letters or more also a wrong vowel or one too many ("definate", "presumeably").
 */
function addSlips(vocabulary: Vocabulary, word: string): void {
  if (word.length < shortestCue || !/^[a-z]+$/.test(word)) return;
  const id = vocabulary.add(word);
  const long = word.length >= shortestFuzzy;
  for (let i = 1; i < word.length; i++) {
    const head = word.slice(0, i);
    const tail = word.slice(i + 1);
    vocabulary.alias(head + tail, id);
    vocabulary.alias(head + word[i] + word[i] + tail, id);
    if (i + 1 < word.length) vocabulary.alias(head + word[i + 1] + word[i] + word.slice(i + 2), id);
    if (!long) continue;
    for (const vowel of 'aeiou') {
      if ('aeiou'.includes(word[i]!)) vocabulary.alias(head + vowel + tail, id);
      vocabulary.alias(head + vowel + word[i] + tail, id);
    }
  }
}

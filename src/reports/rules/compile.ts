import { createHash } from 'node:crypto';
import { PenumbraError } from '../../errors.ts';
import type { FindingSet, Role } from '../findings/findings.ts';
import { cueKinds, directions, type Lexicon, scopes } from '../lexicon/lexicon.ts';
import { Segmenter, VocabularyFiller } from '../text/segment.ts';
import { Trie } from '../text/trie.ts';
import { Vocabulary } from '../text/vocabulary.ts';

/** Raise this when code that judges changes its mind, so that stored rows are known to be of an older kind. */
export const rulesVersion = 1;

// Numbers of the kinds, directions and scopes, in the order of their lists: compiled rules compare numbers.
export const NEGATION = cueKinds.indexOf('negation');
export const HEDGE = cueKinds.indexOf('hedge');
export const DEGREE = cueKinds.indexOf('degree');
export const CHANGE = cueKinds.indexOf('change');
export const RESOLUTION = cueKinds.indexOf('resolution');
export const HISTORICAL = cueKinds.indexOf('historical');
export const HYPOTHETICAL = cueKinds.indexOf('hypothetical');
export const EXPERIENCER = cueKinds.indexOf('experiencer');
export const NORMAL = cueKinds.indexOf('normal');
export const ABNORMAL = cueKinds.indexOf('abnormal');
export const NEUTRAL = cueKinds.indexOf('neutral');
export const TERMINATOR = cueKinds.indexOf('terminator');
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

// Word classes as bits; the first six in the order of the lexicon's kinds from `firstClass` on.
export const IS_VERB = 1;
export const IS_STARTER = 2;
export const IS_PREPOSITION = 4;
export const IS_ADJECTIVE = 8;
export const IS_SUBJECT = 16;
export const IS_EXTENT = 32;
export const IS_OR = 64;
export const IS_WITH = 128;
export const IS_COMMA = 256;
export const IS_AND = 512;
export const IS_OPEN = 1024;
export const IS_CLOSE = 2048;
/** No class of words: set where a terminator stands. */
export const IS_END = 4096;

/** Slots of the trie. */
export const CUE = 0;
export const MENTION = 1;

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
  readonly probabilityAfter: Float64Array;
  /** By value of the trie's MENTION slot. */
  readonly meanings: readonly (readonly MentionMeaning[])[];
  /** By the same: 1 where it names something (a finding, a structure, or what must not be taken for one). */
  readonly names: Uint8Array;
}

/** Compiles once; assess many texts with the result. Takes some ten milliseconds. */
export function compileRules(lexicon: Lexicon, findings: FindingSet): CompiledRules {
  const vocabulary = new Vocabulary();
  const filler = new VocabularyFiller(vocabulary);
  const trie = new Trie(2);
  const meanings: MentionMeaning[][] = [];
  const firstWords = new Set<number>();
  const fuzzy = new Set<string>();

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
      } else trie.add(ids, CUE, index);
    }
  });
  for (const word of [',']) setClass(vocabulary.add(word), IS_COMMA);
  for (const word of ['and', '&', 'plus']) setClass(vocabulary.add(word), IS_AND);
  for (const word of ['or', 'nor']) setClass(vocabulary.add(word), IS_OR);
  for (const word of ['(', '[']) setClass(vocabulary.add(word), IS_OPEN);
  for (const word of [')', ']']) setClass(vocabulary.add(word), IS_CLOSE);
  for (const word of ['with']) setClass(vocabulary.add(word), IS_WITH);
  const segmenter = new Segmenter(vocabulary);
  // Last, so that no misspelling takes the place of a word that the lexicon knows.
  for (const word of fuzzy) addMisspellings(vocabulary, word);

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
    version: fingerprint(lexicon.text, findings.text),
    vocabulary,
    segmenter,
    trie,
    beginsMention,
    wordClass,
    extent,
    kind: Uint8Array.from(entries, (e) => cueKinds.indexOf(e.kind)),
    direction: Uint8Array.from(entries, (e) => directions.indexOf(e.direction)),
    scope: Uint8Array.from(entries, (e) => scopes.indexOf(e.scope)),
    probability: Float64Array.from(entries, (e) => e.probability ?? 0),
    probabilityAfter: Float64Array.from(entries, (e) => e.probabilityAfter ?? 0),
    meanings,
    names: Uint8Array.from(meanings, (m) =>
      m.some((x) => x.role !== 'normality' && x.role !== 'abnormality') ? 1 : 0,
    ),
  };
}

function fingerprint(...parts: string[]): string {
  const hash = createHash('sha256').update(`rules ${rulesVersion}`);
  for (const part of parts) hash.update('\0').update(part);
  return hash.digest('hex').slice(0, 16);
}

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

import type { Language } from '../lexicon/language.ts';
import { type Section, sectionNames } from '../types.ts';
import {
  AFTER_BLANK_LINE,
  AFTER_BULLET,
  AFTER_NEWLINE,
  AFTER_SPACE,
  ALL_CAPITALS,
  CAPITAL,
  doubled,
  NUMBER,
  Tokens,
  tokenize,
  WORDLIKE,
} from './tokenize.ts';
import { type Trie, TrieBuilder } from './trie.ts';
import type { Vocabulary } from './vocabulary.ts';

const BODY = 0;
const IMPRESSION = 2;
/** Sections of a line or two, from `comparison` on: how the picture was made, and what it was compared with. */
const COMPARISON = 4;

/** Sentences of one text: token ranges [from, to) and the section each stands in. Reused from text to text. */
export class Sentences {
  count = 0;
  from = new Int32Array(256);
  to = new Int32Array(256);
  section = new Uint8Array(256);

  push(from: number, to: number, section: number): void {
    if (to <= from) return;
    if (this.count === this.from.length) {
      this.from = doubled(this.from);
      this.to = doubled(this.to);
      this.section = doubled(this.section);
    }
    this.from[this.count] = from;
    this.to[this.count] = to;
    this.section[this.count++] = section;
  }
}

/** Sentences longer than this are cut, so that a text without full stops cannot make scope rules slow. */
const longestSentence = 250;

/** Finds sections and sentences. Made once for a vocabulary. */
export class Segmenter {
  private readonly headings: Trie;
  private readonly abbreviation = new Set<number>();
  private readonly stop: number;
  private readonly question: number;
  private readonly exclamation: number;
  private readonly colon: number;
  private readonly closing: number;

  constructor(vocabulary: Vocabulary, language: Language) {
    const scratch = new VocabularyFiller(vocabulary);
    const headings = new TrieBuilder(1);
    sectionNames.forEach((name, section) => {
      for (const heading of language.headings[name]) headings.add(scratch.ids(heading), 0, section);
    });
    this.headings = headings.build();
    for (const word of language.abbreviations) this.abbreviation.add(vocabulary.add(word));
    this.stop = vocabulary.add('.');
    this.question = vocabulary.add('?');
    this.exclamation = vocabulary.add('!');
    this.colon = vocabulary.add(':');
    this.closing = vocabulary.add(')');
  }

  /**
   * Splits tokens into sentences. With `section`, the text is one field of a report and headings inside it only
   * change the section where they name another one.
   *
   * A line break alone ends no sentence (reports are wrapped), except before a list mark, a heading, an empty line,
   * or a capital after a line that is too short to have been wrapped. An unheaded paragraph after the history,
   * comparison or technique is the report's body, as MIMIC-CXR's reports are often written; so is a new line after a
   * comparison or technique that ended with a full stop ("COMPARISON: None."). A history goes on over many lines.
   */
  segment(tokens: Tokens, sentences: Sentences, section: Section = 'body'): Sentences {
    sentences.count = 0;
    let current = sectionNames.indexOf(section);
    const field = current;
    let from = 0;
    let content = 0; // sentences in the current section
    let lineStart = 0;
    const { count, flags, word } = tokens;
    for (let i = 0; i < count; ) {
      const flag = flags[i]!;
      const before = i > from ? word[i - 1]! : 0;
      let boundary = false;
      if (i > from) {
        if (flag & (AFTER_BLANK_LINE | AFTER_BULLET)) boundary = true;
        else if (flag & AFTER_NEWLINE && this.newLineBegins(tokens, i, lineStart)) boundary = true;
        else if (before === this.stop) boundary = this.stopEnds(tokens, i, from);
        else if (before === this.question || before === this.exclamation) {
          boundary = (flag & CAPITAL) !== 0 && i - 1 > from && (flags[i - 1]! & AFTER_SPACE) === 0;
        } else if (i - from >= longestSentence) boundary = true;
      }
      if (flag & AFTER_NEWLINE) lineStart = i;
      // A wrapped line may begin with a heading that has no stop before it, so lines are asked too.
      if (i === from || boundary || flag & AFTER_NEWLINE) {
        const heading = this.headingAt(tokens, i);
        if (heading >= 0) {
          sentences.push(from, i, current);
          current = heading & 15;
          i = from = heading >> 4;
          content = 0;
          continue;
        }
      }
      if (boundary) {
        sentences.push(from, i, current);
        content++;
        from = i;
        const ends =
          flag & AFTER_BLANK_LINE
            ? current > IMPRESSION
            : current >= COMPARISON && flag & AFTER_NEWLINE && before === this.stop;
        if (ends && content > 0) {
          current = field;
          content = 0;
        }
      }
      i++;
    }
    sentences.push(from, count, current);
    return sentences;
  }

  /** Can a heading inside this text of one field name another section? Not without a colon or a second line. */
  mayChangeSection(text: string): boolean {
    return /[:\n\r\u0085\u2028\u2029]/.test(text);
  }

  /** A heading that begins at token `i`: `(token after it) << 4 | section`, or -1. */
  private headingAt(tokens: Tokens, i: number): number {
    const { word, flags, count } = tokens;
    let node = this.headings.start(word[i]!);
    if (node === 0) return -1;
    let capitals = true;
    let found = -1;
    for (let j = i + 1; ; j++) {
      if ((flags[j - 1]! & (ALL_CAPITALS | WORDLIKE)) === WORDLIKE) capitals = false;
      const value = this.headings.value(node, 0);
      if (value >= 0) {
        if (j < count && word[j] === this.colon) found = ((j + 1) << 4) | value;
        else if (
          flags[i]! & AFTER_NEWLINE &&
          value !== BODY &&
          (capitals || flags[i]! & AFTER_BLANK_LINE) &&
          (j === count || flags[j]! & AFTER_NEWLINE)
        )
          found = (j << 4) | value;
        else if (
          value === BODY &&
          capitals &&
          flags[i]! & AFTER_NEWLINE &&
          (j === count || flags[j]! & AFTER_NEWLINE)
        )
          found = (j << 4) | value;
      }
      if (j >= count) return found;
      node = this.headings.step(node, word[j]!);
      if (node === 0) return found;
    }
  }

  private stopEnds(tokens: Tokens, i: number, from: number): boolean {
    const { flags, word } = tokens;
    const flag = flags[i]!;
    if (i - 2 >= from && this.abbreviation.has(word[i - 2]!)) return false;
    // "apex.There": no space, but a capital; "3.Stable" the same. "a.b" stays together.
    if ((flag & AFTER_SPACE) === 0) return (flag & CAPITAL) !== 0;
    return true;
  }

  private newLineBegins(tokens: Tokens, i: number, lineStart: number): boolean {
    const { flags, word, start, end, count } = tokens;
    // "2." or "2)" opens a list item.
    if (flags[i]! & NUMBER && i + 1 < count && (word[i + 1] === this.stop || word[i + 1] === this.closing)) {
      return (flags[i + 1]! & AFTER_SPACE) === 0;
    }
    const shortLine = end[i - 1]! - start[lineStart]! < 45;
    return shortLine && (flags[i]! & (CAPITAL | ALL_CAPITALS)) === CAPITAL;
  }
}

/** Turns phrases into word ids with the tokenizer itself, adding words as it goes. */
export class VocabularyFiller {
  private readonly vocabulary: Vocabulary;
  private readonly tokens = new Tokens();

  constructor(vocabulary: Vocabulary) {
    this.vocabulary = vocabulary;
  }

  ids(phrase: string): number[] {
    const { tokens } = this;
    // The first pass finds the borders, which do not depend on what the vocabulary holds.
    tokenize(phrase, this.vocabulary, tokens);
    const ids: number[] = [];
    for (let i = 0; i < tokens.count; i++) {
      const word = phrase.slice(tokens.start[i], tokens.end[i]).toLowerCase();
      ids.push(this.vocabulary.add(/^[\u2012-\u2015]$/.test(word) ? '-' : word)); // every dash is the token "-"
    }
    return ids;
  }
}

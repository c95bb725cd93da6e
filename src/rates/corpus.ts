/** Reports as sentences of words, and sentences as pieces. */

import type { Random } from '../random.ts';
import {
  type Language,
  type Report,
  type ReportSentence,
  type Section,
  SentenceReader,
} from '../reports/index.ts';
import { LONGEST_SENTENCE, type Pieces } from './batch.ts';
import type { TextTokenizer } from './text-tokenizer.ts';
import { splitWords, type WordSplitter, Words } from './words.ts';

/** A sentence of a report, and its words as numbers of a table. */
export interface WordSentence {
  readonly section: Section;
  readonly words: Int32Array;
}

/** Many reports whose words are numbers: text is read once, and an epoch costs no string. */
export class Corpus {
  /** Different words. */
  readonly words: string[] = [];
  /** By word: the number of it in lower case. Findings are named in any. */
  readonly lower: number[] = [];
  /** What cuts texts into words. */
  readonly split: WordSplitter;
  private readonly numbers = new Map<string, number>();
  private readonly reader: SentenceReader;
  private readonly found = new Words();

  /** @param split of the tokenizer that will cut the words into pieces */
  constructor(language?: Language, split: WordSplitter = splitWords) {
    this.split = split;
    this.reader = new SentenceReader(language);
  }

  /** The sentences of a report that hold a word. */
  read(report: Report): WordSentence[] {
    const { found } = this;
    const sentences: WordSentence[] = [];
    for (const { text, start, end, section } of this.reader.read(report)) {
      found.count = 0;
      this.split(text, start, end, found);
      if (found.count === 0) continue;
      const words = new Int32Array(found.count);
      for (let i = 0; i < found.count; i++) words[i] = this.numberOf(found.text[i]!);
      sentences.push({ section, words });
    }
    return sentences;
  }

  /** The numbers of a phrase's words. */
  phrase(text: string): number[] {
    const { found } = this;
    found.count = 0;
    this.split(text, 0, text.length, found);
    return Array.from({ length: found.count }, (_, i) => this.numberOf(found.text[i]!));
  }

  private numberOf(word: string): number {
    let number = this.numbers.get(word);
    if (number !== undefined) return number;
    this.numbers.set(word, (number = this.words.push(word) - 1));
    const lower = word.toLowerCase();
    // It has its own place before the lower-cased word may take the next.
    this.lower[number] = number;
    if (lower !== word) this.lower[number] = this.numberOf(lower);
    return number;
  }
}

/** How often each word stands in some reports: what a tokenizer is trained on. */
export function countWords(
  reports: Iterable<readonly WordSentence[]>,
  words: readonly string[],
): Map<string, number> {
  const counts = new Map<string, number>();
  for (const sentences of reports)
    for (const sentence of sentences)
      for (const number of sentence.words) counts.set(words[number]!, (counts.get(words[number]!) ?? 0) + 1);
  return counts;
}

/** How texts are changed in training, anew each time; see `RateOptions`. */
export interface Augmentation {
  readonly pieceDropout: number;
  readonly wordDropout: number;
  readonly random: Random;
}

/** Merges that are left out of a word that falls into pieces. */
const MERGES_LEFT_OUT = 0.5;

/** A report in pieces. */
export interface WrittenReport {
  readonly pieces: Pieces[];
  /** By piece, over all sentences in order: the number of its word in the report; −1 for what opens or closes a sentence. */
  readonly words: readonly number[];
}

/** The pieces of sentences of a corpus, long sentences cut. */
export function piecesOf(
  sentences: readonly WordSentence[],
  words: readonly string[],
  tokenizer: TextTokenizer,
  augmentation?: Augmentation,
): WrittenReport {
  const cutter = new Cutter(tokenizer, -1);
  let at = 0;
  for (const { section, words: numbers } of sentences) {
    cutter.begin(section);
    for (const number of numbers) {
      const word = words[number]!;
      if (augmentation === undefined) cutter.add(tokenizer.encode(word), at);
      else {
        const { random, pieceDropout, wordDropout } = augmentation;
        const u = random.uniform();
        if (u < wordDropout) cutter.add([tokenizer.hidden], at);
        else if (u < wordDropout + pieceDropout)
          cutter.add(tokenizer.encodeWithDropout(word, MERGES_LEFT_OUT, random), at);
        else cutter.add(tokenizer.encode(word), at);
      }
      at++;
    }
    cutter.end();
  }
  return cutter;
}

/** Puts pieces into sentences that are short enough, each behind what opens its section and before what closes it. */
class Cutter<Word> {
  readonly pieces: number[][] = [];
  /** By piece: its word, or `none`. */
  readonly words: Word[] = [];
  private readonly tokenizer: TextTokenizer;
  private readonly none: Word;
  /** Most pieces before the one that closes. */
  private readonly most: number;
  private opening = 0;
  private current: number[] | undefined;

  constructor(tokenizer: TextTokenizer, none: Word) {
    this.tokenizer = tokenizer;
    this.none = none;
    this.most = LONGEST_SENTENCE - (tokenizer.closing === undefined ? 0 : 1);
  }

  begin(section: Section): void {
    this.opening = this.tokenizer.opening(section);
  }

  add(pieces: readonly number[], word: Word): void {
    for (const piece of pieces) {
      if (this.current?.length === this.most) this.end();
      if (this.current === undefined) {
        this.pieces.push((this.current = [this.opening]));
        this.words.push(this.none);
      }
      this.current.push(piece);
      this.words.push(word);
    }
  }

  /** Closes the sentence, where one has begun. */
  end(): void {
    const { closing } = this.tokenizer;
    if (this.current !== undefined && closing !== undefined) {
      this.current.push(closing);
      this.words.push(this.none);
    }
    this.current = undefined;
  }
}

/** A piece of a report, as evidence is found by it; what opens or closes a sentence has no place. */
export interface PlacedWord {
  /** Which of the report's sentences. */
  readonly sentence: ReportSentence;
  readonly start: number;
  readonly end: number;
}

/** A report as pieces, each with the word that it is a part of. */
export interface PlacedReport {
  readonly pieces: Pieces[];
  /** By piece, over all sentences in order: its word; undefined for what opens or closes a sentence. */
  readonly words: (PlacedWord | undefined)[];
  /** Pieces that the text has beyond the limit. */
  readonly leftOut: number;
}

/** Reads reports that rows are wanted of: pieces, with their places in the text. */
export class PlacedReader {
  private readonly reader: SentenceReader;
  private readonly tokenizer: TextTokenizer;
  private readonly found = new Words();

  constructor(tokenizer: TextTokenizer, language?: Language) {
    this.reader = new SentenceReader(language);
    this.tokenizer = tokenizer;
  }

  /** @param most pieces that are read */
  read(report: Report, most: number): PlacedReport {
    const { found, tokenizer } = this;
    const cutter = new Cutter<PlacedWord | undefined>(tokenizer, undefined);
    let leftOut = 0;
    for (const sentence of this.reader.read(report)) {
      found.count = 0;
      tokenizer.split(sentence.text, sentence.start, sentence.end, found);
      cutter.begin(sentence.section);
      for (let i = 0; i < found.count; i++) {
        const word = { sentence, start: found.start[i]!, end: found.end[i]! };
        for (const piece of tokenizer.encode(found.text[i]!)) {
          if (cutter.words.length < most) cutter.add([piece], word);
          else leftOut++;
        }
      }
      cutter.end();
    }
    return { pieces: cutter.pieces, words: cutter.words, leftOut };
  }
}

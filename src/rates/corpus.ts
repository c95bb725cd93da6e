/** Reports as sentences of words, and sentences as pieces. */

import type { Random } from '../random.ts';
import { type Language, type Report, type ReportSentence, SentenceReader } from '../reports/index.ts';
import { LONGEST_SENTENCE, type Pieces } from './batch.ts';
import { HIDDEN, sectionToken, splitWords, type Tokenizer, Words } from './tokenizer.ts';

/** A sentence of a report, and its words as numbers of a table. */
export interface WordSentence {
  /** Its section's token. */
  readonly section: number;
  readonly words: Int32Array;
}

/** Many reports whose words are numbers: text is read once, and an epoch costs no string. */
export class Corpus {
  /** Different words, lower-cased. */
  readonly words: string[] = [];
  private readonly numbers = new Map<string, number>();
  private readonly reader: SentenceReader;
  private readonly found = new Words();

  constructor(language?: Language) {
    this.reader = new SentenceReader(language);
  }

  /** The sentences of a report that hold a word. */
  read(report: Report): WordSentence[] {
    const { found } = this;
    const sentences: WordSentence[] = [];
    for (const { text, start, end, section } of this.reader.read(report)) {
      found.count = 0;
      splitWords(text, start, end, found);
      if (found.count === 0) continue;
      const words = new Int32Array(found.count);
      for (let i = 0; i < found.count; i++) words[i] = this.numberOf(found.text[i]!);
      sentences.push({ section: sectionToken(section), words });
    }
    return sentences;
  }

  /** The numbers of a phrase's words. */
  phrase(text: string): number[] {
    const { found } = this;
    found.count = 0;
    splitWords(text, 0, text.length, found);
    return Array.from({ length: found.count }, (_, i) => this.numberOf(found.text[i]!));
  }

  private numberOf(word: string): number {
    let number = this.numbers.get(word);
    if (number === undefined) this.numbers.set(word, (number = this.words.push(word) - 1));
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
  /** By piece, over all sentences in order: the number of its word in the report; −1 for a section's token. */
  readonly words: readonly number[];
}

/** The pieces of sentences of a corpus, long sentences cut. */
export function piecesOf(
  sentences: readonly WordSentence[],
  words: readonly string[],
  tokenizer: Tokenizer,
  augmentation?: Augmentation,
): WrittenReport {
  const cutter = new Cutter();
  let at = 0;
  for (const { section, words: numbers } of sentences) {
    cutter.begin(section);
    for (const number of numbers) {
      const word = words[number]!;
      if (augmentation === undefined) cutter.add(tokenizer.encode(word), at);
      else {
        const { random, pieceDropout, wordDropout } = augmentation;
        const u = random.uniform();
        if (u < wordDropout) cutter.add([HIDDEN], at);
        else if (u < wordDropout + pieceDropout)
          cutter.add(tokenizer.encodeWithDropout(word, MERGES_LEFT_OUT, random), at);
        else cutter.add(tokenizer.encode(word), at);
      }
      at++;
    }
  }
  return cutter;
}

/** Puts pieces into sentences that are short enough, each behind its section's token. */
class Cutter implements WrittenReport {
  readonly pieces: number[][] = [];
  readonly words: number[] = [];
  private section = 0;
  private current: number[] | undefined;

  begin(section: number): void {
    this.section = section;
    this.current = undefined;
  }

  add(pieces: readonly number[], word: number): void {
    for (const piece of pieces) {
      if (this.current === undefined || this.current.length === LONGEST_SENTENCE) {
        this.pieces.push((this.current = [this.section]));
        this.words.push(-1);
      }
      this.current.push(piece);
      this.words.push(word);
    }
  }
}

/** A piece of a report, as evidence is found by it; section tokens have no place. */
export interface PlacedWord {
  /** Which of the report's sentences. */
  readonly sentence: ReportSentence;
  readonly start: number;
  readonly end: number;
}

/** A report as pieces, each with the word that it is a part of. */
export interface PlacedReport {
  readonly pieces: Pieces[];
  /** By piece, over all sentences in order: its word; undefined for a section's token. */
  readonly words: (PlacedWord | undefined)[];
  /** Pieces that the text has beyond the limit. */
  readonly leftOut: number;
}

/** Reads reports that rows are wanted of: pieces, with their places in the text. */
export class PlacedReader {
  private readonly reader: SentenceReader;
  private readonly tokenizer: Tokenizer;
  private readonly found = new Words();

  constructor(tokenizer: Tokenizer, language?: Language) {
    this.reader = new SentenceReader(language);
    this.tokenizer = tokenizer;
  }

  /** @param most pieces that are read */
  read(report: Report, most: number): PlacedReport {
    const { found, tokenizer } = this;
    const pieces: number[][] = [];
    const words: (PlacedWord | undefined)[] = [];
    let leftOut = 0;
    for (const sentence of this.reader.read(report)) {
      found.count = 0;
      splitWords(sentence.text, sentence.start, sentence.end, found);
      let current: number[] | undefined;
      for (let i = 0; i < found.count; i++) {
        const word = { sentence, start: found.start[i]!, end: found.end[i]! };
        for (const piece of tokenizer.encode(found.text[i]!)) {
          if (words.length >= most) {
            leftOut++;
            continue;
          }
          if (current === undefined || current.length === LONGEST_SENTENCE) {
            pieces.push((current = [sectionToken(sentence.section)]));
            words.push(undefined);
          }
          current.push(piece);
          words.push(word);
        }
      }
    }
    return { pieces, words, leftOut };
  }
}

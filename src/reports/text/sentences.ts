import type { Language } from '../lexicon/language.ts';
import { defaultLexicon } from '../lexicon/lexicon.ts';
import { type Report, type Section, sectionNames } from '../types.ts';
import { Segmenter, Sentences } from './segment.ts';
import { Tokens, tokenize } from './tokenize.ts';
import { Vocabulary } from './vocabulary.ts';

/** A sentence of a report; headings belong to none. */
export interface ReportSentence {
  /** The report's text, or that of the field in which the sentence stands. */
  readonly text: string;
  /** UTF-16 offsets into `text`. */
  readonly start: number;
  readonly end: number;
  readonly section: Section;
}

/** Splits reports into sentences, as the rules do. Made once, used for many reports. */
export class SentenceReader {
  private readonly vocabulary = new Vocabulary();
  private readonly segmenter: Segmenter;
  private readonly tokens = new Tokens();
  private readonly sentences = new Sentences();

  /** @param language its headings and abbreviations; default: of the shipped lexicon */
  constructor(language: Language = defaultLexicon().language) {
    this.segmenter = new Segmenter(this.vocabulary, language);
  }

  read(report: Report): ReportSentence[] {
    const found: ReportSentence[] = [];
    if (report.text !== undefined) this.split(report.text, 'body', found);
    for (const { section, text } of report.sections ?? []) this.split(text, section, found);
    return found;
  }

  private split(text: string, field: Section, found: ReportSentence[]): void {
    const { tokens, sentences } = this;
    tokenize(text, this.vocabulary, tokens);
    this.segmenter.segment(tokens, sentences, field);
    for (let s = 0; s < sentences.count; s++) {
      found.push({
        text,
        start: tokens.start[sentences.from[s]!]!,
        end: tokens.end[sentences.to[s]! - 1]!,
        section: sectionNames[sentences.section[s]!]!,
      });
    }
  }
}

import { defaultLexicon } from '../lexicon/lexicon.ts';
import { Segmenter, Sentences } from '../text/segment.ts';
import { Tokens, tokenize } from '../text/tokenize.ts';
import { Vocabulary } from '../text/vocabulary.ts';
import { type Evidence, type Report, type Section, sectionNames } from '../types.ts';
import { blankInvisible, lookAlikes } from './defuse.ts';

/** Finds quotations in a report. Made once, used for many reports. */
export class QuoteFinder {
  private readonly vocabulary = new Vocabulary();
  private readonly segmenter = new Segmenter(this.vocabulary, defaultLexicon().language);
  private readonly tokens = new Tokens();
  private readonly sentences = new Sentences();

  /** Prepares a report; the result looks up quotations in it. */
  open(report: Report): { find(quote: string): Evidence | undefined } {
    const fields: Field[] = [];
    if (report.text !== undefined) fields.push(new Field(report.text, 'body'));
    for (const { section, text } of report.sections ?? []) fields.push(new Field(text, section));
    return {
      /**
       * The quotation as it stands in the report, or undefined. White space is folded, letters are compared without
       * case, and typographic quotes and dashes as plain ones; words must be whole. Where the words stand several
       * times, a place that asserts (impression, then findings or body) goes before the history.
       */
      find: (quote) => {
        const { text: wanted } = fold(quote.trim());
        // "no" alone, or a punctuation mark, proves nothing.
        if (!/[\p{L}]{3}/u.test(wanted)) return undefined;
        let best: Evidence | undefined;
        for (const field of fields) {
          for (let at = -1; (at = field.folded.text.indexOf(wanted, at + 1)) >= 0; ) {
            if (!field.isWhole(at, at + wanted.length)) continue;
            const evidence = this.place(field, at, at + wanted.length);
            if (best === undefined || weight(evidence.section) > weight(best.section)) best = evidence;
          }
        }
        return best;
      },
    };
  }

  private place(field: Field, from: number, to: number): Evidence {
    const start = field.folded.at[from]!;
    const end = field.folded.at[to - 1]! + 1;
    const { tokens, sentences } = this;
    tokenize(field.text, this.vocabulary, tokens);
    this.segmenter.segment(tokens, sentences, field.section);
    let first = -1;
    let last = -1;
    for (let s = 0; s < sentences.count; s++) {
      if (tokens.end[sentences.to[s]! - 1]! <= start || tokens.start[sentences.from[s]!]! >= end) continue;
      if (first < 0) first = s;
      last = s;
    }
    const phrase = field.text.slice(start, end);
    if (first < 0) return { phrase, start, end, section: field.section, sentence: phrase };
    return {
      phrase,
      start,
      end,
      section: sectionNames[sentences.section[first]!]!,
      sentence: field.text.slice(
        Math.min(start, tokens.start[sentences.from[first]!]!),
        Math.max(end, tokens.end[sentences.to[last]! - 1]!),
      ),
    };
  }
}

/** Whether words in a section assert something about the patient now (history and indication do not). */
export function asserts(section: Section): boolean {
  return weight(section) > 0;
}

function weight(section: Section): number {
  if (section === 'impression') return 2;
  return section === 'findings' || section === 'body' ? 1 : 0;
}

class Field {
  readonly text: string;
  readonly section: Section;
  readonly folded: Folded;

  constructor(text: string, section: Section) {
    this.text = text;
    this.section = section;
    this.folded = fold(text);
  }

  /** No letter or digit touches the range from outside. */
  isWhole(from: number, to: number): boolean {
    const { text } = this.folded;
    return !(joins(text[from - 1], text[from]!) || joins(text[to - 1]!, text[to]));
  }
}

function joins(a: string | undefined, b: string | undefined): boolean {
  return a !== undefined && b !== undefined && /[\p{L}\p{N}]/u.test(a) && /[\p{L}\p{N}]/u.test(b);
}

/** A text as quotations are compared, and where each of its units stands in the original. */
interface Folded {
  readonly text: string;
  readonly at: Int32Array;
}

const plain: Readonly<Record<string, string>> = {
  '\u2018': "'",
  '\u2019': "'",
  '\u201c': '"',
  '\u201d': '"',
  '\u2010': '-',
  '\u2011': '-',
  '\u2012': '-',
  '\u2013': '-',
  '\u2014': '-',
  ...lookAlikes,
};

function fold(text: string): Folded {
  const at = new Int32Array(text.length + 1);
  let folded = '';
  let space = false;
  const visible = blankInvisible(text);
  for (let i = 0; i < visible.length; i++) {
    const unit = visible[i]!;
    if (/\s/.test(unit)) {
      space = folded !== '';
      continue;
    }
    if (space) {
      at[folded.length] = i - 1;
      folded += ' ';
      space = false;
    }
    at[folded.length] = i;
    const lower = unit.toLowerCase();
    folded += plain[unit] ?? (lower.length === 1 ? lower : unit);
  }
  return { text: folded, at };
}

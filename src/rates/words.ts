/** Words of texts, as they are cut into pieces. */

/** Words beyond this are cut: no word of a language is so long, and merging takes the square of it. */
export const longestWord = 64;

/**
 * Words are runs of letters, runs of digits, and every other visible character by itself. Unicode properties, and no
 * `\s`, so that other programs' regular expressions agree.
 */
export const WORDS = '\\p{L}+|\\p{N}+|[^\\p{L}\\p{N}\\p{Z}\\p{C}]';
const words = new RegExp(WORDS, 'gu');

/** Words of a text, normalized, and where they stand. Reused from text to text. */
export class Words {
  count = 0;
  readonly text: string[] = [];
  /** UTF-16 offsets into the text. */
  readonly start: number[] = [];
  readonly end: number[] = [];

  push(text: string, start: number, end: number): void {
    this.text[this.count] = text;
    this.start[this.count] = start;
    this.end[this.count++] = end;
  }
}

/** Appends the words of `text` between two offsets. */
export type WordSplitter = (text: string, from: number, to: number, into: Words) => void;

/** Words as above, in lower case: those of the compact encoder. */
export const splitWords: WordSplitter = (text, from, to, into) => {
  words.lastIndex = from;
  for (let match = words.exec(text); match !== null && match.index < to; match = words.exec(text)) {
    const start = match.index;
    const end = Math.min(to, start + match[0].length);
    const lower = match[0].slice(0, end - start).toLowerCase();
    // A capital may become a letter and a mark, which is a word of its own.
    const parts = lower.length === end - start ? [lower] : (lower.match(new RegExp(WORDS, 'gu')) ?? []);
    for (const part of parts) {
      if (part.length <= longestWord) into.push(part, start, end);
      else
        for (let at = 0; at < part.length; at += longestWord)
          into.push(part.slice(at, at + longestWord), start + at, Math.min(end, start + at + longestWord));
    }
  }
};

/** Remembers what words became: reports use few words often. */
export class WordMemory {
  private readonly known = new Map<string, readonly number[]>();

  /** What the word became, or becomes now. */
  of(word: string, cut: (word: string) => readonly number[]): readonly number[] {
    const known = this.known.get(word);
    if (known !== undefined) return known;
    const ids = cut(word);
    // Endless new words (a hostile file) must not fill the memory.
    if (this.known.size < 1 << 17) this.known.set(word, ids);
    return ids;
  }
}

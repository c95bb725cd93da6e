import { fold, type Vocabulary } from './vocabulary.ts';

/** Facts about a token that later steps ask for. */
export const AFTER_NEWLINE = 1;
/** An empty line stands before the token. */
export const AFTER_BLANK_LINE = 2;
/** The token starts with a capital (ASCII or Latin-1). */
export const CAPITAL = 4;
/** A word of two or more letters, all of them capitals. */
export const ALL_CAPITALS = 8;
export const NUMBER = 16;
/** White space (or the beginning of the text) stands before the token. */
export const AFTER_SPACE = 32;
/** A word or a number, not a punctuation mark. */
export const WORDLIKE = 64;
/** A bullet (-, *, •) opens the line that the token begins. */
export const AFTER_BULLET = 128;

/**
 * Tokens of one text as parallel arrays that are reused from text to text, so that tokenizing allocates nothing.
 * `start` and `end` are UTF-16 offsets into the text, `word` ids of the vocabulary (0: not in it).
 */
export class Tokens {
  /**
   * The text's UTF-16 units from `base` on, behind those of earlier texts where these were to be kept. Copied, because a
   * text that is a slice of a file costs a detour for each unit that is asked of the string itself.
   */
  units = new Uint16Array(1 << 12);
  base = 0;
  private bytes = Buffer.from(this.units.buffer);
  count = 0;
  start = new Int32Array(1024);
  end = new Int32Array(1024);
  word = new Int32Array(1024);
  flags = new Uint8Array(1024);

  push(start: number, end: number, word: number, flags: number): void {
    if (this.count === this.start.length) this.grow();
    const i = this.count++;
    this.start[i] = start;
    this.end[i] = end;
    this.word[i] = word;
    this.flags[i] = flags;
  }

  /** Takes the text's units in from `base` on, and forgets the tokens. */
  begin(text: string, base: number): void {
    this.count = 0;
    this.base = base;
    if (base + text.length > this.units.length) {
      const wider = new Uint16Array((base + text.length) * 2);
      wider.set(this.units);
      this.units = wider;
      this.bytes = Buffer.from(wider.buffer);
    }
    this.bytes.write(text, base * 2, 'utf16le');
  }

  private grow(): void {
    this.start = doubled(this.start);
    this.end = doubled(this.end);
    this.word = doubled(this.word);
    this.flags = doubled(this.flags);
  }
}

/** The same numbers with as much room again behind them. */
export function doubled<T extends Int32Array<ArrayBuffer> | Uint8Array<ArrayBuffer>>(from: T): T {
  const to = new (from.constructor as new (length: number) => T)(from.length * 2);
  to.set(from);
  return to;
}

const LETTER = 1;
const DIGIT = 2;
const SPACE = 3;
const NEWLINE = 4;
const HYPHEN = 5;
const APOSTROPHE = 6;
const OTHER = 0;

/** Set beside the class of a capital (ASCII or Latin-1). */
const UPPER = 8;
const CLASS = 7;
/** From this bit on stands the unit as rules see it. */
const FOLDED = 8;

const dashUnit = Uint16Array.of(45);

/** The class of every UTF-16 unit, `UPPER`, and the folded unit: one look-up a character makes the loop below fast. */
const traits = new Uint32Array(65_536);
for (let c = 0; c < traits.length; c++) traits[c] = LETTER | (c << FOLDED);
// Asked unit by unit only where something else than a letter may stand: this is done at every start.
for (const [from, to] of [
  [0, 0xff],
  [0x2000, 0x2043],
  [0x3000, 0x3000],
  [0xfeff, 0xfeff],
] as const) {
  for (let c = from; c <= to; c++) {
    traits[c] = classOf(c) | (isCapital(c) ? UPPER : 0) | (fold(c) << FOLDED);
  }
}

function isCapital(c: number): boolean {
  return (c >= 65 && c <= 90) || (c >= 0xc0 && c <= 0xde && c !== 0xd7);
}

/** Everything above the first 128 units counts as a letter unless listed. */
function classOf(c: number): number {
  if ((c >= 65 && c <= 90) || (c >= 97 && c <= 122)) return LETTER;
  if (c >= 48 && c <= 57) return DIGIT;
  if (c === 10 || c === 13) return NEWLINE;
  if (c <= 32 || c === 127) return SPACE;
  if (c === 45) return HYPHEN;
  if (c === 39) return APOSTROPHE;
  if (c === 95) return LETTER; // "___" stands for a word that was removed
  if (c < 128) return OTHER;
  if (c === 0x2019) return APOSTROPHE;
  if (c === 0x2010 || c === 0x2011) return HYPHEN;
  if (c === 0xa0 || c === 0xfeff || (c >= 0x2000 && c <= 0x200d) || c === 0x3000) return SPACE;
  if (c === 0x2028 || c === 0x2029 || c === 0x85) return NEWLINE;
  if (c === 0xb7 || (c >= 0x2012 && c <= 0x2027) || c === 0x2043) return OTHER;
  return LETTER;
}

/**
 * Splits `text` into words, numbers and punctuation marks. A hyphen joins words without becoming a token ("air-space"
 * is two words, like "air space"), so that phrases match with and without it; "--" and dashes become the token "-".
 * A full stop inside a number or an abbreviation ("5.2", "e.g.") does not become a token.
 *
 * @param base how many of the tokens' units, those of earlier texts, are kept
 */
export function tokenize(text: string, vocabulary: Vocabulary, tokens: Tokens, base = 0): Tokens {
  tokens.begin(text, base);
  const { units } = tokens;
  const length = base + text.length;
  let flags = AFTER_NEWLINE | AFTER_BLANK_LINE | AFTER_SPACE;
  let i = base;
  while (i < length) {
    const c = units[i]!;
    const trait = traits[c]!;
    switch (trait & CLASS) {
      case SPACE:
        flags |= AFTER_SPACE;
        i++;
        continue;
      case NEWLINE: {
        if (c === 13 && i + 1 < length && units[i + 1] === 10) i++;
        flags |= flags & AFTER_NEWLINE ? AFTER_BLANK_LINE | AFTER_SPACE : AFTER_NEWLINE | AFTER_SPACE;
        i++;
        continue;
      }
      case LETTER:
      case DIGIT: {
        const start = i;
        let hash = 0;
        let digits = (trait & CLASS) === DIGIT;
        let capitals = UPPER;
        let unit = c;
        let own = trait;
        for (;;) {
          hash = (Math.imul(hash, 31) + (own >>> FOLDED)) | 0;
          capitals &= own;
          i++;
          if (i >= length) break;
          unit = units[i]!;
          own = traits[unit]!;
          const kind = own & CLASS;
          if (kind === LETTER) {
            digits = false;
            continue;
          }
          if (kind === DIGIT) continue;
          if (kind !== APOSTROPHE && unit !== 46) break;
          const after = i + 1 < length ? traits[units[i + 1]!]! & CLASS : SPACE;
          if (kind === APOSTROPHE) {
            if (after === LETTER) continue;
            break;
          }
          // "5.2" and "e.g": a point between digits or after a single letter belongs to the word.
          if ((digits && after === DIGIT) || (i - start === 1 && after === LETTER && !digits)) continue;
          if (i - start > 1 && after === LETTER && units[i - 2] === 46) continue;
          break;
        }
        if (trait & UPPER) flags |= CAPITAL;
        if (capitals !== 0 && i - start > 1) flags |= ALL_CAPITALS;
        tokens.push(
          start - base,
          i - base,
          vocabulary.find(hash, units, start, i),
          flags | WORDLIKE | (digits ? NUMBER : 0),
        );
        flags = 0;
        continue;
      }
      case HYPHEN: {
        const start = i;
        while (i < length && (traits[units[i]!]! & CLASS) === HYPHEN) i++;
        if (flags & AFTER_NEWLINE) flags |= AFTER_BULLET;
        else if (i - start > 1) {
          tokens.push(start - base, i - base, vocabulary.find(45, dashUnit, 0, 1), flags);
          flags = 0;
        }
        continue;
      }
      default: {
        if (flags & AFTER_NEWLINE && (c === 42 || c === 0x2022 || c === 0xb7 || c === 0x2043)) {
          flags |= AFTER_BULLET;
          i++;
          continue;
        }
        if (c === 39 || c === 34 || c === 42 || c === 0x2019 || c === 0x201c || c === 0x201d) {
          i++; // Quotation marks say nothing here.
          continue;
        }
        const dash = c >= 0x2012 && c <= 0x2015;
        const word = dash ? vocabulary.find(45, dashUnit, 0, 1) : vocabulary.find(fold(c), units, i, i + 1);
        tokens.push(i - base, i + 1 - base, word, flags);
        flags = 0;
        i++;
      }
    }
  }
  return tokens;
}

/** What turns a text into pieces, whichever encoder reads them. */
import { PenumbraError } from '../errors.ts';
import { readRegular } from '../files/index.ts';
import type { Random } from '../random.ts';
import type { Section } from '../reports/index.ts';
import { Tokenizer } from './tokenizer.ts';
import { WordPiece } from './word-piece.ts';
import type { WordSplitter } from './words.ts';

export interface TextTokenizer {
  /** Number of ids. */
  readonly size: number;
  /** Identifies all that turns a text into ids. */
  readonly version: string;
  readonly split: WordSplitter;
  /** The id that a word has which is hidden in training. */
  readonly hidden: number;
  /** The id at the end of every sentence; undefined where there is none. */
  readonly closing: number | undefined;
  /** The id in front of every sentence of a section. */
  opening(section: Section): number;
  /** The ids of a word as `split` gives it. */
  encode(word: string): readonly number[];
  /** The same in smaller pieces, anew each time: pieces are passed over with probability `dropout`. */
  encodeWithDropout(word: string, dropout: number, random: Random): readonly number[];
  /** Writes a `tokenizer.json`, as Hugging Face's `tokenizers` reads it. */
  save(path: string): void;
}

/**
 * The tokenizer of a network's folder.
 * @throws `rates/tokenizer` for a file that is missing or is none
 */
export function loadTokenizer(path: string): TextTokenizer {
  let type: unknown;
  try {
    type = (JSON.parse(readRegular(path).toString('utf8')) as { model?: { type?: unknown } }).model?.type;
  } catch (cause) {
    throw new PenumbraError('rates/tokenizer', `${path} cannot be read as JSON`, {
      hint: 'it stands in the folder that `penumbra rates train` wrote: restore it, or train anew',
      where: { file: path },
      cause,
    });
  }
  return type === 'WordPiece' ? WordPiece.load(path) : Tokenizer.load(path);
}

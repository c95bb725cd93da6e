import { createHash } from 'node:crypto';
import { PenumbraError } from '../errors.ts';
import { readRegular, writeWhole } from '../files/index.ts';
import type { Random } from '../random.ts';
import { type Section, sectionNames } from '../reports/index.ts';
import type { TextTokenizer } from './text-tokenizer.ts';
import { WordMemory, type WordSplitter, type Words } from './words.ts';

/** How BERT's tokenizers change a text before they cut it: Hugging Face's `BertNormalizer`. */
export interface BertNormalizer {
  /** Control characters go, and all white space becomes blanks. */
  readonly cleanText: boolean;
  /** Every ideograph is a word. */
  readonly chineseCharacters: boolean;
  /** Marks on letters go: é becomes e. */
  readonly stripAccents: boolean;
  readonly lowercase: boolean;
}

interface WordPieceParts {
  /** Id by piece; not all ids need be used. */
  readonly ids: ReadonlyMap<string, number>;
  readonly normalizer: BertNormalizer;
  readonly unknown?: string;
  readonly prefix?: string;
  /** Characters; a longer word is unknown as a whole. */
  readonly longest?: number;
}

/** Ideographs by BERT's own list; Hangul and kana are letters like others. */
const IDEOGRAPH =
  /[\u4e00-\u9fff\u3400-\u4dbf\uf900-\ufaff\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b920}-\u{2ceaf}\u{2f800}-\u{2fa1f}]/u;
const WHITE = /\p{White_Space}/u;
const CONTROL = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}]/u;
/** BERT counts every sign of ASCII as punctuation, "+" and "$" too. */
const PUNCTUATION = /[\p{P}!-/:-@[-`{-~]/u;
const MARK = /\p{Mn}/u;
const LETTER_OR_DIGIT = /[a-z0-9]/;

/**
 * WordPiece as BERT has it (Wu et al. 2016; Devlin et al., NAACL 2019): texts are normalized, cut at white space and around
 * punctuation, and each word becomes the longest pieces of the vocabulary from its beginning on. Ids are those of Hugging Face's
 * `tokenizers`, but for what a text itself says of special tokens: "[SEP]" in a report is five characters and no end.
 *
 * Behind the vocabulary stand ids of our own: one for each section, which opens its sentences in place of [CLS].
 */
export class WordPiece implements TextTokenizer {
  readonly split: WordSplitter;
  readonly size: number;
  /** Ids of the vocabulary: those of the sections are behind it. */
  readonly vocabulary: number;
  readonly hidden: number;
  readonly closing: number;
  /** The id of [CLS]. */
  readonly first: number;
  private readonly parts: Required<WordPieceParts>;
  private readonly unknown: number;
  private readonly known = new WordMemory();

  /** @throws `rates/tokenizer` where the vocabulary lacks [UNK], [CLS] or [SEP] */
  constructor(parts: WordPieceParts) {
    this.parts = { unknown: '[UNK]', prefix: '##', longest: 100, ...parts };
    const { ids, unknown, normalizer } = this.parts;
    const need = (piece: string): number => {
      const id = ids.get(piece);
      if (id !== undefined) return id;
      throw new PenumbraError('rates/tokenizer', `the vocabulary has no ${piece}`, {
        hint: 'a BERT vocabulary has [UNK], [CLS] and [SEP]; is this the tokenizer of these weights?',
      });
    };
    this.unknown = need(unknown);
    this.first = need('[CLS]');
    this.closing = need('[SEP]');
    this.hidden = ids.get('[MASK]') ?? this.unknown;
    this.vocabulary = [...ids.values()].reduce((most, id) => Math.max(most, id), -1) + 1;
    this.size = this.vocabulary + sectionNames.length;
    this.split = splitterOf(normalizer);
  }

  get version(): string {
    const { ids, normalizer, unknown, prefix, longest } = this.parts;
    return createHash('sha256')
      .update(
        JSON.stringify(['WordPiece', [...ids].sort(byId), flagsOf(normalizer), unknown, prefix, longest]),
      )
      .digest('hex')
      .slice(0, 16);
  }

  opening(section: Section): number {
    return this.vocabulary + sectionNames.indexOf(section);
  }

  encode(word: string): readonly number[] {
    return this.known.of(word, (unseen) => this.cut(unseen));
  }

  /** MaxMatch-Dropout (Hiraoka, COLING 2022): a match is passed over with probability `dropout`, where a shorter one is left. */
  encodeWithDropout(word: string, dropout: number, random: Random): readonly number[] {
    return this.cut(word, () => random.uniform() < dropout);
  }

  private cut(word: string, drops?: () => boolean): number[] {
    const { ids, prefix, longest } = this.parts;
    const characters = Array.from(word);
    if (characters.length > longest) return [this.unknown];
    const found: number[] = [];
    for (let start = 0; start < characters.length; ) {
      let piece: { readonly id: number; readonly end: number } | undefined;
      for (let end = characters.length; end > start; end--) {
        const id = ids.get((start === 0 ? '' : prefix) + characters.slice(start, end).join(''));
        if (id === undefined) continue;
        piece = { id, end };
        if (!drops?.()) break;
      }
      // As BERT: a word of which one part is unknown is unknown.
      if (piece === undefined) return [this.unknown];
      found.push(piece.id);
      start = piece.end;
    }
    return found;
  }

  /** Writes Hugging Face's `tokenizer.json`. */
  save(path: string): void {
    const { ids, normalizer, unknown, prefix, longest } = this.parts;
    const special = [...new Set(['[PAD]', unknown, '[CLS]', '[SEP]', '[MASK]'])].flatMap((content) => {
      const id = ids.get(content);
      return id === undefined ? [] : [{ id, content }];
    });
    const token = (id: string) => ({ SpecialToken: { id, type_id: 0 } });
    const json = {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: special
        .sort((a, b) => a.id - b.id)
        .map((one) => ({
          ...one,
          single_word: false,
          lstrip: false,
          rstrip: false,
          normalized: false,
          special: true,
        })),
      normalizer: { type: 'BertNormalizer', ...flagsOf(normalizer) },
      pre_tokenizer: { type: 'BertPreTokenizer' },
      post_processor: {
        type: 'TemplateProcessing',
        single: [token('[CLS]'), { Sequence: { id: 'A', type_id: 0 } }, token('[SEP]')],
        pair: [
          token('[CLS]'),
          { Sequence: { id: 'A', type_id: 0 } },
          token('[SEP]'),
          { Sequence: { id: 'B', type_id: 1 } },
          { SpecialToken: { id: '[SEP]', type_id: 1 } },
        ],
        special_tokens: Object.fromEntries(
          (['[CLS]', '[SEP]'] as const).map((id) => [id, { id, ids: [ids.get(id)!], tokens: [id] }]),
        ),
      },
      decoder: { type: 'WordPiece', prefix, cleanup: true },
      model: {
        type: 'WordPiece',
        unk_token: unknown,
        continuing_subword_prefix: prefix,
        max_input_chars_per_word: longest,
        vocab: Object.fromEntries([...ids].sort(byId)),
      },
    };
    writeWhole(path, `${JSON.stringify(json, null, 1)}\n`);
  }

  /**
   * Reads Hugging Face's `tokenizer.json` of a BERT.
   * @throws `rates/tokenizer` for a file that is missing or damaged, and for tokenizers of other families, which it names
   */
  static load(path: string): WordPiece {
    const fail = failure(path);
    let json: SavedWordPiece;
    try {
      json = JSON.parse(readRegular(path).toString('utf8')) as SavedWordPiece;
    } catch (cause) {
      throw fail('cannot be read as JSON', NO_JSON, cause);
    }
    const { type, vocab, unk_token, continuing_subword_prefix, max_input_chars_per_word } = json?.model ?? {};
    if (type !== 'WordPiece')
      throw fail(`is the tokenizer of another family: its model is ${shown(type)}, not WordPiece`, SERVED);
    const { pre_tokenizer: before, normalizer } = json;
    if (before?.type !== 'BertPreTokenizer')
      throw fail(`cuts words as no BERT does: its pre-tokenizer is ${shown(before?.type)}`, SERVED);
    if (normalizer && normalizer.type !== 'BertNormalizer')
      throw fail(`changes texts as no BERT does: its normalizer is ${shown(normalizer.type)}`, SERVED);
    const entries = typeof vocab === 'object' && vocab !== null ? Object.entries(vocab) : [];
    const isId = (id: unknown) => Number.isInteger(id) && (id as number) >= 0 && (id as number) < MOST_IDS;
    if (entries.length === 0 || !entries.every(([, id]) => isId(id)))
      throw fail('is damaged: its vocabulary is no table of pieces and their numbers', NO_JSON);
    const lowercase = normalizer?.lowercase === true;
    return new WordPiece({
      ids: new Map(entries as [string, number][]),
      normalizer: {
        cleanText: normalizer?.clean_text === true,
        chineseCharacters: normalizer?.handle_chinese_chars === true,
        stripAccents: normalizer?.strip_accents ?? lowercase,
        lowercase,
      },
      ...(typeof unk_token === 'string' && { unknown: unk_token }),
      ...(typeof continuing_subword_prefix === 'string' && { prefix: continuing_subword_prefix }),
      ...(Number.isInteger(max_input_chars_per_word) && { longest: max_input_chars_per_word as number }),
    });
  }

  /**
   * Reads a `vocab.txt`: a piece a line, its number the line's.
   * @param lowercase whether texts are lower-cased; default: unless a piece has a capital, as those of cased models do
   */
  static loadVocabulary(path: string, lowercase?: boolean): WordPiece {
    let lines: string[];
    try {
      lines = readRegular(path).toString('utf8').split(/\r?\n/);
    } catch (cause) {
      throw failure(path)('cannot be read', NO_JSON, cause);
    }
    if (lines.at(-1) === '') lines.pop();
    const cased = () => lines.some((piece) => !/^\[.*\]$/.test(piece) && /\p{Lu}/u.test(piece));
    const lower = lowercase ?? !cased();
    return new WordPiece({
      ids: new Map(lines.map((piece, id) => [piece, id])),
      normalizer: { cleanText: true, chineseCharacters: true, stripAccents: lower, lowercase: lower },
    });
  }
}

/** Far more than any vocabulary has. */
const MOST_IDS = 1 << 22;
const NO_JSON = 'give the tokenizer.json or vocab.txt that was published with the weights: --tokenizer FILE';
/** What may stand in `--encoder`; RoBERTa and its kin are what people try too. */
export const SERVED =
  "BERT's own architecture is served, with its WordPiece tokenizer (BERT, BioBERT, ClinicalBERT, PubMedBERT, CXR-BERT, SciBERT and their like); RoBERTa, ALBERT, ELECTRA, DistilBERT, DeBERTa and MPNet are not";

interface SavedWordPiece {
  readonly model?: {
    readonly type?: unknown;
    readonly vocab?: unknown;
    readonly unk_token?: unknown;
    readonly continuing_subword_prefix?: unknown;
    readonly max_input_chars_per_word?: unknown;
  };
  readonly normalizer?: {
    readonly type?: unknown;
    readonly clean_text?: boolean;
    readonly handle_chinese_chars?: boolean;
    readonly strip_accents?: boolean | null;
    readonly lowercase?: boolean;
  } | null;
  readonly pre_tokenizer?: { readonly type?: unknown } | null;
}

function failure(path: string) {
  return (what: string, hint: string, cause?: unknown) =>
    new PenumbraError('rates/tokenizer', `${path} ${what}`, { hint, where: { file: path }, cause });
}

const shown = (type: unknown): string => (typeof type === 'string' ? type : 'none');
const byId = ([, a]: readonly [string, number], [, b]: readonly [string, number]): number => a - b;

/** The normalizer as a `tokenizer.json` has it. */
function flagsOf({ cleanText, chineseCharacters, stripAccents, lowercase }: BertNormalizer) {
  return {
    clean_text: cleanText,
    handle_chinese_chars: chineseCharacters,
    strip_accents: stripAccents,
    lowercase,
  };
}

/**
 * BERT's normalizer and pre-tokenizer in one pass, with places. Character by character: canonical decomposition and lower
 * case do not look at neighbours there either.
 */
function splitterOf(normalizer: BertNormalizer): WordSplitter {
  const normalized = new Map<string, string>();
  /** What a character becomes; '' where it goes. */
  const become = (character: string): string => {
    let text = character;
    if (normalizer.cleanText) {
      if (character === '\t' || character === '\n' || character === '\r') return ' ';
      if (character === '\ufffd' || CONTROL.test(character)) return '';
      if (WHITE.test(character)) return ' ';
    }
    if (normalizer.stripAccents)
      text = Array.from(text.normalize('NFD'))
        .filter((one) => !MARK.test(one))
        .join('');
    return normalizer.lowercase ? Array.from(text, (one) => one.toLowerCase()).join('') : text;
  };
  return (text: string, from: number, to: number, into: Words): void => {
    let word = '';
    let [start, end] = [from, from];
    const finish = () => {
      if (word !== '') into.push(word, start, end);
      word = '';
    };
    for (let at = from; at < to; ) {
      const character = String.fromCodePoint(text.codePointAt(at)!).slice(0, to - at);
      const next = at + character.length;
      let becomes = normalized.get(character);
      if (becomes === undefined) normalized.set(character, (becomes = become(character)));
      const alone = normalizer.chineseCharacters && IDEOGRAPH.test(character);
      if (alone) finish();
      if (becomes === '' && word !== '') end = next;
      for (const one of becomes) {
        if (!LETTER_OR_DIGIT.test(one)) {
          if (WHITE.test(one)) {
            finish();
            continue;
          }
          if (PUNCTUATION.test(one)) {
            finish();
            into.push(one, at, next);
            continue;
          }
        }
        if (word === '') start = at;
        word += one;
        end = next;
      }
      if (alone) finish();
      at = next;
    }
    finish();
  };
}

import { createHash } from 'node:crypto';
import { PenumbraError } from '../errors.ts';
import { readRegular, writeWhole } from '../files/index.ts';
import type { Random } from '../random.ts';
import { type Section, sectionNames } from '../reports/index.ts';
import type { TextTokenizer } from './text-tokenizer.ts';
import { splitWords, WORDS, WordMemory } from './words.ts';

/** What stands for padding, for a character that the corpus did not have, and for a word that is hidden in training. */
export const PAD = 0;
export const UNKNOWN = 1;
export const HIDDEN = 2;
const firstSection = 3;

/** Tokens that are no words: the first ids of every tokenizer, one for each section behind the three above. */
export const specialTokens: readonly string[] = [
  '[PAD]',
  '[UNK]',
  '[MASK]',
  ...sectionNames.map((section) => `[${section.toUpperCase()}]`),
];

/** The token that opens every sentence of a section. */
export function sectionToken(section: Section): number {
  return firstSection + sectionNames.indexOf(section);
}

/** Marks a piece that goes on with a word, as in BERT's vocabularies. */
const GOES_ON = '##';

/** Two pieces that become one, by their ids, in one number. */
function pair(left: number, right: number): number {
  return left * 0x200000 + right;
}

/**
 * Byte-pair encoding over characters (Sennrich et al., ACL 2016) within words, lower-cased. A word that the corpus did not
 * have falls into pieces that it had. Saved as Hugging Face's `tokenizer.json`, which their `tokenizers` reads.
 */
export class Tokenizer implements TextTokenizer {
  readonly split = splitWords;
  readonly hidden = HIDDEN;
  readonly closing = undefined;
  /** Piece by id; the special tokens first. */
  readonly pieces: readonly string[];
  /** Pairs of ids in the order in which they were merged. */
  readonly merges: readonly (readonly [left: number, right: number])[];
  private readonly ids: ReadonlyMap<string, number>;
  /** Of each pair: its place among the merges, and what it becomes. */
  private readonly ranks = new Map<number, number>();
  private readonly results: Int32Array;
  private readonly known = new WordMemory();

  constructor(pieces: readonly string[], merges: readonly (readonly [left: number, right: number])[]) {
    this.pieces = pieces;
    this.merges = merges;
    this.ids = new Map(pieces.map((piece, id) => [piece, id]));
    this.results = new Int32Array(merges.length);
    merges.forEach(([left, right], rank) => {
      this.ranks.set(pair(left, right), rank);
      this.results[rank] = this.ids.get(joined(pieces[left]!, pieces[right]!))!;
    });
  }

  /** Number of ids. */
  get size(): number {
    return this.pieces.length;
  }

  /** Identifies the tokenizer: pieces and merges. */
  get version(): string {
    return createHash('sha256')
      .update(JSON.stringify([this.pieces, this.merges]))
      .digest('hex')
      .slice(0, 16);
  }

  opening(section: Section): number {
    return sectionToken(section);
  }

  /** The ids of a word as `splitWords` gives it. */
  encode(word: string): readonly number[] {
    return this.known.of(word, (unseen) => this.merge(unseen));
  }

  /**
   * The same with each merge left out with probability `dropout`, anew each time (BPE-dropout, Provilkov et al., ACL 2020):
   * a network that is trained so reads words that it does not know by their parts.
   */
  encodeWithDropout(word: string, dropout: number, random: Random): readonly number[] {
    return this.merge(word, () => random.uniform() < dropout);
  }

  private merge(word: string, drops?: () => boolean): number[] {
    const ids: number[] = [];
    for (const character of word) {
      ids.push(this.ids.get(ids.length === 0 ? character : GOES_ON + character) ?? UNKNOWN);
    }
    for (;;) {
      let best = -1;
      let at = -1;
      for (let i = 0; i + 1 < ids.length; i++) {
        const rank = this.ranks.get(pair(ids[i]!, ids[i + 1]!));
        if (rank === undefined || (best >= 0 && rank >= best) || drops?.()) continue;
        best = rank;
        at = i;
      }
      if (at < 0) return ids;
      ids.splice(at, 2, this.results[best]!);
    }
  }

  /** Writes `tokenizer.json`. */
  save(path: string): void {
    const added = specialTokens.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    }));
    const json = {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: added,
      normalizer: { type: 'Lowercase' },
      pre_tokenizer: { type: 'Split', pattern: { Regex: WORDS }, behavior: 'Removed', invert: true },
      post_processor: null,
      decoder: { type: 'WordPiece', prefix: GOES_ON, cleanup: true },
      model: {
        type: 'BPE',
        dropout: null,
        unk_token: specialTokens[UNKNOWN],
        continuing_subword_prefix: GOES_ON,
        end_of_word_suffix: null,
        fuse_unk: false,
        byte_fallback: false,
        ignore_merges: false,
        vocab: Object.fromEntries(this.pieces.map((piece, id) => [piece, id])),
        merges: this.merges.map(([left, right]) => [this.pieces[left], this.pieces[right]]),
      },
    };
    writeWhole(path, `${JSON.stringify(json, null, 1)}\n`);
  }

  /**
   * Reads a `tokenizer.json` that `save` wrote.
   * @throws `rates/tokenizer` for a file that is missing or is none
   */
  static load(path: string): Tokenizer {
    const fail = (what: string, cause?: unknown) =>
      new PenumbraError('rates/tokenizer', `${path} ${what}`, {
        hint: 'it stands in the folder that `penumbra rates train` wrote: restore it, or train anew',
        where: { file: path },
        cause,
      });
    let json: SavedTokenizer;
    try {
      json = JSON.parse(readRegular(path).toString('utf8')) as SavedTokenizer;
    } catch (cause) {
      throw fail('cannot be read as JSON', cause);
    }
    const { type, continuing_subword_prefix: prefix, vocab, merges } = json.model ?? {};
    if (type !== 'BPE' || prefix !== GOES_ON || !isRecord(vocab) || !Array.isArray(merges)) {
      throw fail('is no tokenizer of ours: it has no BPE model with ## for pieces that go on');
    }
    const pieces: string[] = [];
    for (const [piece, id] of Object.entries(vocab)) pieces[Number(id)] = piece;
    const ids = new Map(Object.entries(vocab).map(([piece, id]) => [piece, Number(id)]));
    const whole = specialTokens.every((token, id) => pieces[id] === token);
    const pairs = merges.map((merge): [number, number] => {
      const [left, right] = Array.isArray(merge) ? (merge as string[]) : String(merge).split(' ');
      return [ids.get(left ?? '') ?? -1, ids.get(right ?? '') ?? -1];
    });
    const fits = pairs.every(
      ([left, right]) => left >= 0 && right >= 0 && ids.has(joined(pieces[left]!, pieces[right]!)),
    );
    if (!whole || !fits || ids.size !== pieces.length) {
      throw fail('is damaged: its pieces and merges do not fit each other');
    }
    return new Tokenizer(pieces, pairs);
  }
}

interface SavedTokenizer {
  readonly model?: {
    readonly type?: string;
    readonly continuing_subword_prefix?: string;
    readonly vocab?: Record<string, number>;
    readonly merges?: unknown[];
  };
}

function isRecord(value: unknown): value is Record<string, number> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What two pieces become. */
function joined(left: string, right: string): string {
  return left + right.slice(GOES_ON.length);
}

export interface TokenizerOptions {
  /** Most ids, special tokens included. Default 4096. */
  readonly size?: number;
  /** A pair is merged only if it stands so often. Default 2. */
  readonly least?: number;
}

/**
 * Learns pieces from counted words. Every merge looks only at the words that hold its pair, and the next pair comes from
 * a heap, so that time grows with the corpus's different words, not with its square. Equal counts give equal tokenizers:
 * ties go to the pair that sorts first.
 * @throws `rates/empty-corpus` where there is no word
 */
export function trainTokenizer(
  counts: ReadonlyMap<string, number>,
  { size = 4096, least = 2 }: TokenizerOptions = {},
): Tokenizer {
  if (counts.size === 0) {
    throw new PenumbraError('rates/empty-corpus', 'the reports hold no word to learn a tokenizer from', {
      hint: 'are these the right reports, and the right column?',
    });
  }
  const pieces = [...specialTokens];
  const ids = new Map(pieces.map((piece, id) => [piece, id]));
  const sorted = [...counts].sort(([a], [b]) => (a < b ? -1 : 1));
  const letters = new Map<string, number>();
  for (const [word, count] of sorted) {
    let first = true;
    for (const character of word) {
      const piece = first ? character : GOES_ON + character;
      letters.set(piece, (letters.get(piece) ?? 0) + count);
      first = false;
    }
  }
  // Rare signs go first where there are more than half of the room: half an ideographic font is no vocabulary.
  const kept = [...letters]
    .filter(([piece]) => !/[\ud800-\udfff]$/.test(piece) || /[\ud800-\udbff][\udc00-\udfff]$/.test(piece))
    .sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1))
    .slice(0, Math.max(1, Math.floor((size - pieces.length) / 2)))
    .map(([piece]) => piece)
    .sort();
  for (const piece of kept) ids.set(piece, pieces.push(piece) - 1);

  const symbols = sorted.map(([word]) => {
    let first = true;
    return Array.from(word, (character) => {
      const id = ids.get(first ? character : GOES_ON + character) ?? UNKNOWN;
      first = false;
      return id;
    });
  });
  const weights = sorted.map(([, count]) => count);
  const found = new Map<number, { count: number; readonly words: Set<number> }>();
  const heap = new Heap((key) => found.get(key)!.count, pieces);
  const change = (left: number, right: number, w: number, by: 1 | -1): void => {
    if (left === UNKNOWN || right === UNKNOWN) return;
    const key = pair(left, right);
    let entry = found.get(key);
    if (entry === undefined) found.set(key, (entry = { count: 0, words: new Set() }));
    entry.count += by * weights[w]!;
    if (by > 0) {
      entry.words.add(w);
      heap.push(key, entry.count);
    }
  };
  symbols.forEach((word, w) => {
    for (let i = 0; i + 1 < word.length; i++) change(word[i]!, word[i + 1]!, w, 1);
  });

  const merges: [number, number][] = [];
  while (pieces.length < size) {
    const key = heap.pop();
    if (key === undefined) break;
    const entry = found.get(key)!;
    if (entry.count < least) break;
    const left = Math.floor(key / 0x200000);
    const right = key % 0x200000;
    const piece = joined(pieces[left]!, pieces[right]!);
    let id = ids.get(piece);
    if (id === undefined) ids.set(piece, (id = pieces.push(piece) - 1));
    merges.push([left, right]);
    for (const w of entry.words) {
      const word = symbols[w]!;
      for (let i = 0; i + 1 < word.length; i++) {
        if (word[i] !== left || word[i + 1] !== right) continue;
        if (i > 0) change(word[i - 1]!, left, w, -1);
        if (i + 2 < word.length) change(right, word[i + 2]!, w, -1);
        word.splice(i, 2, id);
        if (i > 0) change(word[i - 1]!, id, w, 1);
        if (i + 1 < word.length) change(id, word[i + 1]!, w, 1);
      }
    }
    entry.count = 0;
    entry.words.clear();
  }
  return new Tokenizer(pieces, merges);
}

/** Pairs by their counts, the most frequent first. A count that has changed since it was put in is put in anew. */
class Heap {
  private readonly items: { readonly key: number; readonly count: number }[] = [];
  private readonly countOf: (key: number) => number;
  private readonly pieces: readonly string[];

  constructor(countOf: (key: number) => number, pieces: readonly string[]) {
    this.countOf = countOf;
    this.pieces = pieces;
  }

  push(key: number, count: number): void {
    const { items } = this;
    items.push({ key, count });
    let i = items.length - 1;
    while (i > 0) {
      const up = (i - 1) >> 1;
      if (!this.before(items[i]!, items[up]!)) break;
      [items[i], items[up]] = [items[up]!, items[i]!];
      i = up;
    }
  }

  /** The pair with the highest count now. */
  pop(): number | undefined {
    for (;;) {
      const top = this.take();
      if (top === undefined) return undefined;
      const now = this.countOf(top.key);
      if (now === top.count) return top.key;
      // It was counted higher: the words that held it have merged otherwise meanwhile.
      if (now > 0 && now < top.count) this.push(top.key, now);
    }
  }

  private take(): { readonly key: number; readonly count: number } | undefined {
    const { items } = this;
    const top = items[0];
    const last = items.pop();
    if (top === undefined || last === undefined || items.length === 0) return top;
    items[0] = last;
    for (let i = 0; ; ) {
      let least = i;
      for (const down of [2 * i + 1, 2 * i + 2])
        if (down < items.length && this.before(items[down]!, items[least]!)) least = down;
      if (least === i) return top;
      [items[i], items[least]] = [items[least]!, items[i]!];
      i = least;
    }
  }

  private before(a: { key: number; count: number }, b: { key: number; count: number }): boolean {
    if (a.count !== b.count) return a.count > b.count;
    if (a.key === b.key) return false;
    const name = (key: number) => `${this.pieces[Math.floor(key / 0x200000)]} ${this.pieces[key % 0x200000]}`;
    return name(a.key) < name(b.key);
  }
}

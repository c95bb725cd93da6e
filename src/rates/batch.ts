import { fromTypedArray, type Tensor } from '../torch/index.ts';

/** Longest sentence, in pieces with those that open and close it; what is longer goes on as another sentence. */
export const LONGEST_SENTENCE = 96;

/** What stands behind a sentence that is shorter than those beside it: no piece, whichever tokenizer. */
export const NO_PIECE = -1;

/** A sentence: what opens its section, its pieces, and what closes it where something does. */
export type Pieces = ArrayLike<number>;

/** B reports as a network reads them. Plain data; `tensorsOf` makes tensors of it. */
export interface TokenBatch {
  /** B. */
  readonly reports: number;
  /** R: pieces of the longest report. */
  readonly length: number;
  /** Different sentences of like length, padded with `NO_PIECE` to one: S×L ids. */
  readonly groups: readonly {
    readonly ids: Int32Array;
    readonly sentences: number;
    readonly length: number;
  }[];
  /**
   * B×R: where the report's pieces are among all those of the groups, one group after another, counted from 1; 0 where the
   * report has ended.
   */
  readonly places: Int32Array;
}

/** Sentences up to so many pieces are computed together. */
const LENGTHS = [8, 16, 32, 64, LONGEST_SENTENCE] as const;

/**
 * Puts reports together. A sentence that stands in several of them, or twice in one, is computed once: reports repeat
 * themselves ("No pleural effusion or pneumothorax").
 */
export function tokenBatch(reports: readonly (readonly Pieces[])[]): TokenBatch {
  const known = new Map<string, { readonly group: number; readonly row: number; readonly count: number }>();
  const members: Pieces[][] = LENGTHS.map(() => []);
  let length = 1;
  const placed = reports.map((sentences) => {
    let pieces = 0;
    const at = sentences.map((sentence) => {
      pieces += sentence.length;
      const key = String.fromCharCode(...Array.from(sentence));
      let entry = known.get(key);
      if (entry === undefined) {
        const group = LENGTHS.findIndex((most) => sentence.length <= most);
        entry = { group, row: members[group]!.push(sentence) - 1, count: sentence.length };
        known.set(key, entry);
      }
      return entry;
    });
    length = Math.max(length, pieces);
    return at;
  });
  const starts: number[] = [];
  const lengths: number[] = [];
  const groups: TokenBatch['groups'][number][] = [];
  let start = 1;
  members.forEach((sentences, g) => {
    const longest = sentences.reduce((most, sentence) => Math.max(most, sentence.length), 0);
    starts[g] = start;
    lengths[g] = longest;
    if (longest === 0) return;
    const ids = new Int32Array(sentences.length * longest).fill(NO_PIECE);
    sentences.forEach((sentence, row) => {
      ids.set(sentence, row * longest);
    });
    groups.push({ ids, sentences: sentences.length, length: longest });
    start += sentences.length * longest;
  });
  const places = new Int32Array(reports.length * length);
  placed.forEach((sentences, report) => {
    let to = report * length;
    for (const { group, row, count } of sentences) {
      const from = starts[group]! + row * lengths[group]!;
      for (let i = 0; i < count; i++) places[to++] = from + i;
    }
  });
  return { reports: reports.length, length, groups, places };
}

/** A batch as tensors. */
export interface BatchTensors {
  /** [S, L], int64, for each group. */
  readonly groups: readonly Tensor[];
  /** [B, R], int64. */
  readonly places: Tensor;
}

export function tensorsOf({ groups, places, reports, length }: TokenBatch, device: string): BatchTensors {
  const whole = (values: Int32Array, shape: [number, number]) =>
    fromTypedArray(values, { shape }).to({ device, dtype: 'int64' });
  return {
    groups: groups.map(({ ids, sentences, length: longest }) => whole(ids, [sentences, longest])),
    places: whole(places, [reports, length]),
  };
}

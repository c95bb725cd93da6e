/** Human rankings of phrases: which of two words of doubt means the finding is likelier. */
import { PenumbraError } from '../errors.ts';
import { Identity } from '../files/index.ts';
import { normalCdf } from '../normal.ts';
import type { Random } from '../random.ts';
import type { FindingSet, Lexicon } from '../reports/index.ts';
import type { Pieces } from './batch.ts';
import { type Corpus, piecesOf } from './corpus.ts';
import { readTable } from './table.ts';
import type { TextTokenizer } from './text-tokenizer.ts';

export interface Rankings {
  readonly phrases: readonly RankedPhrase[];
  /** P(phrase i means likelier than phrase j), n×n; NaN where nobody compared them. */
  readonly likelier: Float64Array;
  /** Phrases of the file that join two findings ("versus"), and fit no sentence about one. */
  readonly leftOut: readonly string[];
  readonly fingerprint: string;
}

export interface RankedPhrase {
  readonly phrase: string;
  /** Whether it stands before the finding ("probable F"), behind it ("F cannot be excluded"), or either. */
  readonly side: 'before' | 'behind' | 'either';
}

/**
 * Reads a table of phrases with scores (`phrase`, `mu` or `score`, and `sigma` where it is known), or of pairs (`higher`,
 * `lower`). Of scores, the chance that i is above j is that of two normal numbers, Φ((μᵢ − μⱼ)/√(σᵢ² + σⱼ²)), as TrueSkill
 * has it (Herbrich et al., NIPS 2006); of pairs, 1.
 * @param lexicon which side a phrase stands on, by its directions
 * @throws `rates/rankings` where a score is no number, or fewer than two phrases are ranked
 */
export function readRankings(path: string, lexicon: Lexicon): Rankings {
  const table = readTable(path);
  const higher = table.column('higher');
  const names: string[] = [];
  const numberOf = (phrase: string): number => {
    const text = phrase.trim().toLowerCase();
    const known = names.indexOf(text);
    return known >= 0 ? known : names.push(text) - 1;
  };
  const fail = (what: string, line?: number) =>
    new PenumbraError('rates/rankings', `${path}: ${what}`, {
      hint: 'columns are phrase and mu (and sigma), or higher and lower',
      where: { file: path, ...(line !== undefined && { line }) },
    });
  const pairs: [number, number, number][] = [];
  if (higher !== undefined) {
    const lower = table.needColumn('lower');
    for (const row of table.rows) pairs.push([numberOf(row[higher]!), numberOf(row[lower]!), 1]);
  } else {
    const [phrase, mu] = [table.needColumn('phrase'), table.needColumn('mu', 'score')];
    const sigma = table.column('sigma');
    const scores = table.rows.map((row, i) => {
      const [m, s] = [Number(row[mu]), sigma === undefined ? 0 : Number(row[sigma])];
      if (row[mu]!.trim() === '' || !Number.isFinite(m) || !(s >= 0))
        throw fail('a score is no number', i + 2);
      return { at: numberOf(row[phrase]!), m, s };
    });
    for (const a of scores)
      for (const b of scores) {
        if (a.at === b.at) continue;
        const spread = Math.hypot(a.s, b.s);
        const difference = a.m - b.m;
        pairs.push([
          a.at,
          b.at,
          spread === 0 ? (Math.sign(difference) + 1) / 2 : normalCdf(difference / spread),
        ]);
      }
  }
  const directionsOf = (phrase: string) =>
    new Set(
      lexicon.entries.filter((entry) => entry.phrases.includes(phrase)).map(({ direction }) => direction),
    );
  const sides = names.map((phrase) => {
    const found = directionsOf(phrase);
    if (found.has('pair') || found.has('split')) return undefined;
    if (found.size !== 1) return 'either';
    return found.has('forward') ? 'before' : found.has('backward') ? 'behind' : 'either';
  });
  const kept = names.flatMap((_, i) => (sides[i] === undefined ? [] : [i]));
  const n = kept.length;
  if (n < 2) throw fail('fewer than two phrases can be compared');
  const place = new Map(kept.map((i, at) => [i, at]));
  const likelier = new Float64Array(n * n).fill(Number.NaN);
  for (const [a, b, p] of pairs) {
    const [i, j] = [place.get(a), place.get(b)];
    if (i === undefined || j === undefined || i === j) continue;
    likelier[i * n + j] = p;
    if (higher !== undefined) likelier[j * n + i] = 1 - p;
  }
  const phrases = kept.map((i): RankedPhrase => ({ phrase: names[i]!, side: sides[i]! }));
  const leftOut = names.filter((_, i) => sides[i] === undefined);
  const identity = new Identity().add(JSON.stringify(phrases)).add(likelier);
  return { phrases, likelier, leftOut, fingerprint: identity.digest() };
}

/** Phrases in carrier sentences: what one step of training compares. */
export interface Carriers {
  /** A report of one sentence for each phrase. */
  readonly reports: readonly (readonly Pieces[])[];
  /** The finding that all of them speak of. */
  readonly finding: number;
  /** Which of the ranked phrases each holds. */
  readonly phrases: Int32Array;
}

/** Draws phrases, and puts each into a sentence about one and the same finding. */
export class CarrierWriter {
  private readonly rankings: Rankings;
  private readonly corpus: Corpus;
  private readonly tokenizer: TextTokenizer;
  private readonly names: readonly (readonly string[])[];
  /** Findings that can be spoken of: all but the one that means none of the others. */
  private readonly spoken: readonly number[];

  constructor(
    rankings: Rankings,
    set: FindingSet,
    findings: readonly string[],
    corpus: Corpus,
    tokenizer: TextTokenizer,
  ) {
    this.rankings = rankings;
    this.corpus = corpus;
    this.tokenizer = tokenizer;
    this.names = findings.map((finding) => {
      const known = set.phrases
        .filter((phrase) => phrase.finding === finding && phrase.role === 'mention')
        .flatMap(({ phrases }) => phrases);
      return known.length > 0 ? known : [finding.toLowerCase()];
    });
    this.spoken = findings.flatMap((finding, k) => (finding === set.noFinding ? [] : [k]));
  }

  /** `count` different phrases, or all where there are fewer. */
  draw(count: number, random: Random): Carriers {
    const order = random.shuffle(Int32Array.from(this.rankings.phrases.keys())).slice(0, count);
    const finding = this.spoken[random.below(this.spoken.length)]!;
    const names = this.names[finding]!;
    const reports = Array.from(order, (i) => {
      const { phrase, side } = this.rankings.phrases[i]!;
      const name = names[random.below(names.length)]!;
      const before = side === 'before' || (side === 'either' && random.uniform() < 0.5);
      const text = before ? `${phrase} ${name}.` : `${name} ${phrase}.`;
      const words = Int32Array.from(this.corpus.phrase(text));
      return piecesOf([{ section: 'impression', words }], this.corpus.words, this.tokenizer).pieces;
    });
    return { reports, finding, phrases: order };
  }
}

/** Sentences of the lexicon as further training texts: wording that the corpus need not have. */
import type { Random } from '../random.ts';
import { type Assessor, createAssessor, type FindingSet, type Lexicon } from '../reports/index.ts';
import type { Corpus, WordSentence } from './corpus.ts';

/** What the rules say of a sentence about K findings. */
export interface JudgedSentence {
  readonly sentence: WordSentence;
  /** Findings that the sentence names, and P(finding) where it says one; null where it expresses none (history, a condition). */
  readonly findings: ReadonlyMap<number, number | null>;
}

interface Example {
  readonly hedge: boolean;
  readonly before: string;
  /** The word for the finding; undefined where any finding's name may stand there. */
  readonly mention: string | undefined;
  readonly after: string;
  /** The entry's phrase in `before` or `after`, and what may stand in its place. */
  readonly phrase: { readonly side: 'before' | 'after'; readonly start: number; readonly end: number };
  readonly phrases: readonly string[];
}

/** A sentence that the rules refuse to judge is drawn anew so often. */
const TRIES = 4;
/** A sentence by itself means the same in each. */
const SECTIONS = ['body', 'findings', 'impression'] as const;

/**
 * Every entry of a lexicon has an example: a sentence that needs its phrase, with the mention in brackets. Another phrase
 * of the entry and another finding's name make hundreds of sentences of it; what they mean is asked of the rules, with the whole
 * of their order of judging, so no second reading of the lexicon stands here. Hedges that were held out of the reports are held
 * out of it too: neither their phrases nor sentences that hold them are drawn.
 */
export class LexiconSentences {
  private readonly examples: readonly Example[];
  private readonly hedges: readonly Example[];
  private readonly names: readonly string[];
  private readonly assessor: Assessor;
  private readonly number: ReadonlyMap<string, number>;
  private readonly corpus: Corpus;
  private readonly heldOut: readonly RegExp[];
  /** The finding that means none of the others is not asked about: a sentence is no report. */
  private readonly noFinding: string | undefined;

  /** @param findings the K findings of the targets */
  constructor(
    lexicon: Lexicon,
    set: FindingSet,
    findings: readonly string[],
    corpus: Corpus,
    heldOut: readonly RegExp[] = [],
  ) {
    this.corpus = corpus;
    this.heldOut = heldOut;
    this.assessor = createAssessor({ lexicon, findings: set });
    this.number = new Map(findings.map((finding, k) => [finding, k]));
    this.noFinding = set.noFinding;
    // Devices are seldom doubted, and are not named as findings are.
    const named = set.phrases.filter(({ finding, role }) => role === 'mention' && this.number.has(finding));
    // Findings have unlike numbers of names: each gets as many places.
    const most = Math.max(0, ...named.map(({ phrases }) => phrases.length));
    this.names = findings.flatMap((finding) => {
      const own = named.filter((phrase) => phrase.finding === finding).flatMap(({ phrases }) => phrases);
      return finding === set.noFinding || own.length === 0
        ? []
        : Array.from({ length: most }, (_, i) => own[i % own.length]!);
    });
    const holds = (text: string) => heldOut.some((pattern) => pattern.test(text));
    this.examples = lexicon.entries.flatMap(({ example, phrases, kind }): Example[] => {
      const match = /^([^[]*)\[([^\]]+)\](.*)$/.exec(example);
      if (match === null) return [];
      const [, before, mention, after] = match as unknown as [string, string, string, string];
      const free = phrases.filter((phrase) => !holds(phrase));
      const place = placeOf(phrases, before, after);
      if (place === undefined || free.length === 0) return [];
      // What is said of a heart ("not enlarged") fits no other finding.
      const own = kind === 'normal' || kind === 'abnormal' || kind === 'degree';
      return [
        {
          hedge: kind === 'hedge',
          before,
          mention: own ? mention : undefined,
          after,
          phrase: place,
          phrases: free,
        },
      ];
    });
    this.hedges = this.examples.filter(({ hedge }) => hedge);
  }

  /** How many examples sentences are made of. */
  get size(): number {
    return this.examples.length;
  }

  /** Words of all phrases, each as often as it stands in them: what a tokenizer should know. */
  words(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const { phrases } of this.examples)
      for (const phrase of phrases)
        for (const n of this.corpus.phrase(phrase)) {
          const word = this.corpus.words[n]!;
          counts.set(word, (counts.get(word) ?? 0) + 1);
        }
    return counts;
  }

  /**
   * A sentence that names a finding; undefined where chance found none. Half of them hedge: these are what is hard to learn.
   */
  draw(random: Random): JudgedSentence | undefined {
    if (this.examples.length === 0 || this.names.length === 0) return undefined;
    for (let i = 0; i < TRIES; i++) {
      const text = this.write(random);
      if (this.heldOut.some((pattern) => pattern.test(text))) continue;
      const findings = this.judge(text);
      if (findings.size === 0) continue;
      const section = SECTIONS[random.below(SECTIONS.length)]!;
      return { sentence: { section, words: Int32Array.from(this.corpus.phrase(text)) }, findings };
    }
    return undefined;
  }

  private write(random: Random): string {
    const { hedges, examples } = this;
    const among = hedges.length > 0 && random.uniform() < 0.5 ? hedges : examples;
    const example = among[random.below(among.length)]!;
    const { side, start, end } = example.phrase;
    const phrase = example.phrases[random.below(example.phrases.length)]!;
    const put = (text: string, own: 'before' | 'after') =>
      own === side ? text.slice(0, start) + phrase + text.slice(end) : text;
    const name = example.mention ?? this.names[random.below(this.names.length)]!;
    return put(example.before, 'before') + name + put(example.after, 'after');
  }

  private judge(text: string): Map<number, number | null> {
    const found = new Map<number, number | null>();
    for (const row of this.assessor.assessReport({ id: '', sections: [{ section: 'impression', text }] })) {
      const k = this.number.get(row.finding);
      if (k === undefined || row.finding === this.noFinding || row.status === 'not_mentioned') continue;
      found.set(k, row.status === 'failed' ? null : row.probability);
    }
    return found;
  }
}

/** Where one of the phrases stands beside the mention, the longest first. */
function placeOf(phrases: readonly string[], before: string, after: string): Example['phrase'] | undefined {
  for (const phrase of [...phrases].sort((a, b) => b.length - a.length)) {
    for (const [side, text] of [
      ['before', before],
      ['after', after],
    ] as const) {
      const at = text.toLowerCase().indexOf(phrase.toLowerCase());
      const whole = (c: string | undefined) => c === undefined || !/[\p{L}\p{N}]/u.test(c);
      if (at >= 0 && whole(text[at - 1]) && whole(text[at + phrase.length]))
        return { side, start: at, end: at + phrase.length };
    }
  }
  return undefined;
}

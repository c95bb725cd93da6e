import type { Random } from '../random.ts';
import type { FindingSet } from '../reports/index.ts';
import type { Corpus, WordSentence } from './corpus.ts';

/** Where a report names a finding: words [start, end) of a sentence. */
export interface Span {
  readonly sentence: number;
  readonly start: number;
  readonly end: number;
  readonly finding: number;
  /** Names it plainly, so that another finding's name can stand in its place ("heart size" does not). */
  readonly plain: boolean;
}

interface Node {
  readonly next: Map<number, Node>;
  finding: number;
  plain: boolean;
}

/** Of a node where no phrase ends, and of one whose phrase only looks like a finding's. */
const NO_PHRASE = -2;
const NOBODY = -1;

/**
 * The words by which reports name findings, from a findings file; no code knows English. In training they serve twice:
 *
 * - `exchange` puts another finding's name in the place of one, and what was said goes with it: "No convincing evidence of
 *   pneumothorax" becomes "… of fracture". So what a hedge means is learnt apart from what it is said of, and a rare finding is
 *   heard under all hedges.
 * - `spans` says where a finding is spoken of, so that its query learns soon where to look.
 */
export class FindingWords {
  private readonly root: Node = { next: new Map(), finding: NO_PHRASE, plain: false };
  /** By word of the corpus: the number of it in lower case. */
  private readonly lower: readonly number[];
  /** By finding: its plain names. */
  private readonly names: readonly (readonly Int32Array[])[];

  /** @param findings the K findings of the targets */
  constructor(set: FindingSet, findings: readonly string[], corpus: Corpus) {
    this.lower = corpus.lower;
    const names: Int32Array[][] = findings.map(() => []);
    for (const { finding, role, phrases } of set.phrases) {
      const k = findings.indexOf(finding);
      // What looks like a mention and is none must not be taken for one: it is found, and belongs to nobody.
      if (k < 0 && role !== 'ignore') continue;
      for (const phrase of phrases) {
        const words = corpus.phrase(phrase);
        if (words.length === 0) continue;
        const plain = role === 'mention';
        this.add(
          words.map((word) => corpus.lower[word]!),
          role === 'ignore' ? NOBODY : k,
          plain,
        );
        if (plain && k >= 0 && finding !== set.noFinding) names[k]!.push(Int32Array.from(words));
      }
    }
    this.names = names;
  }

  private add(words: readonly number[], finding: number, plain: boolean): void {
    let node = this.root;
    for (const word of words) {
      let next = node.next.get(word);
      if (next === undefined)
        node.next.set(word, (next = { next: new Map(), finding: NO_PHRASE, plain: false }));
      node = next;
    }
    node.finding = finding;
    node.plain = plain;
  }

  /** The mentions of a report, the longest first where several begin at a word. */
  spans(sentences: readonly WordSentence[]): Span[] {
    const { lower } = this;
    const found: Span[] = [];
    sentences.forEach(({ words }, sentence) => {
      for (let start = 0; start < words.length; start++) {
        let node: Node | undefined = this.root.next.get(lower[words[start]!]!);
        let best: Span | undefined;
        for (let end = start + 1; node !== undefined; end++) {
          if (node.finding !== NO_PHRASE)
            best = { sentence, start, end, finding: node.finding, plain: node.plain };
          node = end < words.length ? node.next.get(lower[words[end]!]!) : undefined;
        }
        if (best === undefined) continue;
        if (best.finding !== NOBODY) found.push(best);
        start = best.end - 1;
      }
    });
    return found;
  }

  /**
   * @param said K: 1 where the report says something of the finding
   * @returns the report with the exchange, and the two findings that change places in the targets; undefined where none can
   */
  exchange(
    sentences: readonly WordSentence[],
    said: Uint8Array,
    random: Random,
  ): { readonly sentences: WordSentence[]; readonly from: number; readonly to: number } | undefined {
    const spans = this.spans(sentences);
    const mentioned = new Set(spans.map(({ finding }) => finding));
    const whole = (k: number) => spans.every((span) => span.finding !== k || span.plain);
    const give = Array.from(said.keys()).filter((k) => said[k] === 1 && mentioned.has(k) && whole(k));
    const take = this.names.flatMap((names, k) =>
      names.length > 0 && said[k] === 0 && !mentioned.has(k) ? [k] : [],
    );
    if (give.length === 0 || take.length === 0) return undefined;
    const from = give[random.below(give.length)]!;
    const to = take[random.below(take.length)]!;
    const changed = sentences.map(({ section, words }, s): WordSentence => {
      const own = spans.filter((span) => span.sentence === s && span.finding === from);
      if (own.length === 0) return { section, words };
      const next: number[] = [];
      let at = 0;
      for (const { start, end } of own) {
        const names = this.names[to]!;
        next.push(...words.subarray(at, start), ...names[random.below(names.length)]!);
        at = end;
      }
      next.push(...words.subarray(at));
      return { section, words: Int32Array.from(next) };
    });
    return { sentences: changed, from, to };
  }
}

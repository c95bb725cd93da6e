import type { FindingSet } from '../findings/findings.ts';
import { cueKinds, type Lexicon } from '../lexicon/lexicon.ts';
import { type CompiledRules, compileRules, firstClass } from '../rules/compile.ts';
import { Judge } from '../rules/judge.ts';
import { Sentences } from '../text/segment.ts';
import { Tokens, tokenize, WORDLIKE } from '../text/tokenize.ts';
import type { Report } from '../types.ts';

/** A sentence that mentions a finding, as mining looks at it. */
export interface MentioningSentence {
  readonly text: string;
  /** Folded words; punctuation marks stand for themselves. */
  readonly words: readonly string[];
  /** By word: -1 for none, else the lexicon entry of the judging or neutral cue that covers it. */
  readonly cue: Int32Array;
  /** By word: 1 where its cue judges one of the mentions. */
  readonly judges: Uint8Array;
  /** One of the mentions is called present: only then can a word of doubt have been missed. */
  readonly plain: boolean;
  /** Mentions as word ranges [start, end), with their finding. */
  readonly mentions: readonly { readonly start: number; readonly end: number; readonly finding: string }[];
}

/** Reads reports as sentences with their mentions and cues. */
export class CorpusReader {
  readonly rules: CompiledRules;
  private readonly tokens = new Tokens();
  private readonly sentences = new Sentences();
  private readonly judge: Judge;

  constructor(lexicon: Lexicon, findings: FindingSet) {
    this.rules = compileRules(lexicon, findings);
    this.judge = new Judge(this.rules);
  }

  /** The sentences of a report that mention a finding. */
  *read(report: Report): Generator<MentioningSentence> {
    const { rules, tokens, sentences, judge } = this;
    const sentence = judge.matches;
    const texts = [
      ...(report.text === undefined ? [] : [report.text]),
      ...(report.sections ?? []).map((s) => s.text),
    ];
    for (const text of texts) {
      tokenize(text, rules.vocabulary, tokens);
      rules.segmenter.segment(tokens, sentences);
      for (let s = 0; s < sentences.count; s++) {
        const from = sentences.from[s]!;
        const to = sentences.to[s]!;
        if (!sentence.mayMention(tokens, from, to)) continue;
        judge.read(tokens, from, to);
        const applied = new Set<number>();
        let plain = false;
        const mentions: { start: number; end: number; finding: string }[] = [];
        for (let m = 0; m < sentence.mentions; m++) {
          const meaning = rules.meanings[sentence.mentionMeaning[m]!]!.find(
            (x) => x.role === 'mention' || x.role === 'device',
          );
          if (meaning === undefined) continue;
          const { cues, status } = judge.judge(m, 'finding')!;
          for (const c of cues) applied.add(c);
          plain ||= status === 'present';
          mentions.push({
            start: sentence.mentionStart[m]! - from,
            end: sentence.mentionEnd[m]! - from,
            finding: rules.findings.findings[meaning.finding]!,
          });
        }
        if (mentions.length === 0) continue;
        const words: string[] = [];
        for (let i = from; i < to; i++) {
          const word = text.slice(tokens.start[i], tokens.end[i]).toLowerCase();
          words.push(tokens.flags[i]! & WORDLIKE ? word.replaceAll('\u2019', "'") : word);
        }
        const cue = new Int32Array(words.length).fill(-1);
        const judges = new Uint8Array(words.length);
        for (let c = 0; c < sentence.cues; c++) {
          if (rules.kind[sentence.cueEntry[c]!]! >= firstClass) continue;
          cue.fill(sentence.cueEntry[c]!, sentence.cueStart[c]! - from, sentence.cueBody[c]! - from);
          if (applied.has(c)) judges.fill(1, sentence.cueStart[c]! - from, sentence.cueBody[c]! - from);
        }
        yield {
          text: text.slice(tokens.start[from], tokens.end[to - 1]),
          words,
          cue,
          judges,
          plain,
          mentions,
        };
      }
    }
  }

  kindOf(entry: number): (typeof cueKinds)[number] {
    return cueKinds[this.rules.kind[entry]!]!;
  }
}

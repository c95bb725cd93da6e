import { round } from '../round.ts';
import type { Tokens } from '../text/tokenize.ts';
import type { Status } from '../types.ts';
import {
  ABNORMAL,
  CHANGE,
  type CompiledRules,
  CURRENT,
  DEGREE,
  EXPERIENCER,
  HEDGE,
  HISTORICAL,
  HYPOTHETICAL,
  IS_AND,
  IS_COMMA,
  IS_END,
  IS_EXTENT,
  IS_OPEN,
  IS_OR,
  IS_STABLE,
  IS_VERB,
  IS_WITH,
  NEGATION,
  NORMAL,
  PROCEDURE,
  RESOLUTION,
  SPLIT,
} from './compile.ts';
import { Matches } from './match.ts';
import { Reach } from './reach.ts';

/** A state word before its structure ("enlarged cardiac silhouette") stands at most so many words before it. */
const stateWords = 4;
/** A word of extent ("large") stands at most so many words before its mention; so does one of stability. */
const extentWords = 4;

/** What the rules found for one mention. Indices are cues of the sentence. */
export interface Judgement {
  status: Status;
  probability: number | null;
  /** Standard deviation of `probability`; null where it is not known or there is none. */
  deviation: number | null;
  /** The cues that decided, in the order of the text. */
  cues: number[];
  /** A structure whose state decided: `normal` or `abnormal`; null for ordinary mentions and bare structures. */
  state: 'normal' | 'abnormal' | null;
  /**
   * How the phrase itself stands, as annotated scopes of negation and speculation see it (BioScope): "no change in
   * the effusion" has the effusion in the scope of a "no", although it is there; in "heart size is normal" no word
   * negates "heart size", although cardiomegaly is absent.
   */
  polarity: 'positive' | 'negated' | 'uncertain';
}

/** What a mention names, where that matters: something that was put in outlasts its procedure. */
export type Named = 'finding' | 'structure' | 'device';

/** Judges the mentions of one sentence. `read` fills it, `judge` asks it; it is reused from sentence to sentence. */
export class Judge {
  readonly matches: Matches;
  private readonly rules: CompiledRules;
  private readonly reach: Reach;

  constructor(rules: CompiledRules) {
    this.rules = rules;
    this.matches = new Matches(rules);
    this.reach = new Reach(this.matches);
  }

  /** Reads the tokens [from, to) as one sentence; the span as in `Matches.read`. */
  read(tokens: Tokens, from: number, to: number, spanStart = -1, spanEnd = -1): void {
    this.matches.read(tokens, from, to, spanStart, spanEnd);
    this.reach.read();
  }

  /** Judges mention `m`; null for a structure whose state is not told. */
  judge(m: number, named: Named): Judgement | null {
    const { matches, rules } = this;
    const start = matches.mentionStart[m]!;
    const end = matches.mentionEnd[m]!;
    if (named !== 'structure') return this.judgeSpan(start, end, start, named);
    const state = this.stateOf(start, end);
    if (state < 0) return null;
    const entry = matches.cueEntry[state]!;
    const judgement = this.judgeSpan(matches.cueStart[state]!, matches.cueEnd[state]!, start, named);
    judgement.cues = ascending([...judgement.cues, state]);
    const normal = rules.kind[entry] === NORMAL;
    judgement.state = normal ? 'normal' : 'abnormal';
    if (judgement.status === 'present') judgement.polarity = 'positive';
    if (normal) {
      if (judgement.status === 'present') {
        judgement.status = 'absent';
        judgement.probability = rules.probability[entry]!;
        judgement.deviation = known(rules.deviation[entry]!);
      } else if (judgement.status === 'absent') {
        judgement.status = 'present';
        judgement.probability = 1;
        judgement.deviation = 0;
      } else if (judgement.status === 'uncertain') judgement.probability = round(1 - judgement.probability!);
    } else {
      const p = rules.probability[entry]!;
      if (p < 1 && (judgement.status === 'present' || judgement.status === 'uncertain')) {
        if (judgement.status === 'present' || p < judgement.probability!) {
          judgement.probability = p;
          judgement.deviation = known(rules.deviation[entry]!);
        }
        judgement.status = 'uncertain';
      }
    }
    return judgement;
  }

  /** Does a word near mention `m` say that it has not changed, or only slightly? */
  isStable(m: number): boolean {
    const { matches } = this;
    const borders = IS_COMMA | IS_AND | IS_OR | IS_END | IS_OPEN | IS_WITH;
    const start = matches.mentionStart[m]!;
    for (let i = start - 1; i >= Math.max(matches.from, start - extentWords); i--) {
      if (matches.bits(i) & borders) break;
      if (this.isStableWord(i)) return true;
    }
    for (let i = matches.mentionEnd[m]!; i < matches.to; i++) {
      if (matches.bits(i) & (IS_AND | IS_END)) break;
      if (this.isStableWord(i)) return true;
    }
    return false;
  }

  private isStableWord(i: number): boolean {
    // The word itself is asked, not the sentence's bits: a cue takes the classes of its words away.
    return (this.rules.wordClass[this.matches.tokens.word[i]!]! & IS_STABLE) !== 0;
  }

  /** The state word that belongs to the structure at [start, end), or -1. */
  private stateOf(start: number, end: number): number {
    const { matches, rules } = this;
    let before = -1;
    for (let c = 0; c < matches.cues && matches.cueEnd[c]! <= start; c++) {
      const kind = rules.kind[matches.cueEntry[c]!]!;
      if (kind !== NORMAL && kind !== ABNORMAL && kind !== DEGREE) continue;
      if (start - matches.cueEnd[c]! > stateWords) continue;
      let clear = true;
      for (let i = matches.cueEnd[c]!; i < start; i++) {
        if (matches.bits(i) & (IS_COMMA | IS_END | IS_VERB | IS_WITH)) clear = false;
      }
      if (clear) before = c;
    }
    if (before >= 0 && start - matches.cueEnd[before]! <= 1) return before;
    let verb = false;
    for (let i = end; i < matches.to; i++) {
      const bits = matches.bits(i);
      const c = matches.cueFrom(i);
      if (c >= 0) {
        const kind = rules.kind[matches.cueEntry[c]!]!;
        if (kind === NORMAL || kind === ABNORMAL || kind === DEGREE) return c;
        if (kind === NEGATION && i > end && matches.bits(i - 1) & (IS_COMMA | IS_AND)) break;
      }
      if (bits & (IS_END | IS_WITH)) break;
      if (bits & IS_VERB) {
        if (verb) break;
        verb = true;
      }
      if (verb && bits & IS_COMMA) break;
      if (verb && bits & IS_AND && matches.cueFrom(i + 1) < 0) break;
    }
    return before;
  }

  /** "was not seen on the prior film and is new": does the statement that the cue ends go on about now? */
  private goesOn(c: number): boolean {
    const { matches, rules } = this;
    for (let next = c + 1; next < matches.cues; next++) {
      if (rules.kind[matches.cueEntry[next]!] !== CURRENT) continue;
      if (matches.bits(matches.cueStart[next]! - 1) & (IS_AND | IS_END)) return true;
    }
    return false;
  }

  /** P(finding) that a describing word leaves to a denial: 0.1 for the B of "no A, large B, or C", else 0. */
  private extentBefore(start: number, lowest: number): number {
    const { matches, rules } = this;
    for (let i = start - 1; i >= Math.max(lowest, start - extentWords); i--) {
      if (matches.bits(i) & (IS_COMMA | IS_AND | IS_OR | IS_END | IS_OPEN)) return 0;
      if (rules.wordClass[matches.tokens.word[i]!]! & IS_EXTENT)
        return rules.extent[matches.tokens.word[i]!]!;
    }
    return 0;
  }

  /**
   * Judges the token range [start, end). For a state word, `structure` is where its structure begins. For a `device`,
   * the procedure that put it in is no history.
   */
  private judgeSpan(start: number, end: number, structure: number, named: Named = 'finding'): Judgement {
    const { rules, matches, reach } = this;
    let other = -1;
    let hypothetical = -1;
    let historical = -1;
    let current = -1;
    let resolved = -1;
    let negation = -1;
    let denied = 0;
    let deniedDeviation: number | null = 0;
    let doubt = 1;
    let doubtDeviation: number | null = 0;
    let change = -1;
    let doubted = false; // by a hedge, not only by a degree
    let flipped = 2; // the probability of the hedge before a negation; 2 for none
    let flippedDeviation: number | null = null;
    const hedges: number[] = [];
    const negations: number[] = [];
    for (let c = 0; c < matches.cues; c++) {
      const entry = matches.cueEntry[c]!;
      const kind = rules.kind[entry]!;
      if (kind > EXPERIENCER) continue;
      const body = matches.cueBody[c]!;
      const forward = body <= start && start < reach.forwardTo[c]!;
      const backward = !forward && end <= matches.cueStart[c]! && end > reach.backwardTo[c]!;
      // A cue before the structure, whose state stands behind the verb: "no enlargement"-like negations reach it
      // through the structure ("no heart enlargement", "possibly the heart is enlarged").
      const through =
        !forward && !backward && structure < start && body <= structure && structure < reach.forwardTo[c]!;
      if (!forward && !backward && !(through && kind !== HEDGE)) continue;
      if (kind === EXPERIENCER) other = c;
      else if (kind === HYPOTHETICAL) hypothetical = c;
      else if (kind === HISTORICAL || (kind === PROCEDURE && named !== 'device')) historical = c;
      else if (kind === CURRENT) current = c;
      else if (kind === RESOLUTION) resolved = c;
      else if (kind === CHANGE) change = c;
      else if (kind === NEGATION) {
        negations.push(c);
        const partial = forward ? this.extentBefore(start, body) : 0;
        const p = Math.max(rules.probability[entry]!, partial);
        if (p > denied) {
          denied = p;
          deniedDeviation = p === partial ? null : known(rules.deviation[entry]!);
        }
        if (negation < 0) negation = c;
      } else if (kind === HEDGE || kind === DEGREE) {
        hedges.push(c);
        doubted ||= kind !== DEGREE;
        const after = forward && (rules.direction[entry] === SPLIT || reach.than[c]! < start);
        const p = after ? rules.probabilityAfter[entry]! : rules.probability[entry]!;
        if (p < doubt) {
          doubt = p;
          doubtDeviation = known(rules.deviation[entry]!);
        }
      }
    }
    // Hedges that stand right before a negation or a resolution judge it, not the finding.
    const judged = negation >= 0 ? negation : resolved;
    if (judged >= 0) {
      for (let c = 0; c < matches.cues; c++) {
        const entry = matches.cueEntry[c]!;
        if (rules.kind[entry] !== HEDGE || matches.cueBody[c] !== matches.cueStart[judged]) continue;
        if (rules.probability[entry]! < flipped) {
          flipped = rules.probability[entry]!;
          flippedDeviation = known(rules.deviation[entry]!);
        }
        if (!hedges.includes(c)) hedges.push(c);
      }
    }
    const result = (
      status: Status,
      probability: number | null,
      cues: number[],
      deviation: number | null = null,
    ): Judgement => ({
      status,
      probability: probability === null ? null : round(probability),
      deviation: probability === null ? null : deviation,
      cues: ascending(cues),
      state: null,
      polarity: polarityOf(status),
    });
    if (other >= 0) return result('other', null, [other]);
    if (hypothetical >= 0) return result('conditional', null, [hypothetical]);
    if (resolved >= 0 && negation < 0) {
      if (flipped <= 1) return result('uncertain', 1 - flipped, [resolved, ...hedges], flippedDeviation);
      return result('historical', 0, [resolved], 0);
    }
    if (negation >= 0) {
      if (flipped <= 1) {
        const p = Math.max(denied, 1 - flipped);
        return result(
          'uncertain',
          p,
          [...negations, ...hedges],
          p === denied ? deniedDeviation : flippedDeviation,
        );
      }
      return result('absent', denied, negations, deniedDeviation);
    }
    // "consistent with a history of asthma", "due to a possible prior infection": the doubt comes first. "The previous
    // effusion is now small": it is still there.
    if (historical >= 0 && current < 0 && !this.goesOn(historical) && !(doubted && hedges[0]! < historical))
      return result('historical', null, [historical]);
    if (hedges.length > 0) {
      const judgement = result('uncertain', doubt, hedges, doubtDeviation);
      if (!doubted) judgement.polarity = 'positive';
      return judgement;
    }
    if (change >= 0) return { ...result('present', 1, [change], 0), polarity: 'negated' };
    return result('present', 1, [], 0);
  }
}

/** Sorts in place; most judgements have one cue. */
function ascending(cues: number[]): number[] {
  return cues.length > 1 ? cues.sort((a, b) => a - b) : cues;
}

/** NaN, as compiled rules hold what is not known, as null. */
function known(x: number): number | null {
  return Number.isNaN(x) ? null : x;
}

function polarityOf(status: Status): Judgement['polarity'] {
  if (status === 'absent') return 'negated';
  return status === 'uncertain' || status === 'conditional' ? 'uncertain' : 'positive';
}

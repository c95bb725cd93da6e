import { NUMBER, type Tokens, WORDLIKE } from '../text/tokenize.ts';
import type { Status } from '../types.ts';
import { round } from '../types.ts';
import {
  ABNORMAL,
  BACKWARD,
  CHANGE,
  type CompiledRules,
  CUE,
  DEGREE,
  DIRECT,
  EITHER,
  EXPERIENCER,
  FINAL,
  FORWARD,
  HEDGE,
  HISTORICAL,
  HYPOTHETICAL,
  IS_ADJECTIVE,
  IS_AND,
  IS_CLOSE,
  IS_COMMA,
  IS_END,
  IS_EXTENT,
  IS_OPEN,
  IS_OR,
  IS_PREPOSITION,
  IS_STARTER,
  IS_SUBJECT,
  IS_VERB,
  IS_WITH,
  LIST,
  MENTION,
  NEAR,
  NEGATION,
  NORMAL,
  PAIR,
  PHRASE,
  RESOLUTION,
  SPLIT,
  TERMINATOR,
} from './compile.ts';

/** `near` and `direct` scopes, in words. */
const nearWords = 6;
const directWords = 2;
/** A state word before its structure ("enlarged cardiac silhouette") stands at most so many words before it. */
const stateWords = 4;
/** A word of extent ("large") stands at most so many words before its mention. */
const extentWords = 4;

/** What the rules found for one mention. Indices are cues of the sentence. */
export interface Judgement {
  status: Status;
  probability: number | null;
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

/**
 * One sentence: its mentions, its cues and how far each cue reaches. `read` fills it, `judge` asks it; arrays are
 * reused from sentence to sentence.
 */
export class Sentence {
  private readonly rules: CompiledRules;
  private tokens!: Tokens;
  private from = 0;
  private to = 0;
  /** Class bits by token of the sentence. */
  private classes = new Uint16Array(512);
  /** The cue that begins at a token of the sentence, plus one; 0 for none. */
  private cueAt = new Int32Array(512);

  mentions = 0;
  /** Token ranges [start, end) of the mentions, and their meaning (index into `rules.meanings`). */
  readonly mentionStart: number[] = [];
  readonly mentionEnd: number[] = [];
  readonly mentionMeaning: number[] = [];

  cues = 0;
  readonly cueStart: number[] = [];
  readonly cueEnd: number[] = [];
  /** The lexicon entry. */
  readonly cueEntry: number[] = [];
  private readonly forwardTo: number[] = [];
  private readonly backwardTo: number[] = [];

  constructor(rules: CompiledRules) {
    this.rules = rules;
  }

  /** Can the tokens [from, to) hold a mention at all? Cheap; most sentences need no more than this. */
  mayMention(tokens: Tokens, from: number, to: number): boolean {
    const { beginsMention } = this.rules;
    for (let i = from; i < to; i++) if (beginsMention[tokens.word[i]!] === 1) return true;
    return false;
  }

  /**
   * Reads the tokens [from, to). With a span [spanStart, spanEnd) of tokens, that span is the only mention, whatever
   * the findings file says, and cues inside it do not count.
   */
  read(tokens: Tokens, from: number, to: number, spanStart = -1, spanEnd = -1): void {
    this.tokens = tokens;
    this.from = from;
    this.to = to;
    this.mentions = this.cues = 0;
    if (to - from > this.classes.length) {
      this.classes = new Uint16Array((to - from) * 2);
      this.cueAt = new Int32Array((to - from) * 2);
    }
    this.match(spanStart, spanEnd);
    for (let c = 0; c < this.cues; c++) this.reach(c);
  }

  /** Judges mention `m`; `structure` says that it names a structure, which needs a state word. */
  judge(m: number, structure: boolean): Judgement | null {
    const start = this.mentionStart[m]!;
    const end = this.mentionEnd[m]!;
    if (!structure) return this.judgeSpan(start, end);
    const state = this.stateOf(start, end);
    if (state < 0) return null;
    const entry = this.cueEntry[state]!;
    const judgement = this.judgeSpan(this.cueStart[state]!, this.cueEnd[state]!, start);
    judgement.cues.push(state);
    judgement.cues.sort((a, b) => a - b);
    const normal = this.rules.kind[entry] === NORMAL;
    judgement.state = normal ? 'normal' : 'abnormal';
    if (judgement.status === 'present') judgement.polarity = 'positive';
    if (normal) {
      if (judgement.status === 'present') {
        judgement.status = 'absent';
        judgement.probability = this.rules.probability[entry]!;
      } else if (judgement.status === 'absent') {
        judgement.status = 'present';
        judgement.probability = 1;
      } else if (judgement.status === 'uncertain') judgement.probability = round(1 - judgement.probability!);
    } else {
      const p = this.rules.probability[entry]!;
      if (p < 1 && judgement.status === 'present') {
        judgement.status = 'uncertain';
        judgement.probability = p;
      } else if (p < 1 && judgement.status === 'uncertain') {
        judgement.probability = Math.min(p, judgement.probability!);
      }
    }
    return judgement;
  }

  private match(spanStart: number, spanEnd: number): void {
    const { rules, tokens, from, to, classes, cueAt } = this;
    const { trie, wordClass } = rules;
    const { word } = tokens;
    let cueFree = from;
    let mentionFree = from;
    let cueMayStart = from;
    for (let i = from; i < to; i++) {
      classes[i - from] = wordClass[word[i]!]!;
      cueAt[i - from] = 0;
    }
    for (let i = from; i < to; i++) {
      if (i === spanStart) {
        this.addMention(spanStart, spanEnd, -1);
        cueMayStart = spanEnd;
      }
      let node = word[i] === 0 ? 0 : trie.start(word[i]!);
      if (node === 0) continue;
      let cue = -1;
      let cueEnd = 0;
      let mention = -1;
      let mentionEnd = 0;
      for (let j = i + 1; node !== 0; j++) {
        const cueHere = trie.value(node, CUE);
        if (cueHere >= 0) {
          cue = cueHere;
          cueEnd = j;
        }
        const mentionHere = trie.value(node, MENTION);
        if (mentionHere >= 0) {
          mention = mentionHere;
          mentionEnd = j;
        }
        if (j >= to || word[j] === 0) break;
        node = trie.step(node, word[j]!);
      }
      if (mention >= 0 && i >= mentionFree && spanStart < 0) {
        // "no acute | disease": where a cue runs into a mention, the mention begins behind it.
        this.addMention(Math.max(i, Math.min(cueFree, mentionEnd - 1)), mentionEnd, mention);
        mentionFree = mentionEnd;
        // "lungs are clear" says that all is well, but its words may still be cues ("clear of consolidation").
        if (rules.names[mention] === 1) cueMayStart = mentionEnd;
      }
      // A cue must not lie inside a mention ("enlarged heart"), nor run out of it.
      if (cue < 0 || i < cueFree || i < cueMayStart) continue;
      if (spanStart >= 0 && cueEnd > spanStart && i < spanEnd) continue;
      if (rules.scope[cue] === FINAL && !this.closesClause(cueEnd)) continue;
      this.addCue(i, cueEnd, cue);
      cueFree = cueEnd;
    }
  }

  private addMention(start: number, end: number, meaning: number): void {
    const m = this.mentions++;
    this.mentionStart[m] = start;
    this.mentionEnd[m] = end;
    this.mentionMeaning[m] = meaning;
  }

  private addCue(start: number, end: number, entry: number): void {
    const { classes, from, rules } = this;
    const c = this.cues++;
    this.cueStart[c] = start;
    this.cueEnd[c] = end;
    this.cueEntry[c] = entry;
    this.cueAt[start - from] = c + 1;
    const kind = rules.kind[entry]!;
    if (kind === TERMINATOR) for (let i = start; i < end; i++) classes[i - from] = IS_END;
    // A cue's own words neither start a statement nor join a list; its verb still is one.
    else for (let i = start; i < end; i++) classes[i - from] = classes[i - from]! & IS_VERB;
    if (kind === HEDGE && rules.direction[entry] === PAIR) classes[start - from] = IS_OR;
  }

  /** Does a clause end at token `i`: end of sentence, punctuation, conjunction, preposition, terminator? */
  private closesClause(i: number): boolean {
    if (i >= this.to) return true;
    const bits = this.rules.wordClass[this.tokens.word[i]!]!;
    if (bits & (IS_COMMA | IS_AND | IS_PREPOSITION)) return true;
    const flags = this.tokens.flags[i]!;
    if ((flags & WORDLIKE) === 0) return true; // punctuation
    const node = this.rules.trie.start(this.tokens.word[i]!);
    if (node === 0) return false;
    const cue = this.rules.trie.value(node, CUE);
    return cue >= 0 && this.rules.kind[cue] === TERMINATOR;
  }

  /** Works out how far cue `c` reaches, once. */
  private reach(c: number): void {
    const { rules } = this;
    const entry = this.cueEntry[c]!;
    let direction = rules.direction[entry]!;
    let forward = this.cueEnd[c]!;
    let backward = this.cueStart[c]!;
    if (direction === EITHER) direction = this.closesClause(this.cueEnd[c]!) ? BACKWARD : FORWARD;
    if (direction === PAIR) {
      if (!this.joinsAdjectives(c)) {
        forward = this.pairForward(c);
        backward = this.pairBackward(c);
      }
    } else {
      if (direction === FORWARD || direction === SPLIT) forward = this.forwardReach(c);
      if (direction === BACKWARD || direction === SPLIT) backward = this.backwardReach(c);
    }
    this.forwardTo[c] = forward;
    this.backwardTo[c] = backward;
  }

  /** The first token after cue `c` that it does not reach. */
  private forwardReach(c: number): number {
    const { rules, classes, from, cueAt } = this;
    const begin = this.cueEnd[c]!;
    const kind = rules.kind[this.cueEntry[c]!]!;
    const scope = rules.scope[this.cueEntry[c]!]!;
    let to = this.to;
    if (scope === NEAR) to = Math.min(to, begin + nearWords);
    if (scope === DIRECT) to = Math.min(to, begin + directWords);
    for (let i = begin; i < to; i++) {
      const bits = classes[i - from]!;
      if (bits & IS_END) return i;
      if (bits & IS_VERB && this.cueCovering(i) < 0) return i;
      if (bits & IS_WITH && !(kind === HEDGE && scope === LIST) && i > begin) return i;
      if (bits & IS_COMMA && (scope === PHRASE || scope === NEAR || !this.listGoesOn(i))) return i;
      if (bits & IS_OPEN && this.statementInBrackets(i)) return i;
      if (bits & IS_AND && !this.conjunctGoesOn(i, kind === HEDGE && scope === LIST)) return i;
      const other = cueAt[i - from]! - 1;
      if (other >= 0 && this.opensStatement(other)) {
        const otherKind = rules.kind[this.cueEntry[other]!]!;
        if (otherKind === NEGATION) {
          // "probably no effusion": the hedge stands right before the negation and hedges it.
          if (kind === HEDGE && i === begin) continue;
          if (kind === NEGATION && i <= begin + 1) continue;
          return i;
        }
        if (kind === HISTORICAL) return i;
        if (i > begin && classes[i - 1 - from]! & IS_WITH) return i;
      }
    }
    return to;
  }

  /** The first token that cue `c` reaches backward. */
  private backwardReach(c: number): number {
    const { rules, classes, from } = this;
    const begin = this.cueStart[c]!;
    const scope = rules.scope[this.cueEntry[c]!]!;
    let lowest = from;
    if (scope === NEAR) lowest = Math.max(lowest, begin - nearWords);
    if (scope === DIRECT) lowest = Math.max(lowest, begin - directWords);
    let joined = false;
    for (let i = begin - 1; i >= lowest; i--) {
      const bits = classes[i - from]!;
      // "is possible but less likely": right behind a conjunction, the cue goes on about the same subject.
      if (bits & IS_END && !(i === begin - 1 && this.tokens.flags[i]! & WORDLIKE)) return i + 1;
      // The cue's own verb may stand just before it ("is most likely").
      const subject = begin > from && classes[begin - 1 - from]! & IS_END;
      if (bits & IS_VERB && i < begin - 2 && !subject && this.cueCovering(i) !== c) return i + 1;
      if (bits & IS_WITH) return i + 1;
      if (bits & (IS_AND | IS_OR)) {
        joined = true;
        if (this.clauseBefore(i)) return i + 1;
      }
      if (bits & IS_COMMA && i < begin - 1 && (scope === PHRASE || !joined || this.clauseBefore(i)))
        return i + 1;
    }
    return lowest;
  }

  /** Is there a verb, or an opening cue with its verb, between the beginning of the clause and token `i`? */
  private clauseBefore(i: number): boolean {
    const { classes, from } = this;
    for (let j = i - 1; j >= from; j--) {
      if (classes[j - from]! & IS_END) return false;
      if (classes[j - from]! & IS_VERB) return true;
    }
    return false;
  }

  /** After the comma at token `i`: does the list go on, or does a new statement begin? */
  private listGoesOn(i: number): boolean {
    const { classes, from, to } = this;
    const first = i + 1;
    if (first >= to) return false;
    const opener = this.cueAt[first - from]! - 1;
    const describes = opener >= 0 && this.describes(opener);
    if (opener >= 0 && !describes && this.opensStatement(opener)) return false;
    if (classes[first - from]! & IS_SUBJECT) return false;
    if (classes[first - from]! & IS_OR) return true;
    if (classes[first - from]! & IS_AND) return this.conjunctGoesOn(first, false);
    let segment = true;
    let verb = false;
    for (let j = first; j < to; j++) {
      const bits = classes[j - from]!;
      if (bits & IS_END) break;
      if (bits & IS_VERB && this.cueCovering(j) < 0) {
        verb ||= segment;
        break;
      }
      if (bits & IS_COMMA) segment = false;
      // "no A, left B, or C" is one list whatever its items begin with.
      if (bits & IS_OR && !(this.adjectiveBefore(j) && segment)) return true;
    }
    return !verb && !describes && (classes[first - from]! & IS_STARTER) === 0;
  }

  /**
   * After the "and" at token `i`: does it join another item, or a new statement? A verb's object may begin with any
   * word ("suggests edema and small effusions"), what is denied may not ("no edema and small effusions").
   */
  private conjunctGoesOn(i: number, object: boolean): boolean {
    const { classes, from, to } = this;
    const first = i + 1;
    if (first >= to) return false;
    const opener = this.cueAt[first - from]! - 1;
    if (opener >= 0 && this.opensStatement(opener)) return false;
    if (classes[first - from]! & IS_SUBJECT || (!object && classes[first - from]! & IS_STARTER)) return false;
    for (let j = first; j < to; j++) {
      const bits = classes[j - from]!;
      if (bits & (IS_END | IS_COMMA)) break;
      if (bits & IS_VERB && this.cueCovering(j) < 0) return false;
    }
    return true;
  }

  /** "(…)" from token `i`: a statement of its own, or only a word for what stands before it? */
  private statementInBrackets(i: number): boolean {
    const { classes, from, to } = this;
    for (let j = i + 1; j < to && !(classes[j - from]! & IS_CLOSE); j++) {
      if (classes[j - from]! & IS_VERB) return true;
      const cue = this.cueAt[j - from]! - 1;
      if (cue >= 0 && this.opensStatement(cue)) return true;
    }
    return false;
  }

  /** Does this cue open a statement of its own (anything that judges what follows it)? */
  private opensStatement(c: number): boolean {
    const entry = this.cueEntry[c]!;
    const kind = this.rules.kind[entry]!;
    const direction = this.rules.direction[entry]!;
    if (kind === NORMAL || kind === ABNORMAL) return true;
    return kind <= EXPERIENCER && (direction === FORWARD || direction === EITHER);
  }

  /** Is this cue an adjective that an item of a list may begin with ("no A, suspicious B, large C, or D")? */
  private describes(c: number): boolean {
    const { kind, scope } = this.rules;
    const entry = this.cueEntry[c]!;
    return (
      kind[entry] === ABNORMAL ||
      ((kind[entry] === HEDGE || kind[entry] === DEGREE) && scope[entry] === DIRECT)
    );
  }

  private cueCovering(i: number): number {
    for (let c = 0; c < this.cues; c++) if (this.cueStart[c]! <= i && i < this.cueEnd[c]!) return c;
    return -1;
  }

  private adjectiveBefore(i: number): boolean {
    if (i - 1 < this.from) return true;
    return (
      (this.rules.wordClass[this.tokens.word[i - 1]!]! & IS_ADJECTIVE) !== 0 ||
      (this.tokens.flags[i - 1]! & NUMBER) !== 0
    );
  }

  /** "new or worsening opacity", "2 or 3 nodules": the choice is between describing words, not findings. */
  private joinsAdjectives(c: number): boolean {
    return this.rules.scope[this.cueEntry[c]!] === PHRASE && this.adjectiveBefore(this.cueStart[c]!);
  }

  private pairForward(c: number): number {
    const { classes, from, to } = this;
    for (let i = this.cueEnd[c]!; i < to; i++) {
      const bits = classes[i - from]!;
      if (bits & (IS_END | IS_COMMA | IS_WITH | IS_AND)) return i;
      if (bits & IS_VERB && this.cueCovering(i) < 0) return i;
    }
    return to;
  }

  private pairBackward(c: number): number {
    const { classes, from } = this;
    const begin = this.cueStart[c]!;
    // "A, B, or C": a comma before the last choice says that the commas before it part choices too.
    let commas = begin > from && (classes[begin - 1 - from]! & IS_COMMA) !== 0;
    for (let i = begin - 1; i >= from; i--) {
      const bits = classes[i - from]!;
      if (bits & (IS_END | IS_WITH | IS_AND)) return i + 1;
      if (bits & IS_VERB && this.cueCovering(i) < 0) return i + 1;
      const covering = this.cueCovering(i);
      if (covering >= 0 && this.opensStatement(covering)) return i + 1;
      if (bits & IS_COMMA && i < begin - 1 && !commas) return i + 1;
      if (bits & IS_COMMA && i < begin - 1 && begin - i > 12) commas = false;
    }
    return from;
  }

  /** The state word that belongs to the structure at [start, end), or -1. */
  private stateOf(start: number, end: number): number {
    const { classes, from, rules } = this;
    let before = -1;
    for (let c = 0; c < this.cues && this.cueEnd[c]! <= start; c++) {
      const kind = rules.kind[this.cueEntry[c]!]!;
      if (kind !== NORMAL && kind !== ABNORMAL && kind !== DEGREE) continue;
      if (start - this.cueEnd[c]! > stateWords) continue;
      let clear = true;
      for (let i = this.cueEnd[c]!; i < start; i++) {
        if (classes[i - from]! & (IS_COMMA | IS_END | IS_VERB | IS_WITH)) clear = false;
      }
      if (clear) before = c;
    }
    if (before >= 0 && start - this.cueEnd[before]! <= 1) return before;
    let verb = false;
    for (let i = end; i < this.to; i++) {
      const bits = classes[i - from]!;
      const c = this.cueAt[i - from]! - 1;
      if (c >= 0) {
        const kind = rules.kind[this.cueEntry[c]!]!;
        if (kind === NORMAL || kind === ABNORMAL || kind === DEGREE) return c;
        if (kind === NEGATION && i > end && classes[i - 1 - from]! & (IS_COMMA | IS_AND)) break;
      }
      if (bits & (IS_END | IS_WITH)) break;
      if (bits & IS_VERB) {
        if (verb) break;
        verb = true;
      }
      if (verb && bits & IS_COMMA) break;
      if (verb && bits & IS_AND && !(this.cueAt[i + 1 - from]! > 0)) break;
    }
    return before;
  }

  /** P(finding) that a describing word leaves to a denial: 0.1 for the B of "no A, large B, or C", else 0. */
  private extentBefore(start: number, lowest: number): number {
    const { classes, from, rules, tokens } = this;
    for (let i = start - 1; i >= Math.max(lowest, start - extentWords); i--) {
      if (classes[i - from]! & (IS_COMMA | IS_AND | IS_OR | IS_END | IS_OPEN)) return 0;
      if (rules.wordClass[tokens.word[i]!]! & IS_EXTENT) return rules.extent[tokens.word[i]!]!;
    }
    return 0;
  }

  /** Judges the token range [start, end). For a state word, `structure` is where its structure begins. */
  private judgeSpan(start: number, end: number, structure = start): Judgement {
    const { rules } = this;
    let other = -1;
    let hypothetical = -1;
    let historical = -1;
    let resolved = -1;
    let negation = -1;
    let denied = 0;
    let doubt = 1;
    let change = -1;
    let doubted = false; // by a hedge, not only by a degree
    let flipped = 2; // the probability of the hedge before a negation; 2 for none
    const hedges: number[] = [];
    const negations: number[] = [];
    for (let c = 0; c < this.cues; c++) {
      const entry = this.cueEntry[c]!;
      const kind = rules.kind[entry]!;
      if (kind > EXPERIENCER) continue;
      const forward = this.cueEnd[c]! <= start && start < this.forwardTo[c]!;
      const backward = !forward && end <= this.cueStart[c]! && end > this.backwardTo[c]!;
      // A cue before the structure, whose state stands behind the verb: "no enlargement"-like negations reach it
      // through the structure ("no heart enlargement", "possibly the heart is enlarged").
      const through =
        !forward &&
        !backward &&
        structure < start &&
        this.cueEnd[c]! <= structure &&
        structure < this.forwardTo[c]!;
      if (!forward && !backward && !(through && kind !== HEDGE)) continue;
      if (kind === EXPERIENCER) other = c;
      else if (kind === HYPOTHETICAL) hypothetical = c;
      else if (kind === HISTORICAL) historical = c;
      else if (kind === RESOLUTION) resolved = c;
      else if (kind === CHANGE) change = c;
      else if (kind === NEGATION) {
        negations.push(c);
        denied = Math.max(
          denied,
          rules.probability[entry]!,
          forward ? this.extentBefore(start, this.cueEnd[c]!) : 0,
        );
        if (negation < 0) negation = c;
      } else {
        hedges.push(c);
        doubted ||= kind !== DEGREE;
        const p =
          forward && rules.direction[entry] === SPLIT
            ? rules.probabilityAfter[entry]!
            : rules.probability[entry]!;
        doubt = Math.min(doubt, p);
      }
    }
    // Hedges that stand right before a negation or a resolution judge it, not the finding.
    const judged = negation >= 0 ? negation : resolved;
    if (judged >= 0) {
      for (let c = 0; c < this.cues; c++) {
        const entry = this.cueEntry[c]!;
        if (rules.kind[entry] !== HEDGE || this.cueEnd[c] !== this.cueStart[judged]) continue;
        flipped = Math.min(flipped, rules.probability[entry]!);
        if (!hedges.includes(c)) hedges.push(c);
      }
    }
    const result = (status: Status, probability: number | null, cues: number[]): Judgement => ({
      status,
      probability: probability === null ? null : round(probability),
      cues: cues.sort((a, b) => a - b),
      state: null,
      polarity: polarityOf(status),
    });
    if (other >= 0) return result('other', null, [other]);
    if (hypothetical >= 0) return result('conditional', null, [hypothetical]);
    if (resolved >= 0 && negation < 0) {
      if (flipped <= 1) return result('uncertain', 1 - flipped, [resolved, ...hedges]);
      return result('historical', 0, [resolved]);
    }
    if (negation >= 0) {
      if (flipped <= 1) return result('uncertain', Math.max(denied, 1 - flipped), [...negations, ...hedges]);
      return result('absent', denied, negations);
    }
    // "consistent with a history of asthma", "due to a possible prior infection": the doubt comes first.
    if (historical >= 0 && !(doubted && hedges[0]! < historical))
      return result('historical', null, [historical]);
    if (hedges.length > 0) {
      const judgement = result('uncertain', doubt, hedges);
      if (!doubted) judgement.polarity = 'positive';
      return judgement;
    }
    if (change >= 0) return { ...result('present', 1, [change]), polarity: 'negated' };
    return result('present', 1, []);
  }
}

function polarityOf(status: Status): Judgement['polarity'] {
  if (status === 'absent') return 'negated';
  return status === 'uncertain' || status === 'conditional' ? 'uncertain' : 'positive';
}

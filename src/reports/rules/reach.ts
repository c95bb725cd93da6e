import { NUMBER, WORDLIKE } from '../text/tokenize.ts';
import {
  ABNORMAL,
  AHEAD,
  BACKWARD,
  BEHIND,
  DEGREE,
  DIRECT,
  EITHER,
  EXPERIENCER,
  FINAL,
  FORWARD,
  HEDGE,
  HISTORICAL,
  IS_ADJECTIVE,
  IS_AND,
  IS_CLOSE,
  IS_COMMA,
  IS_END,
  IS_OPEN,
  IS_OR,
  IS_PREPOSITION,
  IS_STARTER,
  IS_SUBJECT,
  IS_THAN,
  IS_VERB,
  IS_WITH,
  LIST,
  NEAR,
  NEGATION,
  NORMAL,
  PAIR,
  PHRASE,
  PROCEDURE,
  SPLIT,
  VALUE,
} from './compile.ts';
import type { Matches } from './match.ts';

/** `near` and `direct` scopes, in words. */
const nearWords = 6;
const directWords = 2;

/** What decides where a cue looks that can look both ways. */
export interface Surroundings {
  /** Words behind it that point ahead follow ("to be", "for", "in part due to"). */
  readonly ahead: boolean;
  /** A word follows that says of what stands before that it is there ("present"). */
  readonly behind: boolean;
  /** The clause ends behind it, or a preposition follows. */
  readonly closes: boolean;
  /** Words that it could speak of stand before it in the sentence. */
  readonly before: boolean;
  /** It stands between commas behind a conjunction: "or, less likely, B". */
  readonly inserted: boolean;
}

/**
 * Where a cue looks that can look both ways: "likely pneumonia", "pneumonia is likely in the left base".
 *
 * Words that follow decide first: "likely to be X", "equivocal for X" look ahead although a preposition follows,
 * "X is likely present" looks back although another word does. Else a cue at the end of its clause speaks of what stands
 * before it, if there is anything, and any other cue of what comes.
 */
export function directionOf(s: Surroundings): 'forward' | 'backward' {
  if (s.ahead || s.inserted) return 'forward';
  if (s.behind) return 'backward';
  return s.closes && s.before ? 'backward' : 'forward';
}

/** How far each cue of a sentence reaches, and which way. Arrays are reused from sentence to sentence. */
export class Reach {
  private readonly matches: Matches;
  /** A cue judges what begins in [cueBody, forwardTo) … */
  readonly forwardTo: number[] = [];
  /** … and what ends in (backwardTo, cueStart]. */
  readonly backwardTo: number[] = [];
  /** Behind this token a comparison's second probability holds; beyond the sentence without one. */
  readonly than: number[] = [];

  constructor(matches: Matches) {
    this.matches = matches;
  }

  /** Works out the reach of all cues. */
  read(): void {
    for (let c = 0; c < this.matches.cues; c++) this.reach(c);
  }

  private reach(c: number): void {
    const { matches } = this;
    const { rules, cueEntry, cueBody, cueEnd, cueStart } = matches;
    const entry = cueEntry[c]!;
    let direction = rules.direction[entry]!;
    let forward = cueBody[c]!;
    let backward = cueStart[c]!;
    this.than[c] = Number.MAX_SAFE_INTEGER;
    if (direction === EITHER) {
      const inserted = this.isInserted(c);
      const ahead = directionOf({
        ahead: matches.cueLink[c] === AHEAD,
        behind: matches.cueLink[c] === BEHIND,
        closes: matches.closesClause(cueEnd[c]!),
        before: this.speaksBefore(c),
        inserted,
      });
      direction = ahead === 'forward' ? FORWARD : BACKWARD;
      if (inserted) cueBody[c] = cueEnd[c]! + 1;
    } else if (direction === BACKWARD && matches.cueLink[c] === AHEAD) direction = FORWARD;
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

  /** "or, less likely, B": between commas, behind a conjunction. */
  private isInserted(c: number): boolean {
    const { matches } = this;
    const start = matches.cueStart[c]!;
    return (
      (matches.bits(matches.cueEnd[c]!) & IS_COMMA) !== 0 &&
      (matches.bits(start - 1) & IS_COMMA) !== 0 &&
      (matches.bits(start - 2) & (IS_AND | IS_OR | IS_END)) !== 0
    );
  }

  /** Do words stand before the cue that it could speak of? Not "there is", not another cue. */
  private speaksBefore(c: number): boolean {
    const { matches } = this;
    const { from, tokens } = matches;
    for (let i = matches.cueStart[c]! - 1; i >= from; i--) {
      if ((tokens.flags[i]! & WORDLIKE) === 0) continue;
      if (matches.bits(i) & (IS_VERB | IS_SUBJECT | IS_END)) continue;
      if (matches.cueCovering(i) < 0) return true;
    }
    return false;
  }

  /** The first token after cue `c` that it does not reach. */
  private forwardReach(c: number): number {
    const { matches } = this;
    const { rules, classes, from } = matches;
    const begin = matches.cueBody[c]!;
    const entry = matches.cueEntry[c]!;
    const kind = rules.kind[entry]!;
    const scope = rules.scope[entry]!;
    const compares = !Number.isNaN(rules.probabilityAfter[entry]!) && rules.direction[entry] !== SPLIT;
    let to = matches.to;
    if (scope === NEAR) to = Math.min(to, begin + nearWords);
    if (scope === DIRECT) to = Math.min(to, begin + directWords);
    for (let i = begin; i < to; i++) {
      const bits = classes[i - from]!;
      if (compares && bits & IS_THAN && i > begin) {
        this.than[c] = Math.min(this.than[c]!, i);
        continue;
      }
      if (bits & IS_END) return i;
      if (bits & IS_VERB && matches.cueCovering(i) < 0) return i;
      if (bits & IS_WITH && !(kind === HEDGE && scope === LIST) && i > begin) return i;
      if (bits & IS_COMMA && (scope === PHRASE || scope === NEAR || !this.listGoesOn(i))) return i;
      if (bits & IS_OPEN && this.statementInBrackets(i)) return i;
      if (bits & IS_AND && !this.conjunctGoesOn(i, kind === HEDGE && scope === LIST)) return i;
      const other = matches.cueFrom(i);
      if (other >= 0 && this.opensStatement(other)) {
        const otherKind = rules.kind[matches.cueEntry[other]!]!;
        if (otherKind === NEGATION) {
          // "probably no effusion": the hedge stands right before the negation and hedges it.
          if (kind === HEDGE && i === begin) continue;
          if (kind === NEGATION && i <= begin + 1) continue;
          return i;
        }
        if (kind === HISTORICAL || kind === PROCEDURE) return i;
        if (i > begin && classes[i - 1 - from]! & IS_WITH) return i;
      }
    }
    return to;
  }

  /** The first token that cue `c` reaches backward. */
  private backwardReach(c: number): number {
    const { matches } = this;
    const { rules, classes, from } = matches;
    const begin = matches.cueStart[c]!;
    const scope = rules.scope[matches.cueEntry[c]!]!;
    let lowest = from;
    if (scope === NEAR) lowest = Math.max(lowest, begin - nearWords);
    if (scope === DIRECT) lowest = Math.max(lowest, begin - directWords);
    if (scope === VALUE) {
      for (let i = begin - 1; i >= lowest; i--) if (classes[i - from]! & IS_END) return i + 1;
      return lowest;
    }
    if (scope === FINAL && this.speaksOfAPart(c)) return begin;
    let joined = false;
    for (let i = begin - 1; i >= lowest; i--) {
      const bits = classes[i - from]!;
      // "is possible but less likely": right behind a conjunction, the cue goes on about the same subject.
      if (bits & IS_END && !(i === begin - 1 && matches.tokens.flags[i]! & WORDLIKE)) return i + 1;
      // The cue's own verb may stand just before it ("is most likely", "is felt to be most likely").
      const subject = begin > from && classes[begin - 1 - from]! & IS_END;
      if (
        bits & IS_VERB &&
        i < begin - 2 &&
        !subject &&
        matches.cueCovering(i) !== c &&
        !this.chained(i + 1, begin)
      )
        return i + 1;
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

  /** Do the tokens [from, to) all belong to cues? */
  private chained(from: number, to: number): boolean {
    for (let i = from; i < to; i++) if (this.matches.cueCovering(i) < 0) return false;
    return true;
  }

  /** "small on the right, none on the left": does the cue deny one side after the other was spoken of? */
  private speaksOfAPart(c: number): boolean {
    const { matches } = this;
    const start = matches.cueStart[c]!;
    if (!(matches.bits(matches.cueEnd[c]!) & IS_PREPOSITION)) return false;
    if (!(matches.bits(start - 1) & (IS_COMMA | IS_AND | IS_END))) return false;
    for (let i = start - 2; i >= matches.from; i--) if (matches.bits(i) & IS_PREPOSITION) return true;
    return false;
  }

  /** Is there a verb, or an opening cue with its verb, between the beginning of the clause and token `i`? */
  private clauseBefore(i: number): boolean {
    const { matches } = this;
    for (let j = i - 1; j >= matches.from; j--) {
      if (matches.bits(j) & IS_END) return false;
      if (matches.bits(j) & IS_VERB) return true;
    }
    return false;
  }

  /** After the comma at token `i`: does the list go on, or does a new statement begin? */
  private listGoesOn(i: number): boolean {
    const { matches } = this;
    const { classes, from, to } = matches;
    const first = i + 1;
    if (first >= to) return false;
    const opener = matches.cueFrom(first);
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
      if (bits & IS_VERB && matches.cueCovering(j) < 0) {
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
    const { matches } = this;
    const { classes, from, to } = matches;
    const first = i + 1;
    if (first >= to) return false;
    const opener = matches.cueFrom(first);
    if (opener >= 0 && this.opensStatement(opener)) return false;
    if (classes[first - from]! & IS_SUBJECT || (!object && classes[first - from]! & IS_STARTER)) return false;
    for (let j = first; j < to; j++) {
      const bits = classes[j - from]!;
      if (bits & (IS_END | IS_COMMA)) break;
      if (bits & IS_VERB && matches.cueCovering(j) < 0) return false;
    }
    return true;
  }

  /** "(…)" from token `i`: a statement of its own, or only a word for what stands before it? */
  private statementInBrackets(i: number): boolean {
    const { matches } = this;
    for (let j = i + 1; j < matches.to && !(matches.bits(j) & IS_CLOSE); j++) {
      if (matches.bits(j) & IS_VERB) return true;
      const cue = matches.cueFrom(j);
      if (cue >= 0 && this.opensStatement(cue)) return true;
    }
    return false;
  }

  /** Does this cue open a statement of its own (anything that judges what follows it)? */
  private opensStatement(c: number): boolean {
    const { rules, cueEntry } = this.matches;
    const kind = rules.kind[cueEntry[c]!]!;
    const direction = rules.direction[cueEntry[c]!]!;
    if (kind === NORMAL || kind === ABNORMAL) return true;
    return kind <= EXPERIENCER && (direction === FORWARD || direction === EITHER);
  }

  /** Is this cue an adjective that an item of a list may begin with ("no A, suspicious B, large C, or D")? */
  private describes(c: number): boolean {
    const { rules, cueEntry } = this.matches;
    const entry = cueEntry[c]!;
    const kind = rules.kind[entry]!;
    return kind === ABNORMAL || ((kind === HEDGE || kind === DEGREE) && rules.scope[entry] === DIRECT);
  }

  private adjectiveBefore(i: number): boolean {
    const { rules, tokens, from } = this.matches;
    if (i - 1 < from) return true;
    return (
      (rules.wordClass[tokens.word[i - 1]!]! & IS_ADJECTIVE) !== 0 || (tokens.flags[i - 1]! & NUMBER) !== 0
    );
  }

  /** "new or worsening opacity", "2 or 3 nodules": the choice is between describing words, not findings. */
  private joinsAdjectives(c: number): boolean {
    const { rules, cueEntry, cueStart } = this.matches;
    return rules.scope[cueEntry[c]!] === PHRASE && this.adjectiveBefore(cueStart[c]!);
  }

  private pairForward(c: number): number {
    const { matches } = this;
    for (let i = matches.cueEnd[c]!; i < matches.to; i++) {
      const bits = matches.bits(i);
      if (bits & (IS_END | IS_COMMA | IS_WITH | IS_AND)) return i;
      if (bits & IS_VERB && matches.cueCovering(i) < 0) return i;
    }
    return matches.to;
  }

  private pairBackward(c: number): number {
    const { matches } = this;
    const { from } = matches;
    const begin = matches.cueStart[c]!;
    // "A, B, or C": a comma before the last choice says that the commas before it part choices too.
    let commas = (matches.bits(begin - 1) & IS_COMMA) !== 0;
    for (let i = begin - 1; i >= from; i--) {
      const bits = matches.bits(i);
      if (bits & (IS_END | IS_WITH | IS_AND)) return i + 1;
      if (bits & IS_VERB && matches.cueCovering(i) < 0) return i + 1;
      const covering = matches.cueCovering(i);
      if (covering >= 0 && this.opensStatement(covering)) return i + 1;
      if (bits & IS_COMMA && i < begin - 1 && !commas) return i + 1;
      if (bits & IS_COMMA && i < begin - 1 && begin - i > 12) commas = false;
    }
    return from;
  }
}

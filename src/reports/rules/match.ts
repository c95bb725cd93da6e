import type { Tokens } from '../text/tokenize.ts';
import { WORDLIKE } from '../text/tokenize.ts';
import {
  AHEAD,
  AHEAD_IF_EITHER,
  BACKWARD,
  BEHIND,
  CHANGE,
  type CompiledRules,
  CUE,
  EITHER,
  FINAL,
  FORWARD,
  HEDGE,
  IS_AND,
  IS_COMMA,
  IS_END,
  IS_OR,
  IS_PREPOSITION,
  IS_VERB,
  LINK,
  MENTION,
  PAIR,
  TERMINATOR,
  VALUE,
} from './compile.ts';

/**
 * One sentence's mentions and cues: which phrases stand in it, the longest first. Arrays are reused from sentence to
 * sentence.
 */
export class Matches {
  readonly rules: CompiledRules;
  tokens!: Tokens;
  /** The sentence's tokens, [from, to). */
  from = 0;
  to = 0;
  /** Class bits by token of the sentence (index 0 is token `from`). */
  classes = new Uint16Array(512);
  /** The cue that begins at a token of the sentence, plus one; 0 for none. */
  cueAt = new Int32Array(512);

  mentions = 0;
  /** Token ranges [start, end) of the mentions, and their meaning (index into `rules.meanings`). */
  readonly mentionStart: number[] = [];
  readonly mentionEnd: number[] = [];
  readonly mentionMeaning: number[] = [];

  cues = 0;
  readonly cueStart: number[] = [];
  readonly cueEnd: number[] = [];
  /** Where what the cue looks at begins: behind "at least in part due to", where such words follow it. */
  readonly cueBody: number[] = [];
  /** What the words behind it say of its direction: `AHEAD`, `AHEAD_IF_EITHER`, `BEHIND`, or 0. */
  readonly cueLink: number[] = [];
  /** The lexicon entry. */
  readonly cueEntry: number[] = [];

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
   * the findings file says; a cue inside it counts, and the mention is what the cue leaves of the span.
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
    this.match(spanStart);
    if (spanStart >= 0) this.addSpan(spanStart, spanEnd);
  }

  /** The class bits of token `i`; 0 outside the sentence. */
  bits(i: number): number {
    return i >= this.from && i < this.to ? this.classes[i - this.from]! : 0;
  }

  /** The cue that begins at token `i`, or -1. */
  cueFrom(i: number): number {
    return i >= this.from && i < this.to ? this.cueAt[i - this.from]! - 1 : -1;
  }

  /** The cue that token `i` belongs to, or -1. */
  cueCovering(i: number): number {
    for (let c = 0; c < this.cues; c++) if (this.cueStart[c]! <= i && i < this.cueEnd[c]!) return c;
    return -1;
  }

  /** Does a clause end at token `i`: end of sentence, punctuation, conjunction, preposition, terminator? */
  closesClause(i: number): boolean {
    if (i >= this.to) return true;
    const { rules, tokens } = this;
    const word = tokens.word[i]!;
    if (rules.wordClass[word]! & (IS_COMMA | IS_AND | IS_OR | IS_PREPOSITION)) return true;
    if ((tokens.flags[i]! & WORDLIKE) === 0) return true; // punctuation
    const node = rules.trie.start(word);
    if (node === 0) return false;
    const cue = rules.trie.value(node, CUE);
    return cue >= 0 && rules.kind[cue] === TERMINATOR;
  }

  private match(spanStart: number): void {
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
      const own = rules.kind[cue] === CHANGE ? this.denialBefore(i, cueEnd) : undefined;
      if (own !== undefined) [cue, cueEnd] = own;
      if ((rules.scope[cue] === FINAL || rules.scope[cue] === VALUE) && !this.closesClause(cueEnd)) continue;
      cueFree = this.addCue(i, cueEnd, cue);
    }
  }

  /**
   * "No enlargement | in the mass" denies a change, "no | enlargement of the heart" a finding: where a mention begins inside a cue
   * of change and runs out of it, and another cue ends right before it, that is the cue. [entry, end], if so.
   */
  private denialBefore(start: number, end: number): [cue: number, cueEnd: number] | undefined {
    for (let i = start + 1; i < end; i++) {
      if (this.longest(i, MENTION)[1] <= end) continue;
      const cue = this.valueOf(start, i, CUE);
      if (cue >= 0) return [cue, i];
    }
    return undefined;
  }

  /** The longest phrase that begins at token `i`: its value, or −1, and the token behind it. */
  private longest(i: number, kind: typeof CUE | typeof MENTION): [value: number, end: number] {
    const { rules, tokens, to } = this;
    const { trie } = rules;
    let found: [number, number] = [-1, i];
    let node = tokens.word[i] === 0 ? 0 : trie.start(tokens.word[i]!);
    for (let j = i + 1; node !== 0; j++) {
      const value = trie.value(node, kind);
      if (value >= 0) found = [value, j];
      if (j >= to || tokens.word[j] === 0) break;
      node = trie.step(node, tokens.word[j]!);
    }
    return found;
  }

  /** The value of the phrase that is exactly the tokens [from, to), or −1. */
  private valueOf(from: number, to: number, kind: typeof CUE): number {
    const { trie } = this.rules;
    const { word } = this.tokens;
    let node = word[from] === 0 ? 0 : trie.start(word[from]!);
    for (let j = from + 1; j < to && node !== 0; j++) node = word[j] === 0 ? 0 : trie.step(node, word[j]!);
    return node === 0 ? -1 : trie.value(node, kind);
  }

  private addMention(start: number, end: number, meaning: number): void {
    const m = this.mentions++;
    this.mentionStart[m] = start;
    this.mentionEnd[m] = end;
    this.mentionMeaning[m] = meaning;
  }

  /** The span as the one mention, less the cues at its borders; a cue never takes all of it. */
  private addSpan(spanStart: number, spanEnd: number): void {
    let start = spanStart;
    let end = spanEnd;
    const dropped: number[] = [];
    for (let c = 0; c < this.cues; c++) {
      const cueStart = this.cueStart[c]!;
      const cueEnd = this.cueBody[c]!;
      if (cueEnd <= start || cueStart >= end) continue;
      if (cueEnd < end) start = cueEnd;
      else if (cueStart > start) end = cueStart;
      else dropped.push(c);
    }
    for (const c of dropped.reverse()) this.drop(c);
    this.addMention(start, end, -1);
  }

  /** Forgets cue `c`: its words are the mention itself. */
  private drop(c: number): void {
    this.cueAt[this.cueStart[c]! - this.from] = 0;
    for (const list of [this.cueStart, this.cueEnd, this.cueBody, this.cueLink, this.cueEntry]) {
      list.splice(c, 1);
    }
    this.cues--;
    for (let k = c; k < this.cues; k++) this.cueAt[this.cueStart[k]! - this.from] = k + 1;
  }

  /** Adds a cue; returns the first token that another cue may begin at. */
  private addCue(start: number, end: number, entry: number): number {
    const { classes, from, rules } = this;
    const c = this.cues++;
    this.cueStart[c] = start;
    this.cueEnd[c] = end;
    this.cueBody[c] = end;
    this.cueLink[c] = 0;
    this.cueEntry[c] = entry;
    this.cueAt[start - from] = c + 1;
    const kind = rules.kind[entry]!;
    if (kind === HEDGE) this.readLinks(c, rules.direction[entry]!);
    const body = this.cueBody[c]!;
    if (kind === TERMINATOR) for (let i = start; i < end; i++) classes[i - from] = IS_END;
    // A cue's own words neither start a statement nor join a list; its verb still is one.
    else for (let i = start; i < body; i++) classes[i - from] = classes[i - from]! & (i < end ? IS_VERB : 0);
    if (kind === HEDGE && rules.direction[entry] === PAIR) classes[start - from] = IS_OR;
    return body;
  }

  /** Reads "(,) at least in part (,) due to" and "present" behind a hedge. */
  private readLinks(c: number, direction: number): void {
    if (direction !== EITHER && direction !== FORWARD && direction !== BACKWARD) return;
    const { rules, tokens, to } = this;
    for (let at = this.cueEnd[c]!; at < to; ) {
      const comma = rules.wordClass[tokens.word[at]!]! & IS_COMMA ? 1 : 0;
      const link = this.linkAt(at + comma);
      if (link === 0) return;
      const value = link & 3;
      if (value === BEHIND) {
        if (comma === 0 && this.cueLink[c] === 0) this.cueLink[c] = BEHIND;
        return;
      }
      if (value === AHEAD_IF_EITHER && (direction === BACKWARD || comma === 1)) return;
      this.cueLink[c] = AHEAD;
      at = this.cueBody[c] = link >> 2;
      // "likely, at least in part, due to": the comma that closes the insertion.
      if (
        comma === 1 &&
        at < to &&
        rules.wordClass[tokens.word[at]!]! & IS_COMMA &&
        this.linkAt(at + 1) === 0
      )
        at = this.cueBody[c] = at + 1;
    }
  }

  /** The longest link that begins at token `i`: `(token after it) << 2 | value`, or 0. */
  private linkAt(i: number): number {
    const { rules, tokens, to } = this;
    const { trie } = rules;
    let found = 0;
    if (i >= to) return 0;
    let node = tokens.word[i] === 0 ? 0 : trie.start(tokens.word[i]!);
    for (let j = i + 1; node !== 0; j++) {
      const value = trie.value(node, LINK);
      if (value > 0) found = (j << 2) | value;
      if (j >= to || tokens.word[j] === 0) break;
      node = trie.step(node, tokens.word[j]!);
    }
    return found;
  }
}

/**
 * Words as small integers. The table is filled once, when the rules are compiled; afterwards a word of a report is
 * looked up by the hash that the tokenizer has already computed, without making a string of it.
 */
export class Vocabulary {
  /** The spelling of every word by its id. Id 0 is "a word that no rule speaks of". */
  readonly words: string[] = [''];
  private spellings: string[] = [];
  private spellingWord: number[] = [];
  private hashes: number[] = [];
  private slots = new Int32Array(1024).fill(-1);
  private readonly byWord = new Map<string, number>();

  /** The id of `word` (folded as the tokenizer folds), adding it if it is new. */
  add(word: string): number {
    const known = this.byWord.get(word);
    if (known !== undefined) return known;
    const id = this.words.push(word) - 1;
    this.insert(word, id);
    return id;
  }

  /** Makes `spelling` mean the word `id`, unless that spelling already has a meaning. */
  alias(spelling: string, id: number): boolean {
    if (this.byWord.has(spelling)) return false;
    this.insert(spelling, id);
    return true;
  }

  has(word: string): boolean {
    return this.byWord.has(word);
  }

  /** The id of the folded text[start, end) whose `foldHash` is `hash`, or 0. */
  find(hash: number, text: string, start: number, end: number): number {
    const slots = this.slots;
    const mask = slots.length - 1;
    for (let slot = spread(hash) & mask; ; slot = (slot + 1) & mask) {
      const entry = slots[slot]!;
      if (entry < 0) return 0;
      if (this.hashes[entry] !== hash) continue;
      const spelling = this.spellings[entry]!;
      if (spelling.length !== end - start) continue;
      let i = 0;
      while (i < spelling.length && spelling.charCodeAt(i) === fold(text.charCodeAt(start + i))) i++;
      if (i === spelling.length) return this.spellingWord[entry]!;
    }
  }

  private insert(spelling: string, id: number): void {
    this.byWord.set(spelling, id);
    const entry = this.spellings.push(spelling) - 1;
    this.spellingWord.push(id);
    this.hashes.push(hashOf(spelling));
    if (this.spellings.length * 3 > this.slots.length) {
      this.slots = new Int32Array(this.slots.length * 4).fill(-1);
      for (let i = 0; i <= entry; i++) this.place(i);
    } else {
      this.place(entry);
    }
  }

  private place(entry: number): void {
    const mask = this.slots.length - 1;
    let slot = spread(this.hashes[entry]!) & mask;
    while (this.slots[slot]! >= 0) slot = (slot + 1) & mask;
    this.slots[slot] = entry;
  }
}

/** One UTF-16 unit as rules see it: lower case (ASCII, Latin-1), and the typographic apostrophe as the plain one. */
export function fold(code: number): number {
  if (code >= 65 && code <= 90) return code + 32;
  if (code >= 0xc0 && code <= 0xde && code !== 0xd7) return code + 32;
  return code === 0x2019 ? 39 : code;
}

/** The running hash that the tokenizer uses: `hash = foldHash(hash, unit)` from 0. */
export function foldHash(hash: number, folded: number): number {
  return (Math.imul(hash, 31) + folded) | 0;
}

function hashOf(word: string): number {
  let hash = 0;
  for (let i = 0; i < word.length; i++) hash = foldHash(hash, word.charCodeAt(i));
  return hash;
}

function spread(hash: number): number {
  const h = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return h ^ (h >>> 13);
}

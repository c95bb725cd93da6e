/**
 * Words as small integers. The table is filled once, when the rules are compiled; afterwards a word of a report is
 * looked up by the hash that the tokenizer has already computed, without making a string of it.
 *
 * Misspellings outnumber words a hundredfold and are rare in a text, so they have a table of their own: words stay in
 * the processor's cache, and a filter tells of most other words that no misspelling is written like them.
 */
export class Vocabulary {
  /** The spelling of every word by its id. Id 0 is "a word that no rule speaks of". */
  readonly words: string[] = [''];
  private readonly exact = new SpellingTable();
  private readonly misspelt = new SpellingTable();
  /** One bit by the low bits of a misspelling's hash. */
  private readonly filter = new Uint32Array(1 << (filterBits - 5));
  private readonly byWord = new Map<string, number>();

  /** The id of `word` (folded as the tokenizer folds), adding it if it is new. */
  add(word: string): number {
    const known = this.byWord.get(word);
    if (known !== undefined) return known;
    const id = this.words.push(word) - 1;
    this.byWord.set(word, id);
    this.exact.insert(word, id);
    return id;
  }

  /** Makes `spelling` mean the word `id`, unless that spelling already has a meaning. */
  alias(spelling: string, id: number): boolean {
    if (this.byWord.has(spelling)) return false;
    this.byWord.set(spelling, id);
    const hash = this.misspelt.insert(spelling, id);
    const bit = spread(hash) & filterMask;
    this.filter[bit >>> 5]! |= 1 << (bit & 31);
    return true;
  }

  has(word: string): boolean {
    return this.byWord.has(word);
  }

  /** The id of the folded units[start, end) whose `hashOf` is `hash`, or 0. */
  find(hash: number, text: Uint16Array, start: number, end: number): number {
    const place = spread(hash);
    const id = this.exact.find(place, hash, text, start, end);
    if (id !== 0) return id;
    const bit = place & filterMask;
    if ((this.filter[bit >>> 5]! & (1 << (bit & 31))) === 0) return 0;
    return this.misspelt.find(place, hash, text, start, end);
  }
}

const filterBits = 21; // 256 kB
const filterMask = (1 << filterBits) - 1;

/** Spellings and the words they mean, in open addressing. */
class SpellingTable {
  private slots = new Int32Array(1024).fill(-1);
  /** By entry. */
  private hashes = new Int32Array(512);
  private ids = new Int32Array(512);
  /** Where the entry's units begin in `units`; the next entry's beginning is its end. */
  private begins = new Int32Array(513);
  private units = new Uint16Array(4096);
  private size = 0;

  /** @returns the spelling's hash */
  insert(spelling: string, id: number): number {
    const hash = hashOf(spelling);
    const entry = this.size++;
    if (entry === this.hashes.length) {
      this.hashes = widened(this.hashes, entry * 2);
      this.ids = widened(this.ids, entry * 2);
      this.begins = widened(this.begins, entry * 2 + 1);
    }
    const begin = this.begins[entry]!;
    if (begin + spelling.length > this.units.length) {
      const wider = new Uint16Array((begin + spelling.length) * 2);
      wider.set(this.units);
      this.units = wider;
    }
    for (let i = 0; i < spelling.length; i++) this.units[begin + i] = spelling.charCodeAt(i);
    this.begins[entry + 1] = begin + spelling.length;
    this.hashes[entry] = hash;
    this.ids[entry] = id;
    if (this.size * 3 > this.slots.length) {
      this.slots = new Int32Array(this.slots.length * 4).fill(-1);
      for (let i = 0; i <= entry; i++) this.place(i);
    } else {
      this.place(entry);
    }
    return hash;
  }

  /** The id of the spelling, or 0. `place` is `spread(hash)`. */
  find(place: number, hash: number, text: Uint16Array, start: number, end: number): number {
    const { slots, hashes, begins, units } = this;
    const mask = slots.length - 1;
    for (let slot = place & mask; ; slot = (slot + 1) & mask) {
      const entry = slots[slot]!;
      if (entry < 0) return 0;
      if (hashes[entry] !== hash) continue;
      const begin = begins[entry]!;
      const length = begins[entry + 1]! - begin;
      if (length !== end - start) continue;
      let i = 0;
      while (i < length && units[begin + i] === folded[text[start + i]!]) i++;
      if (i === length) return this.ids[entry]!;
    }
  }

  private place(entry: number): void {
    const mask = this.slots.length - 1;
    let slot = spread(this.hashes[entry]!) & mask;
    while (this.slots[slot]! >= 0) slot = (slot + 1) & mask;
    this.slots[slot] = entry;
  }
}

function widened(from: Int32Array<ArrayBuffer>, length: number): Int32Array<ArrayBuffer> {
  const to = new Int32Array(length);
  to.set(from);
  return to;
}

/** One UTF-16 unit as rules see it: lower case (ASCII, Latin-1), and the typographic apostrophe as the plain one. */
export function fold(code: number): number {
  if (code >= 65 && code <= 90) return code + 32;
  if (code >= 0xc0 && code <= 0xde && code !== 0xd7) return code + 32;
  return code === 0x2019 ? 39 : code;
}

/** `fold` of every unit. */
export const folded = new Uint16Array(65_536);
for (let code = 0; code < folded.length; code++) folded[code] = fold(code);

/** The hash that the tokenizer computes as it reads: `hash = (imul(hash, 31) + folded unit) | 0` from 0. */
function hashOf(word: string): number {
  let hash = 0;
  for (let i = 0; i < word.length; i++) hash = (Math.imul(hash, 31) + word.charCodeAt(i)) | 0;
  return hash;
}

function spread(hash: number): number {
  const h = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return h ^ (h >>> 13);
}

/**
 * Many strings on two shared buffers: UTF-8 bytes, and where each string ends. A million file names cost their bytes
 * plus 4 each, and a worker thread reads them without a copy.
 */
export interface StringTable {
  readonly length: number;
  readonly bytes: Uint8Array<SharedArrayBuffer>;
  /** `ends[i]` is one past string i's last byte. */
  readonly ends: Uint32Array<SharedArrayBuffer>;
}

/** String i of the table. */
export function stringAt(table: Pick<StringTable, 'bytes' | 'ends'>, i: number): string {
  const start = i === 0 ? 0 : table.ends[i - 1];
  return Buffer.from(table.bytes.buffer, start, table.ends[i] - start).toString('utf8');
}

/** Collects strings into a `StringTable`; its memory at least doubles when full. At most 4 GiB of text. */
export class StringTableBuilder implements StringTable {
  length = 0;
  bytes = sharedBytes(1 << 12);
  ends = new Uint32Array(new SharedArrayBuffer(1 << 10));
  private used = 0;

  /** Appends the string that the UTF-8 bytes from `start` to `end` spell. */
  add(bytes: Uint8Array, start: number, end: number): void {
    const used = this.used + end - start;
    if (used > this.bytes.length) {
      const grown = sharedBytes(Math.max(used, this.bytes.length * 2));
      grown.set(this.bytes.subarray(0, this.used));
      this.bytes = grown;
    }
    if (this.length === this.ends.length) {
      const grown = new Uint32Array(new SharedArrayBuffer(this.ends.length * 8));
      grown.set(this.ends);
      this.ends = grown;
    }
    // The strings are short: a loop is faster than a view and its copy.
    const target = this.bytes;
    for (let from = start, to = this.used; from < end; from++, to++) target[to] = bytes[from];
    this.used = used;
    this.ends[this.length++] = used;
  }

  addText(text: string): void {
    const bytes = Buffer.from(text);
    this.add(bytes, 0, bytes.length);
  }

  /** Memory that was reserved and not used stays untouched, and so costs nothing. */
  build(): StringTable {
    const { length, bytes, ends } = this;
    return { length, bytes: bytes.subarray(0, this.used), ends: ends.subarray(0, length) };
  }
}

/**
 * Different strings, numbered from 0 in the order in which they come: a hash table (open addressing, linear probing,
 * at most half full) over the bytes of a string table, without an object per string.
 */
export class StringIndex {
  private readonly table = new StringTableBuilder();
  /** Slot s is two integers side by side: the hash of its string, and the string's number or `FREE`. */
  private slots = new Int32Array(2 * 512).fill(FREE);

  get length(): number {
    return this.table.length;
  }

  /** The number of the string that the UTF-8 bytes from `start` to `end` spell; `length` grows where it is new. */
  add(bytes: Uint8Array, start: number, end: number): number {
    const number = this.table.length;
    if (4 * number === this.slots.length) this.grow();
    const hash = hashOf(bytes, start, end);
    const slot = this.slotOf(hash, bytes, start, end);
    const known = this.slots[slot + 1];
    if (known !== FREE) return known;
    this.slots[slot] = hash;
    this.slots[slot + 1] = number;
    this.table.add(bytes, start, end);
    return number;
  }

  addText(text: string): number {
    const bytes = Buffer.from(text);
    return this.add(bytes, 0, bytes.length);
  }

  /** The number of a string, -1 where it is not among those added. */
  find(bytes: Uint8Array, start: number, end: number): number {
    return this.slots[this.slotOf(hashOf(bytes, start, end), bytes, start, end) + 1];
  }

  text(number: number): string {
    return stringAt(this.table, number);
  }

  texts(): string[] {
    return Array.from({ length: this.length }, (_, i) => this.text(i));
  }

  build(): StringTable {
    return this.table.build();
  }

  /** Where the slot that holds the string begins, or the free one where it belongs. */
  private slotOf(hash: number, bytes: Uint8Array, start: number, end: number): number {
    const { slots } = this;
    const mask = slots.length - 2;
    for (let slot = (2 * hash) & mask; ; slot = (slot + 2) & mask) {
      const number = slots[slot + 1];
      if (number === FREE || (slots[slot] === hash && this.equals(number, bytes, start, end))) return slot;
    }
  }

  private equals(number: number, bytes: Uint8Array, start: number, end: number): boolean {
    const { bytes: mine, ends } = this.table;
    const from = number === 0 ? 0 : ends[number - 1];
    if (ends[number] - from !== end - start) return false;
    for (let i = start, j = from; i < end; i++, j++) if (bytes[i] !== mine[j]) return false;
    return true;
  }

  /** Twice the slots. Stored hashes do for that, without the bytes. */
  private grow(): void {
    const before = this.slots;
    const slots = new Int32Array(before.length * 2).fill(FREE);
    const mask = slots.length - 2;
    for (let from = 0; from < before.length; from += 2) {
      if (before[from + 1] === FREE) continue;
      let slot = (2 * before[from]) & mask;
      while (slots[slot + 1] !== FREE) slot = (slot + 2) & mask;
      slots[slot] = before[from];
      slots[slot + 1] = before[from + 1];
    }
    this.slots = slots;
  }
}

export function stringTable(strings: Iterable<string>): StringTable {
  const builder = new StringTableBuilder();
  for (const text of strings) builder.addText(text);
  return builder.build();
}

const FREE = -1;

/** MurmurHash3_x86_32 (A. Appleby) with seed 0: four bytes a step. */
function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0;
  let at = start;
  for (; at + 4 <= end; at += 4) {
    const block = bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
    hash ^= scramble(block);
    hash = (Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64) | 0;
  }
  let tail = 0;
  for (let shift = 0; at < end; at++, shift += 8) tail |= bytes[at] << shift;
  hash ^= scramble(tail) ^ (end - start);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

function scramble(block: number): number {
  const mixed = Math.imul(block, 0xcc9e2d51);
  return Math.imul((mixed << 15) | (mixed >>> 17), 0x1b873593);
}

function sharedBytes(length: number): Uint8Array<SharedArrayBuffer> {
  return new Uint8Array(new SharedArrayBuffer(length));
}

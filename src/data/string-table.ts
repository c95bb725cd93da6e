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
export function stringAt(table: StringTable, i: number): string {
  const start = i === 0 ? 0 : table.ends[i - 1];
  return Buffer.from(table.bytes.buffer, start, table.ends[i] - start).toString('utf8');
}

/** Collects strings into a `StringTable`; its memory at least doubles when full. At most 4 GiB of text. */
export class StringTableBuilder {
  length = 0;
  private bytes = Buffer.allocUnsafe(1 << 12);
  private used = 0;
  private ends = new Uint32Array(256);

  add(text: string): void {
    const most = this.used + text.length * 3;
    if (most > this.bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(most, this.bytes.length * 2));
      this.bytes.copy(grown, 0, 0, this.used);
      this.bytes = grown;
    }
    if (this.length === this.ends.length) {
      const grown = new Uint32Array(this.ends.length * 2);
      grown.set(this.ends);
      this.ends = grown;
    }
    this.used += this.bytes.write(text, this.used, 'utf8');
    this.ends[this.length++] = this.used;
  }

  build(): StringTable {
    const bytes = new Uint8Array(new SharedArrayBuffer(this.used));
    bytes.set(this.bytes.subarray(0, this.used));
    const ends = new Uint32Array(new SharedArrayBuffer(this.length * 4));
    ends.set(this.ends.subarray(0, this.length));
    return { length: this.length, bytes, ends };
  }
}

export function stringTable(strings: Iterable<string>): StringTable {
  const builder = new StringTableBuilder();
  for (const text of strings) builder.add(text);
  return builder.build();
}

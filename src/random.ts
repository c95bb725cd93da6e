/**
 * Seeded pseudo-random numbers for everything outside the engine: sampling, augmentation, phantoms, bootstrap.
 *
 * A stream is named by a list of integers, for example `(seed, epoch, index)`. Equal names give equal numbers on
 * every machine and with any number of workers; different names give streams that are independent for practical
 * purposes. The generator is xoshiro128** (Blackman and Vigna, 2018); the name is mixed into its state with the
 * MurmurHash3 finalizer.
 */
export class Random {
  private a: number;
  private b: number;
  private c: number;
  private d: number;
  private spare: number | undefined;

  constructor(...name: readonly number[]) {
    let h = 0x9e3779b9;
    for (const part of name) {
      // Both halves, so that seeds above 2^32 stay distinct.
      h = mix(h ^ (part >>> 0));
      h = mix((h + 0x6d2b79f5) ^ (Math.floor(part / 0x1_0000_0000) >>> 0));
    }
    this.a = h = mix(h + 0x9e3779b9);
    this.b = h = mix(h + 0x9e3779b9);
    this.c = h = mix(h + 0x9e3779b9);
    this.d = mix(h + 0x9e3779b9) | 1; // The all-zero state is the one that never leaves itself.
  }

  /** A uniform integer in [0, 2^32). */
  uint32(): number {
    const result = Math.imul(rotl(Math.imul(this.b, 5), 7), 9) >>> 0;
    const t = this.b << 9;
    this.c ^= this.a;
    this.d ^= this.b;
    this.b ^= this.c;
    this.a ^= this.d;
    this.c ^= t;
    this.d = rotl(this.d, 11);
    return result;
  }

  /** A uniform number in [0, 1) with 53 random bits. */
  uniform(): number {
    return ((this.uint32() >>> 5) * 67108864 + (this.uint32() >>> 6)) / 9007199254740992;
  }

  /** A uniform integer in [0, n), without modulo bias. `n` in [1, 2^32]. */
  below(n: number): number {
    const limit = 4294967296 - (4294967296 % n);
    let x = this.uint32();
    while (x >= limit) x = this.uint32();
    return x % n;
  }

  /** A standard normal number (Marsaglia's polar method). */
  normal(): number {
    if (this.spare !== undefined) {
      const value = this.spare;
      this.spare = undefined;
      return value;
    }
    for (;;) {
      const x = 2 * this.uniform() - 1;
      const y = 2 * this.uniform() - 1;
      const s = x * x + y * y;
      if (s > 0 && s < 1) {
        const factor = Math.sqrt((-2 * Math.log(s)) / s);
        this.spare = y * factor;
        return x * factor;
      }
    }
  }

  /** Fisher–Yates, in place. */
  shuffle<T extends { length: number; [index: number]: unknown }>(items: T): T {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      const item = items[i];
      items[i] = items[j];
      items[j] = item;
    }
    return items;
  }
}

function rotl(x: number, k: number): number {
  return (x << k) | (x >>> (32 - k));
}

function mix(h: number): number {
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

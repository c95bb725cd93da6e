import type { Floats } from '../metrics/index.ts';

/**
 * The classes of one row from the likeliest down, the lower class first where two are equal: a binary heap, so that K
 * classes cost O(K) and each class that is taken O(log K).
 */
export class Ranking {
  private readonly heap: Int32Array;
  private readonly keys: Float64Array;
  private size = 0;

  constructor(classes: number) {
    this.heap = new Int32Array(classes);
    this.keys = new Float64Array(classes);
  }

  /** Starts with the row at `at`. */
  start(probabilities: Floats, at: number): void {
    const { heap, keys } = this;
    this.size = heap.length;
    for (let k = 0; k < heap.length; k++) {
      heap[k] = k;
      keys[k] = probabilities[at + k]!;
    }
    for (let i = (heap.length >>> 1) - 1; i >= 0; i--) this.sink(i);
  }

  /** The next class, or −1 after the last. */
  next(): number {
    if (this.size === 0) return -1;
    const { heap } = this;
    const top = heap[0]!;
    heap[0] = heap[--this.size]!;
    this.sink(0);
    return top;
  }

  private sink(from: number): void {
    const { heap, size } = this;
    if (from >= size) return;
    const moving = heap[from]!;
    let i = from;
    for (let child = 2 * i + 1; child < size; child = 2 * i + 1) {
      if (child + 1 < size && this.before(heap[child + 1]!, heap[child]!)) child++;
      if (!this.before(heap[child]!, moving)) break;
      heap[i] = heap[child]!;
      i = child;
    }
    heap[i] = moving;
  }

  private before(a: number, b: number): boolean {
    const { keys } = this;
    return keys[a]! > keys[b]! || (keys[a] === keys[b] && a < b);
  }
}

/**
 * The classes of one row in the order in which an interval grows from the likeliest: each time the likelier of its two
 * neighbours joins, of equal ones the lower class.
 */
export class Contiguous {
  private readonly classes: number;
  private probabilities: Floats = new Float32Array(0);
  private at = 0;
  /** The interval so far is (low, high), both ends excluded. */
  private low = 0;
  private high = 0;

  constructor(classes: number) {
    this.classes = classes;
  }

  start(probabilities: Floats, at: number): void {
    let best = 0;
    for (let k = 1; k < this.classes; k++) if (probabilities[at + k]! > probabilities[at + best]!) best = k;
    this.probabilities = probabilities;
    this.at = at;
    this.low = best;
    this.high = best;
  }

  next(): number {
    const { probabilities, at, low, high, classes } = this;
    if (low === high) {
      this.low--;
      return this.high++;
    }
    if (low < 0 && high >= classes) return -1;
    const up = low < 0 || (high < classes && probabilities[at + high]! > probabilities[at + low]!);
    return up ? this.high++ : this.low--;
  }
}

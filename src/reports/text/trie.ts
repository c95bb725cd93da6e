/**
 * All phrases of a lexicon as one automaton over word ids. A phrase of kind `slot` leaves a value at its last node;
 * matching walks the edges from a token and remembers the last value of each slot (the longest phrase).
 *
 * A lexicon makes some 50,000 nodes, more than a processor's cache holds, and a report takes some 35 steps, most of which
 * lead nowhere. So nodes are numbered level by level and the children of one stand together, sorted by word: a step
 * reads one record, in which a few bits tell of most words that no child has them, and otherwise searches neighbours.
 */
export class Trie {
  private readonly first: Int32Array;
  /** By node: where its children begin (the next node's beginning is their end), `bitOf` their words, its values. */
  private readonly records: Int32Array;
  private readonly stride: number;
  /** By node: the word that leads to it. */
  private readonly words: Int32Array;

  /** For {@link TrieBuilder}. */
  constructor(first: Int32Array, records: Int32Array, words: Int32Array, slots: number) {
    this.first = first;
    this.records = records;
    this.words = words;
    this.stride = firstValue + slots;
  }

  /** The node after `word` from the root, or 0. */
  start(word: number): number {
    return word < this.first.length ? this.first[word]! : 0;
  }

  /** The node after `word` from `node`, or 0. */
  step(node: number, word: number): number {
    const { records, words, stride } = this;
    const at = node * stride;
    if ((records[at + 1]! & bitOf(word)) === 0) return 0;
    let low = records[at]!;
    const end = records[at + stride]!;
    let high = end;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (words[middle]! < word) low = middle + 1;
      else high = middle;
    }
    return low < end && words[low] === word ? low : 0;
  }

  /** The value of `slot` at `node`, or -1. */
  value(node: number, slot: number): number {
    return this.records[node * this.stride + firstValue + slot]!;
  }
}

const firstValue = 2;

function bitOf(word: number): number {
  return 1 << (word & 31);
}

/** Gathers phrases for a {@link Trie}. */
export class TrieBuilder {
  private readonly slots: number;
  private readonly root: Node = newNode(0, 0);
  private nodes = 1;

  constructor(slots: number) {
    this.slots = slots;
  }

  /**
   * Adds a phrase (word ids, at least one) with `value` in `slot`.
   * @returns the value that was already there, or -1.
   */
  add(words: readonly number[], slot: number, value: number): number {
    let node = this.root;
    for (const word of words) {
      node.children ??= new Map();
      let child = node.children.get(word);
      if (child === undefined) {
        child = newNode(word, this.slots);
        node.children.set(word, child);
        this.nodes++;
      }
      node = child;
    }
    const before = node.values[slot]!;
    if (before < 0) node.values[slot] = value;
    return before;
  }

  build(): Trie {
    const { slots, nodes } = this;
    const stride = firstValue + slots;
    const records = new Int32Array((nodes + 1) * stride);
    const words = new Int32Array(nodes);
    const queue: Node[] = [this.root];
    for (let n = 0; n < queue.length; n++) {
      const node = queue[n]!;
      words[n] = node.word;
      records[n * stride] = queue.length;
      records.set(node.values, n * stride + firstValue);
      if (node.children === undefined) continue;
      for (const child of [...node.children.values()].sort((a, b) => a.word - b.word)) {
        records[n * stride + 1]! |= bitOf(child.word);
        queue.push(child);
      }
    }
    records[nodes * stride] = queue.length;
    const begins = this.root.children?.size ?? 0;
    const first = new Int32Array(begins === 0 ? 0 : words[begins]! + 1);
    for (let n = 1; n <= begins; n++) first[words[n]!] = n;
    return new Trie(first, records, words, slots);
  }
}

interface Node {
  readonly word: number;
  children: Map<number, Node> | undefined;
  /** By slot; -1 for none. */
  readonly values: number[];
}

function newNode(word: number, slots: number): Node {
  return { word, children: undefined, values: new Array<number>(slots).fill(-1) };
}

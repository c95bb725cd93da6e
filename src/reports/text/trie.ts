/**
 * All phrases of a lexicon as one automaton over word ids. A phrase of kind `slot` leaves a value at its last node;
 * matching walks the edges from a token and remembers the last value of each slot (the longest phrase).
 */
export class Trie {
  private first = new Int32Array(256);
  private edgeNode = new Int32Array(1024).fill(-1);
  private edgeWord = new Int32Array(1024);
  private edgeChild = new Int32Array(1024);
  private edges = 0;
  private nodes = 1;
  private readonly values: Int32Array[];

  constructor(slots: number) {
    this.values = Array.from({ length: slots }, () => new Int32Array(256).fill(-1));
  }

  /**
   * Adds a phrase (word ids, at least one) with `value` in `slot`.
   * @returns the value that was already there, or -1.
   */
  add(words: readonly number[], slot: number, value: number): number {
    let node = this.rootChild(words[0]!, true);
    for (let i = 1; i < words.length; i++) node = this.child(node, words[i]!, true);
    const values = this.values[slot]!;
    const before = values[node]!;
    if (before < 0) values[node] = value;
    return before;
  }

  /** The node after `word` from the root, or 0. */
  start(word: number): number {
    return word < this.first.length ? this.first[word]! : 0;
  }

  /** The node after `word` from `node`, or 0. */
  step(node: number, word: number): number {
    const mask = this.edgeNode.length - 1;
    for (let slot = edgeHash(node, word) & mask; ; slot = (slot + 1) & mask) {
      const found = this.edgeNode[slot]!;
      if (found < 0) return 0;
      if (found === node && this.edgeWord[slot] === word) return this.edgeChild[slot]!;
    }
  }

  /** The value of `slot` at `node`, or -1. */
  value(node: number, slot: number): number {
    return this.values[slot]![node]!;
  }

  private rootChild(word: number, create: boolean): number {
    if (word >= this.first.length) {
      const wider = new Int32Array(Math.max(word + 1, this.first.length * 2));
      wider.set(this.first);
      this.first = wider;
    }
    if (this.first[word] === 0 && create) this.first[word] = this.newNode();
    return this.first[word]!;
  }

  private child(node: number, word: number, create: boolean): number {
    const found = this.step(node, word);
    if (found !== 0 || !create) return found;
    if (++this.edges * 3 > this.edgeNode.length) this.growEdges();
    const child = this.newNode();
    this.placeEdge(node, word, child);
    return child;
  }

  private newNode(): number {
    const node = this.nodes++;
    for (let s = 0; s < this.values.length; s++) {
      const values = this.values[s]!;
      if (node < values.length) continue;
      const wider = new Int32Array(values.length * 2).fill(-1);
      wider.set(values);
      this.values[s] = wider;
    }
    return node;
  }

  private placeEdge(node: number, word: number, child: number): void {
    const mask = this.edgeNode.length - 1;
    let slot = edgeHash(node, word) & mask;
    while (this.edgeNode[slot]! >= 0) slot = (slot + 1) & mask;
    this.edgeNode[slot] = node;
    this.edgeWord[slot] = word;
    this.edgeChild[slot] = child;
  }

  private growEdges(): void {
    const { edgeNode, edgeWord, edgeChild } = this;
    const size = edgeNode.length * 2;
    this.edgeNode = new Int32Array(size).fill(-1);
    this.edgeWord = new Int32Array(size);
    this.edgeChild = new Int32Array(size);
    for (let i = 0; i < edgeNode.length; i++) {
      if (edgeNode[i]! >= 0) this.placeEdge(edgeNode[i]!, edgeWord[i]!, edgeChild[i]!);
    }
  }
}

function edgeHash(node: number, word: number): number {
  const h = Math.imul(node, 0x9e3779b1) ^ Math.imul(word, 0x85ebca6b);
  return h ^ (h >>> 15);
}

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TrieBuilder } from './trie.ts';

test('phrases are found, and nothing else, whatever the words', () => {
  const phrase = fc.array(fc.integer({ min: 1, max: 70 }), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(fc.array(fc.tuple(phrase, fc.integer({ min: 0, max: 2 })), { maxLength: 60 }), (phrases) => {
      const builder = new TrieBuilder(3);
      const known = new Map<string, number>();
      const prefixes = new Set<string>();
      phrases.forEach(([words, slot], value) => {
        const key = `${words}/${slot}`;
        expect(builder.add(words, slot, value)).toBe(known.get(key) ?? -1);
        if (!known.has(key)) known.set(key, value);
        for (let i = 1; i <= words.length; i++) prefixes.add(words.slice(0, i).join());
      });
      const trie = builder.build();
      const walk = (words: readonly number[], node: number): void => {
        expect(node !== 0).toBe(prefixes.has(words.join()));
        if (node === 0) return;
        for (const slot of [0, 1, 2])
          expect(trie.value(node, slot)).toBe(known.get(`${words}/${slot}`) ?? -1);
        for (let word = 1; word <= 80; word++) walk([...words, word], trie.step(node, word));
      };
      for (let word = 1; word <= 80; word++) walk([word], trie.start(word));
    }),
    { numRuns: 60 },
  );
});

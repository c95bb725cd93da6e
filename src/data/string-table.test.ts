import fc from 'fast-check';
import { expect, test } from 'vitest';
import { StringIndex, stringAt, stringTable } from './string-table.ts';

const texts = fc.array(fc.string({ unit: 'grapheme', maxLength: 12 }), { maxLength: 400 });

test('a table gives back its strings', () => {
  fc.assert(
    fc.property(texts, (all) => {
      const table = stringTable(all);
      expect(table.length).toBe(all.length);
      expect(all.map((_, i) => stringAt(table, i))).toEqual(all);
      expect(table.bytes.length).toBe(Buffer.byteLength(all.join('')));
    }),
  );
});

test('an index numbers strings as a Map does, and finds no others', () => {
  fc.assert(
    fc.property(texts, texts, (all, others) => {
      const index = new StringIndex();
      const numbers = new Map<string, number>();
      for (const text of all) {
        if (!numbers.has(text)) numbers.set(text, numbers.size);
        const padded = Buffer.from(`»${text}«`);
        expect(index.add(padded, 2, padded.length - 2)).toBe(numbers.get(text));
      }
      expect(index.texts()).toEqual([...numbers.keys()]);
      for (const text of [...all, ...others]) {
        const bytes = Buffer.from(text);
        expect(index.find(bytes, 0, bytes.length)).toBe(numbers.get(text) ?? -1);
      }
    }),
  );
});

test('an index grows to a hundred thousand names that differ in a few digits', () => {
  const index = new StringIndex();
  const name = (i: number) => `images/abd/${String(i).padStart(6, '0')}.png`;
  for (let i = 0; i < 100_000; i++) index.addText(name(i));
  expect(index.length).toBe(100_000);
  expect(index.addText(name(77_777))).toBe(77_777);
  expect(index.text(99_999)).toBe(name(99_999));
});

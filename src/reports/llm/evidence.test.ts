import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Report } from '../types.ts';
import { blankInvisible, defuse, lookAlikes } from './defuse.ts';
import { QuoteFinder } from './evidence.ts';

const finder = new QuoteFinder();
const find = (text: string, quote: string) => finder.open({ id: '', text }).find(quote);

describe('QuoteFinder', () => {
  test('finds words exactly, and across folded white space, case, quotes and dashes', () => {
    const text = 'FINDINGS: There is a\n   small “left‑sided” Effusion. No other.';
    for (const quote of [
      'a\n   small “left‑sided” Effusion',
      'a small "left-sided" effusion',
      '  A  SMALL\t"left-sided" effusion ',
    ]) {
      const evidence = find(text, quote)!;
      expect(text.slice(evidence.start, evidence.end)).toBe(evidence.phrase);
      expect(evidence).toMatchObject({ phrase: 'a\n   small “left‑sided” Effusion', section: 'findings' });
      expect(evidence.sentence).toBe('There is a\n   small “left‑sided” Effusion.');
    }
  });

  test.each([
    ['words that are not there', 'no pneumothorax'],
    ['words in another order', 'effusion small'],
    ['a part of a word', 'ffusion'],
    ['the beginning of a word', 'small eff'],
    ['too little', 'is'],
    ['nothing', ''],
    ['marks', ' . '],
    ['words with others left out', 'There is effusion'],
  ])('does not find %s', (_, quote) => {
    expect(find('There is a small effusion.', quote)).toBeUndefined();
  });

  test('a place that asserts goes before the history, the impression before all', () => {
    const text =
      'HISTORY: possible pneumonia.\n\nFINDINGS: possible pneumonia.\n\nIMPRESSION: possible pneumonia.';
    expect(find(text, 'possible pneumonia')).toMatchObject({
      section: 'impression',
      start: text.lastIndexOf('possible'),
    });
    expect(find(text.slice(0, 60), 'possible pneumonia')).toMatchObject({ section: 'findings' });
    expect(find(text.slice(0, 28), 'possible pneumonia')).toMatchObject({ section: 'history', start: 9 });
  });

  test('offsets are into the field where a report came in fields', () => {
    const report: Report = {
      id: '',
      sections: [
        { section: 'history', text: 'Cough.' },
        { section: 'findings', text: 'Lungs: clear. No effusion.' },
        { section: 'impression', text: '' },
      ],
    };
    const evidence = finder.open(report).find('No effusion')!;
    expect(evidence).toMatchObject({ section: 'findings', start: 14, end: 25, sentence: 'No effusion.' });
  });

  test('a quotation over two sentences has both', () => {
    expect(find('Clear lungs. No effusion. Normal heart.', 'lungs. No effusion')!.sentence).toBe(
      'Clear lungs. No effusion.',
    );
  });

  test('property: every quotation of whole words is found where its words stand, also as a defused text shows it', () => {
    const word = fc.constantFrom(
      'heart',
      'Lungs',
      'effusion',
      'İstanbul',
      'Größe',
      '<b>',
      '[x]',
      '5',
      '“no”',
      'a\u200bb',
      '```',
      '|>',
    );
    const gap = fc.constantFrom(' ', '\n', '  ', '\t', '\u00a0', '. ', ', ');
    fc.assert(
      fc.property(
        fc.array(fc.tuple(word, gap), { minLength: 2, maxLength: 30 }),
        fc.nat(),
        fc.nat(),
        fc.boolean(),
        (parts, a, b, defused) => {
          const text = parts.map(([w, g]) => w + g).join('');
          const from = a % parts.length;
          const to = from + 1 + (b % (parts.length - from));
          const start = parts.slice(0, from).reduce((n, [w, g]) => n + w.length + g.length, 0);
          const quote = parts
            .slice(from, to)
            .map(([w, g]) => w + g)
            .join('');
          const shown = defused ? defuse(text).slice(start, start + quote.length) : quote;
          const evidence = find(text, shown);
          if (!/[\p{L}]{3}/u.test(quote)) return;
          expect(evidence).toBeDefined();
          expect(text.slice(evidence!.start, evidence!.end)).toBe(evidence!.phrase);
          expect(evidence!.phrase.replace(/[\s\u200b]+/g, ' ').toLowerCase()).toBe(
            quote
              .replace(/[\s\u200b]+/g, ' ')
              .trim()
              .toLowerCase(),
          );
        },
      ),
    );
  });
});

describe('defuse', () => {
  test('keeps the length of every text, and undoing the look-alikes gives it back', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const safe = defuse(text);
        expect(safe.length).toBe(text.length);
        if (/[‹⟦¦ˋ]/.test(text)) return;
        expect([...safe].map((unit) => lookAlikes[unit] ?? unit).join('')).toBe(blankInvisible(text));
      }),
    );
  });

  test('leaves what reports hold', () => {
    const text =
      'Nodule <5 mm, PEEP > 5, [R] side, 3 | 4, O2 sat. < 90 %, naïve “quote” – dash ___\r\n\tnext';
    expect(defuse(text).replace('⟦', '[')).toBe(text);
  });
});

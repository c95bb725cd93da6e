import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { Random } from '../random.ts';
import { specialTokens, Tokenizer, trainTokenizer, UNKNOWN } from './tokenizer.ts';
import { splitWords, Words } from './words.ts';

const fixtures = fileURLToPath(new URL('../../test/fixtures/rates/', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'rates-tokenizer-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Invented sentences, with the words of reports. */
const corpus = `No pneumothorax. No pleural effusion or pneumothorax. Probable left pleural effusion. Small right effusion.
The heart is enlarged. Mild enlargement of the heart. Consolidation at the left base, likely pneumonia. Possible consolidation.
Consolidating pneumonia is probable. There is no evidence of pneumonia. 3.5 cm nodule, 12 mm nodule. Kein Erguß; Herz normal größe.
Pneumothorax is not excluded. Effusions are unchanged. Hydropneumothorax? Left-sided consolidations; bibasilar atelectasis.`;

function wordsOf(text: string): string[] {
  const words = new Words();
  splitWords(text, 0, text.length, words);
  return words.text.slice(0, words.count);
}

function countsOf(text: string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const word of wordsOf(text)) counts.set(word, (counts.get(word) ?? 0) + 1);
  return counts;
}

const tokenizer = trainTokenizer(countsOf(corpus), { size: 160 });
const encode = (text: string, by = tokenizer) => wordsOf(text).flatMap((word) => by.encode(word));
const pieces = (word: string, by = tokenizer) => by.encode(word).map((id) => by.pieces[id]!);

describe('words', () => {
  test('are runs of letters, runs of digits, and every other sign by itself, in lower case', () => {
    expect(wordsOf('Left-sided 3.5 cm; NOT "free"')).toEqual([
      'left',
      '-',
      'sided',
      '3',
      '.',
      '5',
      'cm',
      ';',
      'not',
      '"',
      'free',
      '"',
    ]);
  });

  test('stand where their offsets say, whatever the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
        const words = new Words();
        splitWords(text, 0, text.length, words);
        const stray = Array.from({ length: words.count }, (_, i) => i).filter((i) => {
          const [start, end] = [words.start[i]!, words.end[i]!];
          const inOrder = i === 0 || start >= words.end[i - 1]! || start === words.start[i - 1]!;
          return (
            !inOrder || end > text.length || !text.slice(start, end).toLowerCase().includes(words.text[i]!)
          );
        });
        expect(stray).toEqual([]);
      }),
      { numRuns: 40 },
    );
  });

  test('between two offsets are cut there', () => {
    const words = new Words();
    splitWords('pleural effusion', 3, 10, words);
    expect([words.text.slice(0, words.count), words.start.slice(0, 2), words.end.slice(0, 2)]).toEqual([
      ['ural', 'ef'],
      [3, 8],
      [7, 10],
    ]);
  });
});

describe('the tokenizer', () => {
  test('keeps frequent words whole, and lets unknown ones fall into pieces that it knows', () => {
    expect(pieces('consolidation')).toEqual(['consolidation']);
    expect(pieces('pneumothorax')).toEqual(['pneumothorax']);
    const unknown = pieces('reconsolidations');
    expect(unknown.length).toBeGreaterThan(1);
    expect(unknown.map((piece) => piece.replace('##', '')).join('')).toBe('reconsolidations');
    expect(unknown).not.toContain('[UNK]');
  });

  test('puts words back together whatever the pieces, and knows only characters of its corpus', () => {
    const characters = [...new Set(corpus.toLowerCase().match(/\p{L}/gu))];
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...characters), { minLength: 1, maxLength: 30 }),
        fc.integer(),
        (letters, seed) => {
          const word = letters.join('');
          const random = new Random(seed);
          for (const ids of [tokenizer.encode(word), tokenizer.encodeWithDropout(word, 0.5, random)]) {
            if (ids.includes(UNKNOWN)) continue; // A letter that never began a word, or never went on with one.
            expect(ids.map((id) => tokenizer.pieces[id]!.replace(/^##/, '')).join('')).toBe(word);
          }
        },
      ),
    );
    expect(tokenizer.encode('𝐀')).toEqual([UNKNOWN]);
  });

  test('with dropout 1 gives characters, with 0 what it gives without', () => {
    const random = new Random(1);
    expect(tokenizer.encodeWithDropout('consolidation', 1, random)).toHaveLength('consolidation'.length);
    expect(tokenizer.encodeWithDropout('consolidation', 0, random)).toEqual(
      tokenizer.encode('consolidation'),
    );
  });

  test('merges the most frequent pair first; ties go to what sorts first, whatever the order of the words', () => {
    const counts: [string, number][] = [
      ['abab', 3],
      ['abc', 4],
      ['bc', 5],
      ['zz', 5],
    ];
    const a = trainTokenizer(new Map(counts), { size: 64 });
    // Pairs: (a ##b) 7, (##a ##b) 3, (##b ##a) 3, (##b ##c) 4, (b ##c) 5, (z ##z) 5.
    const shown = a.merges.map(([left, right]) => `${a.pieces[left]} ${a.pieces[right]}`);
    expect(shown.slice(0, 4)).toEqual(['a ##b', 'b ##c', 'z ##z', 'ab ##c']);
    const b = trainTokenizer(new Map(counts.toReversed()), { size: 64 });
    expect(b.version).toBe(a.version);
  });

  test('is what Hugging Face’s tokenizers make of its file', async () => {
    const path = join(folder, 'tokenizer.json');
    tokenizer.save(path);
    await expect(readFileSync(path, 'utf8')).toMatchFileSnapshot(join(fixtures, 'tokenizer.json'));
    const oracle = JSON.parse(readFileSync(join(fixtures, 'tokenizer-oracle.json'), 'utf8')) as {
      text: string;
      ids: number[];
    }[];
    expect(oracle.length).toBeGreaterThan(5);
    for (const { text, ids } of oracle) expect(encode(text), text).toEqual(ids);
  });

  test('comes back from its file as it was', () => {
    const path = join(folder, 'again.json');
    tokenizer.save(path);
    const again = Tokenizer.load(path);
    expect(again.version).toBe(tokenizer.version);
    expect(encode(corpus, again)).toEqual(encode(corpus));
  });

  test('refuses files that are none, damaged ones, and a corpus without words', () => {
    const path = join(folder, 'bad.json');
    const good = JSON.parse(readFileSync(join(fixtures, 'tokenizer.json'), 'utf8'));
    const bad: unknown[] = [
      {},
      { ...good, model: { ...good.model, type: 'WordPiece' } },
      { ...good, model: { ...good.model, vocab: {} } },
      { ...good, model: { ...good.model, merges: [['x', '##nowhere']] } },
    ];
    for (const content of bad) {
      writeFileSync(path, JSON.stringify(content));
      expect(() => Tokenizer.load(path)).toThrow(expect.objectContaining({ code: 'rates/tokenizer' }));
    }
    writeFileSync(path, '{');
    expect(() => Tokenizer.load(path)).toThrow(expect.objectContaining({ code: 'rates/tokenizer' }));
    expect(existsSync(join(folder, 'nothing.json'))).toBe(false);
    expect(() => Tokenizer.load(join(folder, 'nothing.json'))).toThrow(
      expect.objectContaining({ code: 'rates/tokenizer' }),
    );
    expect(() => trainTokenizer(new Map())).toThrow(expect.objectContaining({ code: 'rates/empty-corpus' }));
  });

  test('takes a long word without taking its square, and keeps room for special tokens', () => {
    const started = performance.now();
    const words = wordsOf('a'.repeat(1_000_000));
    const ids = words.flatMap((word) => tokenizer.encode(word));
    expect(ids.length).toBeGreaterThan(1000);
    expect(performance.now() - started).toBeLessThan(10_000);
    expect(tokenizer.pieces.slice(0, specialTokens.length)).toEqual(specialTokens);
  });
});

test('20,000 reports of 90 words train it in seconds', () => {
  // 9,000 different words, by Zipf's law.
  const random = new Random(5);
  const letters = 'etaoinshrdlucmfwypvbgk';
  const counts = new Map<string, number>();
  for (let i = 0; i < 9000; i++) {
    let word = '';
    for (let n = 3 + random.below(10); n > 0; n--)
      word += letters[Math.floor(letters.length * random.uniform() ** 2)];
    counts.set(word, Math.ceil(1_800_000 / (10 * (i + 1))));
  }
  const started = process.cpuUsage();
  const trained = trainTokenizer(counts, { size: 4096 });
  const { user, system } = process.cpuUsage(started);
  expect(trained.size).toBe(4096);
  expect((user + system) / 1e6).toBeLessThan(10);
});

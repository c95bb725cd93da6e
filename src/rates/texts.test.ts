/** How texts are read and rewritten: sentences, pieces, exchanged findings, carrier sentences. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { Random } from '../random.ts';
import { defaultLexicon, findingSet } from '../reports/index.ts';
import { LONGEST_SENTENCE } from './batch.ts';
import { Corpus, countWords, PlacedReader, piecesOf, type WordSentence } from './corpus.ts';
import { phrasePattern } from './data.ts';
import { FindingWords } from './finding-words.ts';
import { LexiconSentences } from './lexicon-sentences.ts';
import { CarrierWriter, readRankings } from './rankings.ts';
import { HIDDEN, sectionToken, trainTokenizer } from './tokenizer.ts';

const folder = mkdtempSync(join(tmpdir(), 'rates-texts-'));
afterAll(() => rmSync(folder, { recursive: true }));

const set = findingSet();
const { findings } = set;

function reading(text: string) {
  const corpus = new Corpus();
  const sentences = corpus.read({ id: '1', text });
  const tokenizer = trainTokenizer(countWords([sentences], corpus.words), { least: 1 });
  const words = ({ words: numbers }: WordSentence) => Array.from(numbers, (n) => corpus.words[n]).join(' ');
  return { corpus, sentences, tokenizer, words };
}

describe('reports', () => {
  const text =
    'HISTORY: Cough.\nFINDINGS: No pneumothorax. Heart is normal.\nIMPRESSION: Probable pneumonia.';

  test('become sentences behind tokens of their sections; headings are none', () => {
    const { sentences, words, corpus, tokenizer } = reading(text);
    expect(sentences.map((sentence) => [sentence.section, words(sentence)])).toEqual([
      ['history', 'cough .'],
      ['findings', 'no pneumothorax .'],
      ['findings', 'heart is normal .'],
      ['impression', 'probable pneumonia .'],
    ]);
    const { pieces, words: numbers } = piecesOf(sentences, corpus.words, tokenizer);
    expect(numbers).toHaveLength(pieces.flat().length);
    expect(numbers.filter((word) => word >= 0)).toEqual([...new Array(12).keys()]);
    expect(numbers[0]).toBe(-1);
    expect(pieces[1]).toEqual([
      sectionToken('findings'),
      ...['no', 'pneumothorax', '.'].flatMap((word) => tokenizer.encode(word)),
    ]);
  });

  test('are read alike for training and for rows, and every piece knows its place', () => {
    const { sentences, corpus, tokenizer } = reading(text);
    const placed = new PlacedReader(tokenizer).read({ id: '1', text }, 4096);
    expect(placed.pieces).toEqual(piecesOf(sentences, corpus.words, tokenizer).pieces);
    expect(placed.words).toHaveLength(placed.pieces.flat().length);
    const shown = placed.words.map((word) => word && text.slice(word.start, word.end));
    expect(shown.filter((word) => word !== undefined)).toEqual([
      'Cough',
      '.',
      'No',
      'pneumothorax',
      '.',
      'Heart',
      'is',
      'normal',
      '.',
      'Probable',
      'pneumonia',
      '.',
    ]);
    expect(shown[0]).toBeUndefined();
  });

  test('that never end are cut, and what is left out is counted', () => {
    const { tokenizer } = reading(text);
    const long = 'pneumonia '.repeat(3000);
    const placed = new PlacedReader(tokenizer).read({ id: '1', text: long }, 1000);
    expect(Math.max(...placed.pieces.map((sentence) => sentence.length))).toBeLessThanOrEqual(
      LONGEST_SENTENCE,
    );
    // The last sentence may begin at the limit.
    expect(placed.words.length).toBeGreaterThanOrEqual(1000);
    expect(placed.words.length).toBeLessThanOrEqual(1001);
    expect(placed.leftOut + placed.words.filter((word) => word !== undefined).length).toBe(3000);
  });

  test('are rewritten by a stream of numbers: some words hidden, some in pieces, the same again', () => {
    const { sentences, corpus, tokenizer } = reading(text.repeat(20));
    const write = (seed: number, wordDropout: number, pieceDropout: number) =>
      piecesOf(sentences, corpus.words, tokenizer, { wordDropout, pieceDropout, random: new Random(seed) })
        .pieces;
    expect(write(1, 0, 0)).toEqual(piecesOf(sentences, corpus.words, tokenizer).pieces);
    expect(write(1, 0.2, 0.2)).toEqual(write(1, 0.2, 0.2));
    expect(write(1, 0.2, 0.2)).not.toEqual(write(2, 0.2, 0.2));
    const pieces = write(1, 0.2, 0).flatMap((sentence) => Array.from(sentence).slice(1));
    const hidden = pieces.filter((piece) => piece === HIDDEN).length / pieces.length;
    expect(hidden).toBeGreaterThan(0.13);
    expect(hidden).toBeLessThan(0.27);
    expect(write(1, 0, 0.5).flat().length).toBeGreaterThan(write(1, 0, 0).flat().length);
  });
});

describe('exchanged findings', () => {
  const k = (finding: string) => findings.indexOf(finding);

  test('bring the hedge to another finding, in every sentence, and name who gave and who took', () => {
    const { corpus, sentences, words } = reading(
      'FINDINGS: Equivocal for left pneumothorax. IMPRESSION: Equivocal pneumothorax. The heart is enlarged.',
    );
    const swap = new FindingWords(set, findings, corpus);
    const said = new Uint8Array(findings.length);
    said[k('Pneumothorax')] = 1;
    said[k('Cardiomegaly')] = 1;
    for (let seed = 0; seed < 30; seed++) {
      const swapped = swap.exchange(sentences, said, new Random(seed))!;
      // "The heart is enlarged" names no finding that another name could stand for.
      expect(swapped.from).toBe(k('Pneumothorax'));
      expect([k('Pneumothorax'), k('Cardiomegaly'), k('No Finding')]).not.toContain(swapped.to);
      const text = swapped.sentences.map(words).join(' ');
      expect(text).toMatch(
        /^equivocal for left (?!pneumothorax).+ \. equivocal (?!pneumothorax).+ \. the heart is enlarged \.$/,
      );
    }
  });

  test('are found where they are named, the longest name first; what only looks like one is none', () => {
    const { corpus, sentences } = reading(
      'No pericardial effusion. Small pleural effusion and edema. Heart size is normal.',
    );
    const spans = new FindingWords(set, findings, corpus).spans(sentences);
    expect(
      spans.map(({ sentence, start, end, finding, plain }) => [
        sentence,
        start,
        end,
        findings[finding],
        plain,
      ]),
    ).toEqual([
      [1, 1, 3, 'Pleural Effusion', true],
      [1, 4, 5, 'Edema', true],
      [2, 0, 2, 'Cardiomegaly', false],
    ]);
  });

  test('are none where all or nothing is said', () => {
    const { corpus, sentences } = reading('FINDINGS: No pneumothorax.');
    const swap = new FindingWords(set, findings, corpus);
    expect(swap.exchange(sentences, new Uint8Array(findings.length), new Random(0))).toBeUndefined();
    expect(swap.exchange(sentences, new Uint8Array(findings.length).fill(1), new Random(0))).toBeUndefined();
  });
});

describe('rankings', () => {
  const file = (name: string, content: string) => {
    const path = join(folder, name);
    writeFileSync(path, content);
    return path;
  };
  const lexicon = defaultLexicon();

  test('of scores say how often one phrase stands above another, as TrueSkill has it', () => {
    const { phrases, likelier, leftOut } = readRankings(
      file(
        'scores.csv',
        'phrase,mu,sigma\nsuggestive of,39,3\ncannot be excluded,18,4\nversus,15,1\nprobably so,34,0\n',
      ),
      lexicon,
    );
    expect(phrases).toEqual([
      { phrase: 'suggestive of', side: 'before' },
      { phrase: 'cannot be excluded', side: 'behind' },
      { phrase: 'probably so', side: 'either' },
    ]);
    expect(leftOut).toEqual(['versus']);
    // Φ(5/3) = 0.952209…
    expect(likelier[0 * 3 + 2]).toBeCloseTo(0.9522096, 6);
    expect(likelier[2 * 3 + 0]).toBeCloseTo(1 - 0.9522096, 6);
    expect(likelier[0 * 3 + 1]).toBeCloseTo(0.99999, 4);
    expect(likelier[0]).toBeNaN();
  });

  test('of pairs leave alone what nobody compared', () => {
    const { phrases, likelier } = readRankings(
      file('pairs.csv', 'higher,lower\nLikely,possible\npossible,doubtful\n'),
      lexicon,
    );
    expect(phrases.map(({ phrase }) => phrase)).toEqual(['likely', 'possible', 'doubtful']);
    expect([...likelier].map((p) => (Number.isNaN(p) ? '-' : p))).toEqual([
      '-',
      1,
      '-',
      0,
      '-',
      1,
      '-',
      0,
      '-',
    ]);
  });

  test.each([
    ['phrase,mu\nprobable,high\npossible,2\n', 'rates/rankings'],
    ['phrase,mu\nprobable,\npossible,2\n', 'rates/rankings'],
    ['phrase,mu\nprobable,1\n', 'rates/rankings'],
    ['word,mu\nprobable,1\n', 'rates/columns'],
    ['phrase,mu\n', 'rates/table'],
  ])('refuses %j', (content, code) => {
    expect(() => readRankings(file('bad.csv', content), lexicon)).toThrow(expect.objectContaining({ code }));
  });

  test('stand in sentences about one finding, on the side where they belong', () => {
    const rankings = readRankings(
      file('two.csv', 'phrase,mu\nsuggestive of,39\ncannot be excluded,18\n'),
      lexicon,
    );
    const corpus = new Corpus();
    corpus.phrase('a b c');
    const tokenizer = trainTokenizer(
      new Map([...'abcdefghijklmnopqrstuvwxyz.'].map((c) => [`${c}${c}`, 1])),
      { least: 1 },
    );
    const writer = new CarrierWriter(rankings, set, findings, corpus, tokenizer);
    const { reports, phrases, finding } = writer.draw(8, new Random(3));
    expect(reports).toHaveLength(2);
    expect(findings[finding]).not.toBe('No Finding');
    const shown = reports.map(([sentence]) =>
      Array.from(sentence!)
        .slice(1)
        .map((id) => tokenizer.pieces[id]!.replace('##', ''))
        .join(''),
    );
    expect(shown[phrases.indexOf(0)]).toMatch(/^suggestiveof.+/);
    expect(shown[phrases.indexOf(1)]).toMatch(/.+cannotbeexcluded/);
  });
});

test('phrases to hold out are whole words in any case, over any white space', () => {
  const pattern = phrasePattern('Cannot be excluded');
  expect(pattern.test('effusion cannot\n be EXCLUDED.')).toBe(true);
  expect(pattern.test('cannot be excludedness')).toBe(false);
  expect(phrasePattern('a.c').test('abc')).toBe(false);
  expect(() => phrasePattern(' ')).toThrow(expect.objectContaining({ code: 'usage/phrase' }));
});

describe('sentences of the lexicon', () => {
  const make = (heldOut: readonly string[] = []) => {
    const corpus = new Corpus();
    const lexicon = defaultLexicon();
    const sentences = new LexiconSentences(lexicon, set, findings, corpus, heldOut.map(phrasePattern));
    const text = (words: Int32Array) => Array.from(words, (n) => corpus.words[n]).join(' ');
    const draw = (count: number, seed: number) => {
      const random = new Random(seed);
      return Array.from({ length: count }, () => sentences.draw(random)).flatMap((drawn) =>
        drawn === undefined ? [] : [{ text: text(drawn.sentence.words), findings: drawn.findings }],
      );
    };
    return { sentences, draw };
  };

  test('are judged by the rules, many and of many certainties, and the same again', () => {
    const { sentences, draw } = make();
    expect(sentences.size).toBeGreaterThan(200);
    const drawn = draw(400, 1);
    expect(drawn.length).toBeGreaterThan(380);
    expect(new Set(drawn.map(({ text }) => text)).size).toBeGreaterThan(380);
    expect(draw(400, 1)).toEqual(drawn);
    const said = drawn.flatMap(({ findings: of }) => [...of.values()]);
    for (const [from, to] of [
      [0, 0],
      [0.1, 0.3],
      [0.3, 0.5],
      [0.5, 0.75],
      [0.75, 0.9],
      [1, 1],
    ] as const)
      expect(said.filter((p) => p !== null && p >= from && p <= to).length).toBeGreaterThan(10);
    // A sentence says nothing of "No Finding", and devices are seldom doubted.
    const asked = new Set(drawn.flatMap(({ findings: of }) => [...of.keys()]));
    expect(findings.filter((_, k) => !asked.has(k))).toEqual(['No Finding', 'Support Devices']);
  });

  test('that hold a phrase which was held out are not drawn, nor are its words learnt from it', () => {
    const held = ['worrisome for', 'in all likelihood'];
    const holds = ({ text }: { text: string }) => held.some((phrase) => text.includes(phrase));
    const [all, without] = [make(), make(held)];
    expect(all.draw(600, 2).some(holds)).toBe(true);
    expect(without.draw(600, 2).some(holds)).toBe(false);
    const worrisome = ({ sentences }: typeof all) => sentences.words().get('worrisome') ?? 0;
    expect(worrisome(all)).toBeGreaterThan(worrisome(without));
  });
});

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RowLines } from '../io/row-lines.ts';
import { defaultLexicon } from '../lexicon/lexicon.ts';
import { createAssessor } from '../rules/assess.ts';
import { Segmenter, Sentences } from '../text/segment.ts';
import { Tokens, tokenize } from '../text/tokenize.ts';
import { Vocabulary } from '../text/vocabulary.ts';
import { type Report, sectionNames } from '../types.ts';
import { addRows } from './add-rows.ts';
import { rulesExtractor } from './extractor.ts';

const piece = fc.constantFrom(
  ...'No|no|probable|Possible|pneumonia|effusion|left|Unchanged|heart size|is|enlarged|normal|lungs are clear|edema'.split(
    '|',
  ),
  ...[
    '.',
    ',',
    ':',
    '\n',
    '\n\n',
    '"',
    '\\',
    'ü',
    '肺炎',
    '\u2028',
    'IMPRESSION:',
    'History',
    'COMPARISON',
    '- ',
    'chest tube',
    '\ud800',
  ],
);
const text = fc.array(piece, { maxLength: 25 }).map((words) => words.join(' '));
const report: fc.Arbitrary<Report> = fc.record(
  {
    id: fc.constantFrom('a', 'r"1', 'é', ''),
    text,
    sections: fc.array(fc.record({ section: fc.constantFrom(...sectionNames), text }), { maxLength: 3 }),
  },
  { requiredKeys: ['id'] },
);

test('the lines that the rules write are those of their rows', () => {
  for (const stable of ['keep', 'mask'] as const) {
    const rules = rulesExtractor(createAssessor({ stable, longestText: 150 }));
    const written = new RowLines();
    const expected = new RowLines();
    fc.assert(
      fc.property(report, fc.boolean(), (report, mentionedOnly) => {
        const failed = rules.writeLines!(report, written, mentionedOnly);
        expect(addRows(rules.extract(report) as never, expected, mentionedOnly)).toBe(failed);
        // Now and then, so that reports also follow one another in the buffer.
        if (expected.length < 20_000) return;
        expect(Buffer.from(written.view()).toString()).toBe(Buffer.from(expected.view()).toString());
        written.clear();
        expected.clear();
      }),
      { numRuns: 1500 },
    );
    expect(Buffer.from(written.view()).toString()).toBe(Buffer.from(expected.view()).toString());
  }
});

test('a field that is not read because nothing in it can be another section has none', () => {
  const vocabulary = new Vocabulary();
  const segmenter = new Segmenter(vocabulary, defaultLexicon().language);
  const tokens = new Tokens();
  const sentences = new Sentences();
  fc.assert(
    fc.property(fc.constantFrom(...sectionNames), text, (section, text) => {
      if (segmenter.mayChangeSection(text)) return;
      tokenize(text, vocabulary, tokens);
      segmenter.segment(tokens, sentences, section);
      for (let s = 0; s < sentences.count; s++) expect(sectionNames[sentences.section[s]!]).toBe(section);
    }),
    { numRuns: 2000 },
  );
});

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  assessMention,
  assessReport,
  createAssessor,
  defaultLexicon,
  findingSet,
  findingSetNames,
  parseFindings,
  parseLexicon,
  type Report,
  scoreMentions,
  scoreReports,
} from '../../src/reports/index.ts';
import { parseCsv } from '../../src/reports/io/csv.ts';
import { wordClasses } from '../../src/reports/lexicon/lexicon.ts';
import { readGold } from '../../src/reports/score/gold.ts';
import { marked, meets, readCases } from './cases.ts';

const traps = readCases('traps.tsv') as [string, string, string][];

describe('the trap file', () => {
  test('holds at least 300 different sentences', () => {
    expect(new Set(traps.map(([, sentence]) => sentence)).size).toBeGreaterThanOrEqual(300);
  });
  test.each(traps)('%s: %s', (_, sentence, expected) => {
    const { text, span } = marked(sentence);
    expect(assessMention(text, span).status).toBe(expected);
  });
});

/** The judgement of a case: of the marked span where it names no finding, otherwise of the report's row. */
function judged(finding: string, sentence: string): { status: string; probability: number | null } {
  if (finding !== '-') return assessReport(sentence).find((row) => row.finding === finding)!;
  const { text, span } = marked(sentence);
  return assessMention(text, span);
}

describe('the directions of hedges', () => {
  test.each(readCases('direction.tsv'))('%s, %s: %s', (_, expected, sentence) => {
    const { status, probability } = judged('-', sentence!);
    expect([meets(expected!, status, probability), status, probability]).toEqual([true, status, probability]);
  });
});

describe('phrases that were got wrong', () => {
  test.each(readCases('phrases.tsv'))('%s, %s %s: %s', (_, finding, expected, sentence) => {
    const { status, probability } = judged(finding!, sentence!);
    expect([meets(expected!, status, probability), status, probability]).toEqual([true, status, probability]);
  });
});

/** Written before the rules were changed for it, and not looked at since: the figure stands for what was not foreseen. */
test('the held-out cases: at least 93 % right', () => {
  const cases = readCases('held-out.tsv');
  expect(cases.length).toBe(234);
  const right = cases.filter(([, finding, expected, sentence]) => {
    const { status, probability } = judged(finding!, sentence!);
    return meets(expected!, status, probability);
  });
  expect(right.length / cases.length).toBeGreaterThanOrEqual(0.93);
});

describe('the lexicon', () => {
  const lexicon = defaultLexicon();
  // Few findings: what an example's mention is called does not matter, and small sets compile at once.
  const findings = parseFindings(
    'finding\trole\tphrase\nA\tstructure\t(heart|heart size)\nB\tmention\t(atelectasis|effusion|edema|pneumonia)\n',
    'few.tsv',
  );
  const assessor = createAssessor({ findings });

  test.each(
    lexicon.entries
      .filter((entry) => entry.example !== '')
      .map((entry) => [entry.line, entry.example, entry] as const),
  )('line %i gets its example right, and the example needs it: %s', (line, example, entry) => {
    const { text, span } = marked(example);
    const assessment = assessor.assessMention(text, span);
    expect(assessment.status).toBe(entry.expected);
    if (!['extent', 'ahead'].includes(entry.kind))
      expect(assessor.cuesIn(text).map((cue) => cue.line)).toContain(line);
    if (entry.kind === 'hedge')
      expect([entry.probability, entry.probabilityAfter]).toContain(assessment.probability);
    const without = { ...lexicon, entries: lexicon.entries.filter((other) => other !== entry) };
    expect(createAssessor({ lexicon: without, findings }).assessMention(text, span)).not.toEqual(assessment);
  });

  test('every entry that judges has an example', () => {
    for (const entry of lexicon.entries)
      expect(entry.example !== '' || ['behind', ...wordClasses].includes(entry.kind)).toBe(true);
  });

  const data = process.env.PENUMBRA_TEST_DATA;
  test.skipIf(data === undefined)('holds the published ranking (needs PENUMBRA_TEST_DATA)', () => {
    const [, ...rows] = parseCsv(readFileSync(join(data!, 'hedge-ranking/reference_ranking.csv'), 'utf8'));
    expect(rows.length).toBe(42);
    for (const [phrase, mu] of rows) {
      const p = 1 / (1 + Math.exp(-0.089 * (Number(mu) - 24.888)));
      const entry = lexicon.entries.find((e) => e.source === 'ranking' && e.phrases.includes(phrase!));
      expect(entry, phrase).toBeDefined();
      expect(Math.abs(entry!.probability! - p), phrase).toBeLessThanOrEqual(0.0005001);
    }
  });

  test('can be extended and replaced', () => {
    const own = parseLexicon(
      'phrase\tkind\tdirection\tscope\tprobability\tsource\texample\texpected\n' +
        'smells of\thedge\tforward\tlist\t0.9\town\tThis smells of [pneumonia].\tuncertain\n',
      'own.tsv',
    );
    const { text, span } = marked('This smells of [pneumonia].');
    expect(createAssessor({ lexicon: own }).assessMention(text, span).probability).toBe(0.9);
    expect(assessMention(text, span).status).toBe('present');
  });

  test.each([
    ['phrase\tkind\n', 'reports/table', /lacks the column/],
    [
      'phrase\tkind\tdirection\tscope\tprobability\tsource\texample\texpected\nno\tnegatoin\tforward\tlist\t0\tx\t[a]\tabsent',
      'reports/lexicon',
      /line 2: the kind is "negatoin"/,
    ],
    [
      'phrase\tkind\tdirection\tscope\tprobability\tsource\texample\texpected\nmay\thedge\tforward\tlist\t1.5\tx\t[a]\tuncertain',
      'reports/lexicon',
      /probability is "1.5"/,
    ],
    [
      'phrase\tkind\tdirection\tscope\tprobability\tsource\texample\texpected\n(may\thedge\tforward\tlist\t0.5\tx\t[a]\tuncertain',
      'reports/pattern',
      /lacks a "\)"/,
    ],
    [
      'phrase\tkind\tdirection\tscope\tprobability\tsource\texample\texpected\nmay\thedge\tforward\tlist\t0.5\tx\ta\tuncertain',
      'reports/lexicon',
      /no \[mention\]/,
    ],
  ])('says what is wrong with %j', (text, code, message) => {
    expect(() => parseLexicon(text, 'x.tsv')).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) }),
    );
  });
});

describe('the findings files', () => {
  test.each(findingSetNames)('%s: every phrase is found as what it says', (name) => {
    const set = findingSet(name);
    const assessor = createAssessor({ findings: set });
    for (const { finding, role, phrases } of set.phrases) {
      if (role !== 'mention' && role !== 'device') continue;
      for (const phrase of phrases) {
        const row = assessor
          .assessReport({ id: '', text: `There was ${phrase} today.` })
          .find((r) => r.finding === finding);
        expect([row?.status, phrase, finding]).toEqual(['present', phrase, finding]);
      }
    }
  });
  test.each([
    ['pnemonia', 'Pneumonia'],
    ['atelectesis', 'Atelectasis'],
    ['cardiomeagly', 'Cardiomegaly'],
    ['consolidaton', 'Consolidation'],
    ['pneumothroax', 'Pneumothorax'],
    ['oedema', 'Edema'],
    ['effusoin', 'Pleural Effusion'],
  ])('misspelt or British: %s', (word, finding) => {
    const row = assessReport(`Large ${word}.`).find((r) => r.finding === finding);
    expect(row?.status).toBe('present');
  });
  test('words that only look like a misspelling are none', () => {
    const rows = assessReport(
      'Contrast injection. Right hemithorax. Confusion. Trachea midline. Thoracotomy.',
    );
    expect(rows.filter((row) => row.status !== 'not_mentioned')).toEqual([]);
  });
  test('a wrong role is named with its line', () => {
    expect(() => parseFindings('finding\trole\tphrase\nX\tmentoin\tx', 'f.tsv')).toThrow(
      /f\.tsv, line 2: the role is "mentoin"/,
    );
  });
});

describe('whole reports', () => {
  const row = (report: Report | string, finding: string) =>
    assessReport(report).find((r) => r.finding === finding)!;

  test('evidence stands where it says', () => {
    const text = 'FINDINGS: Heart normal.\nIMPRESSION: Probable pneumonia in the left base, no effusion.';
    for (const { evidence } of assessReport(text)) {
      for (const { phrase, start, end, sentence } of evidence) {
        expect(text.slice(start, end)).toBe(phrase);
        expect(text).toContain(sentence);
      }
    }
    const pneumonia = row(text, 'Pneumonia');
    expect(pneumonia).toMatchObject({ status: 'uncertain', probability: 0.785, label: 1, rate: 0.43 });
    expect(pneumonia.evidence.map((e) => [e.phrase, e.section])).toEqual([
      ['pneumonia', 'impression'],
      ['Probable', 'impression'],
    ]);
  });

  test('history, indication, comparison and technique do not assert', () => {
    for (const heading of [
      'HISTORY',
      'INDICATION',
      'REASON FOR EXAM',
      'COMPARISON',
      'TECHNIQUE',
      'CLINICAL INFORMATION',
    ]) {
      expect(row(`${heading}: Pneumonia.\n\nFINDINGS: Clear lungs.`, 'Pneumonia').status).toBe(
        'not_mentioned',
      );
    }
  });

  test('an unheaded paragraph after the technique is the body (MIMIC-CXR)', () => {
    const text =
      ' FINAL REPORT\n EXAMINATION:  CHEST (PA AND LAT)\n \n INDICATION:  ___F with pneumonia  // r/o effusion\n \n COMPARISON:  None.\n \n There is a small left pleural effusion.';
    expect(row(text, 'Pleural Effusion').status).toBe('present');
    expect(row(text, 'Pneumonia').status).toBe('not_mentioned');
  });

  test.each([
    'HISTORY: Chest pain.\nTECHNIQUE: One view.\nCOMPARISON: None.\nSmall left pleural effusion. No pneumothorax.',
    'COMPARISON: None available.\nSmall left pleural effusion.\nNo pneumothorax.',
    'TECHNIQUE: Portable AP view.\nSmall left pleural effusion, and there is no pneumothorax.',
  ])('a new line after a comparison or technique that ended is the body: %j', (text) => {
    expect(row(text, 'Pleural Effusion').status).toBe('present');
    expect(row(text, 'Pneumothorax').status).toBe('absent');
  });

  test('a comparison that goes on, and a history of many lines, do not assert', () => {
    for (const text of [
      'COMPARISON: Chest radiographs of ___ and the CT of the chest of ___ that\nshowed pneumonia.\n\nFINDINGS: Clear lungs.',
      'COMPARISON: Radiograph of ___\nCT for pneumonia of ___\nFINDINGS: Clear lungs.',
      'HISTORY: Cough and fever.\nPneumonia last year.\nFINDINGS: Clear lungs.',
    ])
      expect(row(text, 'Pneumonia').status, text).toBe('not_mentioned');
  });

  test('the impression outweighs the findings', () => {
    expect(row('FINDINGS: Possible pneumonia.\nIMPRESSION: Pneumonia.', 'Pneumonia').probability).toBe(1);
    expect(row('FINDINGS: Pneumonia.\nIMPRESSION: Probable pneumonia.', 'Pneumonia').probability).toBe(0.785);
    expect(row('FINDINGS: Small effusion.\nIMPRESSION: No effusion.', 'Pleural Effusion').probability).toBe(
      0,
    );
  });
  test('a partial denial in the impression overturns nothing', () => {
    expect(
      row('FINDINGS: Small effusion.\nIMPRESSION: No large effusion.', 'Pleural Effusion').probability,
    ).toBe(1);
  });
  test('a word of extent makes a denial partial within a list too', () => {
    const text = 'FINDINGS: Small effusion.\nIMPRESSION: No consolidation, large effusion, or pneumothorax.';
    expect(row(text, 'Pleural Effusion').probability).toBe(1);
    expect(row(text, 'Pneumothorax').probability).toBe(0);
    expect(row('No consolidation, large effusion, or pneumothorax.', 'Pleural Effusion').probability).toBe(
      0.1,
    );
  });
  test('among equals the highest probability decides', () => {
    expect(row('FINDINGS: No right effusion. Left effusion.', 'Pleural Effusion').status).toBe('present');
    expect(row('FINDINGS: No right effusion. Possible left effusion.', 'Pleural Effusion').probability).toBe(
      0.456,
    );
  });
  test('stacked hedges: the most doubtful decides', () => {
    expect(row('Pneumonia is possible but less likely.', 'Pneumonia').probability).toBe(0.17);
    expect(row('This may represent probable pneumonia.', 'Pneumonia').probability).toBe(0.523);
    expect(row('Probably no pneumonia.', 'Pneumonia').probability).toBe(0.371);
  });
  test('fields of a report give offsets into the field', () => {
    const r = row(
      {
        id: 'x',
        sections: [
          { section: 'history', text: 'Effusion?' },
          { section: 'impression', text: 'No effusion.' },
        ],
      },
      'Pleural Effusion',
    );
    expect(r).toMatchObject({
      id: 'x',
      status: 'absent',
      evidence: [
        { phrase: 'effusion', start: 3, end: 11 },
        { phrase: 'No', start: 0 },
      ],
    });
  });
  test('an empty report mentions nothing, "No Finding" included', () => {
    expect(assessReport('').every((r) => r.status === 'not_mentioned')).toBe(true);
    expect(assessReport('').length).toBe(14);
  });
  test('"No Finding" needs to be said, and nothing may speak against it', () => {
    expect(row('Clear lungs. No effusion.', 'No Finding').label).toBe(1);
    expect(row('No acute cardiopulmonary abnormality.', 'No Finding').label).toBe(1);
    expect(row('No effusion. Emphysema.', 'No Finding').status).toBe('not_mentioned');
    expect(row('No effusion. Possible pneumonia.', 'No Finding').status).toBe('not_mentioned');
  });
  test('a span that is none is refused', () => {
    expect(() => assessMention('No effusion.', [3, 99])).toThrow(/not inside the text/);
    expect(() => assessMention('No  effusion.', [2, 4])).toThrow(/holds no word/);
  });
  test('a text that is too long is refused, and a long one without full stops is quick', () => {
    expect(() => assessReport('x'.repeat(1_000_001))).toThrow(
      expect.objectContaining({ code: 'reports/too-long' }),
    );
    const before = process.cpuUsage(); // not the clock: other work on the machine must not fail this
    assessReport('no effusion or possible pneumonia and '.repeat(26_000));
    expect(process.cpuUsage(before).user / 1000).toBeLessThan(5000);
  });
});

const data = process.env.PENUMBRA_TEST_DATA;
describe.skipIf(data === undefined)('real reports (needs PENUMBRA_TEST_DATA)', () => {
  test('BioScope radiology: macro F1 ≥ 0.97, negated called positive ≤ 1 %', () => {
    const gold = readGold(join(data!, 'bioscope-radiology/chexpert_mentions_derived.jsonl'), {
      status: 'status3',
      finding: 'observation',
      where: [['section', 'Impression']],
    });
    if (gold.kind !== 'mentions') throw new Error('expected mentions');
    expect(gold.leftOut).toEqual({ ambiguous: 28 });
    const score = scoreMentions(gold.mentions, createAssessor());
    expect(score.n).toBe(546);
    expect(score.macroF1).toBeGreaterThanOrEqual(0.97);
    expect(score.negatedCalledPositive).toBeLessThanOrEqual(0.01);
    expect(score.probabilities.spearman).toBeGreaterThan(0.75);
  });

  test('Open-i: recall of positives ≥ 0.96 macro', () => {
    const gold = readGold(join(data!, 'openi-reports/gold14.csv'));
    if (gold.kind !== 'reports') throw new Error('expected labels');
    const set = findingSet('chestxray14');
    const assessor = createAssessor({ findings: set });
    const rows = readFileSync(join(data!, 'openi-reports/reports.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .flatMap((line) => {
        const report = JSON.parse(line) as Record<
          'uid' | 'indication' | 'comparison' | 'findings' | 'impression',
          string
        >;
        return assessor.assessReport({
          id: report.uid,
          sections: [
            { section: 'history', text: report.indication },
            { section: 'comparison', text: report.comparison },
            { section: 'findings', text: report.findings },
            { section: 'impression', text: report.impression },
          ],
        });
      });
    const score = scoreReports(
      gold.labels.filter((l) => set.findings.includes(l.finding)),
      rows,
    );
    expect(score.missing).toBe(0);
    expect(score.findings.filter((f) => f.positives >= 20).length).toBe(10);
    expect(score.macroRecall).toBeGreaterThanOrEqual(0.96);
    expect(score.macroPrecision).toBeGreaterThanOrEqual(0.678);
  });

  test("chexpert-labeler's four reports: all 56 labels as published", () => {
    const rows = parseCsv(readFileSync(join(data!, 'lexicons/chexpert-labeler/labeled_reports.csv'), 'utf8'));
    const [header, ...reports] = rows;
    let compared = 0;
    for (const [text, ...cells] of reports.filter((r) => r.length > 1)) {
      const got = assessReport(text!);
      cells.forEach((cell, i) => {
        const finding = header![i + 1]!;
        const { status, label } = got.find((r) => r.finding === finding)!;
        const ours = status === 'not_mentioned' ? '' : status === 'uncertain' ? '-1.0' : `${label}.0`;
        expect([finding, ours]).toEqual([finding, cell]);
        compared++;
      });
    }
    expect(compared).toBe(56);
  });
});

describe('what is only said to be stable', () => {
  const masking = createAssessor({ stable: 'mask' });
  const row = (text: string, finding: string) =>
    masking.assessReport(text).find((r) => r.finding === finding)!;
  test.each([
    ['Stable cardiomegaly.', 'Cardiomegaly'],
    ['The effusion is unchanged.', 'Pleural Effusion'],
    ['Edema slightly decreased.', 'Edema'],
    ['No change in the effusion. Effusion is stable.', 'Pleural Effusion'],
  ])('is present without a label where that is asked for: %s', (text, finding) => {
    expect(row(text, finding)).toMatchObject({
      status: 'present',
      probability: null,
      label: null,
      rate: null,
    });
    expect(row(text, finding).reason).toMatch(/^stable/);
    expect(assessReport(text).find((r) => r.finding === finding)).toMatchObject({
      status: 'present',
      label: 1,
    });
  });
  test.each([
    ['Stable cardiomegaly. The heart shows cardiomegaly.', 'Cardiomegaly'],
    ['Increasing effusion.', 'Pleural Effusion'],
    ['Effusion, and the nodule is stable.', 'Pleural Effusion'],
  ])('a plain statement keeps its label: %s', (text, finding) => {
    expect(row(text, finding)).toMatchObject({ status: 'present', label: 1 });
  });
  test('is another version, since the rows differ', () => {
    expect(masking.version).not.toBe(createAssessor().version);
  });
});

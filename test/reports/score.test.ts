import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  createAssessor,
  type FindingRow,
  type GoldMention,
  probabilityToRate,
  scoreMentions,
  scoreReports,
} from '../../src/reports/index.ts';
import { readGold } from '../../src/reports/score/gold.ts';

const assessor = createAssessor();

describe('mentions', () => {
  const mention = (sentence: string, status: GoldMention['status']): GoldMention => {
    const start = sentence.indexOf('[');
    return {
      id: sentence,
      text: sentence.replace(/[[\]]/g, ''),
      span: [start, sentence.indexOf(']') - 1],
      finding: 'x',
      status,
    };
  };
  const gold = [
    mention('[Pneumonia].', 'positive'),
    mention('[Effusion] on the left.', 'positive'),
    mention('No [pneumonia].', 'negated'),
    mention('[Edema].', 'negated'), // we will call it positive
    mention('Possible [pneumonia].', 'uncertain'),
    mention('No [effusion].', 'uncertain'), // we will call it negated
  ];
  test('counts by hand', () => {
    const score = scoreMentions(gold, assessor);
    expect(score.confusion).toEqual({
      positive: { positive: 2, negated: 0, uncertain: 0 },
      negated: { positive: 1, negated: 1, uncertain: 0 },
      uncertain: { positive: 0, negated: 1, uncertain: 1 },
    });
    // F1: positive 2·2/(2+3) = 0.8, negated 2·1/(2+2) = 0.5, uncertain 2·1/(2+1) = 2/3.
    expect(score.macroF1).toBeCloseTo((0.8 + 0.5 + 2 / 3) / 3, 12);
    expect(score.accuracy).toBeCloseTo(4 / 6, 12);
    expect(score.negatedCalledPositive).toBe(0.5);
    expect(score.disagreements.map((d) => [d.id, d.got])).toEqual([
      ['[Edema].', 'positive'],
      ['No [effusion].', 'negated'],
    ]);
  });
  test('by scopes and by truth differ where they should', () => {
    const phrases = [
      mention('[Heart size] is normal.', 'positive'),
      mention('No change in the [effusion].', 'negated'),
      mention('Resolved [pneumonia].', 'positive'),
    ];
    const score = scoreMentions(phrases, assessor);
    expect(score.macroF1).toBe(1);
    expect(score.asTruth.confusion.positive).toEqual({ positive: 0, negated: 2, uncertain: 0 });
    expect(score.asTruth.confusion.negated).toEqual({ positive: 1, negated: 0, uncertain: 0 });
  });
  test('no gold is an error', () => expect(() => scoreMentions([], assessor)).toThrow(/holds no mention/));
});

describe('reports', () => {
  interface Case {
    p: number[];
    label: number[];
    spearman: number;
    brier: number;
    calibrationError: number;
    recall: number;
    precision: number;
    recallByLabel: number;
  }
  const cases: Case[] = JSON.parse(
    readFileSync(new URL('../fixtures/reports/score.json', import.meta.url), 'utf8'),
  );
  test.each(cases.map((c): [number, Case] => [c.p.length, c]))(
    "figures equal NumPy's (%i reports)",
    (_, c) => {
      const rows = c.p.map(
        (p: number, i: number): FindingRow => ({
          id: `r${i}`,
          finding: 'F',
          status: p === 0 ? 'absent' : p === 1 ? 'present' : 'uncertain',
          probability: p,
          deviation: null,
          ...probabilityToRate(p),
          evidence: [],
          extractor: 'rules',
          version: '0',
        }),
      );
      const score = scoreReports(
        c.label.map((label: number, i: number) => ({ report: `r${i}`, finding: 'F', label })),
        rows,
        { minPositives: 1 },
      );
      expect(score.probabilities.spearman).toBeCloseTo(c.spearman, 10);
      expect(score.probabilities.brier).toBeCloseTo(c.brier, 10);
      expect(score.probabilities.calibrationError).toBeCloseTo(c.calibrationError, 10);
      expect(score.macroRecall).toBeCloseTo(c.recall, 10);
      expect(score.macroPrecision).toBeCloseTo(c.precision, 10);
      expect(score.byLabel.macroRecall).toBeCloseTo(c.recallByLabel, 10);
    },
  );
  test('a judgement without a row is not found', () => {
    expect(scoreReports([{ report: 'a', finding: 'F', label: 1 }], [], { minPositives: 1 })).toMatchObject({
      missing: 1,
      macroRecall: 0,
      macroPrecision: 0,
    });
  });
});

describe('gold files', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'penumbra-gold-'));
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));
  const put = (name: string, text: string): string => {
    writeFileSync(join(dir, name), text);
    return join(dir, name);
  };
  test('mentions', () => {
    const path = put(
      'g.jsonl',
      '{"id":"1","text":"No x.","span":[3,4],"finding":"X","status":"negated"}\n{"id":"2","text":"x","span":[0,1],"finding":"X","status":"odd"}\n',
    );
    expect(readGold(path)).toEqual({
      kind: 'mentions',
      mentions: [{ id: '1', text: 'No x.', span: [3, 4], finding: 'X', status: 'negated' }],
      leftOut: { odd: 1 },
    });
  });
  test('reports in all three forms', () => {
    const labels = [
      { report: 'a', finding: 'X', label: 1 },
      { report: 'a', finding: 'Y', label: -1 },
    ];
    for (const path of [
      put('a.jsonl', '{"report":"a","finding":"X","label":1}\n{"report":"a","finding":"Y","label":-1}\n'),
      put('b.csv', 'report,finding,label\na,X,1\na,Y,-1\n'),
      put('c.csv', 'id,X,Y,Z\na,1,-1,\n'),
    ])
      expect(readGold(path)).toEqual({ kind: 'reports', labels });
  });
  test.each([
    ['', /empty/],
    ['{"id":1,\n', /line 1: the line is not JSON/],
    ['{"text":"x","span":[0],"status":"negated"}\n', /line 1: "text" or "span" is wrong/],
    ['{"text":"x","span":[0,1]}\n', /"status" is missing/],
    ['{"a":1}\n', /no "span"/],
    ['id,X\na,2\n', /line 2: the label is none/],
  ])('%j is an error with its place', (text, message) => {
    expect(() => readGold(put('g', text))).toThrow(
      expect.objectContaining({ code: 'reports/gold', message: expect.stringMatching(message) }),
    );
  });
});

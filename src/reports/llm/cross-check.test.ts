import { describe, expect, test } from 'vitest';
import { failedRow } from '../extract/extractor.ts';
import { probabilityToRate } from '../rate.ts';
import type { FindingRow, Status } from '../types.ts';
import { crossCheck } from './cross-check.ts';

function row(
  extractor: string,
  status: Status,
  probability: number | null,
  more: Partial<FindingRow> = {},
): FindingRow {
  return {
    id: 's1',
    finding: 'Edema',
    status,
    probability,
    deviation: null,
    ...probabilityToRate(probability),
    evidence: [{ phrase: extractor, start: extractor.length, end: 9, section: 'body', sentence: '' }],
    extractor,
    version: extractor,
    ...more,
  };
}

describe('crossCheck', () => {
  test.each<[string, Status, number | null, Status, number | null, string | undefined]>([
    ['the same', 'present', 1, 'present', 1, undefined],
    ['degrees of one hedge', 'uncertain', 0.5, 'uncertain', 0.35, undefined],
    ['a partial denial and "unlikely"', 'absent', 0.05, 'uncertain', 0.17, undefined],
    ['neither mentions it', 'not_mentioned', null, 'not_mentioned', null, undefined],
    ['present and absent', 'present', 1, 'absent', 0, 'status'],
    ['stated and hedged', 'present', 1, 'uncertain', 0.456, 'probability'],
    ['two hedges far apart', 'uncertain', 0.839, 'uncertain', 0.35, 'probability'],
    ['absent and gone', 'absent', 0, 'historical', 0, 'status'],
    ['only one mentions it', 'not_mentioned', null, 'present', 1, 'status'],
    ['the other one mentions it', 'uncertain', 0.5, 'not_mentioned', null, 'status'],
    ['asked for and of somebody else', 'conditional', null, 'other', null, 'status'],
  ])('%s', (_, a, p, b, q, kind) => {
    const rules = row('rules', a, p);
    const llm = row('llm', b, q);
    const { rows, disagreements } = crossCheck([rules], [llm]);
    expect(disagreements.map((d) => d.kind)).toEqual(kind === undefined ? [] : [kind]);
    expect(rows[0]).toMatchObject({ status: a, probability: p, extractor: 'llm+rules' });
    if (kind === undefined) {
      expect(rows[0]!.reason).toBeUndefined();
      expect(rows[0]!.evidence).toEqual(rules.evidence);
    } else {
      expect(rows[0]!.reason).toBe(`extractors disagree: the model says ${q === null ? b : `${b}, ${q}`}`);
      expect(rows[0]!.evidence).toEqual([...rules.evidence, ...llm.evidence]);
      expect(disagreements[0]).toMatchObject({
        id: 's1',
        finding: 'Edema',
        rules: { status: a },
        llm: { status: b },
      });
    }
  });

  test('a model without answer, without the row, or without evidence is a disagreement too', () => {
    const rules = row('rules', 'absent', 0, { reason: 'so' });
    const whole = failedRow('s1', '', 'timeout: x', { extractor: 'llm', version: 'llm' });
    for (const llm of [[whole], [{ ...whole, finding: 'Edema' }], []]) {
      const { rows, disagreements } = crossCheck([rules], llm);
      expect(disagreements[0]!.kind).toBe('failed');
      expect(rows[0]).toMatchObject({
        status: 'absent',
        reason: 'so; extractors disagree: the model failed',
      });
    }
    const unverified = row('llm', 'absent', 0, {
      reason: 'unverified evidence: nothing is quoted',
      evidence: [],
    });
    expect(crossCheck([rules], [unverified]).disagreements[0]).toMatchObject({
      kind: 'unverified',
      llm: { reason: 'unverified evidence: nothing is quoted' },
    });
  });

  test('tolerance and both versions are part of the version', () => {
    const rules = [row('rules', 'absent', 0)];
    const llm = [row('llm', 'absent', 0)];
    const versions = [
      crossCheck(rules, llm),
      crossCheck(rules, llm, { tolerance: 0.1 }),
      crossCheck([{ ...rules[0]!, version: 'x' }], llm),
      crossCheck(rules, [{ ...llm[0]!, version: 'x' }]),
    ].map(({ rows }) => rows[0]!.version);
    expect(new Set(versions).size).toBe(4);
    expect(crossCheck(rules, llm).rows[0]!.version).toBe(versions[0]);
  });
});

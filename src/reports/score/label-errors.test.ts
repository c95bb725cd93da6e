import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { wilson } from '../../calibration/wilson.ts';
import { type LabelCase, labelErrors, readLabelErrors } from './label-errors.ts';

const dir = mkdtempSync(join(tmpdir(), 'penumbra-errors-'));
afterAll(() => rmSync(dir, { recursive: true }));

/** So many cases of a finding. */
function times(n: number, finding: string, probability: number, truth: boolean): LabelCase[] {
  return new Array<LabelCase>(n).fill({ finding, probability, truth });
}

const cases = [
  ...times(18, 'Edema', 1, true),
  ...times(2, 'Edema', 1, false),
  ...times(97, 'Edema', 0, false),
  ...times(3, 'Edema', 0, true),
  ...times(6, 'Edema', 0.8, true),
  ...times(4, 'Edema', 0.8, false),
  ...times(5, 'Mass', 0.5, false),
];

test('counted by hand, both ways round', () => {
  const [edema, mass] = labelErrors(cases);
  expect(edema).toMatchObject({
    finding: 'Edema',
    present: { count: 2, n: 20, ...wilson(2, 20, 0.95) },
    absent: { count: 3, n: 100 },
    falsePositive: { count: 2, n: 99 },
    miss: { count: 3, n: 21 },
    hedged: { count: 4, n: 10, value: 0.4 },
  });
  expect(edema!.expected).toBeCloseTo(0.2, 12);
  // (0.4 − 0.2)/(1 − 0.4)
  expect(edema!.flip.value).toBeCloseTo(1 / 3, 12);
  expect(edema!.flip.low).toBe(0);
  // Of hedges around 1/2 nothing can be told.
  expect(mass!.flip).toEqual({ value: null, low: null, high: null });
  expect(mass!.present).toEqual({ count: 0, n: 0, value: null, low: null, high: null });
});

test('flips of hedges are found from truth alone', () => {
  // Hedges of 0.8 of which 0.1 were taken for their opposite: truth in 0.9·0.8 + 0.1·0.2 = 0.74.
  const [one] = labelErrors([...times(740, 'x', 0.8, true), ...times(260, 'x', 0.8, false)]);
  expect(one!.flip.value).toBeCloseTo(0.1, 12);
  expect(one!.flip.low).toBeGreaterThan(0.04);
  expect(one!.flip.high).toBeLessThan(0.16);
});

describe('read', () => {
  const write = (name: string, content: unknown) => {
    const file = join(dir, name);
    writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
    return file;
  };
  const findings = ['Edema', 'Mass', 'Fracture'];

  test('figures of a score as their lower ends, an audit as it recommends, plain numbers, a list for all', () => {
    const figures = labelErrors(cases);
    const score = readLabelErrors(write('score.json', { kind: 'reports', errors: figures }), findings);
    expect(score).toEqual({
      Edema: { falsePositive: figures[0]!.falsePositive.low, miss: figures[0]!.miss.low, hedged: 0 },
      Mass: { falsePositive: 0, miss: 0, hedged: 0 },
    });
    const recommended = { falsePositive: 0, miss: 0.07, hedged: 0 };
    const audited = {
      kind: 'audit',
      errors: figures,
      findings: [{ finding: 'Edema', recommendation: { errors: recommended } }],
    };
    expect(readLabelErrors(write('audit.json', audited), findings)).toEqual({ Edema: recommended });
    expect(readLabelErrors(write('plain.json', { Mass: { miss: 0.1 } }))).toEqual({
      Mass: { falsePositive: 0, miss: 0.1, hedged: 0 },
    });
    const all = readLabelErrors('falsePositive=0.02, miss=.1', findings);
    expect(Object.keys(all)).toEqual(findings);
    expect(all.Fracture).toEqual({ falsePositive: 0.02, miss: 0.1, hedged: 0 });
  });

  test.each([
    [
      'another finding',
      () => [write('other.json', { Hernia: { miss: 0.1 } }), findings],
      /none of the findings/,
    ],
    [
      'half of the labels',
      () => [write('half.json', { Mass: { miss: 0.5 } }), findings],
      /'miss' of Mass is 0.5/,
    ],
    ['a word', () => [write('word.json', { Mass: { miss: 'often' } }), findings], /'miss' of Mass is often/],
    ['no figures', () => [write('none.json', { kind: 'mentions' }), findings], /no error rates/],
    ['no JSON', () => [write('text.json', 'miss'), findings], /not JSON/],
    ['an unknown kind', () => ['false=0.1', findings], /"false=0.1" is no error rate/],
    ['a list for nobody', () => ['miss=0.1'], /for no finding/],
  ] as const)('%s is refused', (_, args, message) => {
    const [given, names] = args() as [string, string[] | undefined];
    expect(() => readLabelErrors(given, names)).toThrow(
      expect.objectContaining({
        code: 'reports/errors',
        message: expect.stringMatching(message),
        hint: expect.any(String),
      }),
    );
  });
});

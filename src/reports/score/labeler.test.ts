import { expect, test } from 'vitest';
import { type LabelerCase, labelerErrors } from './labeler.ts';

function times(
  n: number,
  label: 1 | 0 | -1,
  hedged: boolean,
  truth: boolean,
  finding = 'Edema',
): LabelerCase[] {
  return new Array<LabelerCase>(n).fill({ finding, label, hedged, truth });
}

test('errors on hedged and plain mentions by hand, by what −1 is taken for', () => {
  const { findings, overall } = labelerErrors([
    ...times(90, 1, false, true),
    ...times(10, 1, false, false),
    ...times(190, 0, false, false),
    ...times(10, 0, false, true),
    ...times(12, -1, true, true),
    ...times(8, -1, true, false),
    ...times(5, 1, true, false), // deaf to the hedge
    ...times(3, 0, false, false, 'Mass'),
  ]);
  const [edema, mass] = findings;
  expect(edema!.plain.definite).toMatchObject({ count: 20, n: 300 });
  expect(edema!.plain.asOnes).toEqual(edema!.plain.definite);
  expect(edema!.hedged).toMatchObject({
    uncertain: { count: 20, n: 25 },
    definite: { count: 5, n: 5 },
    asOnes: { count: 13, n: 25 },
    asZeros: { count: 17, n: 25 },
  });
  expect(edema!.hedged.asOnes.low).toBeGreaterThan(0.3);
  expect(mass!.hedged.asOnes).toEqual({ count: 0, n: 0, value: null, low: null, high: null });
  expect(overall).toMatchObject({ finding: 'all findings', plain: { definite: { count: 20, n: 303 } } });
});

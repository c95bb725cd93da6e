import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  checkTargets,
  countClasses,
  countFindings,
  type Findings,
  needOneOfK,
  type OneOfK,
  takeFindings,
  takeTargets,
  targetsLength,
} from './targets.ts';

const labels: OneOfK = { kind: 'one-of-k', names: ['a', 'b', 'c'], values: Int32Array.of(2, 0, 1, 2) };
const findings: Findings = {
  kind: 'findings',
  names: ['Edema', 'Mass'],
  values: Float32Array.of(1, 0, 0.5, 0.75, 0, 0),
  mask: Uint8Array.of(1, 1, 1, 1, 0, 1),
  rates: Float32Array.of(0, 0.5, -0.5, 0.25, 0, 0),
  errors: [
    { falsePositive: 0, miss: 0.1, hedged: 0 },
    { falsePositive: 0.02, miss: 0, hedged: 0.2 },
  ],
};

test('length and counts', () => {
  expect(targetsLength(labels)).toBe(4);
  expect(targetsLength(findings)).toBe(3);
  expect([...countClasses(labels)]).toEqual([1, 1, 2]);
  expect(countFindings(findings)).toEqual([
    { name: 'Edema', known: 2, positive: 1, negative: 0 },
    { name: 'Mass', known: 3, positive: 1, negative: 2 },
  ]);
});

test('without a mask every value is known', () => {
  const { mask, ...rest } = findings;
  expect(countFindings(rest)[0]).toEqual({ name: 'Edema', known: 3, positive: 1, negative: 1 });
});

test('rows and findings are taken with all that belongs to them', () => {
  expect([...takeTargets(labels, [3, 3, 1]).values]).toEqual([2, 2, 0]);
  const taken = takeTargets(findings, Uint32Array.of(2, 0));
  expect([...taken.values]).toEqual([0, 0, 1, 0]);
  expect([...taken.mask!]).toEqual([0, 1, 1, 1]);
  expect([...taken.rates!]).toEqual([0, 0, 0, 0.5]);
  const mass = takeFindings(findings, [1]);
  expect(mass.names).toEqual(['Mass']);
  expect([...mass.values]).toEqual([0, 0.75, 0]);
  expect([...mass.mask!]).toEqual([1, 1, 1]);
  expect([...mass.rates!]).toEqual([0.5, 0.25, 0]);
  expect(taken.errors).toEqual(findings.errors);
  expect(mass.errors).toEqual([findings.errors![1]]);
});

test('taking all rows in a shuffled order keeps the counts', () => {
  const row = fc.tuple(fc.constantFrom(0, 0.5, 1), fc.constantFrom(0, 1), fc.constantFrom(0, 0.3, 1));
  fc.assert(
    fc.property(fc.array(row, { minLength: 1 }), fc.nat(), (rows, turn) => {
      const values = Float32Array.from(rows.flatMap(([y, , z]) => [y, z]));
      const mask = Uint8Array.from(rows.flatMap(([, m]) => [m, 1 - m]));
      const targets: Findings = { kind: 'findings', names: ['x', 'y'], values, mask };
      const order = rows.map((_, i) => (i + turn) % rows.length);
      expect(countFindings(takeTargets(targets, order))).toEqual(countFindings(targets));
    }),
  );
});

test.each<[string, Partial<Findings>, RegExp]>([
  ['a value above 1', { values: Float32Array.of(1, 0, 1.5, 0, 0, 0) }, /sample 1 has 1.5 for Edema/],
  ['NaN, even where it is unknown', { values: Float32Array.of(1, 0, 1, 0, NaN, 0) }, /sample 2 has NaN/],
  ['a mask of 2', { mask: Uint8Array.of(1, 1, 2, 1, 1, 1) }, /0 or 1; sample 1 has 2/],
  [
    'an error of a half',
    { errors: [findings.errors![0]!, { ...findings.errors![1]!, hedged: 0.5 }] },
    /'hedged' of Mass is 0.5/,
  ],
  ['errors of too few findings', { errors: [findings.errors![0]!] }, /errors of 1 findings for 2/],
  ['a rate of 1', { rates: Float32Array.of(0, 0, 0, 1, 0, 0) }, /sample 1 has 1 for Mass/],
  ['a short mask', { mask: Uint8Array.of(1, 1) }, /2 mask values for 6 values/],
  ['values that do not fill the rows', { values: new Float32Array(5) }, /5 values for 5 values of 2/],
  ['a name used twice', { names: ['Edema', 'Edema'] }, /2 names \(1 different\)/],
])('%s is refused', (_, change, message) => {
  expect(() => checkTargets({ ...findings, ...change }, 'chests')).toThrow(
    expect.objectContaining({ code: 'data/targets', message: expect.stringMatching(message) }),
  );
});

test('a label outside the classes is refused, and good targets pass', () => {
  checkTargets(findings);
  checkTargets(labels);
  expect(() => checkTargets({ ...labels, values: Int32Array.of(0, 3) })).toThrow(/label 3 of sample 1/);
  expect(() => checkTargets({ ...labels, names: ['a'] })).toThrow(/1 names/);
});

test('findings where one label is needed are an error, not nonsense', () => {
  expect(needOneOfK(labels, 'a confusion matrix')).toBe(labels);
  expect(() => needOneOfK(findings, 'a confusion matrix')).toThrow(
    expect.objectContaining({
      code: 'data/findings',
      message: expect.stringMatching(/^a confusion matrix needs/),
    }),
  );
});

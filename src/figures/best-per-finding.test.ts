import { expect, test } from 'vitest';
import type { Findings } from '../data/targets.ts';
import { bestPerFinding } from './best-per-finding.ts';
import type { Outputs } from './outputs.ts';

const targets: Findings = {
  kind: 'findings',
  names: ['a', 'b', 'c'],
  values: Float32Array.of(1, 1, 1, 0, 0, 1, 1, 0, 1, 0, 1, 1),
  mask: Uint8Array.of(1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1),
};
const outputs = (probabilities: number[]): Outputs => ({
  targets,
  probabilities: Float32Array.from(probabilities),
});
const ones = outputs([0.9, 0.2, 0.5, 0.1, 0.6, 0.5, 0.8, 0.99, 0.5, 0.2, 0.3, 0.5]); // right about a
const zeros = outputs([0.1, 0.9, 0.4, 0.6, 0.1, 0.4, 0.2, 0.0, 0.4, 0.8, 0.7, 0.4]); // right about b

test('each finding has the outputs of whoever ranks it best on validation', () => {
  const test0 = outputs(new Array(12).fill(0.25));
  const test1 = outputs(new Array(12).fill(0.75));
  const found = bestPerFinding([
    { name: 'u-ones', validation: ones, test: test0 },
    { name: 'u-zeros', validation: zeros, test: test1 },
  ]);
  // Finding c is there in all of them: nothing to tell by, and the first stands.
  expect(found.chosen).toEqual(['u-ones', 'u-zeros', 'u-ones']);
  expect(found.auroc).toEqual([
    [1, 0],
    [0, 1],
    [null, null],
  ]);
  expect([...found.test.probabilities]).toEqual(
    Array.from({ length: 12 }, (_, at) => (at % 3 === 1 ? 0.75 : 0.25)),
  );
  expect(found.test.targets).toBe(targets);
  expect(found.test.logits).toBeUndefined();
});

test('logits come along where all have them; other samples and labels of one of K are refused', () => {
  const logits = (z: number) => ({
    ...outputs(new Array(12).fill(0.5)),
    logits: new Float32Array(12).fill(z),
  });
  const found = bestPerFinding([
    { name: 'x', validation: ones, test: logits(1) },
    { name: 'y', validation: zeros, test: logits(2) },
  ]);
  expect([...found.test.logits!].slice(0, 3)).toEqual([1, 2, 1]);
  expect(() => bestPerFinding([])).toThrow(/no candidates/);
  const other = { ...ones, targets: { ...targets, values: new Float32Array(12) } };
  expect(() =>
    bestPerFinding([
      { name: 'x', validation: ones, test: ones },
      { name: 'y', validation: other, test: ones },
    ]),
  ).toThrow(expect.objectContaining({ code: 'metrics/runs' }));
  const labels: Outputs = {
    targets: { kind: 'one-of-k', names: ['a', 'b'], values: Int32Array.of(0) },
    probabilities: [0.5, 0.5] as never,
  };
  expect(() => bestPerFinding([{ name: 'x', validation: labels, test: labels }])).toThrow(
    expect.objectContaining({ code: 'figures/kind' }),
  );
});

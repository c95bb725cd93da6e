import { expect, test } from 'vitest';
import type { Findings } from '../data/index.ts';
import { findings, reorder } from '../tasks/index.ts';
import { Generator, tensor, tidy } from '../torch/index.ts';
import { createObjective, parseObjective } from './index.ts';
import { shuffled } from './shuffled-rates.ts';

const N = 200;
const K = 2;
const targets: Findings = {
  kind: 'findings',
  names: ['a', 'b'],
  values: Float32Array.from({ length: N * K }, (_, at) => Number(at % 3 === 0)),
  mask: Uint8Array.from({ length: N * K }, (_, at) => Number(at % 7 !== 0)),
  rates: Float32Array.from({ length: N * K }, (_, at) => (at % 5 === 0 ? 0 : (at % 50) / 60)),
};

/** The known rates of a finding with a label, in order. */
function group(rates: Float32Array, finding: number, label: number): number[] {
  const own: number[] = [];
  rates.forEach((r, at) => {
    if (at % K === finding && targets.values[at] === label && targets.mask![at] === 1) own.push(r);
  });
  return own;
}

test('each finding keeps its rates within either label, with other images; the seed says which', () => {
  const first = shuffled(targets, 0);
  for (const finding of [0, 1]) {
    for (const label of [0, 1]) {
      const [before, after] = [group(targets.rates!, finding, label), group(first, finding, label)];
      expect([...after].sort()).toEqual([...before].sort());
      const stayed = after.filter((r, i) => r === before[i]).length;
      expect(stayed).toBeLessThan(0.4 * before.length);
    }
  }
  first.forEach((r, at) => {
    if (targets.mask![at] === 0) expect(r).toBe(targets.rates![at]);
  });
  expect(shuffled(targets, 0)).toEqual(first);
  expect(shuffled(targets, 1)).not.toEqual(first);
});

test('a sample has the same rates in every batch and epoch', () => {
  const objective = createObjective(parseObjective('soft-shuffled:seed=3'), {
    task: findings,
    classes: K,
    epochs: 2,
    samples: N,
    targets,
    device: 'cpu',
    generator: new Generator(0),
  });
  const own = shuffled(targets, 3);
  const rows = [17, 3, 101];
  tidy(() => {
    const batch = reorder(findings.gather(targets, undefined, 'cpu'), tensor(rows, { dtype: 'int64' }));
    for (const epoch of [0, 1]) {
      const z = tensor(new Float32Array(6)).view([3, K]).requires_grad_();
      objective
        .loss({ logits: z, targets: batch, indices: Int32Array.from(rows), inputs: {}, epoch })
        .backward();
      const slopes = z.grad!.toTypedArray() as Float32Array;
      const known = rows.flatMap((row) => [row * K, row * K + 1].map((at) => targets.mask![at]!));
      const count = known.reduce((sum, m) => sum + m, 0);
      rows.forEach((row, i) => {
        for (const c of [0, 1]) {
          const at = row * K + c;
          const p = (1 - own[at]!) * targets.values[at]! + own[at]! / 2;
          expect(slopes[i * K + c]).toBeCloseTo((targets.mask![at]! * (0.5 - p)) / count, 6);
        }
      });
    }
  });
  objective.dispose();
});

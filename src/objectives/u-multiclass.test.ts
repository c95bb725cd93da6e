import { expect, test } from 'vitest';
import type { Findings } from '../data/index.ts';
import { findings } from '../tasks/index.ts';
import { Generator, tensor, tidy } from '../torch/index.ts';
import { createObjective, needsDoubt, parseObjective } from './index.ts';

const targets: Findings = {
  kind: 'findings',
  names: ['absent', 'present', 'hedged'],
  values: Float32Array.of(0, 1, 1),
  rates: Float32Array.of(0, 0, 0.5),
};

test('gradients of both heads are those of a softmax over absent, present and uncertain', () => {
  const objective = createObjective(parseObjective('u-multiclass'), {
    task: findings,
    classes: 3,
    epochs: 1,
    samples: 1,
    targets,
    device: 'cpu',
    generator: new Generator(0),
  });
  const [z, u] = [
    [0.3, -1, 2],
    [-0.5, 1, 0.1],
  ];
  tidy(() => {
    const leaf = (values: number[]) => tensor(Float32Array.from(values)).view([1, 3]).requires_grad_();
    const [logits, doubtLogits] = [leaf(z!), leaf(u!)];
    const seen = { targets: findings.gather(targets, undefined, 'cpu'), inputs: {}, epoch: 0 };
    const indices = Int32Array.of(0);
    objective.loss({ ...seen, indices, logits, doubtLogits }).backward();
    const slopes = [logits, doubtLogits].map((one) => one.grad!.toTypedArray() as Float32Array);
    [0, 1, 2].forEach((truth, k) => {
      const e = [1, Math.exp(z![k]!), Math.exp(u![k]!) * (1 + Math.exp(z![k]!))];
      const sum = e[0]! + e[1]! + e[2]!;
      expect(e[2]! / sum).toBeCloseTo(1 / (1 + Math.exp(-u![k]!)), 6);
      expect(slopes[0]![k]).toBeCloseTo((e[1]! / sum - Number(truth === 1)) / 3, 6);
      expect(slopes[1]![k]).toBeCloseTo((e[2]! / sum - Number(truth === 2)) / 3, 6);
    });
    expect(() => objective.loss({ ...seen, indices, logits })).toThrow(
      expect.objectContaining({ code: 'objectives/doubt' }),
    );
  });
  objective.dispose();
  expect([needsDoubt('u-multiclass'), needsDoubt('u-ones')]).toEqual([true, false]);
});

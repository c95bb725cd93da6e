import { expect, test } from 'vitest';
import type { Findings } from '../data/index.ts';
import { findings } from '../tasks/index.ts';
import { Generator, tensor, tidy } from '../torch/index.ts';
import { createObjective, parseObjective } from './index.ts';

const N = 3000;
const targets: Findings = {
  kind: 'findings',
  names: ['hedged', 'definite'],
  values: Float32Array.from({ length: N * 2 }, (_, at) => Number(at % 4 < 2)),
  rates: Float32Array.from({ length: N * 2 }, (_, at) => (at % 2 === 0 ? 0.5 : 0)),
};

/** Targets that the gradient at z = 0 shows: 1/2 − 2N·slope, by value. */
function shown(text: string, seed = 0, given = targets): number[][] {
  const objective = createObjective(parseObjective(text), {
    task: findings,
    classes: 2,
    epochs: 1,
    samples: N,
    targets: given,
    device: 'cpu',
    generator: new Generator(seed),
  });
  const once = () =>
    tidy(() => {
      const z = tensor(new Float32Array(N * 2))
        .view([N, 2])
        .requires_grad_();
      const batch = findings.gather(given, undefined, 'cpu');
      const indices = Int32Array.from({ length: N }, (_, i) => i);
      objective.loss({ logits: z, targets: batch, indices, inputs: {}, epoch: 0 }).backward();
      return Array.from(z.grad!.toTypedArray() as Float32Array, (slope) => 0.5 - 2 * N * slope);
    });
  const all = [once(), once()];
  objective.dispose();
  return all;
}

test.each([
  ['u-zeros-lsr', 0, 0.3],
  ['u-ones-lsr', 0.55, 0.85],
  ['u-ones-lsr:from=0.9,to=1', 0.9, 1],
] as const)(
  '%s: hedged findings get uniform targets, anew each time; others keep theirs',
  (text, from, to) => {
    const [first, second] = shown(text) as [number[], number[]];
    const hedged = first.filter((_, at) => at % 2 === 0);
    expect(Math.min(...hedged)).toBeGreaterThanOrEqual(from - 1e-4);
    expect(Math.max(...hedged)).toBeLessThanOrEqual(to + 1e-4);
    const mean = hedged.reduce((sum, p) => sum + p, 0) / N;
    const spread = hedged.reduce((sum, p) => sum + (p - mean) ** 2, 0) / N;
    expect(Math.abs(mean - (from + to) / 2)).toBeLessThan(0.05 * (to - from));
    expect(spread / ((to - from) ** 2 / 12)).toBeCloseTo(1, 0.7);
    first.forEach((p, at) => {
      if (at % 2 === 1) expect(p).toBeCloseTo(targets.values[at]!, 3);
    });
    expect(second).not.toEqual(first);
    expect(shown(text)).toEqual([first, second]);
    expect(shown(text, 1)[0]).not.toEqual(first);
  },
);

test('data that do not say what was hedged are an error that names the way out', () => {
  for (const name of ['u-ignore', 'u-zeros', 'u-ones-lsr', 'soft'])
    expect(() => shown(name, 0, { ...targets, rates: undefined })).toThrow(
      expect.objectContaining({
        code: 'objectives/rates',
        hint: expect.stringContaining('--uncertain rate='),
      }),
    );
  expect(() => shown('soft-shuffled', 0, { ...targets, rates: undefined })).toThrow(/data have none/);
  expect(() => parseObjective('u-ones-lsr:from=0.9')).toThrow(/from must not be above to/);
});

test('errors come from the options, in one form, or from the data', () => {
  expect(() => shown('forward')).toThrow(
    expect.objectContaining({ code: 'objectives/errors', hint: expect.stringContaining('--errors') }),
  );
  expect(() => shown('forward:error=0.1,miss=0.2')).toThrow(/error is for both/);
  expect(() => parseObjective('gls:rate=-0.3,error=0.1')).toThrow(/rates=data/);
  expect(() => parseObjective('forward:error=0.5')).toThrow(/error must be/);
});

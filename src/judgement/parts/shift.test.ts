import { expect, test } from 'vitest';
import type { Outputs } from '../../figures/index.ts';
import { Random } from '../../random.ts';
import type { Context } from '../part.ts';
import { type ShiftResult, shiftPart } from './shift.ts';

/** P(label | image) is one law everywhere; centres differ in how clear their images are. The network is too sure of unclear ones. */
function centre(n: number, clear: number, seed: number): Outputs {
  const random = new Random(seed);
  const values = new Int32Array(n);
  const probabilities = new Float64Array(3 * n);
  for (let i = 0; i < n; i++) {
    const t = clear + 0.8 * random.normal();
    const likely = random.below(3);
    const sure = 0.6 + 0.4 / (1 + Math.exp(-t));
    const right = random.uniform() < 0.4 + 0.6 / (1 + Math.exp(1 - 2 * t));
    values[i] = right ? likely : (likely + 1 + random.below(2)) % 3;
    const tilt = (1 - sure) * (0.3 + 0.4 * random.uniform());
    probabilities[3 * i + likely] = sure;
    probabilities[3 * i + ((likely + 1) % 3)] = tilt;
    probabilities[3 * i + ((likely + 2) % 3)] = 1 - sure - tilt;
  }
  return { targets: { kind: 'one-of-k', names: ['a', 'b', 'c'], values }, probabilities };
}

async function judged(clear: number, seed: number): Promise<ShiftResult> {
  const [home, away] = [centre(3000, 2, seed), centre(3000, clear, seed + 1)];
  const run = {
    name: 'seed 0',
    judged: async () => home,
    validation: async () => home,
    network: { centre: async () => away },
  };
  const context = {
    judged: {
      kind: 'one-of-k',
      names: ['a', 'b', 'c'],
      methods: [{ id: 'hard', label: 'Hard labels', runs: [run] }],
      baseline: 'hard',
      centres: [{ name: 'elsewhere', kind: 'set' }],
    },
    settings: { methods: ['lac'], alpha: 0.1 },
    options: {},
    tell: () => {},
  } as unknown as Context<{ readonly methods: readonly string[]; readonly alpha: number }>;
  const results = (await shiftPart.measure(context)) as readonly ShiftResult[];
  return results[0]!;
}

test('weights mend the coverage that a shift of images takes away, and cost samples', async () => {
  const { methods, samples } = await judged(0.6, 1);
  const { figures, effectiveSamples } = methods[0]!;
  expect(samples).toBe(3000);
  expect(figures.coverage!.high!).toBeLessThan(0.86);
  expect(figures.weightedCoverage!.value!).toBeGreaterThan(0.87);
  expect(figures.weightedCoverage!.value!).toBeLessThan(0.95);
  expect(figures.weightedSize!.value!).toBeGreaterThan(figures.size!.value!);
  expect(effectiveSamples).toBeLessThan(1500);
});

test('without a shift nothing changes', async () => {
  const { methods } = await judged(2, 3);
  const { figures, effectiveSamples } = methods[0]!;
  expect(Math.abs(figures.weightedCoverage!.value! - figures.coverage!.value!)).toBeLessThan(0.02);
  expect(effectiveSamples).toBeGreaterThan(2500);
});

test('is quiet where no other centre was named', async () => {
  const judgedAlone = { kind: 'one-of-k', names: [], methods: [], baseline: '' };
  const context = {
    judged: judgedAlone,
    settings: { methods: ['lac'], alpha: 0.1 },
    options: {},
    tell: () => {},
  };
  expect(await shiftPart.measure(context as never)).toMatchObject({ quiet: true });
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Random } from '../random.ts';
import { controlRisk, type RiskOptions, registerRisk, riskNames } from './index.ts';

describe.each(['missed', 'false-positives'] as const)('%s', (risk) => {
  test.each(['image', 'finding'] as const)(
    'is at most alpha on new images, and hardly less (per %s)',
    (per) => {
      const [k, n, rounds, alpha] = [4, 200, 150, 0.15];
      const sums = new Float64Array(per === 'image' ? 1 : k);
      for (let round = 0; round < rounds; round++) {
        const [held, judged] = [draw(round, n, k), draw(round + 70_000, n, k)];
        const control = controlRisk(risk, held.probabilities, held, k, { alpha, per });
        expect(control.warnings).toEqual([]);
        const flags = control.flag(judged.probabilities);
        const groups = per === 'image' ? [[0, 1, 2, 3]] : [[0], [1], [2], [3]];
        groups.forEach((columns, g) => {
          sums[g]! += meanLoss(risk, flags, judged, k, columns) / rounds;
        });
      }
      for (const mean of sums) {
        expect(mean).toBeLessThan(alpha + 0.01);
        expect(mean).toBeGreaterThan(alpha - 0.05);
      }
    },
  );

  test('the threshold is the extreme one under which the corrected mean keeps to alpha', () => {
    fc.assert(
      fc.property(
        fc.nat(),
        fc.integer({ min: 1, max: 40 }),
        fc.constantFrom(0.05, 0.2, 0.5),
        (seed, n, alpha) => {
          const k = 3;
          const { probabilities, values, mask } = draw(seed, n, k, 8);
          const { thresholds, samples } = controlRisk(risk, probabilities, { values, mask }, k, { alpha });
          const candidates = [0, ...new Set(probabilities), Number.POSITIVE_INFINITY].sort((a, b) => a - b);
          const keeps = candidates.filter((threshold) => {
            const flags = Uint8Array.from(probabilities, (p) => (p >= threshold ? 1 : 0));
            const mean = meanLoss(risk, flags, { values, mask }, k, [0, 1, 2]);
            return (mean * samples[0]! + 1) / (samples[0]! + 1) <= alpha + 1e-12;
          });
          const flagged = (threshold: number) =>
            probabilities.filter((p, at) => mask[at] === 1 && p >= threshold).length;
          const wanted = risk === 'missed' ? (keeps.at(-1) ?? 0) : (keeps[0] ?? Number.POSITIVE_INFINITY);
          expect(flagged(thresholds[0]!)).toBe(flagged(wanted));
        },
      ),
      { numRuns: 150 },
    );
  });

  test('too few images flag everything, or nothing, and are told', () => {
    const { probabilities, values, mask } = draw(1, 6, 3);
    const { thresholds, warnings } = controlRisk(risk, probabilities, { values, mask }, 3);
    expect(thresholds).toEqual(new Array(3).fill(risk === 'missed' ? 0 : Number.POSITIVE_INFINITY));
    expect(warnings.join()).toContain('too few for alpha 0.1, which takes 9');
    const unknown = new Uint8Array(mask.length);
    const each = controlRisk(risk, probabilities, { values, mask: unknown }, 3, { per: 'finding' });
    expect(each.samples).toEqual([0, 0, 0]);
    expect(each.warnings.join()).toContain('3 of 3 findings (0, 1, 2)');
  });
});

test('unknown findings count neither way', () => {
  const { probabilities, values, mask } = draw(5, 300, 4);
  const other = values.map((y, at) => (mask[at] === 0 ? 1 - y : y));
  for (const risk of riskNames)
    expect(controlRisk(risk, probabilities, { values: other, mask }, 4).thresholds).toEqual(
      controlRisk(risk, probabilities, { values, mask }, 4).thresholds,
    );
});

test('a risk is registered from outside', () => {
  registerRisk('any-missed', {
    label: 'images with a missed finding',
    flaggingMore: 'lowers',
    loss: ({ present, found }) => (present === 0 ? undefined : found < present ? 1 : 0),
  });
  const { probabilities, values, mask } = draw(6, 400, 4);
  const strict = controlRisk('any-missed', probabilities, { values, mask }, 4).thresholds[0]!;
  expect(strict).toBeLessThan(controlRisk('missed', probabilities, { values, mask }, 4).thresholds[0]!);
  expect(() => registerRisk('missed', null as never)).toThrow('already a risk "missed"');
});

test('wrong input', () => {
  const { probabilities, values, mask } = draw(7, 20, 2);
  const attempt = (options: RiskOptions, p = probabilities, y = values, name = 'missed') =>
    expect(() => controlRisk(name, p, { values: y, mask }, 2, options));
  attempt({}, probabilities, values, 'fdr').toThrow('no risk "fdr"');
  attempt({ alpha: 1 }).toThrow('alpha');
  attempt({ per: 'patient' as 'image' }).toThrow('per must be image or finding');
  attempt({}, probabilities.slice(1)).toThrow('not rows of 2');
  attempt({}, probabilities, values.slice(2)).toThrow('38 values');
  attempt(
    {},
    probabilities.map((p) => p + 1),
  ).toThrow('Row 0, finding 0');
});

/** The mean loss over images that it says something about, by the definition. */
function meanLoss(
  risk: 'missed' | 'false-positives',
  flags: Uint8Array,
  { values, mask }: { values: Float32Array; mask: Uint8Array },
  k: number,
  columns: readonly number[],
): number {
  const losses: number[] = [];
  for (let i = 0; i < values.length / k; i++) {
    const own = columns.filter(
      (c) => mask[i * k + c] === 1 && values[i * k + c] === (risk === 'missed' ? 1 : 0),
    );
    if (own.length === 0) continue;
    const flagged = own.filter((c) => flags[i * k + c] === 1).length / own.length;
    losses.push(risk === 'missed' ? 1 - flagged : flagged);
  }
  return losses.length === 0 ? 0 : losses.reduce((a, b) => a + b) / losses.length;
}

/** Findings of prevalences around a third, a fifth of them unknown; `grid` rounds probabilities, so that there are ties. */
function draw(seed: number, n: number, k: number, grid = 0) {
  const random = new Random(seed, 404);
  const probabilities = new Float64Array(n * k);
  const values = new Float32Array(n * k);
  const mask = new Uint8Array(n * k);
  for (let i = 0; i < n * k; i++) {
    values[i] = random.uniform() < 0.2 + 0.1 * (i % k) ? 1 : 0;
    const p = 1 / (1 + Math.exp(1 - 2 * values[i]! - random.normal()));
    probabilities[i] = grid > 0 ? Math.round(grid * p) / grid : p;
    mask[i] = random.uniform() < 0.8 ? 1 : 0;
  }
  return { probabilities, values, mask };
}

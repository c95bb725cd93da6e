import { expect, test } from 'vitest';
import { type Law, type Shape, simulate, truthOf } from '../../test/metrics/calibration-designs.ts';
import { Random } from '../random.ts';
import { calibrationDifference, calibrationInterval } from './index.ts';

// A small part of bench/calibration-coverage.ts, whose table is docs/calibration-coverage.md. Seeds are fixed; the limits
// leave three standard errors of this many replications, and the naive methods below miss them by far.

const CELLS: readonly [Law, Shape, number, number, boolean, number][] = [
  // law, shape, true error, n, patients of several images, seeds
  ['top, wide', 'constant', 0, 200, false, 1],
  ['top, narrow', 'constant', 0, 200, true, 1],
  ['top, narrow', 'crossing', 0.08, 200, false, 1],
  ['top, clumps', 'proportional', 0.03, 200, false, 1],
  ['top, sure', 'constant', 0, 200, false, 1],
  ['p, wide', 'three crossings', 0.15, 200, false, 1],
  ['p, rare', 'constant', 0.01, 200, true, 1],
  ['p, rare', 'proportional', 0.08, 800, false, 1],
  ['top, wide', 'crossing', 0.03, 200, true, 3],
];
const REPLICATIONS = 150;
/** 92 % less three standard errors. */
const LEAST = 0.92 - 3 * Math.sqrt((0.92 * 0.08) / REPLICATIONS);

test.each(CELLS)(
  'the interval covers: %s, %s %d, n %d, patients %s, %d seeds',
  (law, shape, error, n, patients, seeds) => {
    const truths = Array.from(
      { length: seeds },
      (_, s) => truthOf(law, shape, seeds === 1 ? error : (error * (s + 1)) / 2)!,
    );
    let covered = 0;
    let length = 0;
    for (let r = 0; r < REPLICATIONS; r++) {
      const { runs, groups } = simulate(truths, { n, patients }, new Random(21, r));
      const { low, high } = calibrationInterval(runs, groups === undefined ? {} : { groups });
      if (low <= error && error <= high) covered++;
      length += (high - low) / REPLICATIONS;
    }
    expect(covered / REPLICATIONS).toBeGreaterThan(LEAST);
    // An interval that is right because it says nothing would be no use.
    expect(length).toBeLessThan(0.25);
  },
);

test('that test can fail: an interval around the plug-in error does not cover', () => {
  const truth = truthOf('top, wide', 'constant', 0)!;
  let covered = 0;
  for (let r = 0; r < REPLICATIONS; r++) {
    const { runs } = simulate([truth], { n: 200, patients: false }, new Random(21, r));
    const { plugIn, high, low } = calibrationInterval(runs);
    if (plugIn - (high - low) / 2 <= 0) covered++;
  }
  expect(covered / REPLICATIONS).toBeLessThan(0.8);
});

function rejections(law: Law, a: [Shape, number], b: [Shape, number], n: number, patients = false): number {
  const truths = [truthOf(law, ...a)!, truthOf(law, ...b)!];
  let rejected = 0;
  for (let r = 0; r < REPLICATIONS; r++) {
    const { runs, groups } = simulate(truths, { n, patients }, new Random(22, r));
    const { p } = calibrationDifference([runs[0]!], [runs[1]!], {
      draws: 500,
      ...(groups === undefined ? {} : { groups }),
    });
    if (p < 0.05) rejected++;
  }
  return rejected / REPLICATIONS;
}

test.each<[Law, [Shape, number], [Shape, number], boolean]>([
  ['top, narrow', ['constant', 0], ['constant', 0], false],
  ['top, narrow', ['constant', 0.03], ['crossing', 0.03], true],
  ['top, wide', ['crossing', 0.08], ['three crossings', 0.08], false],
])('the paired test keeps its level: %s, %s and %s, patients %s', (law, a, b, patients) => {
  expect(rejections(law, a, b, 300, patients)).toBeLessThan(
    0.065 + 3 * Math.sqrt((0.065 * 0.935) / REPLICATIONS),
  );
});

test('the paired test sees what is there', () => {
  expect(rejections('p, wide', ['constant', 0.03], ['constant', 0.15], 300)).toBeGreaterThan(0.8);
});

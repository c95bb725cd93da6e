import { describe, expect, test } from 'vitest';
import { wilson } from '../calibration/index.ts';
import { Random } from '../random.ts';
import { agreement, agreementOf, scoreColumns } from './index.ts';

describe('agreement of a map with a mask', () => {
  const mask = Uint8Array.of(0, 1, 1, 0, 0, 0);

  test('is where its greatest value lies, and how much of it lies inside', () => {
    expect(agreement(Float32Array.of(1, 4, 0, 3, 0, 0), mask)).toEqual({ hit: 1, energy: 0.5, area: 1 / 3 });
    expect(agreement(Float32Array.of(0, 1, 1, 6, 0, 0), mask)).toEqual({ hit: 0, energy: 0.25, area: 1 / 3 });
  });

  test('a map of zeros points nowhere, also where the mask begins', () => {
    expect(agreement(new Float32Array(2), Uint8Array.of(1, 0))).toEqual({ hit: 0, energy: 0, area: 0.5 });
  });

  test('an even map has the energy of chance', () => {
    const { energy, area } = agreement(new Float32Array(6).fill(0.3), mask);
    expect(energy).toBeCloseTo(area, 12);
  });
});

test('a map and a mask of two sizes agree in the finer one', () => {
  const left = { height: 1, width: 2, values: Uint8Array.of(1, 0) };
  const fine = { height: 1, width: 4, values: Float32Array.of(3, 1, 0, 4) };
  expect(agreementOf(fine, left)).toEqual({ hit: 0, energy: 0.5, area: 0.5 });
  const coarse = { height: 1, width: 2, values: Float32Array.of(1, 0) };
  const mask = { height: 1, width: 4, values: Uint8Array.of(1, 1, 0, 0) };
  expect(agreementOf(coarse, mask)).toEqual({ hit: 1, energy: 0.875, area: 0.5 });
});

describe('scores', () => {
  const random = new Random(3);
  const maps = (share: number) =>
    Array.from({ length: 200 }, () => ({
      hit: Number(random.uniform() < share),
      energy: random.uniform() * share,
      area: 0.1,
    }));
  const [good, poor] = [maps(0.7), maps(0.3)];

  test('are means with intervals, Wilson’s where every map is of another patient', () => {
    const { columns, area, units } = scoreColumns(
      [good],
      good.map((_, i) => i),
    );
    const hits = good.filter(({ hit }) => hit === 1).length;
    const expected = wilson(hits, 200, 0.95);
    expect(columns[0]!.hits.value).toBeCloseTo(hits / 200, 12);
    expect(columns[0]!.hits.low).toBeCloseTo(expected.low!, 2);
    expect(columns[0]!.hits.high).toBeCloseTo(expected.high!, 2);
    expect(area).toBeCloseTo(0.1, 12);
    expect(units).toBe(200);
    expect(columns[0]!.versus).toBeNull();
  });

  test('of few patients are less sure', () => {
    const of = (units: number[]) => scoreColumns([good], units).columns[0]!.energy;
    const width = ({ low, high }: { low: number | null; high: number | null }) => high! - low!;
    const repeated = Array.from({ length: 200 }, (_, i) => good[Math.floor(i / 20)]!);
    const all = scoreColumns(
      [repeated],
      repeated.map((_, i) => i),
    ).columns[0]!.energy;
    const clustered = scoreColumns(
      [repeated],
      repeated.map((_, i) => Math.floor(i / 20)),
    ).columns[0]!.energy;
    expect(width(clustered)).toBeGreaterThan(2 * width(all));
    expect(width(of(good.map((_, i) => i)))).toBeGreaterThan(0);
  });

  test('are tested against the first column on the same maps', () => {
    const units = good.map((_, i) => i);
    const { columns } = scoreColumns([poor, good, poor], units);
    expect(columns[1]!.versus!.hits.value).toBeGreaterThan(0.2);
    expect(columns[1]!.versus!.hits.adjusted).toBeLessThan(0.001);
    expect(columns[2]!.versus!.hits).toMatchObject({ value: 0, p: 1 });
  });
});

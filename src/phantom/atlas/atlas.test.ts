import { expect, test } from 'vitest';
import { classOf, SUBJECTS } from './classes.ts';
import { ATLAS_CLASSES, drawAtlas, PAIRS, REGIONS } from './index.ts';

const atlas = drawAtlas({ images: 6000, size: 32, seed: 3 });
const K = ATLAS_CLASSES.length;

test('165 names, each once, of three modalities and eleven regions', () => {
  expect(K).toBe(165);
  expect(new Set(ATLAS_CLASSES).size).toBe(165);
  expect(new Set(REGIONS.map(({ modality }) => modality)).size).toBe(3);
  expect(SUBJECTS.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 12);
  for (const { region, pair } of SUBJECTS) {
    const { modality, anatomy } = REGIONS[region]!;
    const what = pair < 0 ? 'normal' : PAIRS[pair]!.first;
    expect(ATLAS_CLASSES[classOf({ region, pair })]).toBe(`${modality}_${anatomy}_${what}`);
  }
});

test('the posterior is a distribution over a pair, and labels follow it', () => {
  const { posterior, labels, betweens } = atlas;
  let [expected, variance, seconds] = [0, 0, 0];
  for (let i = 0; i < labels.length; i++) {
    const row = posterior.subarray(i * K, (i + 1) * K);
    const held = [...row.entries()].filter(([, p]) => p > 0);
    expect(held.reduce((sum, [, p]) => sum + p, 0)).toBeCloseTo(1, 6);
    const first = held[0]![0];
    if (first % 15 === 0) {
      expect([held.length, betweens[i], labels[i]]).toEqual([1, 0, first]);
      continue;
    }
    // The first of a pair has an odd place within its region.
    expect((first % 15) % 2 === 1 || held.length === 1).toBe(true);
    const second = (first % 15) % 2 === 1 ? (row[first + 1] ?? 0) : 1;
    expected += second;
    variance += second * (1 - second);
    if ((labels[i]! % 15) % 2 === 0) seconds++;
    expect(row[labels[i]!]).toBeGreaterThan(0);
  }
  expect(Math.abs(seconds - expected)).toBeLessThan(4 * Math.sqrt(variance));
});

test('frequencies have a long tail, and no class is empty at the default size of the set', () => {
  const counts = new Float64Array(K);
  for (const { region, pair, share } of SUBJECTS) {
    // Of a pair, by the largest skew: P(u^1.75 > ½) = 0.33.
    if (pair < 0) counts[15 * region] = share;
    else {
      counts[classOf({ region, pair })] = 0.67 * share;
      counts[classOf({ region, pair }) + 1] = 0.33 * share;
    }
  }
  expect(Math.max(...counts) / Math.min(...counts)).toBeGreaterThan(70);
  expect(20_000 * Math.min(...counts)).toBeGreaterThan(12);
  const drawn = new Float64Array(K);
  for (const label of atlas.labels) drawn[label]!++;
  expect(Math.max(...drawn)).toBeGreaterThan(0.04 * atlas.labels.length);
});

test('an image is a function of (seed, index): how many there are does not matter', () => {
  const few = drawAtlas({ images: 7, size: 32, seed: 3 });
  expect(few.pixels).toEqual(atlas.pixels.slice(0, few.pixels.length));
  expect([...few.labels]).toEqual([...atlas.labels.subarray(0, 7)]);
  expect(drawAtlas({ images: 7, size: 32, seed: 4 }).pixels).not.toEqual(few.pixels);
});

test('the two of a pair are nearer to each other than to the rest of their region', () => {
  const area = 32 * 32;
  const means = Array.from({ length: K }, () => new Float64Array(area + 1));
  atlas.labels.forEach((label, i) => {
    const mean = means[label]!;
    for (let at = 0; at < area; at++) mean[at]! += atlas.pixels[i * area + at]!;
    mean[area]!++;
  });
  const distance = (a: number, b: number) => {
    const [x, y] = [means[a]!, means[b]!];
    let sum = 0;
    for (let at = 0; at < area; at++) sum += (x[at]! / x[area]! - y[at]! / y[area]!) ** 2;
    return Math.sqrt(sum / area);
  };
  // In the most frequent region, where means hold many pictures: oedema and inflammation, partial tear and tear.
  for (const first of [7, 11]) {
    const others = [1, 3, 5, 7, 9, 11, 13].filter((other) => other !== first);
    const middle = others.map((other) => distance(first, other)).sort((a, b) => a - b)[3]!;
    expect(distance(first, first + 1)).toBeLessThan(middle);
  }
});

test('options outside their range are errors', () => {
  expect(() => drawAtlas({ images: 0 })).toThrow(/images must be an integer/);
  expect(() => drawAtlas({ readerNoise: 0 })).toThrow(/readerNoise must be a number/);
});

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { normalCdf, normalQuantile } from '../normal.ts';
import { Random } from '../random.ts';
import { drawPhantoms, GRADES, gradePosterior, severityOf } from './index.ts';
import { drawJoint, type Joint, NOISE, renderJoint, TEXTURE, TEXTURE_LENGTH } from './joint.ts';
import { DEFAULT_READER_NOISE, readGrade } from './readers.ts';

test('Φ has the published values, and the quantile inverts it', () => {
  // Abramowitz and Stegun, tables 26.1 and 26.2.
  expect(normalCdf(0)).toBeCloseTo(0.5, 14);
  expect(normalCdf(1)).toBeCloseTo(0.841344746068543, 13);
  expect(normalCdf(1.959963984540054)).toBeCloseTo(0.975, 13);
  expect(normalCdf(-5) / 2.866515718791939e-7).toBeCloseTo(1, 9);
  expect(normalCdf(-10) / 7.61985302416052e-24).toBeCloseTo(1, 7);
  for (const p of [1e-6, 0.1, 0.5, 0.77, 0.9999]) expect(normalCdf(normalQuantile(p))).toBeCloseTo(p, 11);
});

test('the posterior is a distribution, and moves to higher grades with severity', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.double({ min: 0.01, max: 1, noNaN: true }),
      (s, tau) => {
        const p = gradePosterior(s, tau);
        expect(p.reduce((a, b) => a + b)).toBeCloseTo(1, 12);
        expect(Math.min(...p)).toBeGreaterThanOrEqual(0);
        const mean = (q: number[]) => q.reduce((sum, value, k) => sum + k * value, 0);
        expect(mean(gradePosterior(s + 0.01, tau))).toBeGreaterThanOrEqual(mean(p) - 1e-12);
      },
    ),
  );
});

test('readers give grades as often as the posterior says', () => {
  const random = new Random(5);
  for (const severity of [0.1, 0.34, 0.6, 0.9]) {
    const n = 20_000;
    const counts = new Float64Array(5);
    for (let i = 0; i < n; i++) counts[readGrade(severity, DEFAULT_READER_NOISE, random)]++;
    gradePosterior(severity).forEach((p, k) => {
      expect(Math.abs(counts[k] / n - p)).toBeLessThan(5 * Math.sqrt((p * (1 - p)) / n) + 1e-4);
    });
  }
});

test('an image is a function of (seed, index): how many there are does not matter', () => {
  const few = drawPhantoms({ images: 5, seed: 9, readers: 3 });
  const many = drawPhantoms({ images: 12, seed: 9, readers: 3 });
  expect(many.pixels.slice(0, few.pixels.length)).toEqual(few.pixels);
  expect(many.labels.slice(0, 5)).toEqual(few.labels);
  expect(many.readings.slice(0, 15)).toEqual(few.readings);
  expect(drawPhantoms({ images: 5, seed: 10 }).pixels).not.toEqual(few.pixels);
});

test('severity is uniform, alike in both knees of a patient, and labels follow the posterior', () => {
  const { severities, labels, posterior } = drawPhantoms({ images: 6000, size: 32, seed: 1 });
  const bins = new Float64Array(10);
  for (const s of severities) bins[Math.floor(s * 10)]++;
  // 6000 in ten bins: mean 600; knees of a pair correlate, so a wide interval.
  for (const count of bins) expect(Math.abs(count - 600)).toBeLessThan(140);
  let product = 0;
  for (let i = 0; i < 6000; i += 2) product += (severities[i] - 0.5) * (severities[i + 1] - 0.5);
  // Spearman's correlation of a normal pair: 6/π · asin(ρ/2) = 0.582 for ρ = 0.6.
  expect((product / 3000) * 12).toBeCloseTo(0.582, 1);
  const expected = new Float64Array(5);
  const seen = new Float64Array(5);
  labels.forEach((label, i) => {
    seen[label]++;
    for (let k = 0; k < 5; k++) expected[k] += posterior[i * 5 + k];
  });
  for (let k = 0; k < 5; k++)
    expect(Math.abs(seen[k] - expected[k])).toBeLessThan(5 * Math.sqrt(expected[k]));
  expect(severityOf(1, 7)).toBeCloseTo(severities[7], 6);
});

test('the picture shows the severity: the Cramér–Rao bound is small against the readers’ noise', () => {
  // Unknown: severity and every other number of the joint. Noise: each pixel's own, rounding, and the texture as white
  // noise of its largest spectral density, which is more than it can hide.
  const size = 64;
  const area = size * size;
  const names = Object.keys(drawJoint(0.5, new Random(1), new Random(2))) as (keyof Joint)[];
  const pixel = 2 / size;
  const spread = TEXTURE_LENGTH.map((length) => Math.exp(-pixel / length)).map((a) => (1 + a) / (1 - a));
  let worst = 0;
  for (let i = 0; i < 60; i++) {
    const severity = (i + 0.5) / 60;
    const joint = drawJoint(severity, new Random(3, i), new Random(4, i));
    const bone = new Float32Array(area);
    const scratch = new Float32Array(area);
    renderJoint(joint, size, scratch, bone);
    const texture = (TEXTURE * joint.trabeculae * joint.gain) ** 2 * spread[0] * spread[1];
    const slopes = names
      .filter((name) => name !== 'trabeculae') // Only scales the texture: no part of the mean picture.
      .map((name) => {
        const step = 1e-3;
        const up = new Float32Array(area);
        const down = new Float32Array(area);
        renderJoint({ ...joint, [name]: joint[name] + step }, size, up, scratch);
        renderJoint({ ...joint, [name]: joint[name] - step }, size, down, scratch);
        return up.map((value, at) => {
          const variance = NOISE ** 2 + 1 / 12 / 255 ** 2 + bone[at] ** 2 * texture;
          return (value - down[at]) / (2 * step) / Math.sqrt(variance);
        });
      });
    worst = Math.max(worst, Math.sqrt(firstOfInverse(slopes)));
  }
  expect(worst).toBeLessThan(DEFAULT_READER_NOISE / 5);
  expect(worst).toBeGreaterThan(0.0005); // It is a measurement with noise, not a constant.
});

test('options outside their range are refused', () => {
  for (const options of [{ images: 0 }, { size: 31 }, { size: 513 }, { readerNoise: 0 }, { readers: 1.5 }]) {
    expect(() => drawPhantoms(options)).toThrow(expect.objectContaining({ code: 'phantom/option' }));
  }
  expect(GRADES).toHaveLength(5);
});

/** Element (0, 0) of (J Jᵀ)⁻¹, by Gram–Schmidt: one over what is left of the first row beside all others. */
function firstOfInverse(rows: Float32Array[]): number {
  const basis: Float64Array[] = [];
  let left = 0;
  for (const row of [...rows.slice(1), rows[0]]) {
    const rest = Float64Array.from(row);
    for (let pass = 0; pass < 2; pass++) {
      for (const unit of basis) {
        const along = rest.reduce((sum, value, i) => sum + value * unit[i], 0);
        for (let i = 0; i < rest.length; i++) rest[i] -= along * unit[i];
      }
    }
    left = rest.reduce((sum, value) => sum + value * value, 0);
    if (left > 1e-9) basis.push(rest.map((value) => value / Math.sqrt(left)));
  }
  return 1 / left;
}

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { normalCdf, normalQuantile } from '../normal.ts';
import { Random } from '../random.ts';
import { certificateMethods, certifiedRadius, certify, certifyByDraws, splitDraws } from './index.ts';

/**
 * Networks of one number whose smoothed confidence is known. With x + σ·ε and ε ~ N(0, 1), the worst shift of r is to
 * the left, since all of them rise.
 */
const networks = {
  // h = Φ(a·x + b): s(x) = Φ((a·x + b)/√(1 + a²σ²)).
  probit: {
    score: (x: number) => normalCdf(3 * x + 0.5),
    smoothed: (x: number, sigma: number) => normalCdf((3 * x + 0.5) / Math.sqrt(1 + 9 * sigma * sigma)),
  },
  // h = 1[x ≥ −0.2], the worst there is for a given mean.
  step: {
    score: (x: number) => (x >= -0.2 ? 1 : 0),
    smoothed: (x: number, sigma: number) => normalCdf((x + 0.2) / sigma),
  },
  // Three levels.
  stairs: {
    score: (x: number) => (x < -0.5 ? 0.1 : x < 0.1 ? 0.6 : 0.95),
    smoothed: (x: number, sigma: number) =>
      0.1 + 0.5 * normalCdf((x + 0.5) / sigma) + 0.35 * normalCdf((x - 0.1) / sigma),
  },
};

function sample(score: (x: number) => number, images: number, draws: number, sigma: number, seed: number) {
  const random = new Random(seed);
  return Float64Array.from({ length: images * draws }, () => score(sigma * random.normal()));
}

describe.each(Object.entries(networks))('%s', (name, { score, smoothed }) => {
  const sigma = 0.5;
  const radii = [0, 0.1, 0.3, 0.6, 1];

  test('certificates are false no more often than delta, and not idle', () => {
    const [images, draws, delta] = [2000, 100, 0.1];
    const samples = sample(score, images, draws, sigma, 1);
    const { bounds } = certify(samples, draws, { sigma, delta, radii });
    for (const method of certificateMethods) {
      let wrong = 0;
      let slack = 0;
      for (let i = 0; i < images; i++) {
        // All radii of an image together.
        const lifted = radii.some(
          (r, j) => bounds[method][i * radii.length + j]! > smoothed(-r, sigma) + 1e-12,
        );
        if (lifted) wrong++;
        slack += (smoothed(0, sigma) - bounds[method][i * radii.length]!) / images;
      }
      expect(wrong / images, method).toBeLessThan(delta + 4 * Math.sqrt((delta * (1 - delta)) / images));
      expect(slack, method).toBeGreaterThan(0);
      expect(slack, method).toBeLessThan(0.25);
    }
    // Some do fail, or nothing would have been tested: sampling errors are about as large as the inequality says.
    const loose = certify(samples, draws, { sigma, delta: 0.5, radii: [0] });
    const lucky = loose.bounds.cdf.filter((v) => v > smoothed(0, sigma)).length;
    if (name === 'step') expect(lucky).toBeGreaterThan(0);
  });

  test('the distribution makes the certificate tight, as every rising network is its own worst case', () => {
    const draws = 100_000;
    const samples = sample(score, 1, draws, sigma, 2);
    const got = certify(samples, draws, { sigma, delta: 0.001, radii });
    radii.forEach((r, j) => {
      const truth = smoothed(-r, sigma);
      expect(got.estimate[j]!).toBeCloseTo(truth, 2);
      expect(got.bounds.cdf[j]!).toBeLessThan(truth);
      // Far out the error weighs most: that no score is below 0.1 is known to the stairs only.
      expect(got.bounds.cdf[j]!).toBeGreaterThan(truth - (r < 1 ? 0.02 : 0.04));
      // The mean alone is tight for a step only.
      if (name !== 'step' && r >= 0.3) expect(got.bounds.hoeffding[j]!).toBeLessThan(truth - 0.03);
      if (name === 'step') expect(got.bounds.hoeffding[j]!).toBeCloseTo(got.bounds.cdf[j]!, 10);
    });
  });
});

test('any network stays above its certificate at every shift', () => {
  // A wave: neither rising nor falling, so the certificate need not be tight, only true. Smoothed exactly by its Fourier
  // term: E[cos(w(x + σε))] = cos(wx)·exp(−w²σ²/2).
  const [w, sigma, draws] = [2, 0.4, 200_000];
  const wave = (x: number, fade = 1) => 0.5 + 0.5 * fade * Math.cos(w * x);
  const radii = Array.from({ length: 12 }, (_, j) => j / 8);
  const { bounds } = certify(
    sample((x) => wave(x), 1, draws, sigma, 3),
    draws,
    { sigma, radii },
  );
  radii.forEach((r, j) => {
    const worst = Math.min(
      ...Array.from({ length: 200 }, (_, t) => wave((r * t) / 199, Math.exp((-w * w * sigma * sigma) / 2))),
    );
    for (const method of certificateMethods)
      expect(bounds[method][j], `${method} at ${r}`).toBeLessThan(worst);
  });
});

test('bounds fall with the radius and with certainty, rise with draws, and keep their order', () => {
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 2, max: 60 }), (seed, draws) => {
      const random = new Random(seed);
      const power = 4 * random.uniform();
      const samples = Float32Array.from({ length: 2 * draws }, () => random.uniform() ** power);
      const radii = [0, 0.05, 0.4, 2];
      const options = { sigma: 0.3, delta: 0.05, radii };
      const got = certify(samples, draws, options);
      const stricter = certify(samples, draws, { ...options, delta: 0.01 });
      // The same draws twice over: the same distribution with less error.
      const twice = Float32Array.from({ length: 4 * draws }, (_, j) => {
        const i = Math.floor(j / (2 * draws));
        return samples[i * draws + (j % draws)]!;
      });
      const more = certify(twice, 2 * draws, options);
      for (let i = 0; i < 2; i++) {
        radii.forEach((_, r) => {
          const at = i * radii.length + r;
          for (const method of certificateMethods) {
            const bound = got.bounds[method][at]!;
            expect(bound).toBeGreaterThanOrEqual(0);
            if (r > 0) expect(bound).toBeLessThanOrEqual(got.bounds[method][at - 1]!);
            expect(stricter.bounds[method][at]).toBeLessThanOrEqual(bound);
            expect(more.bounds[method][at]).toBeGreaterThanOrEqual(bound - 1e-9);
          }
          expect(got.bounds.cdf[at]).toBeGreaterThanOrEqual(got.bounds.hoeffding[at]! - 1e-9);
          expect(got.bounds.cdf[at]).toBeLessThanOrEqual(got.estimate[at]!);
        });
        const mean = samples.subarray(i * draws, (i + 1) * draws).reduce((a, b) => a + b) / draws;
        expect(got.estimate[i * radii.length]).toBeCloseTo(mean, 5);
      }
    }),
    { numRuns: 100 },
  );
});

test('the certified radius is where the bound meets the threshold', () => {
  fc.assert(
    fc.property(fc.nat(), fc.constantFrom(...certificateMethods), (seed, method) => {
      const random = new Random(seed);
      const samples = Float64Array.from({ length: 3 * 400 }, () => 1 - 0.3 * random.uniform() ** 2);
      const options = { sigma: 0.25, delta: 0.01, threshold: 0.5 + 0.45 * random.uniform(), method };
      const found = certifiedRadius(samples, 400, options);
      found.forEach((radius, i) => {
        const at = (r: number) =>
          certify(samples.subarray(400 * i, 400 * (i + 1)), 400, { ...options, radii: [Math.max(0, r)] })
            .bounds[method][0]!;
        if (radius < 0) expect(at(0)).toBeLessThan(options.threshold);
        else {
          expect(at(radius)).toBeGreaterThanOrEqual(options.threshold - 1e-9);
          expect(at(radius + 1e-6)).toBeLessThan(options.threshold);
        }
      });
    }),
    { numRuns: 30 },
  );
  // A network that is always sure: σ·(Φ⁻¹(1 − ε) − Φ⁻¹(½)).
  const [radius] = certifiedRadius(new Float64Array(1000).fill(1), 1000, {
    sigma: 2,
    delta: 0.05,
    threshold: 0.5,
  });
  expect(radius).toBeCloseTo(2 * normalQuantile(1 - Math.sqrt(Math.log(20) / 2000)), 5);
  expect(certifiedRadius(Float64Array.of(0.5, 0.5), 2, { sigma: 1, threshold: 0 })[0]).toBe(
    Number.POSITIVE_INFINITY,
  );
});

test('how the certificates move with draws', () => {
  const samples = sample(networks.probit.score, 5, 1000, 0.5, 4);
  const options = { sigma: 0.5, radii: [0, 0.2] };
  const [some, all] = certifyByDraws(samples, 1000, [100, 1000], options);
  expect(all!.samplingError).toBeCloseTo(some!.samplingError / Math.sqrt(10), 12);
  const { bounds } = certify(samples, 1000, options);
  for (const method of certificateMethods) {
    expect(all!.bounds[method][1]).toBeCloseTo(
      [1, 3, 5, 7, 9].reduce((s, at) => s + bounds[method][at]!, 0) / 5,
      12,
    );
    expect(all!.bounds[method][0]!).toBeGreaterThan(some!.bounds[method][0]!);
  }
  // The first 100 draws of each image, not of all.
  const first = certify(samples.subarray(1000, 1100), 100, options);
  const parts = Array.from({ length: 5 }, (_, i) =>
    certify(samples.subarray(1000 * i, 1000 * i + 100), 100, options),
  );
  expect(parts[1]!.bounds).toEqual(first.bounds);
  const mean = parts.reduce((sum, part) => sum + part.bounds.cdf[0]!, 0) / 5;
  expect(some!.bounds.cdf[0]).toBeCloseTo(mean, 12);
});

test('the class is chosen by draws that do not certify it', () => {
  const rows = [0.5, 0.3, 0.2, 0.1, 0.5, 0.4, 0.9, 0.05, 0.05, 0.8, 0.1, 0.1, 0.7, 0.2, 0.1];
  // Means of the first two: 0.3, 0.4, 0.3; of all: class 0.
  const { predicted, confidences } = splitDraws(Float64Array.from(rows), 3, 2);
  expect(predicted).toBe(1);
  expect([...confidences]).toEqual([0.05, 0.1, 0.2].map(Math.fround));
});

test('choosing by the same draws breaks the certificate, choosing by others does not', () => {
  // 200 scores that are fair coins: each has a smoothed score of ½, and the luckiest one looks better.
  const [k, draws, images, delta] = [200, 40, 400, 0.1];
  const random = new Random(8);
  const wrong = { reused: 0, held: 0 };
  const options = { sigma: 1, delta, radii: [0] };
  for (let i = 0; i < images; i++) {
    const scores = Float64Array.from({ length: 2 * draws * k }, () => random.below(2));
    const { predicted, confidences } = splitDraws(scores, k, draws);
    const reused = Float64Array.from({ length: draws }, (_, j) => scores[j * k + predicted]!);
    if (certify(reused, draws, options).bounds.cdf[0]! > 0.5) wrong.reused++;
    if (certify(confidences, draws, options).bounds.cdf[0]! > 0.5) wrong.held++;
  }
  expect(wrong.reused / images).toBeGreaterThan(0.5);
  expect(wrong.held / images).toBeLessThan(delta);
});

test('wrong input', () => {
  const samples = Float64Array.of(0.5, 0.6, 0.7, 0.8);
  const options = { sigma: 1, radii: [0] };
  expect(() => certify(samples, 3, options)).toThrow('not rows of 3 draws');
  expect(() => certify(samples, 1, options)).toThrow('at least 2');
  expect(() => certify(new Float64Array(0), 2, options)).toThrow('no draws');
  expect(() => certify(samples, 2, { ...options, sigma: 0 })).toThrow('sigma');
  for (const delta of [0, 0.6, Number.NaN])
    expect(() => certify(samples, 2, { ...options, delta })).toThrow('delta');
  expect(() => certify(samples, 2, { ...options, radii: [-1] })).toThrow('radius');
  expect(() => certify(samples, 2, { ...options, range: [1, 0] })).toThrow('range');
  expect(() => certify(samples, 2, { ...options, range: [0, 0.65] })).toThrow('Image 1, draw 0: score 0.7');
  expect(() => certify(Float64Array.of(0.5, Number.NaN), 2, options)).toThrow('NaN');
  expect(() => certifiedRadius(samples, 2, { sigma: 1, threshold: 1 })).toThrow('threshold');
  expect(() => certifiedRadius(samples, 2, { sigma: 1, threshold: 0.5, method: 'x' as 'cdf' })).toThrow(
    '"x"',
  );
  expect(() => certifyByDraws(samples, 2, [3], options)).toThrow('from 2 to 2');
  expect(() => splitDraws(samples, 2, 1)).toThrow('from 1 to 0');
  expect(() => splitDraws(samples, 3, 1)).toThrow('not rows of 3');
});

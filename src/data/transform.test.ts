import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Pixels } from './decode.ts';
import {
  epochOrder,
  normalizationTerms,
  placeSample,
  type Transform,
  weightedOrder,
  writeSample,
} from './transform.ts';

const base: Transform = {
  size: 4,
  resize: 6,
  fit: 'fill',
  channels: 1,
  layout: 'NCHW',
  augment: undefined,
  ...normalizationTerms('symmetric', 1),
};

test('the order of an epoch is a permutation, new each epoch and seed, the same each time', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 300 }), fc.nat(), fc.nat(1000), (n, seed, epoch) => {
      const order = epochOrder(n, true, seed, epoch);
      expect(order).toEqual(epochOrder(n, true, seed, epoch));
      expect([...order].sort((a, b) => a - b)).toEqual([...Array(n).keys()]);
    }),
  );
  expect(epochOrder(50, true, 1, 0)).not.toEqual(epochOrder(50, true, 1, 1));
  expect(epochOrder(50, true, 1, 0)).not.toEqual(epochOrder(50, true, 2, 0));
  expect([...epochOrder(3, false, 1, 0)]).toEqual([0, 1, 2]);
});

test('a weighted order has each sample as often as its weight says, to within one, and counts its draws', () => {
  const weight = fc.oneof(fc.constant(0), fc.double({ min: 0.01, max: 100, noNaN: true }));
  fc.assert(
    fc.property(
      fc.array(weight, { minLength: 1, maxLength: 200 }),
      fc.nat(),
      fc.nat(50),
      (list, seed, epoch) => {
        fc.pre(list.some((value) => value > 0));
        const weights = Float64Array.from(list);
        const { order, draws } = weightedOrder(weights, seed, epoch);
        expect(weightedOrder(weights, seed, epoch)).toEqual({ order, draws });
        const total = list.reduce((sum, value) => sum + value, 0);
        const counts = new Map<number, number>();
        order.forEach((index, i) => {
          expect(draws[i]).toBe(counts.get(index) ?? 0);
          counts.set(index, (counts.get(index) ?? 0) + 1);
        });
        list.forEach((value, i) => {
          const expected = (value / total) * list.length;
          expect(Math.abs((counts.get(i) ?? 0) - expected)).toBeLessThan(1 + 1e-9);
          if (value === 0) expect(counts.has(i)).toBe(false);
        });
      },
    ),
  );
  const even = new Float64Array(50).fill(0.2);
  expect([...weightedOrder(even, 1, 0).order].sort((a, b) => a - b)).toEqual([...Array(50).keys()]);
  expect(weightedOrder(even, 1, 0).order).not.toEqual(weightedOrder(even, 1, 1).order);
});

test('a sample that is drawn again is placed anew', () => {
  const transform = { ...base, augment: { pad: 8, flip: true } };
  const places = Array.from({ length: 20 }, (_, draw) =>
    JSON.stringify(placeSample(transform, 1, 2, 3, draw)),
  );
  expect(places[0]).toBe(JSON.stringify(placeSample(transform, 1, 2, 3)));
  expect(new Set(places).size).toBeGreaterThan(15);
});

test('crops cover every place in the padded image and half are mirrored; without augmentation the centre', () => {
  const transform = { ...base, augment: { pad: 1, flip: true } };
  const seen = new Map<string, number>();
  const n = 4000;
  let flips = 0;
  for (let i = 0; i < n; i++) {
    const { top, left, flip } = placeSample(transform, 7, 3, i);
    seen.set(`${top},${left}`, (seen.get(`${top},${left}`) ?? 0) + 1);
    flips += Number(flip);
  }
  expect(seen.size).toBe(25);
  for (const count of seen.values()) expect(Math.abs(count - n / 25)).toBeLessThan(65);
  expect(Math.abs(flips - n / 2)).toBeLessThan(160);
  expect(
    [...seen.keys()].flatMap((key) => key.split(',').map(Number)).every((at) => at >= -1 && at <= 3),
  ).toBe(true);
  expect(placeSample(base, 7, 3, 1)).toEqual({ top: 1, left: 1, flip: false });
});

test('samples equal the definition, pixel by pixel', () => {
  const cases = fc.record({
    size: fc.integer({ min: 1, max: 6 }),
    width: fc.integer({ min: 1, max: 7 }),
    height: fc.integer({ min: 1, max: 7 }),
    stored: fc.constantFrom(1, 3),
    channels: fc.constantFrom<1 | 3>(1, 3),
    layout: fc.constantFrom<'NCHW' | 'NHWC'>('NCHW', 'NHWC'),
    top: fc.integer({ min: -8, max: 8 }),
    left: fc.integer({ min: -8, max: 8 }),
    flip: fc.boolean(),
    wide: fc.boolean(),
    offset: fc.nat(3),
  });
  fc.assert(
    fc.property(cases, (c) => {
      const max = c.wide ? 65535 : 255;
      const data = Array.from(
        { length: c.width * c.height * c.stored },
        (_, i) => (i * 7919 + 13) % (max + 1),
      );
      const pixels: Pixels = {
        data: c.wide ? Uint16Array.from(data) : Uint8Array.from(data),
        width: c.width,
        height: c.height,
        channels: c.stored,
        max,
      };
      const mean = [0.2, 0.3, 0.4].slice(0, c.channels);
      const std = [0.5, 0.25, 2].slice(0, c.channels);
      const terms = normalizationTerms({ mean, std }, c.channels);
      const transform: Transform = {
        ...base,
        size: c.size,
        channels: c.channels,
        layout: c.layout,
        ...terms,
      };
      const out = new Float32Array(c.offset + c.size * c.size * c.channels + 2).fill(99);
      writeSample(pixels, transform, c, out, c.offset);
      for (let ch = 0; ch < c.channels; ch++) {
        for (let y = 0; y < c.size; y++) {
          for (let x = 0; x < c.size; x++) {
            const sy = y + c.top;
            const sx = (c.flip ? c.size - 1 - x : x) + c.left;
            const inside = sy >= 0 && sy < c.height && sx >= 0 && sx < c.width;
            const at = (k: number) => data[(sy * c.width + sx) * c.stored + k];
            const luma = () => Math.floor((at(0) * 19595 + at(1) * 38470 + at(2) * 7471 + 32768) / 65536);
            const value = !inside ? 0 : c.stored === 1 ? at(0) : c.channels === 3 ? at(ch) : luma();
            const wanted = (value / max - mean[ch]) / std[ch];
            const to =
              c.layout === 'NCHW' ? (ch * c.size + y) * c.size + x : (y * c.size + x) * c.channels + ch;
            expect(out[c.offset + to]).toBeCloseTo(wanted, 5);
          }
        }
      }
      expect([...out.subarray(0, c.offset), ...out.subarray(-2)].every((v) => v === 99)).toBe(true);
    }),
    { numRuns: 400 },
  );
});

test('symmetric takes black to −1 and white to 1; grey from colour is Pillow’s luma', () => {
  const transform = { ...base, size: 1, resize: 1 };
  const out = new Float32Array(1);
  const place = { top: 0, left: 0, flip: false };
  for (const [value, wanted] of [
    [0, -1],
    [255, 1],
  ]) {
    writeSample(
      { data: Uint8Array.of(value), width: 1, height: 1, channels: 1, max: 255 },
      transform,
      place,
      out,
      0,
    );
    expect(out[0]).toBeCloseTo(wanted, 6);
  }
  const file = new URL('../../test/fixtures/data/expected.json', import.meta.url);
  const { pixels, luma } = JSON.parse(readFileSync(file, 'utf8'))['rgb8.png'] as Record<string, number[]>;
  const image: Pixels = { data: Uint8Array.from(pixels), width: 10, height: 12, channels: 3, max: 255 };
  for (let i = 0; i < luma.length; i++) {
    writeSample(image, transform, { top: Math.floor(i / 10), left: i % 10, flip: false }, out, 0);
    expect(Math.round((out[0] + 1) * 127.5)).toBe(luma[i]);
  }
});

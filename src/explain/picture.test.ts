import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { heatColour, panelPixels, resizedMap, SIDE, sideBySidePng } from './index.ts';

test('colours are those of inferno, and grow brighter all the way', () => {
  expect(heatColour(0)).toEqual([0, 0, 4]);
  expect(heatColour(1)).toEqual([252, 255, 164]);
  expect([heatColour(-1), heatColour(2)]).toEqual([heatColour(0), heatColour(1)]);
  const light = Array.from({ length: 256 }, (_, i) => {
    const [r, g, b] = heatColour(i / 255);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  });
  for (let i = 1; i < 256; i++) expect(light[i]).toBeGreaterThanOrEqual(light[i - 1]! - 0.5);
});

test('a map grows between the middles of its places', () => {
  const large = resizedMap({ height: 1, width: 2, values: Float32Array.of(0, 1) }, 1, 4);
  expect(Array.from(large)).toEqual([0, 0.25, 0.75, 1]);
});

describe('a panel', () => {
  const picture = new Uint8Array(SIDE * SIDE * 3).fill(100);
  const at = (pixels: Uint8Array, y: number, x: number) =>
    Array.from(pixels.subarray(3 * (y * SIDE + x), 3 * (y * SIDE + x) + 3));

  test('is half picture and half colour, by the map’s own greatest value', () => {
    const map = { height: 2, width: 2, values: Float32Array.of(0, 0, 0, 7) };
    const pixels = panelPixels({ picture }, map);
    const half = (value: number) => heatColour(value).map((c) => Math.floor((100 + c) / 2));
    expect(at(pixels, 0, 0)).toEqual(half(0));
    expect(at(pixels, SIDE - 1, SIDE - 1)).toEqual(half(1));
    expect(at(panelPixels({ picture }, undefined), 5, 5)).toEqual([100, 100, 100]);
    // A map of zeros is dark everywhere.
    expect(at(panelPixels({ picture }, { ...map, values: new Float32Array(4) }), 9, 9)).toEqual(half(0));
  });

  test('has the outline of what is there', () => {
    const mask = { height: 2, width: 2, values: Uint8Array.of(1, 0, 0, 0) };
    const pixels = panelPixels({ picture, mask }, undefined);
    expect(at(pixels, 0, 10)).toEqual([0, 229, 255]);
    expect(at(pixels, SIDE / 2 - 1, 10)).toEqual([0, 229, 255]);
    expect(at(pixels, 50, 50)).toEqual([100, 100, 100]);
    expect(at(pixels, SIDE - 10, 10)).toEqual([100, 100, 100]);
  });
});

test('panels stand side by side with their scale', async () => {
  const picture = new Uint8Array(SIDE * SIDE * 3).fill(100);
  const map = { height: 1, width: 1, values: Float32Array.of(1) };
  const png = await sideBySidePng({ picture }, [
    { lines: ['<Edema> & more', 'x'] },
    { lines: ['a'], map },
    { lines: ['b'], map },
  ]);
  const { data, info } = await sharp(png).raw().toBuffer({ resolveWithObject: true });
  expect(info.width).toBeGreaterThan(3 * SIDE);
  const pixel = (x: number, y: number) =>
    Array.from(data.subarray(info.channels * (y * info.width + x)).subarray(0, 3));
  expect(pixel(20, 100)).toEqual([100, 100, 100]);
  expect(pixel(SIDE + 30, 100)).toEqual(heatColour(1).map((c) => Math.floor((100 + c) / 2)));
  // The scale is bright above and dark below.
  const bar = 8 + 3 * (SIDE + 8) + 10;
  expect(pixel(bar, 46)[0]).toBeGreaterThan(240);
  expect(pixel(bar, 42 + SIDE - 4)[0]).toBeLessThan(20);
});

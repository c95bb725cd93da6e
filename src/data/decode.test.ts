import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { BrokenImage, decodeFile, readHeader } from './decode.ts';

const fixtures = fileURLToPath(new URL('../../test/fixtures/data/', import.meta.url));
interface Expected {
  pixels: number[];
  resized: { width: number; height: number; pixels: number[] };
}
const expected = JSON.parse(readFileSync(join(fixtures, 'expected.json'), 'utf8')) as Record<
  string,
  Expected
>;
const folder = mkdtempSync(join(tmpdir(), 'penumbra-decode-'));
afterAll(() => rmSync(folder, { recursive: true }));

const asStored = { size: undefined, fit: 'fill', maxPixels: 2 ** 27 } as const;

test.each([
  ['grey8.png', 1, 255],
  ['rgb8.png', 3, 255],
  ['rgba8.png', 3, 255],
  ['palette.png', 3, 255],
  ['grey.jpg', 1, 255],
  ['grey16.png', 1, 65535],
  ['rgb16.png', 3, 65535],
])('%s holds the pixels that Pillow and NumPy say', async (name, channels, max) => {
  const pixels = await decodeFile(join(fixtures, name), asStored);
  expect(pixels).toMatchObject({ width: 10, height: 12, channels, max });
  expect(Array.from(pixels.data)).toEqual(expected[name].pixels);
});

test('resizing is Pillow’s antialiased bilinear, to rounding', async () => {
  const { width, height, pixels: wanted } = expected['wave.png'].resized;
  const { data } = await decodeFile(join(fixtures, 'wave.png'), { ...asStored, size: { width, height } });
  const apart = wanted.map((value, i) => Math.abs(value - data[i]));
  expect(data).toHaveLength(wanted.length);
  expect(Math.max(...apart)).toBeLessThanOrEqual(3);
  expect(apart.reduce((a, b) => a + b) / apart.length).toBeLessThan(0.5);
});

const grey = readFileSync(join(fixtures, 'grey8.png'));
const jpeg = readFileSync(join(fixtures, 'grey.jpg'));
const huge = Buffer.from(grey);
huge.writeUInt32BE(100_000, 16);
huge.writeUInt32BE(100_000, 20);
const hollow = Buffer.from(grey);
hollow.writeUInt32BE(0, 16);

test.each<[string, Buffer, RegExp]>([
  ['0 bytes', Buffer.alloc(0), /empty/],
  ['a text', Buffer.from('not a picture\n'), /neither PNG nor JPEG/],
  ['a PNG of 20 bytes', grey.subarray(0, 20), /truncated/],
  ['a PNG without its end', grey.subarray(0, 70), /cannot be decoded/],
  ['a JPEG of 20 bytes', jpeg.subarray(0, 20), /truncated/],
  ['a JPEG without its end', jpeg.subarray(0, jpeg.length - 60), /cannot be decoded/],
  ['100,000 × 100,000 pixels', huge, /100000×100000/],
  ['no pixels', hollow, /no pixels/],
])('broken: %s', async (_, bytes, reason) => {
  const path = join(folder, 'broken.png');
  writeFileSync(path, bytes);
  await expect(decodeFile(path, asStored)).rejects.toThrow(BrokenImage);
  await expect(decodeFile(path, asStored)).rejects.toThrow(reason);
});

test('a folder or nothing in place of a file is a broken image too', async () => {
  await expect(decodeFile(folder, asStored)).rejects.toThrow(/not a file/);
  await expect(decodeFile(join(folder, 'nothing'), asStored)).rejects.toThrow(/ENOENT/);
});

test('the bytes say the format, not the extension', async () => {
  const path = join(folder, 'really-a-jpeg.png');
  writeFileSync(path, jpeg);
  expect((await decodeFile(path, asStored)).width).toBe(10);
});

test('damaged bytes are decoded or refused, and nothing else', async () => {
  const path = join(folder, 'damaged');
  const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(grey, jpeg), damage, fc.nat(), async (file, edits, cut) => {
      const bytes = Buffer.from(file.subarray(0, cut % 3 === 0 ? cut % file.length : file.length));
      for (const [at, value] of edits) if (bytes.length > 0) bytes[at % bytes.length] = value;
      writeFileSync(path, bytes);
      try {
        const pixels = await decodeFile(path, { ...asStored, maxPixels: 1 << 20 });
        expect(pixels.data.length).toBe(pixels.width * pixels.height * pixels.channels);
      } catch (error) {
        expect(error).toBeInstanceOf(BrokenImage);
      }
    }),
    { numRuns: 300 },
  );
});

test('headers of random bytes are read or refused', () => {
  const starts = fc.constantFrom(
    [],
    [0x89, 0x50, 0x4e, 0x47],
    [0xff, 0xd8, 0xff],
    [0xff, 0xd8, 0xff, 0xe0, 0, 0],
  );
  fc.assert(
    fc.property(starts, fc.uint8Array({ maxLength: 80 }), (start, rest) => {
      try {
        expect(readHeader(Uint8Array.from([...start, ...rest])).width).toBeGreaterThan(0);
      } catch (error) {
        expect(error).toBeInstanceOf(BrokenImage);
      }
    }),
    { numRuns: 2000 },
  );
});

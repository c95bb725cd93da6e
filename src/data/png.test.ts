import { crc32, deflateSync } from 'node:zlib';
import fc from 'fast-check';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { decodePlainPng } from './png.ts';

interface Picture {
  width: number;
  height: number;
  depth: 8 | 16;
  colour: 0 | 2;
  /** By row. */
  filters: number[];
  seed: number;
}

const picture: fc.Arbitrary<Picture> = fc
  .record({
    width: fc.integer({ min: 1, max: 9 }),
    height: fc.integer({ min: 1, max: 9 }),
    depth: fc.constantFrom(8, 16),
    colour: fc.constantFrom(0, 2),
    seed: fc.nat(),
  })
  .chain((p) =>
    fc.record({
      ...Object.fromEntries(Object.entries(p).map(([key, value]) => [key, fc.constant(value)])),
      filters: fc.array(fc.integer({ min: 0, max: 4 }), { minLength: p.height, maxLength: p.height }),
    }),
  ) as fc.Arbitrary<Picture>;

function chunk(type: string, data: Uint8Array = Buffer.alloc(0)): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const out = Buffer.alloc(body.length + 8);
  out.writeUInt32BE(data.length);
  body.copy(out, 4);
  out.writeUInt32BE(crc32(body), body.length + 4);
  return out;
}

const SIGNATURE = Buffer.from('89504e470d0a1a0a', 'hex');

/** A file whose filtered bytes are noise: any are a picture. */
function fileOf({ width, height, depth, colour, filters, seed }: Picture, beside: Buffer[] = []): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width);
  header.writeUInt32BE(height, 4);
  header[8] = depth;
  header[9] = colour;
  const row = (width * (colour === 0 ? 1 : 3) * depth) / 8;
  let state = seed;
  const lines = Buffer.concat(
    filters.map((filter) => {
      const line = Buffer.alloc(row + 1);
      line[0] = filter;
      for (let i = 1; i <= row; i++) {
        state = (Math.imul(state, 1664525) + 1013904223) | 0;
        line[i] = state >>> 24;
      }
      return line;
    }),
  );
  const packed = deflateSync(lines);
  const middle = packed.length >> 1;
  const data = [packed.subarray(0, middle), packed.subarray(middle)].map((part) => chunk('IDAT', part));
  return Buffer.concat([SIGNATURE, chunk('IHDR', header), ...beside, ...data, chunk('IEND')]);
}

const gamma = Buffer.alloc(4);
gamma.writeUInt32BE(100_000);
const beside = [
  chunk('gAMA', gamma),
  chunk('sRGB', Buffer.from([0])),
  chunk('pHYs', Buffer.alloc(9, 1)),
  chunk('tEXt', Buffer.from('Comment\0one', 'latin1')),
];

test('plain pictures hold what libvips reads, under every filter and beside other chunks', async () => {
  await fc.assert(
    fc.asyncProperty(picture, fc.subarray(beside), async (picture, beside) => {
      const file = fileOf(picture, beside);
      const own = decodePlainPng(file)!;
      const space = `${picture.colour === 0 ? (picture.depth === 16 ? 'grey' : 'b-w') : picture.depth === 16 ? 'rgb' : 'srgb'}${picture.depth === 16 ? '16' : ''}`;
      let pipeline = sharp(file, { ignoreIcc: true }).removeAlpha().toColourspace(space);
      if (picture.depth === 16) pipeline = pipeline.pipelineColourspace(space);
      const { data, info } = await pipeline
        .raw({ depth: picture.depth === 16 ? 'ushort' : 'uchar' })
        .toBuffer({ resolveWithObject: true });
      const { width, height, channels } = info;
      expect(own).toMatchObject({ width, height, channels, max: picture.depth === 16 ? 65535 : 255 });
      expect(Buffer.from(own.data.buffer, own.data.byteOffset, own.data.byteLength).equals(data)).toBe(true);
    }),
    { numRuns: 150 },
  );
});

test('whatever is odd is left to the library', () => {
  const plain: Picture = { width: 3, height: 2, depth: 8, colour: 0, filters: [0, 4], seed: 1 };
  const good = fileOf(plain);
  expect(decodePlainPng(good)).toBeDefined();
  expect(decodePlainPng(fileOf({ ...plain, filters: [0, 5] }))).toBeUndefined();
  expect(decodePlainPng(fileOf({ ...plain, filters: [0] }))).toBeUndefined();
  expect(decodePlainPng(fileOf({ ...plain, filters: [0, 0, 0] }))).toBeUndefined();
  expect(decodePlainPng(fileOf(plain, [chunk('tRNS', Buffer.alloc(2))]))).toBeUndefined();
  expect(decodePlainPng(fileOf(plain, [chunk('ABCD')]))).toBeUndefined();
  expect(decodePlainPng(fileOf({ ...plain, width: 60_000, height: 60_000, filters: [0] }))).toBeUndefined();
  for (const [at, value] of [
    [24, 4],
    [25, 3],
    [26, 1],
    [27, 1],
    [28, 1],
  ] as const) {
    const other = Buffer.from(good);
    other[at] = value;
    other.writeUInt32BE(crc32(other.subarray(12, 29)), 29);
    expect(decodePlainPng(other), `byte ${at}`).toBeUndefined();
  }
  // Every cut, and every damaged byte: all of them stand under a sum.
  for (let end = 0; end < good.length; end++) expect(decodePlainPng(good.subarray(0, end))).toBeUndefined();
  for (let at = 0; at < good.length; at++) {
    const damaged = Buffer.from(good);
    damaged[at]! ^= 4;
    expect(decodePlainPng(damaged), `byte ${at}`).toBeUndefined();
  }
});

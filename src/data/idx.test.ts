import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { PenumbraError } from '../errors.ts';
import { encodeIdx, idxIntegers, parseIdx, readIdx } from './idx.ts';

const folder = mkdtempSync(join(tmpdir(), 'penumbra-idx-'));
afterAll(() => rmSync(folder, { recursive: true }));

const shapes = fc.array(fc.integer({ min: 0, max: 7 }), { minLength: 1, maxLength: 4 });
const refused = expect.objectContaining({ code: 'data/idx' });

test('arrays read back from memory and from a file, plain and gzip', () => {
  const path = join(folder, 'array');
  fc.assert(
    fc.property(
      shapes,
      fc.infiniteStream(fc.integer({ min: 0, max: 255 })),
      fc.boolean(),
      (shape, stream, zip) => {
        const length = shape.reduce((a, b) => a * b, 1);
        const values = Uint8Array.from([...stream.take(length)]);
        const file = zip ? gzipSync(encodeIdx(shape, values)) : encodeIdx(shape, values);
        writeFileSync(path, file);
        for (const array of [parseIdx(file, 'x'), readIdx(path)]) {
          expect(array).toMatchObject({ type: 'uint8', shape });
          expect(Array.from(array.bytes)).toEqual(Array.from(values));
        }
      },
    ),
  );
});

test('every cut, and any damage, is read as a whole file or refused', () => {
  const whole = encodeIdx(
    [3, 5, 2],
    Uint8Array.from({ length: 30 }, (_, i) => i),
  );
  for (let length = 0; length < whole.length; length++) {
    expect(() => parseIdx(whole.subarray(0, length), 'x')).toThrow(refused);
  }
  const zipped = gzipSync(whole);
  for (let length = 2; length < zipped.length; length++) {
    expect(() => parseIdx(zipped.subarray(0, length), 'x')).toThrow(refused);
  }
  fc.assert(
    fc.property(fc.constantFrom(whole, zipped), fc.nat(), fc.nat(255), (file, at, value) => {
      const damaged = Uint8Array.from(file);
      damaged[at % damaged.length] = value;
      try {
        expect(parseIdx(damaged, 'x').bytes.length).toBeLessThanOrEqual(240);
      } catch (error) {
        expect(error).toBeInstanceOf(PenumbraError);
      }
    }),
    { numRuns: 2000 },
  );
});

test('random bytes are refused', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), fc.boolean(), (bytes, magic) => {
      const file = magic ? Uint8Array.from([0x1f, 0x8b, ...bytes]) : bytes;
      try {
        parseIdx(file, 'x');
      } catch (error) {
        expect(error).toBeInstanceOf(PenumbraError);
      }
    }),
    { numRuns: 1000 },
  );
});

test('a header that claims 2^96 values allocates nothing', () => {
  const header = Buffer.alloc(16, 0xff);
  header.set([0, 0, 8, 3]);
  const path = join(folder, 'lying');
  writeFileSync(path, header);
  expect(() => readIdx(path)).toThrow(refused);
  expect(() => parseIdx(gzipSync(header), 'x')).toThrow(/more than .* compressed ones can hold/);
});

test('a gzip bomb is inflated no further than its header says', () => {
  const bomb = gzipSync(Buffer.concat([encodeIdx([10], new Uint8Array(10)), Buffer.alloc(2 ** 26)]));
  expect(bomb.length).toBeLessThan(70_000);
  expect(() => parseIdx(bomb, 'x')).toThrow(/inflates to more than the 18 bytes/);
});

test('labels of wider types are read as big-endian, and fractions refused', () => {
  const file = (type: number, bytes: number[], n: number) =>
    Uint8Array.from([0, 0, type, 1, 0, 0, 0, n, ...bytes]);
  expect(idxIntegers(parseIdx(file(0x0b, [1, 2, 255, 255], 2), 'x'), 'x')).toEqual(Int32Array.of(258, -1));
  expect(idxIntegers(parseIdx(file(0x0c, [0, 1, 0, 0], 1), 'x'), 'x')).toEqual(Int32Array.of(65536));
  expect(idxIntegers(parseIdx(file(0x09, [200], 1), 'x'), 'x')).toEqual(Int32Array.of(-56));
  expect(() => idxIntegers(parseIdx(file(0x0d, [0, 0, 0, 0], 1), 'x'), 'x')).toThrow(refused);
});
